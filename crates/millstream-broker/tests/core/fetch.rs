//! Reading: long polls, limits, offsets out of range, epochs, offsets by time.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use millstream_protocol::messages::fetch_response::PartitionData;
use millstream_types::{Offset, TopicPartition};

use crate::bench::{Bench, START, batch, compressed, produce_request, records, topic_name};

/// The version of most fetches here: sessions and epochs, topics by name.
pub(crate) const VERSION: i16 = 12;

pub(crate) fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(index)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20)
}

pub(crate) fn request(topic: &str, partitions: Vec<FetchPartition>) -> m::FetchRequest {
    let topics = if partitions.is_empty() {
        Vec::new()
    } else {
        let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions);
        vec![topic]
    };
    m::FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(topics)
}

/// Fetches at once, whatever is there.
pub(crate) fn fetch_one(
    bench: &mut Bench,
    node: i32,
    topic: &str,
    index: i32,
    offset: i64,
) -> PartitionData {
    let request = request(topic, vec![partition(index, offset)]).with_max_wait_ms(0);
    let response = bench.ask(node, VERSION, &request);
    response.responses[0].partitions[0].clone()
}

fn values(data: &PartitionData) -> Vec<(i64, String)> {
    records(data.records.as_ref())
}

fn named(offset: i64, value: &str) -> (i64, String) {
    (offset, value.to_owned())
}

#[test]
fn records_come_back_with_their_offsets() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.produce(1, "t", 0, &["a", "b"]);
    bench.produce_batch(
        1,
        "t",
        0,
        compressed(&["c"], millstream_protocol::compression::Compression::Gzip),
    );
    let data = fetch_one(&mut bench, 1, "t", 0, 0);
    assert_eq!(values(&data), [named(0, "a"), named(1, "b"), named(2, "c")]);
    assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (3, 3, 0));
    // A fetch from the middle of a batch brings the whole batch.
    assert_eq!(values(&fetch_one(&mut bench, 1, "t", 0, 1)).len(), 3);
    assert_eq!(values(&fetch_one(&mut bench, 1, "t", 0, 2)), [named(2, "c")]);
    assert!(values(&fetch_one(&mut bench, 1, "t", 0, 3)).is_empty());
}

#[test]
fn a_fetch_waits_for_records_or_its_time() {
    let mut bench = Bench::new(1).topic("t", 2);
    let connection = bench.connect(1);
    let wanted = request("t", vec![partition(0, 0), partition(1, 0)]);
    let sent = bench.send(connection, VERSION, &wanted);
    assert!(bench.answer::<m::FetchRequest>(sent).is_none());
    bench.produce(1, "t", 1, &["late"]);
    let response = bench.answer::<m::FetchRequest>(sent).unwrap();
    assert_eq!(values(&response.responses[0].partitions[1]), [named(0, "late")]);
    let empty = request("t", vec![partition(0, 0)]);
    let sent = bench.send(connection, VERSION, &empty);
    bench.pass(Duration::from_millis(499));
    assert!(bench.answer::<m::FetchRequest>(sent).is_none());
    bench.pass(Duration::from_millis(1));
    let response = bench.answer::<m::FetchRequest>(sent).unwrap();
    assert!(values(&response.responses[0].partitions[0]).is_empty());
    assert_eq!(bench.cluster.next_timeout(), None, "no timer is left behind");
}

#[test]
fn a_fetch_waits_until_min_bytes_are_there() {
    let mut bench = Bench::new(1).topic("t", 1);
    let one = batch(&["a"]).len() as i32;
    let connection = bench.connect(1);
    let wanted = request("t", vec![partition(0, 0)]).with_min_bytes(2 * one);
    let sent = bench.send(connection, VERSION, &wanted);
    bench.produce(1, "t", 0, &["a"]);
    assert!(bench.answer::<m::FetchRequest>(sent).is_none());
    bench.produce(1, "t", 0, &["b"]);
    let response = bench.answer::<m::FetchRequest>(sent).unwrap();
    assert_eq!(values(&response.responses[0].partitions[0]).len(), 2);
}

#[test]
fn what_was_sent_behind_a_waiting_fetch_waits_too() {
    let mut bench = Bench::new(1).topic("t", 1);
    let connection = bench.connect(1);
    let fetch = bench.send(connection, VERSION, &request("t", vec![partition(0, 0)]));
    let metadata = bench.send(connection, 9, &m::MetadataRequest::default());
    assert!(bench.answer::<m::MetadataRequest>(metadata).is_none());
    assert_eq!(bench.cluster.backlog(connection), 1);
    bench.produce(1, "t", 0, &["a"]);
    assert!(bench.answer::<m::FetchRequest>(fetch).is_some());
    assert!(bench.answer::<m::MetadataRequest>(metadata).is_some());
}

#[test]
fn limits_hold_but_the_first_batch_always_comes() {
    let mut bench = Bench::new(1).topic("t", 2);
    let size = batch(&["a"]).len() as i32;
    for _ in 0..3 {
        bench.produce(1, "t", 0, &["a"]);
        bench.produce(1, "t", 1, &["b"]);
    }
    let mut count = |max_bytes, partition_max| {
        let mut wanted = request("t", vec![partition(0, 0), partition(1, 0)]);
        wanted.max_bytes = max_bytes;
        for partition in &mut wanted.topics[0].partitions {
            partition.partition_max_bytes = partition_max;
        }
        let response = bench.ask(1, VERSION, &wanted);
        let partitions = &response.responses[0].partitions;
        (values(&partitions[0]).len(), values(&partitions[1]).len())
    };
    assert_eq!(count(1, 1 << 20), (1, 0));
    assert_eq!(count(1 << 20, 1), (1, 0));
    assert_eq!(count(1 << 20, size), (1, 1));
    assert_eq!(count(4 * size, 1 << 20), (3, 1));
    assert_eq!(count(1 << 20, 1 << 20), (3, 3));
}

#[test]
fn wrong_partitions_answer_at_once_with_their_error() {
    let mut bench = Bench::new(2).topic("t", 2);
    bench.produce(1, "t", 0, &["a"]);
    let check = |bench: &mut Bench, topic: &str, wanted: FetchPartition, code: ErrorCode| {
        let response = bench.ask(1, VERSION, &request(topic, vec![wanted]));
        let data = &response.responses[0].partitions[0];
        assert_eq!(ErrorCode::from(data.error_code), code);
    };
    check(&mut bench, "none", partition(0, 0), ErrorCode::UnknownTopicOrPartition);
    check(&mut bench, "t", partition(9, 0), ErrorCode::UnknownTopicOrPartition);
    check(&mut bench, "t", partition(1, 0), ErrorCode::NotLeaderOrFollower);
    check(&mut bench, "t", partition(0, 2), ErrorCode::OffsetOutOfRange);
    check(&mut bench, "t", partition(0, -1), ErrorCode::OffsetOutOfRange);
    let newer = partition(0, 0).with_current_leader_epoch(1);
    check(&mut bench, "t", newer.clone(), ErrorCode::UnknownLeaderEpoch);
    bench.cluster.move_leader(&TopicPartition::new("t", 0), 2.into(), bench.now).unwrap();
    bench.cluster.move_leader(&TopicPartition::new("t", 0), 1.into(), bench.now).unwrap();
    check(&mut bench, "t", newer, ErrorCode::FencedLeaderEpoch);
}

#[test]
fn a_waiting_fetch_learns_of_a_moved_leader_and_a_deleted_topic() {
    let mut bench = Bench::new(2).topic("t", 1).topic("gone", 2);
    let connection = bench.connect(1);
    let sent = bench.send(connection, VERSION, &request("t", vec![partition(0, 0)]));
    bench.cluster.move_leader(&TopicPartition::new("t", 0), 2.into(), bench.now).unwrap();
    let response = bench.answer::<m::FetchRequest>(sent).unwrap();
    let data = &response.responses[0].partitions[0];
    assert_eq!(ErrorCode::from(data.error_code), ErrorCode::NotLeaderOrFollower);
    let other = bench.connect(2);
    let sent = bench.send(other, VERSION, &request("gone", vec![partition(0, 0)]));
    let delete = m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name("gone")]);
    bench.ask(1, 4, &delete);
    let response = bench.answer::<m::FetchRequest>(sent).unwrap();
    let code = ErrorCode::from(response.responses[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
}

/// A fetch that names its topic by an id, unknown to any other cluster.
fn by_id(other: &mut Bench, topic: &str, offset: i64) -> m::FetchRequest {
    other.cluster.create_topic(topic, 1).unwrap();
    let metadata = other.ask(1, 12, &m::MetadataRequest::default().with_topics(None));
    let mut wanted = request(topic, vec![partition(0, offset)]);
    wanted.topics[0].topic_id = metadata.topics[0].topic_id;
    wanted.topics[0].topic = topic_name("");
    wanted
}

#[test]
fn topics_go_by_id_from_version_13() {
    let mut bench = Bench::new(2);
    let wanted = by_id(&mut bench, "t", 0);
    bench.produce(1, "t", 0, &["a"]);
    let response = bench.ask(1, 16, &wanted);
    assert_eq!(response.responses[0].topic_id, wanted.topics[0].topic_id);
    assert_eq!(values(&response.responses[0].partitions[0]), [named(0, "a")]);
    let response = bench.ask(2, 16, &wanted);
    assert_eq!(response.node_endpoints[0].node_id, m::BrokerId(1));
    assert_eq!(response.node_endpoints[0].port, 9001);
    let mut wrong = wanted;
    wrong.topics[0].topic_id = uuid::Uuid::from_u128(9);
    let response = bench.ask(1, 16, &wrong);
    let code = ErrorCode::from(response.responses[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::UnknownTopicId);
}

#[test]
fn a_truncated_log_is_told_to_who_read_further() {
    let mut bench = Bench::new(2).topic("t", 1);
    bench.produce(1, "t", 0, &["a"]);
    bench.produce(1, "t", 0, &["b"]);
    bench.cluster.truncate(&TopicPartition::new("t", 0), Offset(1), bench.now).unwrap();
    bench.produce(1, "t", 0, &["c"]);
    let wanted = partition(0, 2).with_last_fetched_epoch(0);
    let response = bench.ask(1, VERSION, &request("t", vec![wanted]));
    let diverging = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 1));
    let asked = m::offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(1)
        .with_leader_epoch(0);
    let topic = m::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic_name("t"))
        .with_partitions(vec![asked]);
    let asked = m::OffsetForLeaderEpochRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_topics(vec![topic]);
    let response = bench.ask(1, 4, &asked);
    let end = &response.topics[0].partitions[0];
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (0, 0, 1));
}

fn offset_at(bench: &mut Bench, time: i64) -> (i64, i64) {
    let wanted = m::list_offsets_request::ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_current_leader_epoch(-1)
        .with_timestamp(time);
    let topic = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![wanted]);
    let request =
        m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![topic]);
    let response = bench.ask(1, 7, &request);
    let found = &response.topics[0].partitions[0];
    assert_eq!(found.error_code, 0);
    (found.offset, found.timestamp)
}

#[test]
fn offsets_are_found_by_time() {
    let mut bench = Bench::new(1).topic("t", 1);
    assert_eq!(offset_at(&mut bench, -3), (-1, -1));
    bench.produce(1, "t", 0, &["a", "b", "c"]);
    bench.produce_batch(
        1,
        "t",
        0,
        compressed(&["d", "e"], millstream_protocol::compression::Compression::Snappy),
    );
    assert_eq!(offset_at(&mut bench, -2), (0, -1));
    assert_eq!(offset_at(&mut bench, -1), (5, -1));
    assert_eq!(offset_at(&mut bench, 0), (0, START));
    assert_eq!(offset_at(&mut bench, START + 1), (1, START + 1));
    assert_eq!(offset_at(&mut bench, START + 2), (2, START + 2));
    assert_eq!(offset_at(&mut bench, -3), (2, START + 2));
    assert_eq!(offset_at(&mut bench, START + 3), (-1, -1));
}

#[test]
fn deleted_records_are_gone_and_the_start_moves() {
    let mut bench = Bench::new(1).topic("t", 1);
    for value in ["a", "b", "c"] {
        bench.produce(1, "t", 0, &[value]);
    }
    let mut delete = |offset| {
        let wanted =
            m::delete_records_request::DeleteRecordsPartition::default().with_offset(offset);
        let topic = m::delete_records_request::DeleteRecordsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![wanted]);
        let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]);
        let response = bench.ask(1, 2, &request);
        let result = &response.topics[0].partitions[0];
        (ErrorCode::from(result.error_code), result.low_watermark)
    };
    assert_eq!(delete(2), (ErrorCode::None, 2));
    assert_eq!(delete(1), (ErrorCode::None, 2));
    assert_eq!(delete(4), (ErrorCode::OffsetOutOfRange, -1));
    let early = fetch_one(&mut bench, 1, "t", 0, 1);
    assert_eq!(ErrorCode::from(early.error_code), ErrorCode::OffsetOutOfRange);
    let data = fetch_one(&mut bench, 1, "t", 0, 2);
    assert_eq!((values(&data), data.log_start_offset), (vec![named(2, "c")], 2));
    assert_eq!(offset_at(&mut bench, -2), (2, -1));
}

#[test]
fn a_large_batch_goes_out_by_reference() {
    let mut bench = Bench::new(1).topic("t", 1);
    let large = "x".repeat(100_000);
    let frame = produce_request("t", 0, batch(&[&large]));
    bench.ask(1, 9, &frame);
    let connection = bench.connect(1);
    bench.drain();
    let mut out = bytes::BytesMut::new();
    let wanted = request("t", vec![partition(0, 0)]);
    millstream_protocol::codec::encode_request(VERSION, 1, None, &wanted, &mut out).unwrap();
    bench.cluster.handle_frame(connection, bench.now, out.split_off(4).freeze());
    let Some((_, millstream_broker::Output::Frame(frame))) = bench.cluster.poll_output() else {
        panic!("the fetch was not answered");
    };
    let largest = frame.chunks().iter().map(bytes::Bytes::len).max().unwrap();
    assert!(largest > 100_000, "the batch is one chunk of {largest} bytes");
}
