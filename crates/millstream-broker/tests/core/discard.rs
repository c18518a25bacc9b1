//! Discard mode: everything is acknowledged, nothing is kept.

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_types::{BrokerId, TopicPartition};

use crate::bench::{Bench, batch, batch_of, produce_request};
use crate::fetch::fetch_one;

#[test]
fn records_are_counted_and_thrown_away() {
    let mut bench = Bench::with(1, |config| config.discard = true).topic("t", 2);
    assert_eq!(bench.produce(1, "t", 0, &["a", "b"]).base_offset, 0);
    assert_eq!(bench.produce(1, "t", 0, &["c"]).base_offset, 2);
    assert_eq!(bench.produce(1, "t", 1, &["a"]).base_offset, 0);
    let fetched = fetch_one(&mut bench, 1, "t", 0, 3);
    assert_eq!((fetched.error_code, fetched.high_watermark), (0, 3));
    assert!(crate::bench::records(fetched.records.as_ref()).is_empty());
}

#[test]
fn any_sequence_of_an_idempotent_producer_is_taken() {
    let mut bench = Bench::with(1, |config| config.discard = true).topic("t", 1);
    for (sequence, offset) in [(0, 0), (7, 1), (0, 2)] {
        let answer = bench.produce_batch(1, "t", 0, batch_of(5, 0, sequence, &["a"]));
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
}

#[test]
fn what_costs_nothing_to_check_is_checked() {
    let mut bench = Bench::with(2, |config| config.discard = true).topic("t", 1);
    let code =
        |answer: m::produce_response::PartitionProduceResponse| ErrorCode::from(answer.error_code);
    assert_eq!(code(bench.produce(1, "u", 0, &["a"])), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(bench.produce(1, "t", 1, &["a"])), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(bench.produce(2, "t", 0, &["a"])), ErrorCode::NotLeaderOrFollower);
    let cut = batch(&["a"]).slice(..20);
    assert_eq!(code(bench.produce_batch(1, "t", 0, cut)), ErrorCode::CorruptMessage);
    bench.cluster.move_leader(&TopicPartition::new("t", 0), BrokerId(2), bench.now).unwrap();
    assert_eq!(code(bench.produce(2, "t", 0, &["a"])), ErrorCode::None);
}

#[test]
fn without_acks_nothing_is_answered_and_an_error_closes() {
    let mut bench = Bench::with(1, |config| config.discard = true).topic("t", 1);
    let connection = bench.connect(1);
    let sent = bench.send(connection, 9, &produce_request("t", 0, batch(&["a"])).with_acks(0));
    assert!(bench.answer::<m::ProduceRequest>(sent).is_none());
    assert!(!bench.is_closed(connection));
    bench.send(connection, 9, &produce_request("u", 0, batch(&["a"])).with_acks(0));
    assert!(bench.is_closed(connection));
}
