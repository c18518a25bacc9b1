//! Topics, configurations, the cluster.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};

use crate::bench::{Bench, text, topic_name};

fn new_topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

/// Creates a topic that must be accepted.
pub(crate) fn create(
    bench: &mut Bench,
    name: &str,
    partitions: i32,
    configs: &[CreatableTopicConfig],
) {
    let topic = new_topic(name, partitions, -1).with_configs(configs.to_vec());
    let request = m::CreateTopicsRequest::default().with_topics(vec![topic]);
    let response = bench.ask(1, 7, &request);
    assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0]);
}

fn config(name: &str, value: &str) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
}

fn check(bench: &mut Bench, topic: CreatableTopic, code: ErrorCode) {
    let name = topic.name.clone();
    let request = m::CreateTopicsRequest::default().with_topics(vec![topic]);
    let response = bench.ask(1, 5, &request);
    let got = ErrorCode::from(response.topics[0].error_code);
    assert_eq!(got, code, "{name:?}: {:?}", response.topics[0].error_message);
}

#[test]
fn topics_are_created_as_asked_or_refused_with_the_reason() {
    let mut bench = Bench::new(3);
    check(&mut bench, new_topic("a.b", 3, 3), ErrorCode::None);
    check(&mut bench, new_topic("a.b", 3, 3), ErrorCode::TopicAlreadyExists);
    check(&mut bench, new_topic("a_b", 3, 3), ErrorCode::InvalidTopic);
    check(&mut bench, new_topic("", 1, 1), ErrorCode::InvalidTopic);
    check(&mut bench, new_topic("..", 1, 1), ErrorCode::InvalidTopic);
    check(&mut bench, new_topic("a b", 1, 1), ErrorCode::InvalidTopic);
    check(&mut bench, new_topic(&"x".repeat(250), 1, 1), ErrorCode::InvalidTopic);
    check(&mut bench, new_topic(&"x".repeat(249), 1, 1), ErrorCode::None);
    check(&mut bench, new_topic("p", 0, 1), ErrorCode::InvalidPartitions);
    check(&mut bench, new_topic("p", -2, 1), ErrorCode::InvalidPartitions);
    check(&mut bench, new_topic("p", i32::MAX, 1), ErrorCode::InvalidPartitions);
    check(&mut bench, new_topic("p", 1, 0), ErrorCode::InvalidReplicationFactor);
    check(&mut bench, new_topic("p", 1, 4), ErrorCode::InvalidReplicationFactor);
    let bad = new_topic("p", 1, 1).with_configs(vec![config("no.such", "1")]);
    check(&mut bench, bad, ErrorCode::InvalidConfig);
    let bad = new_topic("p", 1, 1).with_configs(vec![config("retention.ms", "soon")]);
    check(&mut bench, bad, ErrorCode::InvalidConfig);
    check(&mut bench, new_topic("p", -1, -1), ErrorCode::None);
}

#[test]
fn replicas_may_be_chosen() {
    let assign = |index, ids: &[i32]| {
        let ids = ids.iter().map(|id| m::BrokerId(*id)).collect();
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(ids)
    };
    let with = |assignments| new_topic("chosen", -1, -1).with_assignments(assignments);
    let mut bench = Bench::new(3);
    let bad = ErrorCode::InvalidReplicaAssignment;
    check(&mut bench, with(vec![assign(0, &[1, 1])]), bad);
    check(&mut bench, with(vec![assign(0, &[4])]), bad);
    check(&mut bench, with(vec![assign(0, &[])]), bad);
    check(&mut bench, with(vec![assign(1, &[1])]), bad);
    check(&mut bench, with(vec![assign(0, &[1]), assign(1, &[2, 3])]), bad);
    let both = with(vec![assign(0, &[1])]).with_num_partitions(1);
    check(&mut bench, both, ErrorCode::InvalidRequest);
    check(&mut bench, with(vec![assign(1, &[3, 1]), assign(0, &[2, 1])]), ErrorCode::None);
    let metadata = bench.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    let leaders = metadata.topics[0].partitions.iter().map(|p| p.leader_id.0);
    assert_eq!(leaders.collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn validation_alone_creates_nothing_and_a_name_stands_once() {
    let mut bench = Bench::new(1);
    let request = m::CreateTopicsRequest::default()
        .with_topics(vec![new_topic("dry", 2, 1)])
        .with_validate_only(true);
    let response = bench.ask(1, 7, &request);
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (0, 2));
    let twice = vec![new_topic("x", 1, 1), new_topic("x", 1, 1)];
    let response = bench.ask(1, 7, &m::CreateTopicsRequest::default().with_topics(twice));
    for topic in &response.topics {
        assert_eq!(ErrorCode::from(topic.error_code), ErrorCode::InvalidRequest);
    }
    let metadata = bench.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    assert!(metadata.topics.is_empty());
}

#[test]
fn metadata_creates_topics_only_where_both_sides_allow_it() {
    let ask = |bench: &mut Bench, name: &str, allow| {
        let wanted =
            m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = m::MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(allow);
        let response = bench.ask(1, 9, &request);
        ErrorCode::from(response.topics[0].error_code)
    };
    let mut bench = Bench::new(1);
    assert_eq!(ask(&mut bench, "t", false), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(ask(&mut bench, "t", true), ErrorCode::None);
    assert_eq!(ask(&mut bench, "t", false), ErrorCode::None);
    assert_eq!(ask(&mut bench, "a/b", true), ErrorCode::InvalidTopic);
    let mut strict = Bench::with(1, |config| config.auto_create_topics = false);
    assert_eq!(ask(&mut strict, "t", true), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut bench = Bench::new(1).topic("a", 1).topic("b", 1);
    let by_name =
        |name: &str| m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name(name)]);
    assert_eq!(bench.ask(1, 5, &by_name("a")).responses[0].error_code, 0);
    let code = bench.ask(1, 5, &by_name("a")).responses[0].error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::UnknownTopicOrPartition);
    let metadata = bench.ask(1, 12, &m::MetadataRequest::default().with_topics(None));
    assert_eq!(metadata.topics.len(), 1);
    let id = metadata.topics[0].topic_id;
    let state =
        m::delete_topics_request::DeleteTopicState::default().with_name(None).with_topic_id(id);
    let by_id = m::DeleteTopicsRequest::default().with_topics(vec![state]);
    let deleted = bench.ask(1, 6, &by_id);
    assert_eq!(deleted.responses[0].name, Some(topic_name("b")));
    let code = bench.ask(1, 6, &by_id).responses[0].error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::UnknownTopicId);
}

#[test]
fn a_topic_of_the_same_name_is_another_topic() {
    let mut bench = Bench::new(1).topic("t", 1);
    let all = m::MetadataRequest::default().with_topics(None);
    let first = bench.ask(1, 12, &all).topics[0].topic_id;
    let delete = m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]);
    bench.produce(1, "t", 0, &["a"]);
    bench.ask(1, 5, &delete);
    let mut bench = bench.topic("t", 1);
    assert_ne!(bench.ask(1, 12, &all).topics[0].topic_id, first);
    assert_eq!(bench.produce(1, "t", 0, &["a"]).base_offset, 0);
}

#[test]
fn partitions_are_added_but_never_taken() {
    let mut bench = Bench::new(2).topic("t", 2);
    let mut grow = |name: &str, count| {
        let topic = m::create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        let request = m::CreatePartitionsRequest::default().with_topics(vec![topic]);
        ErrorCode::from(bench.ask(1, 3, &request).results[0].error_code)
    };
    assert_eq!(grow("t", 2), ErrorCode::InvalidPartitions);
    assert_eq!(grow("t", 1), ErrorCode::InvalidPartitions);
    assert_eq!(grow("none", 3), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(grow("t", 5), ErrorCode::None);
    let metadata = bench.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    let leaders = metadata.topics[0].partitions.iter().map(|p| p.leader_id.0);
    assert_eq!(leaders.collect::<Vec<_>>(), [1, 2, 1, 2, 1]);
}

fn described(bench: &mut Bench, name: &str, key: &str) -> (Option<String>, i8) {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(key)]));
    let request = m::DescribeConfigsRequest::default().with_resources(vec![resource]);
    let response = bench.ask(1, 4, &request);
    assert_eq!(response.results[0].configs.len(), 1);
    let config = &response.results[0].configs[0];
    (config.value.as_ref().map(ToString::to_string), config.config_source)
}

#[test]
fn configs_are_described_and_altered() {
    let mut bench = Bench::new(1);
    create(&mut bench, "t", 1, &[config("retention.ms", "1000")]);
    let value = |text: &str, source| (Some(text.to_owned()), source);
    assert_eq!(described(&mut bench, "t", "retention.ms"), value("1000", 1));
    assert_eq!(described(&mut bench, "t", "cleanup.policy"), value("delete", 5));
    let mut alter = |name: &str, operation, new: Option<&str>| {
        let config = m::incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(new.map(text));
        let resource = m::incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![config]);
        let request = m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        ErrorCode::from(bench.ask(1, 1, &request).responses[0].error_code)
    };
    assert_eq!(alter("cleanup.policy", 2, Some("compact")), ErrorCode::None);
    assert_eq!(alter("cleanup.policy", 3, Some("delete")), ErrorCode::None);
    assert_eq!(alter("retention.ms", 1, None), ErrorCode::None);
    assert_eq!(alter("segment.ms", 0, Some("5")), ErrorCode::None);
    assert_eq!(alter("segment.ms", 0, Some("five")), ErrorCode::InvalidConfig);
    assert_eq!(alter("segment.ms", 2, Some("5")), ErrorCode::InvalidConfig);
    assert_eq!(alter("no.such", 0, Some("5")), ErrorCode::InvalidConfig);
    assert_eq!(described(&mut bench, "t", "cleanup.policy"), value("compact", 1));
    assert_eq!(described(&mut bench, "t", "retention.ms"), value("604800000", 5));
    assert_eq!(described(&mut bench, "t", "segment.ms"), value("5", 1));
}

#[test]
fn topics_are_described_page_by_page() {
    let mut bench = Bench::new(1).topic("a", 2).topic("b", 3).topic("c", 1);
    let mut request = m::DescribeTopicPartitionsRequest::default().with_response_partition_limit(3);
    let mut pages = Vec::new();
    loop {
        let response = bench.ask(1, 0, &request);
        let page: Vec<_> = response
            .topics
            .iter()
            .map(|topic| {
                let name = topic.name.as_ref().unwrap().to_string();
                let indexes: Vec<_> = topic.partitions.iter().map(|p| p.partition_index).collect();
                (name, indexes)
            })
            .collect();
        pages.push(page);
        let Some(next) = response.next_cursor else { break };
        request.cursor = Some(
            m::describe_topic_partitions_request::Cursor::default()
                .with_topic_name(next.topic_name)
                .with_partition_index(next.partition_index),
        );
    }
    let topic = |name: &str, indexes: &[i32]| (name.to_owned(), indexes.to_vec());
    assert_eq!(
        pages,
        [vec![topic("a", &[0, 1]), topic("b", &[0])], vec![topic("b", &[1, 2]), topic("c", &[0])],]
    );
}

#[test]
fn the_cluster_describes_itself() {
    let mut bench = Bench::new(3);
    bench.cluster.crash_node(1.into(), bench.now).unwrap();
    let request = m::DescribeClusterRequest::default().with_endpoint_type(1);
    let response = bench.ask(2, 2, &request.clone().with_include_fenced_brokers(true));
    assert_eq!(response.cluster_id.as_str(), bench.cluster.cluster_id().as_str());
    assert_eq!(response.controller_id, m::BrokerId(2));
    let nodes = response.brokers.iter().map(|node| (node.broker_id.0, node.is_fenced));
    assert_eq!(nodes.collect::<Vec<_>>(), [(1, true), (2, false), (3, false)]);
    assert_eq!(bench.ask(2, 1, &request).brokers.len(), 2);
    let controllers = m::DescribeClusterRequest::default().with_endpoint_type(2);
    let refused = bench.ask(2, 1, &controllers);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::MismatchedEndpointType);
}

#[test]
fn groups_have_a_coordinator_and_share_groups_none() {
    let mut bench = Bench::new(3);
    let keys = ["a", "b", "c", "d"].map(text).to_vec();
    let request = m::FindCoordinatorRequest::default().with_coordinator_keys(keys);
    let response = bench.ask(1, 6, &request);
    let home: Vec<_> = response.coordinators.iter().map(|found| found.node_id.0).collect();
    assert_eq!(response, bench.ask(3, 6, &request), "all nodes agree");
    let old = m::FindCoordinatorRequest::default().with_key(text("a"));
    assert_eq!(bench.ask(1, 3, &old).node_id.0, home[0]);
    bench.cluster.crash_node(home[0].into(), bench.now).unwrap();
    let alive = 1 + home[0] % 3;
    assert_ne!(bench.ask(alive, 3, &old).node_id.0, home[0]);
    let share = old.with_key_type(2);
    let refused = bench.ask(alive, 3, &share);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidRequest);
}
