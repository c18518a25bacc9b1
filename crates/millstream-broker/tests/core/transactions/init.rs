//! InitProducerId: epochs, fencing, exhaustion, timeouts.

use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;

use super::{PRODUCE_V2, Producer, init_request};
use crate::bench::Bench;

const NOBODY: Producer = (-1, -1);

fn bench() -> Bench {
    Bench::new(1).topic("t", 1)
}

#[test]
fn each_newcomer_raises_the_epoch() {
    let mut bench = bench();
    let (id, epoch) = bench.init("x");
    assert_eq!(epoch, 0);
    assert_eq!(bench.init("x"), (id, 1));
    assert_ne!(bench.init("y").0, id);
    assert_eq!(bench.end("x", (id, 0), false, 5), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_producer_goes_on_if_nobody_came_between() {
    let mut bench = bench();
    let first = bench.init("x");
    let second = bench.try_init("x", first).unwrap();
    assert_eq!(second, (first.0, 1));
    assert_eq!(bench.try_init("x", first), Ok(second), "the same request again");
    let third = bench.try_init("x", second).unwrap();
    assert_eq!(bench.try_init("x", first), Err(ErrorCode::ProducerFenced));
    assert_eq!(bench.try_init("x", (first.0, 9)), Err(ErrorCode::ProducerFenced));
    assert_eq!(bench.try_init("x", (first.0 + 7, 2)), Err(ErrorCode::ProducerFenced));
    assert_eq!(bench.init("x"), (third.0, 3));
    assert_eq!(bench.try_init("x", third), Err(ErrorCode::ProducerFenced));
    for odd in [(first.0, -1), (-1, 3)] {
        assert_eq!(bench.try_init("x", odd), Err(ErrorCode::InvalidRequest));
    }
}

#[test]
fn old_versions_are_told_an_invalid_epoch() {
    let mut bench = bench();
    let first = bench.init("x");
    bench.init("x");
    bench.init("x");
    let request =
        init_request("x").with_producer_id(m::ProducerId(first.0)).with_producer_epoch(first.1);
    let code = |answer: m::InitProducerIdResponse| ErrorCode::from(answer.error_code);
    assert_eq!(code(bench.ask(1, 3, &request)), ErrorCode::InvalidProducerEpoch);
    assert_eq!(code(bench.ask(1, 4, &request)), ErrorCode::ProducerFenced);
}

#[test]
fn a_newcomer_aborts_the_open_transaction() {
    // By version 1 the abort raises the epoch, and the newcomer again; so it does by version 2.
    for version in [1, 2] {
        let mut bench = Bench::with(1, |config| config.transactions.version = version);
        bench.cluster.create_topic("t", 1).unwrap();
        let producer = bench.init("x");
        assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
        assert_eq!(bench.try_init("x", NOBODY), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(bench.state("x"), "CompleteAbort");
        assert_eq!(bench.read_committed(0).1, [(producer.0, 0)]);
        assert_eq!(bench.init("x"), (producer.0, 2));
        let late = bench.write("x", producer, PRODUCE_V2, 1, &["b"]).0;
        assert_eq!(late, ErrorCode::InvalidProducerEpoch);
    }
}

#[test]
fn what_was_fenced_by_an_abort_may_go_on_by_version_2_alone() {
    for (version, goes_on) in [(1, Err(ErrorCode::ProducerFenced)), (2, Ok((0, 1)))] {
        let mut bench = Bench::with(1, |config| config.transactions.version = version);
        bench.cluster.create_topic("t", 1).unwrap();
        let producer = bench.init("x");
        assert_eq!(producer, (0, 0));
        assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
        bench.pass(Duration::from_secs(60));
        assert_eq!(bench.state("x"), "CompleteAbort");
        // Kafka 4.3.1 takes it for a retry of the abort.
        assert_eq!(bench.try_init("x", producer), goes_on);
    }
}

#[test]
fn timeouts_are_bounded() {
    let mut bench = bench();
    let mut code = |timeout| {
        let request = init_request("x").with_transaction_timeout_ms(timeout);
        ErrorCode::from(bench.ask(1, 5, &request).error_code)
    };
    assert_eq!(code(0), ErrorCode::InvalidTransactionTimeout);
    assert_eq!(code(-1), ErrorCode::InvalidTransactionTimeout);
    assert_eq!(code(900_001), ErrorCode::InvalidTransactionTimeout);
    assert_eq!(code(900_000), ErrorCode::None);
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    bench.pass(Duration::from_millis(59_999));
    assert_eq!(bench.state("x"), "Ongoing");
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.state("x"), "CompleteAbort");
    assert_eq!(bench.snapshot("x").producer_epoch.0, 1);
    assert_eq!(bench.read_committed(0).1, [(producer.0, 0)]);
    let late = bench.write("x", producer, PRODUCE_V2, 1, &["b"]).0;
    assert_eq!(late, ErrorCode::InvalidProducerEpoch);
    // As Kafka 4.3.1 takes them: retries of an abort.
    assert_eq!(bench.end("x", producer, true, 5), Err(ErrorCode::InvalidTxnState));
    assert_eq!(bench.end("x", producer, false, 5), Ok((producer.0, 1)));
    assert_eq!(bench.end("x", producer, true, 4), Err(ErrorCode::ProducerFenced));
    assert_eq!(bench.cluster.next_timeout(), None, "no timer is left behind");
}

#[test]
fn when_the_epochs_are_used_up_a_new_id_is_given() {
    let mut bench = bench();
    let (id, _) = bench.init("x");
    bench.cluster.set_producer_epoch("x", 32_765.into()).unwrap();
    assert_eq!(bench.init("x"), (id, 32_766));
    let next = bench.init("x");
    assert_ne!(next.0, id);
    assert_eq!(next.1, 0);
    bench.cluster.set_producer_epoch("x", 32_766.into()).unwrap();
    let last = (next.0, 32_766);
    let newest = bench.try_init("x", last).unwrap();
    assert_eq!(newest.1, 0);
    assert_eq!(bench.try_init("x", last), Ok(newest), "the same request again");
    assert_eq!(bench.try_init("x", (last.0, 32_765)), Err(ErrorCode::ProducerFenced));
}

/// As Kafka 4.3.1 answered a client that was driven there.
#[test]
fn an_end_that_uses_up_the_epochs_gives_a_new_id() {
    let mut bench = bench();
    let (id, _) = bench.init("x");
    bench.cluster.set_producer_epoch("x", 32_766.into()).unwrap();
    let last = (id, 32_766);
    bench.cluster.set_marker_delay(Duration::from_millis(5));
    assert_eq!(bench.write("x", last, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    let next = bench.end("x", last, false, 5).unwrap();
    assert_ne!(next.0, id);
    assert_eq!(next.1, 0);
    assert_eq!(bench.end("x", last, false, 5), Err(ErrorCode::ConcurrentTransactions));
    bench.pass(Duration::from_millis(5));
    assert_eq!(bench.read_committed(0).1, [(id, 0)]);
    assert_eq!(bench.end("x", last, false, 5), Ok(next));
    assert_eq!(bench.end("x", last, true, 5), Err(ErrorCode::InvalidTxnState));
    bench.cluster.set_marker_delay(Duration::ZERO);
    let after = bench.end("x", next, false, 5).unwrap();
    assert_eq!(after, (next.0, 1));
    assert_eq!(bench.try_init("x", NOBODY), Ok((next.0, 2)));
    assert_eq!(bench.try_init("x", last), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_transaction_with_the_last_epoch_is_fenced_all_the_same() {
    for version in [1, 2] {
        let mut bench = Bench::with(1, |config| config.transactions.version = version);
        bench.cluster.create_topic("t", 1).unwrap();
        let (id, _) = bench.init("x");
        bench.cluster.set_producer_epoch("x", 32_766.into()).unwrap();
        assert_eq!(bench.write("x", (id, 32_766), PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
        assert_eq!(bench.try_init("x", NOBODY), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(bench.read_committed(0).1, [(id, 0)]);
        let next = bench.init("x");
        assert_ne!(next.0, id);
    }
}

#[test]
fn an_id_that_is_not_used_is_forgotten() {
    let mut bench = bench();
    let (id, _) = bench.init("x");
    bench.pass(Duration::from_secs(7 * 24 * 3600 - 1));
    assert_eq!(bench.try_init("x", NOBODY), Ok((id, 1)));
    bench.pass(Duration::from_secs(7 * 24 * 3600));
    let list = m::ListTransactionsRequest::default().with_duration_filter(-1);
    assert!(bench.ask(1, 1, &list).transaction_states.is_empty());
    let next = bench.init("x");
    assert_ne!(next.0, id);
    assert_eq!(next.1, 0);
}

#[test]
fn a_test_can_fence_a_producer() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    bench.cluster.fence_producer("x", bench.now).unwrap();
    assert_eq!(bench.state("x"), "CompleteAbort");
    assert!(bench.end("x", producer, true, 5).is_err());
    bench.cluster.fence_producer("x", bench.now).unwrap();
    assert_eq!(bench.state("x"), "Empty");
    assert!(bench.cluster.fence_producer("y", bench.now).is_err());
    assert!(bench.cluster.set_producer_epoch("y", 1.into()).is_err());
}
