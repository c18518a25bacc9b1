//! Faults, crashes and leaders that move.

use std::time::Duration;

use millstream_broker::{ApiKey, ControlError, ErrorCode, Fault};
use millstream_protocol::batch::{BatchError, CheckedBatch, RawBatches};
use millstream_protocol::compression::Decompressor;
use millstream_protocol::messages as m;
use millstream_types::{BrokerId, TopicPartition};

use crate::bench::{Bench, batch, produce_request, topic_name};
use crate::fetch::{VERSION, fetch_one, partition, request};

#[test]
fn an_error_answers_without_doing() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.cluster.fault(Fault::on(ApiKey::Produce).nth(2).error(ErrorCode::KafkaStorageError));
    assert_eq!(bench.produce(1, "t", 0, &["a"]).error_code, 0);
    let hit = bench.produce(1, "t", 0, &["b"]);
    assert_eq!(ErrorCode::from(hit.error_code), ErrorCode::KafkaStorageError);
    assert_eq!(bench.produce(1, "t", 0, &["c"]).base_offset, 1);
}

#[test]
fn a_delay_holds_the_connection() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.cluster.fault(Fault::on(ApiKey::Produce).delay(Duration::from_secs(3)));
    let connection = bench.connect(1);
    let late = bench.send(connection, 9, &produce_request("t", 0, batch(&["a"])));
    let behind = bench.send(connection, 9, &produce_request("t", 0, batch(&["b"])));
    bench.pass(Duration::from_millis(2999));
    assert!(bench.answer::<m::ProduceRequest>(late).is_none());
    bench.pass(Duration::from_millis(1));
    for (sent, offset) in [(late, 0), (behind, 1)] {
        let response = bench.answer::<m::ProduceRequest>(sent).unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
}

#[test]
fn a_lost_answer_may_hide_a_write() {
    let mut bench = Bench::new(1).topic("t", 1);
    let mut lose = |fault: Fault, expect_closed: bool| {
        bench.cluster.fault(fault);
        let connection = bench.connect(1);
        let sent = bench.send(connection, 9, &produce_request("t", 0, batch(&["a"])));
        bench.pass(Duration::from_secs(60));
        assert!(bench.answer::<m::ProduceRequest>(sent).is_none());
        assert_eq!(bench.is_closed(connection), expect_closed);
        fetch_one(&mut bench, 1, "t", 0, 0).high_watermark
    };
    assert_eq!(lose(Fault::on(ApiKey::Produce).drop(), false), 0);
    assert_eq!(lose(Fault::on(ApiKey::Produce).disconnect(), true), 0);
    assert_eq!(lose(Fault::on(ApiKey::Produce).apply_then_drop(), false), 1);
    assert_eq!(lose(Fault::on(ApiKey::Produce).apply_then_disconnect(), true), 2);
}

#[test]
fn a_parked_fetch_is_lost_only_once_it_would_be_answered() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.cluster.fault(Fault::on(ApiKey::Fetch).apply_then_disconnect());
    let connection = bench.connect(1);
    bench.send(connection, VERSION, &request("t", vec![partition(0, 0)]));
    assert!(!bench.is_closed(connection));
    bench.produce(1, "t", 0, &["a"]);
    assert!(bench.is_closed(connection));
}

#[test]
fn corrupt_records_fail_their_checksum_once() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.produce(1, "t", 0, &["a"]);
    bench.cluster.fault(Fault::on(ApiKey::Fetch).corrupt_records());
    let bad = fetch_one(&mut bench, 1, "t", 0, 0);
    let raw = RawBatches::new(bad.records.unwrap()).next().unwrap().unwrap();
    let error = CheckedBatch::check(raw, &mut Decompressor::new(1 << 20)).unwrap_err();
    assert!(matches!(error.error, BatchError::Crc { .. }), "{error}");
    let good = fetch_one(&mut bench, 1, "t", 0, 0);
    assert_eq!(crate::bench::records(good.records.as_ref()).len(), 1);
}

#[test]
fn faults_can_be_taken_back() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.cluster.fault(Fault::on(ApiKey::Produce).always().error(ErrorCode::NotEnoughReplicas));
    for _ in 0..3 {
        assert_ne!(bench.produce(1, "t", 0, &["a"]).error_code, 0);
    }
    bench.cluster.clear_faults();
    assert_eq!(bench.produce(1, "t", 0, &["a"]).error_code, 0);
}

fn leaders(bench: &mut Bench, node: i32) -> Vec<(i32, i32, Vec<i32>)> {
    let wanted =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
    let request = m::MetadataRequest::default().with_topics(Some(vec![wanted]));
    let metadata = bench.ask(node, 9, &request);
    let partitions = metadata.topics[0].partitions.iter();
    partitions
        .map(|p| {
            let isr = p.isr_nodes.iter().map(|id| id.0).collect();
            (p.leader_id.0, p.leader_epoch, isr)
        })
        .collect()
}

#[test]
fn a_crash_moves_leaders_and_a_restart_brings_the_replica_back() {
    let mut bench = Bench::new(3).topic("t", 3);
    bench.produce(1, "t", 0, &["kept"]);
    let before = [(1, 0, vec![1, 2, 3]), (2, 0, vec![2, 3, 1]), (3, 0, vec![3, 1, 2])];
    assert_eq!(leaders(&mut bench, 2), before);
    let connection = bench.connect(1);
    bench.cluster.crash_node(BrokerId(1), bench.now).unwrap();
    assert!(bench.is_closed(connection));
    let dead = bench.connect(1);
    assert!(bench.is_closed(dead));
    let after = [(2, 1, vec![2, 3]), (2, 0, vec![2, 3]), (3, 0, vec![3, 2])];
    assert_eq!(leaders(&mut bench, 2), after);
    assert_eq!(bench.produce(2, "t", 0, &["more"]).base_offset, 1);
    bench.cluster.restart_node(BrokerId(1), bench.now).unwrap();
    let restarted = [(2, 1, vec![2, 3, 1]), (2, 0, vec![2, 3, 1]), (3, 0, vec![3, 2, 1])];
    assert_eq!(leaders(&mut bench, 1), restarted);
}

#[test]
fn a_partition_without_replicas_alive_has_no_leader() {
    let change = |config: &mut millstream_broker::ClusterConfig| {
        config.default_replication_factor = Some(1);
    };
    let mut bench = Bench::with(2, change).topic("t", 2);
    bench.cluster.crash_node(BrokerId(1), bench.now).unwrap();
    assert_eq!(leaders(&mut bench, 2), [(-1, 1, vec![1]), (2, 0, vec![2])]);
    bench.cluster.restart_node(BrokerId(1), bench.now).unwrap();
    assert_eq!(leaders(&mut bench, 2), [(1, 2, vec![1]), (2, 0, vec![2])]);
}

#[test]
fn controls_refuse_what_is_not_there() {
    let mut bench = Bench::with(2, |config| config.default_replication_factor = Some(1));
    bench.cluster.create_topic("t", 1).unwrap();
    let partition = TopicPartition::new("t", 0);
    let now = bench.now;
    let cluster = &mut bench.cluster;
    let unknown = Err(ControlError::UnknownNode(BrokerId(9)));
    assert_eq!(cluster.crash_node(BrokerId(9), now), unknown);
    assert_eq!(cluster.restart_node(BrokerId(9), now), unknown);
    assert_eq!(cluster.move_leader(&partition, BrokerId(9), now), unknown);
    assert!(matches!(
        cluster.move_leader(&partition, BrokerId(2), now),
        Err(ControlError::NotReplica { .. })
    ));
    assert!(matches!(
        cluster.move_leader(&TopicPartition::new("t", 1), BrokerId(1), now),
        Err(ControlError::UnknownPartition(_))
    ));
    assert!(matches!(cluster.create_topic("t", 1), Err(ControlError::CreateTopic { .. })));
    assert!(matches!(cluster.create_topic("a/b", 1), Err(ControlError::CreateTopic { .. })));
    assert!(matches!(cluster.create_topic("u", 0), Err(ControlError::CreateTopic { .. })));
    cluster.crash_node(BrokerId(1), now).unwrap();
    let down = Err(ControlError::NodeDown(BrokerId(1)));
    assert_eq!(cluster.move_leader(&partition, BrokerId(1), now), down);
}
