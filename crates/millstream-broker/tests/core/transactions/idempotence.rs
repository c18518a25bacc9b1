//! What a partition remembers of producers, and for how long.

use std::time::Duration;

use millstream_broker::ErrorCode;

use super::administration::describe_producers;
use crate::bench::{Bench, START, batch_of};

fn bench() -> Bench {
    Bench::with(1, |config| {
        config.transactions.producer_expiration = Duration::from_secs(3600);
    })
    .topic("t", 1)
}

#[test]
fn a_producer_that_wrote_nothing_for_long_is_forgotten() {
    let mut bench = bench();
    for sequence in 0..3 {
        let answer = bench.produce_batch(1, "t", 0, batch_of(7, 0, sequence, &["a"]));
        assert_eq!(answer.error_code, 0);
    }
    let found = describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!((found[0].producer_id.0, found[0].last_sequence), (7, 2));
    assert_eq!((found[0].coordinator_epoch, found[0].last_timestamp), (-1, START));
    bench.pass(Duration::from_secs(3599));
    assert_eq!(describe_producers(&mut bench, "t", 0).unwrap().len(), 1);
    // Kafka looks every ten minutes.
    bench.pass(Duration::from_secs(600));
    assert!(describe_producers(&mut bench, "t", 0).unwrap().is_empty());
    // What is not remembered may begin anywhere: no UNKNOWN_PRODUCER_ID since Kafka 2.5.
    let answer = bench.produce_batch(1, "t", 0, batch_of(7, 0, 9, &["a"]));
    assert_eq!((answer.error_code, answer.base_offset), (0, 3));
}

#[test]
fn a_producer_with_an_open_transaction_is_not_forgotten() {
    let mut bench = bench();
    let producer = bench.init("x");
    let written = bench.write("x", producer, super::PRODUCE_V2, 0, &["a"]).0;
    assert_eq!(written, ErrorCode::None);
    // Nobody ends it, though its coordinator would.
    bench.cluster.set_marker_delay(Duration::from_secs(1 << 30));
    bench.pass(Duration::from_secs(2 * 3600));
    bench.produce(1, "t", 0, &["b"]);
    bench.pass(Duration::from_secs(2 * 3600));
    let found = describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!((found.len(), found[0].current_txn_start_offset), (1, 0));
}

#[test]
fn a_batch_with_a_producer_needs_a_sequence() {
    let mut bench = bench();
    let answer = bench.produce_batch(1, "t", 0, batch_of(7, 0, -1, &["a"]));
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidRecord);
}
