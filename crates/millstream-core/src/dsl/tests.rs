//! Programs through the test driver, and programs that are no topologies.

use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};
use millstream_types::{Headers, Serde, Timestamp};

use crate::{
    Consumed, DropReason, Grouped, KStream, LogAndContinue, Materialized, OffsetReset, Produced,
    SkipOnInvalidTimestamp, StreamsBuilder, TaskConfig, TestRecord, TopologyTestDriver,
    UsePartitionTimeOnInvalidTimestamp, WallclockTimestampExtractor,
};

fn lines(builder: &StreamsBuilder) -> KStream<String, String> {
    builder.stream("lines")
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn driver(program: impl FnOnce(&StreamsBuilder)) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    program(&builder);
    TopologyTestDriver::new(&builder.build().unwrap())
}

fn tombstone(key: &str) -> TestRecord<String, String> {
    TestRecord {
        key: Some(key.to_owned()),
        value: None,
        timestamp: Timestamp(1),
        headers: Headers::new(),
    }
}

#[track_caller]
fn check_error(program: impl FnOnce(&StreamsBuilder), expected: Expect) {
    let builder = StreamsBuilder::new();
    program(&builder);
    let error = builder.build().map(|_| ()).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn words_are_counted() {
    let driver = driver(|builder| {
        lines(builder)
            .flat_map_values(|line| words(&line))
            .group_by(|_, word| word.clone())
            .count()
            .to_stream()
            .to("counts");
    });
    let lines = driver.input::<String, String>("lines");
    let counts = driver.output::<String, i64>("counts");
    lines.pipe_at("k", "a b a", 1_000);
    counts.assert_next([("a", 1), ("b", 1), ("a", 2)]);
    lines.pipe_at("k", "b", 500);
    let record = counts.read_record().unwrap();
    assert_eq!((record.value, record.timestamp), (Some(2), Timestamp(1_000)));
    counts.assert_empty();

    let store = driver.key_value_store::<String, i64>("KSTREAM-AGGREGATE-STATE-STORE-0000000003");
    assert_eq!(store.all(), [("a".to_owned(), 2), ("b".to_owned(), 2)]);
    assert_eq!(store.timestamped("b"), Some((2, Timestamp(1_000))));
    assert_eq!(store.get("c"), None);
    let topics: Vec<_> = driver.produced_topic_names();
    expect![[r#"
        [
            "counts",
            "topology-test-driver-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog",
            "topology-test-driver-KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition",
        ]
    "#]]
    .assert_debug_eq(&topics);
}

#[test]
fn null_values_pass_or_are_counted_but_never_shown() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let peeked = seen.clone();
    let driver = driver(move |builder| {
        let lines = lines(builder);
        lines.clone().map_values(|value| value + "!").to("mapped");
        let peek = move |_: Option<&String>, value: &String| {
            peeked.lock().unwrap().push(value.clone());
        };
        lines.clone().peek(peek).to("peeked");
        lines.clone().filter(|_, _| true).to("filtered");
        lines.clone().filter_not(|_, _| false).to("filtered");
        lines.clone().flat_map_values(|value| [value]).to("flat");
        lines.clone().select_key(|_, value| value.clone()).to("keyed");
        lines.foreach(|_, _| {});
    });
    let lines = driver.input::<String, String>("lines");
    lines.pipe_record(tombstone("k"));
    for topic in ["mapped", "peeked"] {
        let record = driver.output::<String, String>(topic).read_record().unwrap();
        assert_eq!(record, tombstone("k"));
    }
    for topic in ["filtered", "flat", "keyed"] {
        driver.output::<String, String>(topic).assert_empty();
    }
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(driver.metrics().dropped(DropReason::NullValue), 5);
    assert_eq!(driver.metrics().processed(), 1);
}

#[test]
fn null_keys_are_shown_as_none_and_not_aggregated() {
    let driver = driver(|builder| {
        let lines = lines(builder);
        lines.clone().map_values_with_key(|key, value| format!("{key:?} {value}")).to("keys");
        lines.group_by_key().count().to_stream().to("counts");
    });
    let lines = driver.input::<String, String>("lines");
    lines.pipe_value("v");
    let keys = driver.output::<String, String>("keys");
    assert_eq!(keys.read_record().unwrap().value.unwrap(), "None v");
    driver.output::<String, i64>("counts").assert_empty();
    assert_eq!(driver.metrics().dropped(DropReason::NullKey), 1);
}

#[test]
fn headers_and_times_flow_through() {
    let driver = driver(|builder| {
        lines(builder)
            .flat_map_values(|line| words(&line))
            .map(|key, word| (word, key.unwrap_or_default()))
            .to("out");
    });
    let mut headers = Headers::new();
    headers.add("trace", Some(vec![7].into()));
    headers.add("trace", None);
    driver.input("lines").pipe_record(TestRecord {
        key: Some("k".to_owned()),
        value: Some("a b".to_owned()),
        timestamp: Timestamp(5),
        headers: headers.clone(),
    });
    let records = driver.output::<String, String>("out").read_all();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!((record.timestamp, &record.headers), (Timestamp(5), &headers));
    }
}

#[test]
fn one_topic_can_be_read_as_several_types() {
    let driver = driver(|builder| {
        builder.stream::<String, i64>("numbers").map_values(|number| number + 1).to("next");
        builder.stream::<Vec<u8>, Vec<u8>>("numbers").to("copy");
    });
    driver.input::<String, i64>("numbers").pipe_at("k", 41, 9);
    driver.output::<String, i64>("next").assert_next([("k", 42)]);
    driver.output::<String, i64>("copy").assert_next([("k", 41)]);
}

#[test]
fn undecodable_records_fail_or_are_counted() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("numbers").to("copy");
    let topology = builder.build().unwrap();
    let pipe = |driver: &TopologyTestDriver, value: &[u8]| {
        let numbers = driver.input::<String, i64>("numbers");
        numbers.pipe_raw(None, Some(value.to_vec()), 0, Headers::new())
    };

    let driver = TopologyTestDriver::new(&topology);
    let error = pipe(&driver, b"xy").unwrap_err();
    expect!["the value of the record at numbers-0@0 cannot be read: i64 takes 8 bytes, not 2; fix the serde, or set a deserialization handler that continues"]
        .assert_eq(&error.to_string());

    let config = TaskConfig::new("app").deserialization_handler(Arc::new(LogAndContinue));
    let driver = TopologyTestDriver::with_config(&topology, config);
    pipe(&driver, b"xy").unwrap();
    pipe(&driver, &7_i64.to_be_bytes()).unwrap();
    assert_eq!(driver.output::<String, i64>("copy").len(), 1);
    assert_eq!(driver.metrics().dropped(DropReason::Undecodable), 1);
}

#[test]
fn extractors_decide_about_times() {
    let driver = driver(|builder| {
        let read = Consumed::<String, String>::default;
        builder
            .stream_with("skip", read().timestamp_extractor(SkipOnInvalidTimestamp))
            .to("skipped");
        let partition_time = read().timestamp_extractor(UsePartitionTimeOnInvalidTimestamp);
        builder.stream_with("last", partition_time).to("lasted");
        let wall = read().timestamp_extractor(WallclockTimestampExtractor);
        builder.stream_with("wall", wall).to("walled");
        builder.stream_with("fail", read()).to("failed");
    });
    driver.advance_wall_clock(std::time::Duration::from_secs(1));
    for (topic, time) in [("skip", 7), ("skip", -1), ("last", 7), ("last", -1), ("wall", -1)] {
        driver.input::<String, String>(topic).pipe_at("k", "v", time);
    }
    let times = |topic| -> Vec<i64> {
        let records = driver.output::<String, String>(topic).read_all();
        records.iter().map(|record| record.timestamp.value()).collect()
    };
    assert_eq!(times("skipped"), [7]);
    assert_eq!(times("lasted"), [7, 7]);
    assert_eq!(times("walled"), [1_000]);
    assert_eq!(driver.metrics().dropped(DropReason::InvalidTimestamp), 1);
    let mut record = tombstone("k");
    record.timestamp = Timestamp(-1);
    let error = driver.input("fail").try_pipe_record(record).unwrap_err();
    expect!["the record at fail-0@0 has no usable time: the timestamp -1 is invalid; choose another timestamp extractor for its topic"]
        .assert_eq(&error.to_string());
}

/// A type without a default serde.
#[derive(Clone)]
struct Celsius(f64);

fn celsius() -> Serde<Celsius> {
    struct AsF64;
    impl millstream_types::Serializer<Celsius> for AsF64 {
        fn serialize(
            &self,
            _topic: &str,
            _headers: &mut Headers,
            value: &Celsius,
            out: &mut Vec<u8>,
        ) -> Result<(), millstream_types::SerdeError> {
            if value.0.is_nan() {
                return Err(millstream_types::SerdeError::other("not a temperature"));
            }
            out.extend_from_slice(&value.0.to_be_bytes());
            Ok(())
        }
    }
    impl millstream_types::Deserializer<Celsius> for AsF64 {
        fn deserialize(
            &self,
            _topic: &str,
            _headers: &Headers,
            bytes: &[u8],
        ) -> Result<Celsius, millstream_types::SerdeError> {
            let bytes = bytes.try_into().map_err(millstream_types::SerdeError::other)?;
            Ok(Celsius(f64::from_be_bytes(bytes)))
        }
    }
    Serde::new(AsF64, AsF64)
}

fn text() -> Serde<String> {
    use millstream_types::DefaultSerde as _;
    String::default_serde()
}

#[test]
fn types_without_default_serdes_are_told_theirs() {
    let driver = driver(|builder| {
        builder
            .stream_with("temperatures", Consumed::with(text(), celsius()))
            .map_values(|Celsius(degrees)| Celsius(1.0 / (degrees - 1.0)))
            .filter(|_, degrees| degrees.0 != 1.0)
            .group_by_with(
                |_, Celsius(degrees)| format!("{degrees:.0}"),
                Grouped::with(text(), celsius()),
            )
            .count_with(Materialized::stored_as("counts"))
            .to_stream()
            .to_with("out", Produced::default());
    });
    let input = driver.input_with("temperatures", text(), celsius());
    input.pipe_at("k", Celsius(1.25), 0);
    driver.output::<String, i64>("out").assert_next([("4", 1)]);
    let record = TestRecord {
        key: None,
        value: Some(Celsius(f64::NAN)),
        timestamp: Timestamp(0),
        headers: Headers::new(),
    };
    let error = input.try_pipe_record(record).unwrap_err().to_string();
    assert!(error.contains("not a temperature"), "{error}");
}

#[test]
fn programs_that_are_no_topologies_name_their_operators() {
    check_error(
        |builder| lines(builder).named("not a name").filter(|_, _| true).to("out"),
        expect![[
            r#"the operator name "not a name" cannot be used: it has characters other than letters, digits, '.', '_' and '-'; choose another"#
        ]],
    );
    check_error(
        |builder| {
            let lines = lines(builder).named("same").filter(|_, _| true);
            lines.named("same").filter(|_, _| true).to("out");
        },
        expect![[r#"two operators are called "same"; name one of them otherwise"#]],
    );
    check_error(
        |builder| {
            let grouped = lines(builder).group_by_key();
            let store = || Materialized::stored_as("counts");
            grouped.clone().count_with(store()).to_stream().to("a");
            grouped.count_with(store()).to_stream().to("b");
        },
        expect![[
            r#"operator "KSTREAM-AGGREGATE-0000000004" asks for store "counts", which operator "KSTREAM-AGGREGATE-0000000001" has; name one of them otherwise"#
        ]],
    );
    check_error(
        |builder| {
            let named = || Grouped::<String, String>::default().named("words");
            let key = |_: Option<&String>, value: &String| value.clone();
            lines(builder).select_key(key).group_by_key_with(named()).count().to_stream().to("a");
            lines(builder).select_key(key).group_by_key_with(named()).count().to_stream().to("b");
        },
        expect![[
            r#"two groupings both name their repartition topic "words-repartition"; name one of them otherwise, or clone the grouped stream"#
        ]],
    );
}

#[test]
fn sources_that_contradict_each_other_are_named() {
    check_error(
        |builder| {
            lines(builder).to("a");
            let both = Consumed::<String, String>::default();
            builder.stream_of(["lines", "more"], both).to("b");
        },
        expect![[
            r#"sources "KSTREAM-SOURCE-0000000000" and "KSTREAM-SOURCE-0000000002" both read topic "lines" but not the same set of topics; read it once and clone the stream"#
        ]],
    );
    check_error(
        |builder| {
            lines(builder).to("a");
            let earliest =
                Consumed::<String, String>::default().offset_reset(OffsetReset::Earliest);
            builder.stream_with("lines", earliest).to("b");
        },
        expect![[
            r#"sources "KSTREAM-SOURCE-0000000000" and "KSTREAM-SOURCE-0000000002" of topic "lines" have different offset reset policies; give both the same"#
        ]],
    );
    check_error(
        |builder| lines(builder).named("x").group_by_key().count().to_stream().to("out"),
        expect![[
            r#"the name "x" was given to group_by_key, which adds no operator; name the repartition topic by Grouped instead"#
        ]],
    );
    check_error(
        |builder| {
            let consumed = Consumed::<String, String>::default();
            builder.stream_of(Vec::<&str>::new(), consumed).to("a");
        },
        expect![[r#"source "KSTREAM-SOURCE-0000000000" has no topics; name at least one"#]],
    );
}
