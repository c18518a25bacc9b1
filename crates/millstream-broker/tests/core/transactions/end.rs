//! EndTxn: both versions, retries, empty transactions, markers that take time.

use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_types::TopicPartition;

use super::{PRODUCE_V1, PRODUCE_V2};
use crate::bench::Bench;

fn bench() -> Bench {
    Bench::new(1).topic("t", 1)
}

#[test]
fn version_1_commits_and_keeps_the_epoch() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    assert_eq!(bench.state("x"), "Ongoing");
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a", "b"]), (ErrorCode::None, 0));
    assert_eq!(bench.read_committed(0).0, 0);
    assert!(bench.end("x", producer, true, 4).is_ok());
    assert_eq!(bench.state("x"), "CompleteCommit");
    let (stable, aborted, values) = bench.read_committed(0);
    assert_eq!((stable, aborted.len(), values.len()), (3, 0, 3));
    // The sequence goes on in the next transaction, and an end sent twice is no error.
    assert!(bench.end("x", producer, true, 4).is_ok());
    assert_eq!(bench.end("x", producer, false, 4), Err(ErrorCode::InvalidTxnState));
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 2, &["c"]), (ErrorCode::None, 3));
    assert!(bench.end("x", producer, false, 4).is_ok());
    assert_eq!(bench.snapshot("x").producer_epoch.0, producer.1);
    let (stable, aborted, _) = bench.read_committed(0);
    assert_eq!((stable, aborted), (5, vec![(producer.0, 3)]));
}

#[test]
fn version_2_raises_the_epoch_with_each_end() {
    let mut bench = bench();
    let producer = bench.init("x");
    let next = bench.transact("x", producer, &["a"], true);
    assert_eq!(next, (producer.0, producer.1 + 1));
    let last = bench.transact("x", next, &["b"], false);
    assert_eq!(last, (producer.0, producer.1 + 2));
    let (stable, aborted, values) = bench.read_committed(0);
    assert_eq!((stable, aborted), (4, vec![(producer.0, 2)]));
    assert_eq!(values.len(), 4);
    // The producer of before is fenced everywhere.
    let fenced = bench.write("x", producer, PRODUCE_V2, 0, &["c"]).0;
    assert_eq!(fenced, ErrorCode::InvalidProducerEpoch);
    assert_eq!(bench.end("x", producer, true, 5), Err(ErrorCode::ProducerFenced));
}

#[test]
fn version_2_answers_a_retried_end_alike() {
    let mut bench = bench();
    let producer = bench.init("x");
    let next = bench.transact("x", producer, &["a"], true);
    assert_eq!(bench.end("x", producer, true, 5), Ok(next));
    assert_eq!(bench.end("x", producer, false, 5), Err(ErrorCode::InvalidTxnState));
    let last = bench.transact("x", next, &["b"], false);
    assert_eq!(bench.end("x", next, false, 5), Ok(last));
    assert_eq!(bench.end("x", next, true, 5), Err(ErrorCode::InvalidTxnState));
}

#[test]
fn version_2_aborts_an_empty_transaction_and_commits_none() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.end("x", producer, true, 5), Err(ErrorCode::InvalidTxnState));
    let next = bench.end("x", producer, false, 5).unwrap();
    assert_eq!(next.1, producer.1 + 1);
    let after = bench.end("x", next, false, 5).unwrap();
    assert_eq!(after.1, next.1 + 1);
    assert_eq!(bench.end("x", after, true, 5), Err(ErrorCode::InvalidTxnState));
    assert_eq!(bench.state("x"), "CompleteAbort");
}

#[test]
fn version_1_ends_no_empty_transaction() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.end("x", producer, true, 4), Err(ErrorCode::InvalidTxnState));
    assert_eq!(bench.end("x", producer, false, 4), Err(ErrorCode::InvalidTxnState));
}

#[test]
fn while_markers_are_outstanding_others_have_to_come_again() {
    for version in [4, 5] {
        let mut bench = bench();
        bench.cluster.set_marker_delay(Duration::from_millis(50));
        let producer = bench.init("x");
        assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
        assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0, ErrorCode::None);
        let next = bench.end("x", producer, true, version).unwrap();
        let next = if version == 5 { next } else { producer };
        assert_eq!(bench.state("x"), "PrepareCommit");
        assert_eq!(bench.end("x", producer, true, version), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(bench.end("x", producer, false, version), Err(ErrorCode::InvalidTxnState));
        assert_eq!(bench.add("x", next, "t", 0), ErrorCode::ConcurrentTransactions);
        assert_eq!(bench.try_init("x", (-1, -1)), Err(ErrorCode::ConcurrentTransactions));
        let written = bench.write("x", next, PRODUCE_V2, 0, &["b"]).0;
        if version == 5 {
            assert_eq!(written, ErrorCode::ConcurrentTransactions);
        }
        assert_eq!(bench.read_committed(0).0, 0);
        bench.pass(Duration::from_millis(50));
        assert_eq!(bench.state("x"), "CompleteCommit");
        assert_eq!(bench.cluster.next_timeout(), None);
    }
}

#[test]
fn a_partition_without_a_leader_gets_its_marker_later() {
    let mut bench = Bench::with(2, |config| config.default_replication_factor = Some(1));
    bench.cluster.create_topic("t", 2).unwrap();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    assert_eq!(bench.add("x", producer, "t", 1), ErrorCode::None);
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a"]).0, ErrorCode::None);
    bench.cluster.crash_node(2.into(), bench.now).unwrap();
    assert!(bench.end("x", producer, true, 4).is_ok());
    assert_eq!(bench.state("x"), "PrepareCommit");
    assert_eq!(bench.snapshot("x").partitions, [TopicPartition::new("t", 1)]);
    assert_eq!(bench.read_committed(0).0, 2);
    bench.cluster.restart_node(2.into(), bench.now).unwrap();
    assert_eq!(bench.state("x"), "CompleteCommit");
}

#[test]
fn a_deleted_topic_holds_no_end_up() {
    let mut bench = bench();
    bench.cluster.create_topic("gone", 1).unwrap();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "gone", 0), ErrorCode::None);
    let delete = millstream_protocol::messages::DeleteTopicsRequest::default()
        .with_topic_names(vec![crate::bench::topic_name("gone")]);
    bench.ask(1, 4, &delete);
    assert!(bench.end("x", producer, true, 4).is_ok());
    assert_eq!(bench.state("x"), "CompleteCommit");
}

#[test]
fn who_is_not_known_ends_nothing() {
    let mut bench = bench();
    let producer = bench.init("x");
    for version in [0, 1, 2, 4, 5] {
        let unknown = bench.end("y", producer, true, version);
        assert_eq!(unknown, Err(ErrorCode::InvalidProducerIdMapping));
        let other = bench.end("x", (producer.0 + 1, 0), true, version);
        assert_eq!(other, Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(bench.end("", producer, true, version), Err(ErrorCode::InvalidRequest));
    }
    let fenced = |version| match version {
        0 | 1 => ErrorCode::InvalidProducerEpoch,
        _ => ErrorCode::ProducerFenced,
    };
    for version in [0, 1, 2, 4, 5] {
        let newer = bench.end("x", (producer.0, 7), true, version);
        assert_eq!(newer, Err(fenced(version)));
    }
}
