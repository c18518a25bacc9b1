//! Coordinators that move, load, die and come back.

use std::time::Duration;

use millstream_broker::{ControlError, ErrorCode};
use millstream_protocol::messages as m;

use super::{PRODUCE_V1, PRODUCE_V2, id, init_request};
use crate::bench::{Bench, text};

fn bench() -> Bench {
    Bench::new(3).topic("t", 1)
}

fn other(node: i32) -> i32 {
    1 + node % 3
}

#[test]
fn only_the_coordinator_answers() {
    let mut bench = bench();
    let producer = bench.init("x");
    let elsewhere = other(bench.coordinator("x"));
    let code = bench.ask(elsewhere, 5, &init_request("x")).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator);
    let end = m::EndTxnRequest::default()
        .with_transactional_id(id("x"))
        .with_producer_id(m::ProducerId(producer.0));
    let code = bench.ask(elsewhere, 4, &end).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator);
    let add = m::AddOffsetsToTxnRequest::default()
        .with_transactional_id(id("x"))
        .with_producer_id(m::ProducerId(producer.0))
        .with_group_id(m::GroupId(text("g")));
    let code = bench.ask(elsewhere, 3, &add).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator);
}

#[test]
fn a_moved_coordinator_knows_all_and_has_another_epoch() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    let (old, new) = (bench.coordinator("x"), other(bench.coordinator("x")));
    bench.cluster.move_transaction_coordinator("x", new.into(), bench.now).unwrap();
    assert_eq!(bench.coordinator("x"), new);
    let code = bench.ask(old, 5, &init_request("x")).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator);
    assert_eq!(bench.snapshot("x").coordinator_epoch, 1);
    assert!(bench.end("x", producer, true, 5).is_ok());
    let found = super::administration::describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!(found[0].coordinator_epoch, 1);
    let unknown = bench.cluster.move_transaction_coordinator("x", 9.into(), bench.now);
    assert_eq!(unknown, Err(ControlError::UnknownNode(9.into())));
}

#[test]
fn a_loading_coordinator_asks_to_come_again() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    bench.cluster.load_transaction_coordinator("x", Duration::from_millis(100), bench.now);
    let loading = ErrorCode::CoordinatorLoadInProgress;
    assert_eq!(bench.try_init("x", (-1, -1)), Err(loading));
    assert_eq!(bench.end("x", producer, true, 4), Err(loading));
    assert_eq!(bench.add("x", producer, "t", 0), loading);
    // Produce tells what every client retries.
    let code = bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0;
    assert_eq!(code, ErrorCode::NotEnoughReplicas);
    let list = m::ListTransactionsRequest::default().with_duration_filter(-1);
    let node = bench.coordinator("x");
    assert_eq!(ErrorCode::from(bench.ask(node, 1, &list).error_code), loading);
    assert_eq!(bench.ask(other(node), 1, &list).error_code, 0);
    bench.pass(Duration::from_millis(100));
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0, ErrorCode::None);
    assert!(bench.end("x", producer, true, 4).is_ok());
}

#[test]
fn a_batch_that_failed_to_be_verified_comes_before_later_ones() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    bench.cluster.load_transaction_coordinator("x", Duration::from_millis(100), bench.now);
    let first = bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0;
    assert_eq!(first, ErrorCode::NotEnoughReplicas);
    bench.pass(Duration::from_millis(100));
    let later = bench.write("x", producer, PRODUCE_V1, 1, &["b"]).0;
    assert_eq!(later, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0, ErrorCode::None);
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 1, &["b"]).0, ErrorCode::None);
}

#[test]
fn another_node_takes_over_from_a_dead_one() {
    let mut bench = Bench::with(3, |config| {
        config.transactions.load_time = Duration::from_millis(20);
    });
    bench.cluster.create_topic("t", 1).unwrap();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    let old = bench.coordinator("x");
    bench.cluster.crash_node(old.into(), bench.now).unwrap();
    let alive = other(old);
    let request = m::FindCoordinatorRequest::default().with_key(text("x")).with_key_type(1);
    let new = bench.ask(alive, 3, &request).node_id.0;
    assert_ne!(new, old);
    let end = m::EndTxnRequest::default()
        .with_transactional_id(id("x"))
        .with_producer_id(m::ProducerId(producer.0))
        .with_committed(true);
    let code = |bench: &mut Bench| ErrorCode::from(bench.ask(new, 4, &end).error_code);
    assert_eq!(code(&mut bench), ErrorCode::CoordinatorLoadInProgress);
    bench.pass(Duration::from_millis(20));
    assert_eq!(code(&mut bench), ErrorCode::None);
    bench.cluster.restart_node(old.into(), bench.now).unwrap();
    assert_eq!(bench.snapshot("x").coordinator, Some(old.into()));
    assert_eq!(bench.snapshot("x").coordinator_epoch, 2);
}

#[test]
fn markers_and_timeouts_wait_for_a_node() {
    let mut bench = Bench::new(1).topic("t", 1);
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    bench.cluster.crash_node(1.into(), bench.now).unwrap();
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.state("x"), "Ongoing");
    assert_eq!(bench.snapshot("x").coordinator, None);
    bench.cluster.restart_node(1.into(), bench.now).unwrap();
    bench.pass(Duration::ZERO);
    assert_eq!(bench.state("x"), "CompleteAbort");
    assert_eq!(bench.read_committed(0).0, 2);
}

#[test]
fn a_prepared_transaction_is_completed_by_the_next_coordinator() {
    let mut bench = Bench::with(3, |config| {
        config.transactions.load_time = Duration::from_millis(20);
    });
    bench.cluster.create_topic("t", 1).unwrap();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    bench.cluster.set_marker_delay(Duration::from_millis(50));
    assert!(bench.end("x", producer, true, 5).is_ok());
    let new = other(bench.coordinator("x"));
    bench.cluster.move_transaction_coordinator("x", new.into(), bench.now).unwrap();
    assert_eq!(bench.state("x"), "PrepareCommit");
    bench.pass(Duration::from_millis(50));
    assert_eq!(bench.state("x"), "CompleteCommit");
    assert_eq!(bench.read_committed(0).0, 2);
}

#[test]
fn nodes_may_disagree_on_the_version() {
    let mut bench = bench();
    let level = |bench: &mut Bench, node| {
        let named = m::ApiVersionsRequest::default()
            .with_client_software_name(text("bench"))
            .with_client_software_version(text("1"));
        let answer = bench.ask(node, 4, &named);
        let level = answer.finalized_features.first().map_or(0, |it| it.max_version_level);
        (level, answer.finalized_features_epoch)
    };
    bench.cluster.set_transaction_version(Some(2.into()), 1);
    let (newer, older) = (level(&mut bench, 1), level(&mut bench, 2));
    assert_eq!((newer.0, older.0), (2, 1));
    assert!(newer.1 > older.1, "the node that lags behind knows an older epoch");
    bench.cluster.set_transaction_version(None, 0);
    let last = level(&mut bench, 1);
    assert_eq!((last.0, level(&mut bench, 2)), (0, last));
    assert!(last.1 > newer.1);
}
