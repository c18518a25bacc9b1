//! What is tried again, until when, and what a lost answer means.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use millstream_protocol::messages::create_topics_response::CreatableTopicResult;
use millstream_protocol::messages::delete_topics_response::DeletableTopicResult;
use millstream_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_types::{TopicId, TopicName, TopicPartition};

use super::super::{
    AdminError, CreatedTopic, IsolationLevel, NewDelegationToken, NewPartitions, NewTopic,
    OffsetSpec, Results, create_delegation_token, create_partitions, create_topics, delete_topics,
    list_offsets, list_topics,
};
use super::{API_TIMEOUT, CALLS_MAX, Desk, destinations, lost, show, topic};
use crate::outbox::ResponseBody;

fn created(name: &str, error: ErrorCode) -> m::CreateTopicsResponse {
    let result = CreatableTopicResult::default()
        .with_name(topic(name))
        .with_num_partitions(2)
        .with_replication_factor(1)
        .with_error_code(error.code());
    m::CreateTopicsResponse::default().with_topics(vec![result])
}

fn deleted(name: &str, error: ErrorCode) -> m::DeleteTopicsResponse {
    let result =
        DeletableTopicResult::default().with_name(Some(topic(name))).with_error_code(error.code());
    m::DeleteTopicsResponse::default().with_responses(vec![result])
}

/// Metadata of a topic of so many partitions of one replica.
fn found(name: &str, partitions: i32) -> m::MetadataResponse {
    let partitions = (0..partitions).map(|number| {
        MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_replica_nodes(vec![m::BrokerId(1)])
    });
    let topic = MetadataResponseTopic::default()
        .with_name(Some(topic(name)))
        .with_topic_id(uuid::Uuid::from_u128(7))
        .with_partitions(partitions.collect());
    m::MetadataResponse::default().with_topics(vec![topic])
}

/// Loses the answer to a creation and answers the next try with `TOPIC_ALREADY_EXISTS`; the cluster
/// then has a topic of so many partitions.
fn create_twice(partitions_found: i32) -> Result<CreatedTopic, AdminError> {
    let mut desk = Desk::new();
    let call = desk.post(create_topics([NewTopic::new("new", 2).replication(1)], false));
    let first = desk.one();
    let failure = lost(&first);
    desk.fail(first.id, failure);
    let second = desk.wait_for_one();
    desk.answer(second.id, created("new", ErrorCode::TopicAlreadyExists));
    let third = desk.one();
    assert_eq!(third.destination.to_string(), "any broker");
    desk.answer(third.id, found("new", partitions_found));
    let mut results: Results<TopicName, CreatedTopic> = desk.take(call).unwrap();
    results.remove("new").unwrap()
}

#[test]
fn a_creation_whose_answer_is_lost_counts_if_the_topic_is_as_wanted() {
    let topic = create_twice(2).unwrap();
    assert_eq!(topic.id, TopicId(uuid::Uuid::from_u128(7)));
    assert_eq!((topic.partitions, topic.replication), (Some(2), Some(1)));
    let error = create_twice(5).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(error.to_string().contains("another number of partitions"), "{error}");
}

#[test]
fn without_a_lost_answer_a_topic_that_is_there_is_an_error() {
    let mut desk = Desk::new();
    let call = desk.post(create_topics([NewTopic::new("new", 2)], false));
    let first = desk.one();
    desk.answer(first.id, created("new", ErrorCode::NotController));
    let second = desk.wait_for_one();
    desk.answer(second.id, created("new", ErrorCode::TopicAlreadyExists));
    let results: Results<TopicName, CreatedTopic> = desk.take(call).unwrap();
    let error = results["new"].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
}

#[test]
fn a_deletion_whose_answer_is_lost_counts_if_the_topic_is_gone() {
    let mut desk = Desk::new();
    let call = desk.post(delete_topics([TopicName::from("old")]));
    let first = desk.one();
    let failure = lost(&first);
    desk.fail(first.id, failure);
    let second = desk.wait_for_one();
    desk.answer(second.id, deleted("old", ErrorCode::UnknownTopicOrPartition));
    let results: Results<TopicName, ()> = desk.take(call).unwrap();
    assert!(results["old"].is_ok());

    let call = desk.post(delete_topics([TopicName::from("old")]));
    let only = desk.one();
    desk.answer(only.id, deleted("old", ErrorCode::UnknownTopicOrPartition));
    let results: Results<TopicName, ()> = desk.take(call).unwrap();
    let error = results["old"].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn partitions_whose_creation_got_no_answer_are_counted() {
    for (there, is_fine) in [(6, true), (7, false)] {
        let mut desk = Desk::new();
        let wanted = [(TopicName::from("t"), NewPartitions::to(6))];
        let call = desk.post(create_partitions(wanted, false));
        let first = desk.one();
        let failure = lost(&first);
        desk.fail(first.id, failure);
        let second = desk.wait_for_one();
        let refused = CreatePartitionsTopicResult::default()
            .with_name(topic("t"))
            .with_error_code(ErrorCode::InvalidPartitions.code());
        let refused = m::CreatePartitionsResponse::default().with_results(vec![refused]);
        desk.answer(second.id, refused);
        let third = desk.one();
        desk.answer(third.id, found("t", there));
        let results: Results<TopicName, ()> = desk.take(call).unwrap();
        assert_eq!(results["t"].is_ok(), is_fine, "{}", show(&results["t"]));
    }
}

#[test]
fn what_each_try_would_make_anew_is_tried_once() {
    let mut desk = Desk::new();
    let call = desk.post(create_delegation_token(NewDelegationToken::default()));
    let first = desk.one();
    let failure = lost(&first);
    desk.fail(first.id, failure);
    let result: Result<super::super::DelegationToken, AdminError> = desk.take(call).unwrap();
    let error = result.unwrap_err().to_string();
    assert!(error.contains("ended before it answered CreateDelegationToken"), "{error}");
    assert!(desk.sent().is_empty());
}

#[test]
fn a_quota_of_changes_is_waited_out_unless_the_caller_will_not() {
    let mut desk = Desk::new();
    let throttled =
        |name| created(name, ErrorCode::ThrottlingQuotaExceeded).with_throttle_time_ms(7_000);
    let call = desk.post(create_topics([NewTopic::new("new", 2)], false));
    let first = desk.one();
    let begun = desk.bench.now;
    desk.answer(first.id, throttled("new"));
    let second = desk.wait_for_one();
    assert_eq!(desk.bench.now - begun, Duration::from_secs(7), "as long as the broker asks");
    desk.answer(second.id, created("new", ErrorCode::None));
    let results: Results<TopicName, CreatedTopic> = desk.take(call).unwrap();
    assert!(results["new"].is_ok());

    let hasty = create_topics([NewTopic::new("new", 2)], false).failing_when_throttled();
    let call = desk.post(hasty);
    let only = desk.one();
    desk.answer(only.id, throttled("new"));
    let results: Results<TopicName, CreatedTopic> = desk.take(call).unwrap();
    let error = results["new"].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ThrottlingQuotaExceeded));
}

#[test]
fn items_whose_leader_is_unknown_wait_for_metadata_alone() {
    let mut desk = Desk::new();
    let tp = |topic: &str| TopicPartition::new(topic, 0);
    let specs = [(tp("t"), OffsetSpec::Latest), (tp("late"), OffsetSpec::Latest)];
    desk.post(list_offsets(specs, IsolationLevel::ReadUncommitted));
    assert_eq!(destinations(&desk.sent()), ["broker 1"], "what is known goes at once");
    desk.poll();
    assert!(desk.sent().is_empty());
    desk.bench.learn(3, &[("t", TopicId::ZERO, &[1], 0), ("late", TopicId::ZERO, &[3], 0)]);
    desk.poll();
    assert_eq!(destinations(&desk.sent()), ["broker 3"]);
}

#[test]
fn a_call_has_its_own_time_if_it_says_so() {
    let mut desk = Desk::new();
    let short = desk.post(list_topics().timeout(Duration::from_secs(2)));
    let long = desk.post(list_topics());
    desk.sent();
    let begun = desk.bench.now;
    desk.bench.now = begun + Duration::from_secs(2);
    desk.poll();
    assert!(desk.done.contains_key(&short) && !desk.done.contains_key(&long));
    desk.bench.now = begun + API_TIMEOUT;
    desk.poll();
    assert!(desk.done.contains_key(&long));
    assert_eq!(desk.machine.next_timeout(), None);
}

#[test]
fn one_call_too_many_is_refused_and_the_others_go_on() {
    let mut desk = Desk::new();
    let calls: Vec<_> = (0..CALLS_MAX).map(|_| desk.post(list_topics())).collect();
    let extra = desk.post(delete_topics([TopicName::from("old")]));
    let results: Results<TopicName, ()> = desk.take(extra).unwrap();
    let error = results["old"].as_ref().unwrap_err();
    assert!(matches!(error, AdminError::Busy { pending: CALLS_MAX, .. }), "{error}");
    assert!(error.class().is_retriable());
    let sent = desk.sent();
    assert_eq!(sent.len(), CALLS_MAX);
    desk.answer(sent[17].id, m::MetadataResponse::default());
    assert!(desk.done.contains_key(&calls[17]));
    let again = desk.post(delete_topics([TopicName::from("old")]));
    assert!(!desk.done.contains_key(&again), "there is room again");
}

#[test]
fn an_answer_of_another_kind_leaves_the_items_out() {
    let mut desk = Desk::new();
    let call = desk.post(delete_topics([TopicName::from("old")]));
    let only = desk.one();
    desk.answer(only.id, ResponseBody::from(m::MetadataResponse::default()));
    let results: Results<TopicName, ()> = desk.take(call).unwrap();
    assert!(matches!(results["old"], Err(AdminError::LeftOut { .. })));
}
