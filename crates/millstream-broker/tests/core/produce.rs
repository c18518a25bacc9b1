//! Appending: validation, idempotence, leaders, acks.

use bytes::{Bytes, BytesMut};
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::BatchMut;
use millstream_protocol::compression::Compression;
use millstream_protocol::messages::{self as m, produce_response::PartitionProduceResponse};
use millstream_types::{Timestamp, TimestampType, TopicPartition};

use crate::bench::{Bench, START, batch, batch_of, compressed, produce_request, text, topic_name};

fn check(answer: &PartitionProduceResponse, code: ErrorCode, offset: i64) {
    let got = ErrorCode::from(answer.error_code);
    assert_eq!((got, answer.base_offset), (code, offset), "{answer:?}");
}

#[test]
fn batches_get_consecutive_offsets() {
    let mut bench = Bench::new(1).topic("t", 1);
    check(&bench.produce(1, "t", 0, &["a", "b"]), ErrorCode::None, 0);
    check(&bench.produce(1, "t", 0, &["c"]), ErrorCode::None, 2);
    let answer = bench.produce_batch(1, "t", 0, compressed(&["d", "e"], Compression::Lz4));
    check(&answer, ErrorCode::None, 3);
    assert_eq!(answer.log_append_time_ms, -1);
    assert_eq!(answer.log_start_offset, 0);
}

#[test]
fn what_cannot_be_appended_is_refused() {
    let mut bench = Bench::new(2).topic("t", 2);
    let good = batch(&["a"]);
    let check_bytes = |bench: &mut Bench, bytes: Bytes, code| {
        check(&bench.produce_batch(1, "t", 0, bytes), code, -1);
    };
    check(&bench.produce(1, "none", 0, &["a"]), ErrorCode::UnknownTopicOrPartition, -1);
    check(&bench.produce(1, "t", 7, &["a"]), ErrorCode::UnknownTopicOrPartition, -1);
    check(&bench.produce(1, "t", -1, &["a"]), ErrorCode::UnknownTopicOrPartition, -1);
    check(&bench.produce(2, "t", 0, &["a"]), ErrorCode::NotLeaderOrFollower, -1);
    check_bytes(&mut bench, Bytes::new(), ErrorCode::InvalidRecord);
    let mut flipped = good.to_vec();
    flipped[65] ^= 1;
    check_bytes(&mut bench, flipped.into(), ErrorCode::CorruptMessage);
    check_bytes(&mut bench, good.slice(..good.len() - 1), ErrorCode::InvalidRecord);
    let twice = [&good[..], &good[..]].concat();
    check_bytes(&mut bench, twice.into(), ErrorCode::InvalidRecord);
    let mut old = good.to_vec();
    old[16] = 1;
    check_bytes(&mut bench, old.into(), ErrorCode::InvalidRecord);
    let huge = "x".repeat(1_048_600);
    check_bytes(&mut bench, batch_large(&huge), ErrorCode::MessageTooLarge);
    check(&bench.produce(1, "t", 0, &["a"]), ErrorCode::None, 0);
}

fn batch_large(value: &str) -> Bytes {
    use millstream_protocol::batch::{BatchBuilder, HeaderView};
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 22);
    let none: [HeaderView<'_>; 0] = [];
    builder.append(Timestamp(START), None, Some(value.as_bytes()), none).unwrap();
    builder.seal().into_bytes().into()
}

#[test]
fn a_duplicate_gets_its_first_answer_and_a_gap_is_refused() {
    let mut bench = Bench::new(1).topic("t", 1);
    let mut send = |epoch, sequence, values: &[&str]| {
        bench.produce_batch(1, "t", 0, batch_of(7, epoch, sequence, values))
    };
    for sequence in 0..6 {
        check(&send(0, sequence, &["a"]), ErrorCode::None, sequence.into());
    }
    // The last five are remembered, the one before is a gap backwards.
    check(&send(0, 1, &["a"]), ErrorCode::None, 1);
    check(&send(0, 5, &["a"]), ErrorCode::None, 5);
    check(&send(0, 0, &["a"]), ErrorCode::OutOfOrderSequenceNumber, -1);
    check(&send(0, 7, &["a"]), ErrorCode::OutOfOrderSequenceNumber, -1);
    check(&send(0, 5, &["a", "b"]), ErrorCode::OutOfOrderSequenceNumber, -1);
    // A new epoch begins at 0 and fences the old one.
    check(&send(1, 3, &["a"]), ErrorCode::OutOfOrderSequenceNumber, -1);
    check(&send(1, 0, &["a", "b"]), ErrorCode::None, 6);
    check(&send(0, 6, &["a"]), ErrorCode::InvalidProducerEpoch, -1);
    check(&send(1, 2, &["a"]), ErrorCode::None, 8);
}

#[test]
fn sequence_numbers_wrap() {
    let mut bench = Bench::new(1).topic("t", 1);
    let mut send = |sequence, values: &[&str]| {
        bench.produce_batch(1, "t", 0, batch_of(7, 0, sequence, values))
    };
    // An unknown producer may start anywhere.
    check(&send(i32::MAX - 1, &["a", "b", "c"]), ErrorCode::None, 0);
    check(&send(1, &["d"]), ErrorCode::None, 3);
    check(&send(i32::MAX - 1, &["a", "b", "c"]), ErrorCode::None, 0);
}

#[test]
fn producer_ids_are_never_given_twice() {
    let mut bench = Bench::new(2);
    let request = m::InitProducerIdRequest::default().with_transactional_id(None);
    let first = bench.ask(1, 4, &request);
    let second = bench.ask(2, 4, &request);
    assert_eq!((first.error_code, first.producer_epoch), (0, 0));
    assert_ne!(first.producer_id, second.producer_id);
    let unnamed = request.with_transactional_id(Some(m::TransactionalId(text(""))));
    let refused = bench.ask(1, 4, &unnamed);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidRequest);
}

#[test]
fn the_broker_stamps_its_own_time_where_the_topic_says_so() {
    let mut bench = Bench::new(1);
    let config = m::create_topics_request::CreatableTopicConfig::default()
        .with_name(text("message.timestamp.type"))
        .with_value(Some(text("LogAppendTime")));
    crate::admin::create(&mut bench, "stamped", 1, &[config]);
    bench.pass(std::time::Duration::from_millis(5000));
    let answer = bench.produce(1, "stamped", 0, &["a"]);
    check(&answer, ErrorCode::None, 0);
    assert_eq!(answer.log_append_time_ms, START + 5000);
    let fetched = crate::fetch::fetch_one(&mut bench, 1, "stamped", 0, 0);
    let bytes = fetched.records.unwrap();
    let mut whole = BytesMut::from(&bytes[..]);
    let header = *millstream_protocol::batch::RawBatch::parse(bytes).unwrap().header();
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(header.max_timestamp, Timestamp(START + 5000));
    // The checksum was computed anew: setting the same time changes nothing.
    BatchMut::new(&mut whole)
        .unwrap()
        .set_max_timestamp(TimestampType::LogAppendTime, Timestamp(START + 5000));
    assert_eq!(crate::bench::records(Some(&whole.freeze())), [(0, "a".to_owned())]);
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key() {
    let mut bench = Bench::new(1);
    let config = m::create_topics_request::CreatableTopicConfig::default()
        .with_name(text("cleanup.policy"))
        .with_value(Some(text("compact")));
    crate::admin::create(&mut bench, "table", 1, &[config]);
    let answer = bench.produce(1, "table", 0, &["a", "b"]);
    check(&answer, ErrorCode::InvalidRecord, -1);
    let wrong: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(wrong, [0, 1]);
}

#[test]
fn too_few_replicas_refuse_only_acks_all() {
    let mut bench = Bench::new(2);
    let config = m::create_topics_request::CreatableTopicConfig::default()
        .with_name(text("min.insync.replicas"))
        .with_value(Some(text("2")));
    crate::admin::create(&mut bench, "safe", 1, &[config]);
    check(&bench.produce(1, "safe", 0, &["a"]), ErrorCode::None, 0);
    bench.cluster.crash_node(2.into(), bench.now).unwrap();
    check(&bench.produce(1, "safe", 0, &["b"]), ErrorCode::NotEnoughReplicas, -1);
    let one = produce_request("safe", 0, batch(&["c"])).with_acks(1);
    let answer = bench.ask(1, 9, &one);
    check(&answer.responses[0].partition_responses[0], ErrorCode::None, 1);
}

#[test]
fn acks_0_is_not_answered_and_an_error_closes_the_connection() {
    let mut bench = Bench::new(1).topic("t", 1);
    let connection = bench.connect(1);
    let request = produce_request("t", 0, batch(&["a"])).with_acks(0);
    let sent = bench.send(connection, 9, &request);
    assert!(bench.answer::<m::ProduceRequest>(sent).is_none());
    assert!(!bench.is_closed(connection));
    check(&bench.produce(1, "t", 0, &["b"]), ErrorCode::None, 1);
    let wrong = produce_request("none", 0, batch(&["a"])).with_acks(0);
    bench.send(connection, 9, &wrong);
    assert!(bench.is_closed(connection));
    let nonsense = produce_request("t", 0, batch(&["a"])).with_acks(2);
    let refused = bench.ask(1, 9, &nonsense);
    check(&refused.responses[0].partition_responses[0], ErrorCode::InvalidRequiredAcks, -1);
}

#[test]
fn a_moved_leader_is_told_with_its_address() {
    let mut bench = Bench::new(3).topic("t", 1);
    let partition = TopicPartition::new("t", 0);
    bench.cluster.move_leader(&partition, 3.into(), bench.now).unwrap();
    let request = produce_request("t", 0, batch(&["a"]));
    let response = bench.ask(1, 12, &request);
    let answer = &response.responses[0].partition_responses[0];
    check(answer, ErrorCode::NotLeaderOrFollower, -1);
    assert_eq!(answer.current_leader.leader_id, m::BrokerId(3));
    assert_eq!(answer.current_leader.leader_epoch, 1);
    assert_eq!(response.node_endpoints[0].node_id, m::BrokerId(3));
    assert_eq!(response.node_endpoints[0].port, 9003);
    check(&bench.produce(3, "t", 0, &["a"]), ErrorCode::None, 0);
}

#[test]
fn topics_go_by_id_in_version_13() {
    let mut bench = Bench::new(1).topic("t", 1);
    let metadata = bench.ask(1, 12, &m::MetadataRequest::default().with_topics(None));
    let id = metadata.topics[0].topic_id;
    let mut request = produce_request("t", 0, batch(&["a"]));
    request.topic_data[0].name = topic_name("");
    request.topic_data[0].topic_id = id;
    let response = bench.ask(1, 13, &request);
    assert_eq!(response.responses[0].topic_id, id);
    check(&response.responses[0].partition_responses[0], ErrorCode::None, 0);
    request.topic_data[0].topic_id = uuid::Uuid::from_u128(1);
    let response = bench.ask(1, 13, &request);
    let answer = &response.responses[0].partition_responses[0];
    check(answer, ErrorCode::UnknownTopicId, -1);
}

fn dated(offsets: &[i64]) -> Bytes {
    use millstream_protocol::batch::{BatchBuilder, HeaderView};
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    let none: [HeaderView<'_>; 0] = [];
    for offset in offsets {
        let time = if *offset == i64::MIN { Timestamp::NONE } else { Timestamp(START + offset) };
        builder.append(time, Some(b"k"), None, none).unwrap();
    }
    builder.seal().into_bytes().into()
}

#[test]
fn records_dated_too_far_from_now_are_named() {
    const HOUR: i64 = 3_600_000;
    let mut bench = Bench::new(1).topic("t", 1);
    check(&bench.produce_batch(1, "t", 0, dated(&[-400 * 24 * HOUR, HOUR])), ErrorCode::None, 0);
    let answer = bench.produce_batch(1, "t", 0, dated(&[0, HOUR + 1, i64::MIN, 9 * HOUR]));
    check(&answer, ErrorCode::InvalidTimestamp, -1);
    let wrong: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(wrong, [1, 3]);
    assert!(answer.record_errors[0].batch_index_error_message.is_some());
    let config = m::create_topics_request::CreatableTopicConfig::default()
        .with_name(text("message.timestamp.before.max.ms"))
        .with_value(Some(text("1000")));
    crate::admin::create(&mut bench, "recent", 1, &[config]);
    let answer = bench.produce_batch(1, "recent", 0, dated(&[-1001, -1000, i64::MIN]));
    check(&answer, ErrorCode::InvalidTimestamp, -1);
    let wrong: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(wrong, [0]);
    check(&bench.produce_batch(1, "recent", 0, dated(&[-1000])), ErrorCode::None, 0);
}
