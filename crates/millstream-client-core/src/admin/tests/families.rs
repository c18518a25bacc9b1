//! Each family's way: whom it asks, in how many requests, and how answers are merged.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use millstream_protocol::messages::consumer_group_describe_response::DescribedGroup;
use millstream_protocol::messages::delete_groups_response::DeletableGroupResult;
use millstream_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use millstream_protocol::messages::describe_groups_response::{
    DescribedGroup as ClassicDescribedGroup, DescribedGroupMember,
};
use millstream_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition as PartitionPage,
    DescribeTopicPartitionsResponseTopic as TopicPage,
};
use millstream_protocol::messages::leave_group_response::MemberResponse;
use millstream_protocol::messages::list_groups_response::ListedGroup;
use millstream_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use millstream_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponseTopic,
};
use millstream_types::{BrokerId, GroupId, TopicName, TopicPartition};

use super::super::{
    AdminError, Cluster, ClusterScope, ConfigResource, ConsumerGroup, GroupFilter, GroupListing,
    GroupState, GroupType, IsolationLevel, ListedOffset, MemberToRemove, OffsetSpec, Results,
    ScramChange, ScramMechanism, alter_user_scram_credentials, delete_groups, describe_cluster,
    describe_configs, describe_consumer_groups, describe_topics, fence_producers, list_groups,
    list_offsets, remove_all_group_members,
};
use super::{Desk, destinations, group, text, topic, unsupported};
use crate::metadata::Topic;
use crate::outbox::{CoordinatorKey, RequestBody};

fn offsets(numbers: &[(i32, ErrorCode)]) -> m::ListOffsetsResponse {
    let partitions = numbers.iter().map(|(number, error)| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(*number)
            .with_offset(10 + i64::from(*number))
            .with_error_code(error.code())
    });
    let topic = ListOffsetsTopicResponse::default()
        .with_name(topic("t"))
        .with_partitions(partitions.collect());
    m::ListOffsetsResponse::default().with_topics(vec![topic])
}

#[test]
fn offsets_are_asked_of_each_leader_and_again_of_a_new_one() {
    let mut desk = Desk::new();
    let specs = (0..3).map(|n| (TopicPartition::new("t", n), OffsetSpec::Latest));
    let call = desk.post(list_offsets(specs, IsolationLevel::ReadUncommitted));
    let sent = desk.sent();
    assert_eq!(destinations(&sent), ["broker 1", "broker 2", "broker 3"]);
    desk.answer(sent[0].id, offsets(&[(0, ErrorCode::None)]));
    desk.answer(sent[2].id, offsets(&[(2, ErrorCode::None)]));
    desk.answer(sent[1].id, offsets(&[(1, ErrorCode::NotLeaderOrFollower)]));
    desk.bench.learn(3, &[("t", millstream_types::TopicId::ZERO, &[1, 3, 3], 1)]);
    let again = desk.wait_for_one();
    assert_eq!(again.destination.to_string(), "broker 3");
    desk.answer(again.id, offsets(&[(1, ErrorCode::None)]));
    let results: Results<TopicPartition, ListedOffset> = desk.take(call).unwrap();
    let found: Vec<_> = results.into_values().map(|r| r.unwrap().offset.unwrap().0).collect();
    assert_eq!(found, [10, 11, 12]);
}

#[test]
fn an_old_broker_refuses_only_the_places_it_does_not_know() {
    let mut desk = Desk::new();
    desk.bench.learn(1, &[("t", millstream_types::TopicId::ZERO, &[1, 1], 0)]);
    let specs = [
        (TopicPartition::new("t", 0), OffsetSpec::Latest),
        (TopicPartition::new("t", 1), OffsetSpec::MaxTimestamp),
    ];
    let call = desk.post(list_offsets(specs, IsolationLevel::ReadUncommitted));
    let sent = desk.sent();
    let versions: Vec<_> = sent.iter().map(|pending| pending.version_min).collect();
    assert_eq!(versions, [Some(1), Some(7)]);
    let failure = unsupported(&sent[1]);
    desk.answer(sent[0].id, offsets(&[(0, ErrorCode::None)]));
    desk.fail(sent[1].id, failure);
    let results: Results<TopicPartition, ListedOffset> = desk.take(call).unwrap();
    let mut results = results.into_values();
    assert!(results.next().unwrap().is_ok());
    let error = results.next().unwrap().unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("ListOffsets"), "{error}");
}

#[test]
fn settings_of_brokers_are_asked_of_them_and_all_others_of_any() {
    let mut desk = Desk::new();
    let resources = [
        ConfigResource::Broker(BrokerId(3)),
        ConfigResource::BrokerLogger(BrokerId(3)),
        ConfigResource::BrokerDefaults,
        ConfigResource::Topic("a".into()),
        ConfigResource::Topic("b".into()),
    ];
    desk.post(describe_configs(resources, super::super::ConfigDetail::default()));
    let sent = desk.sent();
    assert_eq!(destinations(&sent), ["any broker", "broker 3"]);
    let counts: Vec<_> = sent
        .iter()
        .map(|pending| match &pending.body {
            RequestBody::DescribeConfigs(request) => request.resources.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [3, 2]);
}

fn brokers(ids: &[i32]) -> m::MetadataResponse {
    let brokers = ids.iter().map(|id| {
        MetadataResponseBroker::default().with_node_id(m::BrokerId(*id)).with_host(text("b"))
    });
    m::MetadataResponse::default().with_brokers(brokers.collect())
}

fn listed(ids: &[&str], error: ErrorCode) -> m::ListGroupsResponse {
    let groups = ids.iter().map(|id| {
        ListedGroup::default()
            .with_group_id(group(id))
            .with_protocol_type(text("consumer"))
            .with_group_state(text("Stable"))
            .with_group_type(text("classic"))
    });
    m::ListGroupsResponse::default().with_error_code(error.code()).with_groups(groups.collect())
}

#[test]
fn groups_are_listed_from_every_broker_and_merged() {
    let mut desk = Desk::new();
    let call = desk.post(list_groups(GroupFilter::all().state(GroupState::Stable)));
    let which = desk.one();
    assert_eq!(which.destination.to_string(), "any broker");
    desk.answer(which.id, brokers(&[1, 2, 3]));
    let sent = desk.sent();
    assert_eq!(destinations(&sent), ["broker 1", "broker 2", "broker 3"]);
    assert!(sent.iter().all(|pending| pending.version_min == Some(4)));
    desk.answer(sent[0].id, listed(&["a", "b"], ErrorCode::None));
    desk.answer(sent[1].id, listed(&[], ErrorCode::None));
    desk.answer(sent[2].id, listed(&[], ErrorCode::CoordinatorLoadInProgress));
    let again = desk.wait_for_one();
    assert_eq!(again.destination.to_string(), "broker 3");
    desk.answer(again.id, listed(&["c"], ErrorCode::None));
    let groups: Result<BTreeMap<GroupId, GroupListing>, AdminError> = desk.take(call).unwrap();
    let groups = groups.unwrap();
    assert_eq!(groups.keys().map(GroupId::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(groups["a"].group_type, Some(GroupType::Classic));
}

#[test]
fn a_broker_that_refuses_fails_the_list_by_name() {
    let mut desk = Desk::new();
    let call = desk.post(list_groups(GroupFilter::all()));
    let which = desk.one();
    desk.answer(which.id, brokers(&[1, 2]));
    let sent = desk.sent();
    desk.answer(sent[0].id, listed(&["a"], ErrorCode::None));
    desk.answer(sent[1].id, listed(&[], ErrorCode::ClusterAuthorizationFailed));
    let groups: Result<BTreeMap<GroupId, GroupListing>, AdminError> = desk.take(call).unwrap();
    let error = groups.unwrap_err().to_string();
    assert!(error.starts_with("the groups of broker 2: "), "{error}");
}

fn gone(groups: &[(&str, ErrorCode)]) -> m::DeleteGroupsResponse {
    let results = groups.iter().map(|(id, error)| {
        DeletableGroupResult::default().with_group_id(group(id)).with_error_code(error.code())
    });
    m::DeleteGroupsResponse::default().with_results(results.collect())
}

#[test]
fn groups_of_one_coordinator_share_a_request_and_follow_it_when_it_moves() {
    let mut desk = Desk::new();
    for name in ["a", "b"] {
        let key = CoordinatorKey::group(&GroupId::from(name));
        desk.bench.coordinators.learn(key, BrokerId(2));
    }
    let names = ["a", "b", "c"].map(GroupId::from);
    let call = desk.post(delete_groups(names));
    let sent = desk.sent();
    assert_eq!(destinations(&sent), ["broker 2", "the coordinator of group c"]);
    desk.answer(sent[1].id, gone(&[("c", ErrorCode::None)]));
    desk.answer(sent[0].id, gone(&[("a", ErrorCode::None), ("b", ErrorCode::NotCoordinator)]));
    let again = desk.wait_for_one();
    assert_eq!(again.destination.to_string(), "the coordinator of group b", "it is looked up");
    desk.answer(again.id, gone(&[("b", ErrorCode::NonEmptyGroup)]));
    let results: Results<GroupId, ()> = desk.take(call).unwrap();
    let fine: Vec<_> = results.values().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, true]);
}

fn modern(id: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(group(id))
        .with_group_state(text("Stable"))
        .with_error_code(error.code())
}

fn classic(id: &str, protocol: &str, error: ErrorCode) -> ClassicDescribedGroup {
    ClassicDescribedGroup::default()
        .with_group_id(group(id))
        .with_group_state(text("Stable"))
        .with_protocol_type(text(protocol))
        .with_error_code(error.code())
}

#[test]
fn groups_of_both_protocols_are_described_together() {
    let mut desk = Desk::new();
    for name in ["new", "old", "connect", "none"] {
        let key = CoordinatorKey::group(&GroupId::from(name));
        desk.bench.coordinators.learn(key, BrokerId(1));
    }
    let names = ["new", "old", "connect", "none"].map(GroupId::from);
    let call = desk.post(describe_consumer_groups(names, false));
    let first = desk.one();
    let groups = vec![
        modern("new", ErrorCode::None),
        modern("old", ErrorCode::GroupIdNotFound),
        modern("connect", ErrorCode::GroupIdNotFound),
        modern("none", ErrorCode::GroupIdNotFound),
    ];
    desk.answer(first.id, m::ConsumerGroupDescribeResponse::default().with_groups(groups));
    let second = desk.one();
    assert!(matches!(second.body, RequestBody::DescribeGroups(_)), "{second:?}");
    let groups = vec![
        classic("old", "consumer", ErrorCode::None),
        classic("connect", "connect", ErrorCode::None),
        classic("none", "", ErrorCode::None).with_group_state(text("Dead")),
    ];
    desk.answer_in(second.id, 5, m::DescribeGroupsResponse::default().with_groups(groups));
    let results: Results<GroupId, ConsumerGroup> = desk.take(call).unwrap();
    assert_eq!(results["new"].as_ref().unwrap().group_type, GroupType::Consumer);
    assert_eq!(results["old"].as_ref().unwrap().group_type, GroupType::Classic);
    for name in ["connect", "none"] {
        let error = results[name].as_ref().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::GroupIdNotFound), "{error}");
    }
}

#[test]
fn a_broker_before_848_is_asked_for_classic_groups() {
    let mut desk = Desk::new();
    let call = desk.post(describe_consumer_groups([GroupId::from("old")], false));
    let first = desk.one();
    let failure = unsupported(&first);
    desk.fail(first.id, failure);
    let second = desk.one();
    let groups = vec![classic("old", "consumer", ErrorCode::None)];
    desk.answer(second.id, m::DescribeGroupsResponse::default().with_groups(groups));
    let results: Results<GroupId, ConsumerGroup> = desk.take(call).unwrap();
    assert!(results["old"].is_ok());
}

#[test]
fn all_members_are_those_that_the_coordinator_names() {
    let mut desk = Desk::new();
    let call = desk.post(remove_all_group_members(GroupId::from("g"), None));
    let first = desk.one();
    let member = |id: &str, name: Option<&str>| {
        DescribedGroupMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(name.map(text))
    };
    let members = vec![member("m-1", None), member("m-2", Some("static"))];
    let group = classic("g", "consumer", ErrorCode::None).with_members(members);
    desk.answer(first.id, m::DescribeGroupsResponse::default().with_groups(vec![group]));
    let second = desk.one();
    let left = |id: &str, name: Option<&str>, error: ErrorCode| {
        MemberResponse::default()
            .with_member_id(text(id))
            .with_group_instance_id(name.map(text))
            .with_error_code(error.code())
    };
    let members = vec![
        left("m-1", None, ErrorCode::None),
        left("", Some("static"), ErrorCode::UnknownMemberId),
    ];
    desk.answer(second.id, m::LeaveGroupResponse::default().with_members(members));
    let results: Results<MemberToRemove, ()> = desk.take(call).unwrap();
    assert!(results[&MemberToRemove::Dynamic("m-1".into())].is_ok());
    assert!(results[&MemberToRemove::Static("static".into())].is_err());
}

fn page(name: &str, partitions: std::ops::Range<i32>, error: ErrorCode) -> TopicPage {
    let partitions = partitions.map(|number| PartitionPage::default().with_partition_index(number));
    TopicPage::default()
        .with_name(Some(topic(name)))
        .with_error_code(error.code())
        .with_partitions(partitions.collect())
}

fn pages(
    topics: Vec<TopicPage>,
    cursor: Option<(&str, i32)>,
) -> m::DescribeTopicPartitionsResponse {
    let cursor = cursor
        .map(|(name, at)| Cursor::default().with_topic_name(topic(name)).with_partition_index(at));
    m::DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(cursor)
}

#[test]
fn topics_are_described_page_by_page() {
    let mut desk = Desk::new();
    let names = ["a", "b", "c", "d"].map(TopicName::from);
    let call = desk.post(describe_topics(names));
    let first = desk.one();
    let topics = vec![page("a", 0..3, ErrorCode::None), page("b", 0..2, ErrorCode::None)];
    desk.answer(first.id, pages(topics, Some(("b", 2))));
    let sent = desk.sent();
    let cursors: Vec<_> = sent
        .iter()
        .map(|pending| match &pending.body {
            RequestBody::DescribeTopicPartitions(request) => {
                let cursor = request.cursor.as_ref().map(|cursor| cursor.partition_index);
                (request.topics.len(), cursor)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cursors, [(1, Some(2)), (2, None)], "the rest of b, and what was not begun");
    desk.answer(sent[0].id, pages(vec![page("b", 2..5, ErrorCode::None)], None));
    let absent = page("d", 0..0, ErrorCode::UnknownTopicOrPartition);
    desk.answer(sent[1].id, pages(vec![page("c", 0..1, ErrorCode::None), absent], None));
    let results: Results<TopicName, Topic> = desk.take(call).unwrap();
    let counts: Vec<_> =
        results.values().map(|topic| topic.as_ref().map(Topic::partition_count).ok()).collect();
    assert_eq!(counts, [Some(3), Some(5), Some(1), None]);
}

#[test]
fn a_page_that_brings_nothing_ends_the_description() {
    let mut desk = Desk::new();
    let call = desk.post(describe_topics(["a", "b"].map(TopicName::from)));
    let first = desk.one();
    desk.answer(first.id, pages(Vec::new(), Some(("a", 0))));
    let results: Results<TopicName, Topic> = desk.take(call).unwrap();
    assert!(results.values().all(|topic| matches!(topic, Err(AdminError::LeftOut { .. }))));

    let call = desk.post(describe_topics([TopicName::from("a")]));
    let first = desk.one();
    desk.answer(first.id, pages(vec![page("a", 0..2, ErrorCode::None)], Some(("a", 2))));
    let second = desk.one();
    desk.answer(second.id, pages(vec![page("a", 0..2, ErrorCode::None)], Some(("a", 2))));
    let results: Results<TopicName, Topic> = desk.take(call).unwrap();
    let error = results["a"].as_ref().unwrap_err().to_string();
    assert!(error.contains("brings no partition"), "{error}");
}

#[test]
fn a_broker_without_pages_describes_topics_by_metadata() {
    let mut desk = Desk::new();
    let call = desk.post(describe_topics([TopicName::from("t")]));
    let first = desk.one();
    let failure = unsupported(&first);
    desk.fail(first.id, failure);
    let second = desk.one();
    let found = MetadataResponseTopic::default().with_name(Some(topic("t")));
    desk.answer(second.id, m::MetadataResponse::default().with_topics(vec![found]));
    let results: Results<TopicName, Topic> = desk.take(call).unwrap();
    assert!(results["t"].is_ok());
}

#[test]
fn the_cluster_is_described_by_metadata_where_brokers_are_old() {
    let mut desk = Desk::new();
    let call = desk.post(describe_cluster(ClusterScope::Brokers, false));
    let first = desk.one();
    let failure = unsupported(&first);
    desk.fail(first.id, failure);
    let second = desk.one();
    desk.answer(second.id, brokers(&[1, 2]));
    let cluster: Result<Cluster, AdminError> = desk.take(call).unwrap();
    assert_eq!(cluster.unwrap().brokers.len(), 2);

    let call = desk.post(describe_cluster(ClusterScope::RegisteredBrokers, false));
    let first = desk.one();
    let broker = |id: i32, is_fenced| {
        DescribeClusterBroker::default().with_broker_id(m::BrokerId(id)).with_is_fenced(is_fenced)
    };
    let answer =
        m::DescribeClusterResponse::default().with_brokers(vec![broker(1, false), broker(2, true)]);
    assert_eq!(first.version_min, Some(2));
    desk.answer(first.id, answer);
    let cluster: Result<Cluster, AdminError> = desk.take(call).unwrap();
    let fenced: Vec<_> = cluster.unwrap().fenced.into_iter().collect();
    assert_eq!(fenced, [BrokerId(2)]);
    let call = desk.post(describe_cluster(ClusterScope::RegisteredBrokers, false));
    let first = desk.one();
    let failure = unsupported(&first);
    desk.fail(first.id, failure);
    let cluster: Result<Cluster, AdminError> = desk.take(call).unwrap();
    assert!(cluster.unwrap_err().is_unsupported(), "Metadata does not tell of fenced brokers");
}

#[test]
fn each_transactional_id_is_fenced_by_itself() {
    let mut desk = Desk::new();
    let ids = ["one", "two"].map(str::to_owned);
    for id in &ids {
        desk.bench.coordinators.learn(CoordinatorKey::transaction(id), BrokerId(1));
    }
    let call = desk.post(fence_producers(ids));
    let sent = desk.sent();
    assert_eq!(destinations(&sent), ["broker 1", "broker 1"]);
    let fenced = |id: i64, error: ErrorCode| {
        m::InitProducerIdResponse::default()
            .with_producer_id(m::ProducerId(id))
            .with_error_code(error.code())
    };
    desk.answer(sent[1].id, fenced(2, ErrorCode::None));
    desk.answer(sent[0].id, fenced(0, ErrorCode::ConcurrentTransactions));
    let again = desk.wait_for_one();
    desk.answer(again.id, fenced(1, ErrorCode::None));
    let results: Results<String, super::super::FencedProducer> = desk.take(call).unwrap();
    let ids: Vec<_> = results.into_values().map(|r| r.unwrap().producer_id.0).collect();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn credentials_of_one_user_are_changed_one_after_the_other() {
    let mut desk = Desk::new();
    let delete = |mechanism| ScramChange::Delete(mechanism);
    let both = vec![delete(ScramMechanism::Sha256), delete(ScramMechanism::Sha512)];
    let one = vec![delete(ScramMechanism::Sha256)];
    let changes = [("carol".to_owned(), both), ("dave".to_owned(), one)];
    let call = desk.post(alter_user_scram_credentials(changes));
    let mechanisms = |pending: &crate::outbox::Pending| match &pending.body {
        RequestBody::AlterUserScramCredentials(request) => {
            request.deletions.iter().map(|change| change.mechanism).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let answer = |users: &[(&str, ErrorCode)]| {
        let results = users.iter().map(|(user, error)| {
            AlterUserScramCredentialsResult::default()
                .with_user(text(user))
                .with_error_code(error.code())
        });
        m::AlterUserScramCredentialsResponse::default().with_results(results.collect())
    };
    let first = desk.one();
    assert_eq!(mechanisms(&first), [1, 1]);
    let results = [("carol", ErrorCode::None), ("dave", ErrorCode::ResourceNotFound)];
    desk.answer(first.id, answer(&results));
    let second = desk.one();
    assert_eq!(mechanisms(&second), [2]);
    desk.answer(second.id, answer(&[("carol", ErrorCode::None)]));
    let results: Results<String, ()> = desk.take(call).unwrap();
    assert!(results["carol"].is_ok() && results["dave"].is_err());
}

#[test]
fn of_controllers_the_active_one_is_asked() {
    let mut desk = Desk::new();
    desk.bench.metadata.note_controllers();
    desk.post(describe_cluster(ClusterScope::Controllers, false));
    let sent = desk.one();
    assert_eq!(sent.destination.to_string(), "the controller");
    assert_eq!(sent.version_min, Some(1));
}
