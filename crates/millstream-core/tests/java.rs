//! Programs that Java Kafka Streams ran, too: described topologies are equal to the letter, and so
//! are the bytes and times of every record in every topic, repartition topics and changelogs
//! included. The files come from `tests/peers/streams`, which has the same programs.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use expect_test::expect_file;
use millstream_core::{
    Consumed, Grouped, KStream, Materialized, Produced, StreamsBuilder, TaskConfig,
    TopologyTestDriver,
};
use millstream_state::ByteBudget;
use millstream_types::{DefaultSerde, Headers};

/// Key, value, time; "-" is null. `Main.java` has the same.
const INPUT: [(&str, &str, i64); 7] = [
    ("k1", "a b a", 1000),
    ("-", "b c", 900),
    ("k2", "c", 2000),
    ("k1", "-", 2100),
    ("k2", "a a a a zebra", 500),
    ("k3", "", 2200),
    ("k1", "b", 3000),
];

const CACHE_BYTES: u64 = 10 << 20;

#[track_caller]
fn check(name: &str, build: impl FnOnce(&StreamsBuilder)) {
    check_with(name, CACHE_BYTES, &["lines"], build);
}

#[track_caller]
fn check_with(name: &str, cache_bytes: u64, inputs: &[&str], build: impl FnOnce(&StreamsBuilder)) {
    let builder = StreamsBuilder::new();
    build(&builder);
    let topology = builder.build().unwrap();
    let mut text = format!("{}==\n", topology.describe());
    let config = TaskConfig::new("app").cache(Arc::new(ByteBudget::new(cache_bytes)));
    let driver = TopologyTestDriver::with_config(&topology, config);
    for (key, value, time) in INPUT {
        for &topic in inputs {
            let input = driver.input::<String, String>(topic);
            let bytes = |text: &str| (text != "-").then(|| text.as_bytes().to_vec());
            input.pipe_raw(bytes(key), bytes(value), time, Headers::new()).unwrap();
        }
    }
    for topic in driver.produced_topic_names() {
        writeln!(text, "{topic}").unwrap();
        let output = driver.output::<Vec<u8>, Vec<u8>>(topic);
        while let Some(record) = output.read_raw() {
            let (key, value) = (hex(record.key), hex(record.value));
            writeln!(text, "  {key} {value} {}", record.timestamp).unwrap();
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{name}.txt"));
    expect_file![file].assert_eq(&text);
}

fn hex(bytes: Option<Vec<u8>>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'{digits}'")
        }
    }
}

fn lines(builder: &StreamsBuilder) -> KStream<String, String> {
    builder.stream("lines")
}

/// Java's closures are shown null values, so its programs filter them out first.
fn non_null<K: 'static>(stream: KStream<K, String>) -> KStream<K, String> {
    stream.filter(|_, _| true)
}

fn words(line: &str) -> Vec<String> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn word_count(builder: &StreamsBuilder) {
    lines(builder)
        .flat_map_values(|line| words(&line))
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to("out");
}

fn by_word() -> Grouped<String, String> {
    Grouped::default().named("by-word")
}

#[test]
fn word_count_is_javas() {
    check("word_count", word_count);
}

#[test]
fn word_count_without_cache_is_javas() {
    check_with("word_count_no_cache", 0, &["lines"], word_count);
}

#[test]
fn named_word_count_is_javas() {
    check("word_count_named", |builder| {
        lines(builder)
            .flat_map_values(|line| words(&line))
            .group_by_with(|_, word| word.clone(), by_word())
            .named("counting")
            .count_with(Materialized::stored_as("words"))
            .named("changes")
            .to_stream()
            .to_with("out", Produced::default().named("writer"));
    });
}

#[test]
fn count_by_an_unchanged_key_is_javas() {
    check("count_by_key", |builder| {
        lines(builder).group_by_key().count().to_stream().to("out");
    });
}

#[test]
fn count_by_a_selected_key_is_javas() {
    check("count_selected_key", |builder| {
        non_null(lines(builder))
            .select_key(|_, value| value.chars().take(1).collect::<String>())
            .peek(|_, _| {})
            .group_by_key()
            .named("per-letter")
            .count()
            .to_stream()
            .to("out");
    });
}

#[test]
fn a_materialized_store_without_a_name_burns_one() {
    check("count_unnamed_store", |builder| {
        non_null(lines(builder))
            .map(|key, value| (value, key.unwrap_or_default()))
            .group_by_key()
            .count_with(
                Materialized::new()
                    .key_serde(String::default_serde())
                    .value_serde(i64::default_serde()),
            )
            .to_stream()
            .to("out");
    });
}

#[test]
fn a_store_without_cache_and_changelog_is_javas() {
    check("count_plain_store", |builder| {
        lines(builder)
            .group_by_key()
            .count_with(Materialized::stored_as("plain").caching(false).logging_disabled())
            .to_stream()
            .to("out");
    });
}

#[test]
fn stateless_verbs_are_javas() {
    check("stateless", |builder| {
        non_null(lines(builder))
            .filter(|_, value| !value.is_empty())
            .filter_not(|_, value| value.contains('z'))
            .map_values(|value| value.to_uppercase())
            .peek(|_, _| {})
            .flat_map(|_, value| {
                let words = words(&value).into_iter();
                words.map(|word| (word.clone(), word + "!")).collect::<Vec<_>>()
            })
            .map(|key, value| (value, key.unwrap_or_default()))
            .to("out");
    });
}

#[test]
fn named_operators_are_javas() {
    check("named_operators", |builder| {
        let consumed = Consumed::<String, String>::default().named("reader");
        non_null(builder.stream_with("lines", consumed))
            .named("asking")
            .map_values(|value| value + "?")
            .named("all")
            .filter(|_, _| true)
            .to_with("out", Produced::default().named("writer"));
    });
}

#[test]
fn forks_are_javas() {
    check("forks", |builder| {
        let lines = non_null(lines(builder));
        lines.clone().to("copy");
        let upper = lines.clone().map_values(|value| value.to_uppercase());
        lines.foreach(|_, _| {});
        upper.clone().flat_map_values(|line| words(&line)).to("upper-words");
        upper
            .clone()
            .map_values(|value| format!("{value}{value}"))
            .filter(|_, _| true)
            .map_values(|value| value)
            .to("twice");
        upper.to("upper");
    });
}

#[test]
fn aggregations_of_a_named_grouping_share_its_topic_as_javas() {
    check("shared_repartition", |builder| {
        let grouped = lines(builder)
            .flat_map_values(|line| words(&line))
            .group_by_with(|_, word| word.clone(), by_word());
        grouped.clone().count().to_stream().to("out");
        grouped.count_with(Materialized::stored_as("second")).to_stream().to("out2");
    });
}

#[test]
fn aggregations_of_an_unnamed_grouping_have_their_own_topics_as_javas() {
    check("separate_repartitions", |builder| {
        let grouped =
            lines(builder).flat_map_values(|line| words(&line)).group_by(|_, word| word.clone());
        grouped.clone().count().to_stream().to("out");
        grouped.count_with(Materialized::stored_as("second")).to_stream().to("out2");
    });
}

#[test]
fn a_topic_read_twice_is_one_source_as_javas() {
    check("source_read_twice", |builder| {
        lines(builder).group_by_key().count().to_stream().to("out");
        lines(builder).to("copy");
    });
}

#[test]
fn a_source_of_many_topics_is_javas() {
    let topics = ["zeta", "alpha", "mid", "beta"];
    check_with("many_topics", CACHE_BYTES, &topics, |builder| {
        let consumed = Consumed::<String, String>::default();
        builder.stream_of(topics, consumed).to("out");
    });
}

#[test]
fn a_count_of_counts_is_javas() {
    check("chained_counts", |builder| {
        lines(builder)
            .flat_map_values(|line| words(&line))
            .group_by(|_, word| word.clone())
            .count()
            .to_stream()
            .map(|word, count| (count.to_string(), word.unwrap_or_default()))
            .group_by_key()
            .count()
            .to_stream()
            .to("out");
    });
}

/// Sixty verbs on streams chosen by a linear congruential generator: for the order of the text.
fn maze(builder: &StreamsBuilder, seed: u64) {
    let mut streams = vec![lines(builder)];
    let mut state = seed;
    for step in 0..60 {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        let stream = streams[(state >> 8) as usize % streams.len()].clone();
        match (state >> 20) % 8 {
            0 => streams.push(stream.filter(|_, _| true)),
            1 => streams.push(stream.map_values(|value| value)),
            2 => streams.push(stream.peek(|_, _| {})),
            3 => stream.to(format!("out-{step}")),
            4 => streams.push(stream.select_key(|_, value| value.clone())),
            5 => streams.push(builder.stream(format!("lines-{step}"))),
            6 => {
                let counts = stream.group_by_key().count().to_stream();
                streams.push(counts.map_values(|count| count.to_string()));
            }
            _ => stream.foreach(|_, _| {}),
        }
    }
}

#[test]
fn large_topologies_are_described_as_javas() {
    for seed in 0..4 {
        let name = format!("maze_{seed}");
        check_with(&name, CACHE_BYTES, &[], |builder| maze(builder, seed));
    }
}
