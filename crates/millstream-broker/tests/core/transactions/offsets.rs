//! Offsets of groups inside transactions.

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};

use super::{Producer, id};
use crate::bench::{Bench, text, topic_name};
use crate::groups::GROUP;

fn bench() -> Bench {
    Bench::new(1).topic("t", 2)
}

fn group() -> m::GroupId {
    m::GroupId(text(GROUP))
}

fn request_of(name: &str, producer: Producer, offset: i64) -> m::TxnOffsetCommitRequest {
    let partition = m::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("note")));
    let topic = m::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    m::TxnOffsetCommitRequest::default()
        .with_transactional_id(id(name))
        .with_group_id(group())
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_topics(vec![topic])
}

pub(super) fn request(producer: Producer, offset: i64) -> m::TxnOffsetCommitRequest {
    request_of("x", producer, offset)
}

/// The node that coordinates the group.
fn home(bench: &mut Bench) -> i32 {
    let request = m::FindCoordinatorRequest::default().with_key(text(GROUP));
    bench.ask(1, 3, &request).node_id.0
}

fn send(bench: &mut Bench, version: i16, request: &m::TxnOffsetCommitRequest) -> ErrorCode {
    let node = home(bench);
    let answer = bench.ask(node, version, request);
    ErrorCode::from(answer.topics[0].partitions[0].error_code)
}

/// Commits an offset of `t-0` inside a transaction.
pub(super) fn commit(
    bench: &mut Bench,
    name: &str,
    version: i16,
    producer: Producer,
    offset: i64,
) -> ErrorCode {
    send(bench, version, &request_of(name, producer, offset))
}

/// Adds the group to a transaction.
pub(super) fn add_group(
    bench: &mut Bench,
    name: &str,
    version: i16,
    producer: Producer,
) -> ErrorCode {
    let request = m::AddOffsetsToTxnRequest::default()
        .with_transactional_id(id(name))
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_group_id(group());
    let node = bench.coordinator(name);
    ErrorCode::from(bench.ask(node, version, &request).error_code)
}

/// The offset of `t-0` as a reader of stable offsets, or of any, is told.
pub(super) fn fetched(bench: &mut Bench, stable: bool) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_member_id(None)
        .with_topics(Some(vec![topic]));
    let request =
        m::OffsetFetchRequest::default().with_groups(vec![wanted]).with_require_stable(stable);
    let node = home(bench);
    let answer = bench.ask(node, 8, &request);
    let found = &answer.groups[0].topics[0].partitions[0];
    match ErrorCode::from(found.error_code) {
        ErrorCode::None => Ok(found.committed_offset),
        code => Err(code),
    }
}

#[test]
fn offsets_count_when_the_transaction_is_committed() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(add_group(&mut bench, "x", 3, producer), ErrorCode::None);
    assert_eq!(bench.snapshot("x").partitions[0].topic.as_str(), "__consumer_offsets");
    assert_eq!(commit(&mut bench, "x", 3, producer, 5), ErrorCode::None);
    assert_eq!(fetched(&mut bench, false), Ok(-1));
    assert_eq!(fetched(&mut bench, true), Err(ErrorCode::UnstableOffsetCommit));
    assert!(bench.end("x", producer, true, 4).is_ok());
    assert_eq!(fetched(&mut bench, true), Ok(5));
    // An aborted one leaves what was there.
    assert_eq!(add_group(&mut bench, "x", 3, producer), ErrorCode::None);
    assert_eq!(commit(&mut bench, "x", 3, producer, 9), ErrorCode::None);
    assert_eq!(fetched(&mut bench, false), Ok(5));
    assert!(bench.end("x", producer, false, 4).is_ok());
    assert_eq!(fetched(&mut bench, true), Ok(5));
}

#[test]
fn from_version_5_on_a_commit_adds_its_group() {
    let mut bench = bench();
    let producer = bench.init("x");
    for (version, code) in [
        (2, ErrorCode::InvalidTxnState),
        (3, ErrorCode::InvalidTxnState),
        (4, ErrorCode::TransactionAbortable),
    ] {
        assert_eq!(commit(&mut bench, "x", version, producer, 1), code);
    }
    assert_eq!(bench.state("x"), "Empty");
    assert_eq!(commit(&mut bench, "x", 5, producer, 1), ErrorCode::None);
    assert_eq!(bench.state("x"), "Ongoing");
    let next = bench.end("x", producer, true, 5).unwrap();
    assert_eq!(fetched(&mut bench, true), Ok(1));
    assert_eq!(commit(&mut bench, "x", 5, producer, 2), ErrorCode::InvalidProducerEpoch);
    assert_eq!(commit(&mut bench, "x", 5, next, 2), ErrorCode::None);
    assert_eq!(commit(&mut bench, "x", 5, next, 3), ErrorCode::None);
    assert!(bench.end("x", next, true, 5).is_ok());
    assert_eq!(fetched(&mut bench, true), Ok(3));
}

#[test]
fn topics_go_by_id_in_version_6() {
    let mut bench = bench();
    let producer = bench.init("x");
    let metadata = bench.ask(1, 12, &m::MetadataRequest::default().with_topics(None));
    let mut wanted = request(producer, 4);
    wanted.topics[0].name = topic_name("");
    wanted.topics[0].topic_id = metadata.topics[0].topic_id;
    assert_eq!(send(&mut bench, 6, &wanted), ErrorCode::None);
    wanted.topics[0].topic_id = uuid::Uuid::from_u128(5);
    assert_eq!(send(&mut bench, 6, &wanted), ErrorCode::UnknownTopicId);
    assert!(bench.end("x", producer, true, 5).is_ok());
    assert_eq!(fetched(&mut bench, true), Ok(4));
}

#[test]
fn what_is_not_there_is_told_for_each_partition() {
    let mut bench = bench();
    let producer = bench.init("x");
    let mut wanted = request(producer, 4);
    let mut long = wanted.topics[0].partitions[0].clone().with_partition_index(1);
    long.committed_metadata = Some(text(&"x".repeat(5000)));
    let missing = wanted.topics[0].partitions[0].clone().with_partition_index(9);
    wanted.topics[0].partitions.extend([long, missing]);
    let answer = bench.ask(1, 5, &wanted);
    let codes: Vec<_> =
        answer.topics[0].partitions.iter().map(|it| ErrorCode::from(it.error_code)).collect();
    let (long, missing) = (ErrorCode::OffsetMetadataTooLarge, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes, [ErrorCode::None, long, missing]);
    let nameless = request(producer, 4).with_group_id(m::GroupId(text("")));
    assert_eq!(send(&mut bench, 3, &nameless), ErrorCode::InvalidGroupId);
}

#[test]
fn a_member_must_be_of_this_generation() {
    let mut bench = bench();
    let producer = bench.init("x");
    let of = |member: &str, generation| {
        request(producer, 4)
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
    };
    assert_eq!(send(&mut bench, 5, &of("m", 3)), ErrorCode::IllegalGeneration);
    let member = crate::groups::sole_member(&mut bench);
    assert_eq!(send(&mut bench, 5, &of("stranger", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(send(&mut bench, 5, &of(&member, 2)), ErrorCode::IllegalGeneration);
    assert_eq!(send(&mut bench, 5, &of(&member, 1)), ErrorCode::None);
    // A producer that says no member is from before KIP-447.
    assert_eq!(send(&mut bench, 2, &of("", -1)), ErrorCode::None);
}

#[test]
fn a_later_commit_outside_stands_against_the_transaction() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(commit(&mut bench, "x", 5, producer, 5), ErrorCode::None);
    let partition =
        m::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(8);
    let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let plain = m::OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_topics(vec![topic]);
    assert_eq!(bench.ask(1, 8, &plain).topics[0].partitions[0].error_code, 0);
    assert_eq!(fetched(&mut bench, false), Ok(8));
    assert!(bench.end("x", producer, true, 5).is_ok());
    assert_eq!(fetched(&mut bench, true), Ok(8));
}

#[test]
fn a_group_elsewhere_or_loading_transactions_are_told() {
    let mut bench = Bench::new(2).topic("t", 1);
    let producer = bench.init("x");
    let old = m::FindCoordinatorRequest::default().with_key(text(GROUP));
    let home = bench.ask(1, 3, &old).node_id.0;
    let answer = bench.ask(3 - home, 5, &request(producer, 1));
    let code = ErrorCode::from(answer.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::NotCoordinator);
    let second = std::time::Duration::from_secs(1);
    bench.cluster.load_transaction_coordinator("x", second, bench.now);
    for (version, code) in [
        (1, ErrorCode::CoordinatorNotAvailable),
        (2, ErrorCode::CoordinatorLoadInProgress),
        (5, ErrorCode::CoordinatorLoadInProgress),
    ] {
        let answer = bench.ask(home, version, &request(producer, 1));
        assert_eq!(ErrorCode::from(answer.topics[0].partitions[0].error_code), code);
    }
}
