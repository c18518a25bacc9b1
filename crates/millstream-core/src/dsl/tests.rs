//! Programs through the test driver.

use expect_test::{Expect, expect};
use millstream_types::{Headers, Serde, Timestamp};

use crate::{
    Consumed, DropReason, Grouped, KStream, LogAndContinue, Materialized, Produced,
    SkipOnInvalidTimestamp, StreamsBuilder, TaskConfig, TestRecord, TopologyError,
    TopologyTestDriver,
};

fn word_count(builder: &StreamsBuilder) {
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| words(&line))
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to("counts");
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn driver(program: impl FnOnce(&StreamsBuilder)) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    program(&builder);
    TopologyTestDriver::new(&builder.build().unwrap())
}

#[test]
fn words_are_counted() {
    let driver = driver(word_count);
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
    assert_eq!(store.get_with_timestamp("b"), Some((2, Timestamp(1_000))));
    assert_eq!(store.get("c"), None);
}
