//! Topics and their configurations.

use std::time::SystemTime;

use millstream_protocol::messages as m;
use millstream_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};

use crate::peer::{Peer, name, text, topic_name};

fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn create(peer: &mut Peer, what: &str, topic: CreatableTopic) {
    let request =
        m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = peer.any().ask(7, &request);
    let created = &answer.topics[0];
    // Newer versions of Kafka say more behind this sentence.
    let message = created.error_message.as_deref().unwrap_or_default();
    let message = message.split(" or some brokers").next().unwrap_or_default();
    let said = format!(
        "{} {:?}, partitions {}, replicas {}, configs {:?}, an id {}",
        name(created.error_code),
        message.trim_end_matches('.'),
        created.num_partitions,
        created.replication_factor,
        created.configs.as_ref().map(Vec::len),
        !created.topic_id.is_nil()
    );
    peer.tell(what, said);
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
}

fn assign(index: i32, ids: &[i32]) -> CreatableReplicaAssignment {
    CreatableReplicaAssignment::default()
        .with_partition_index(index)
        .with_broker_ids(ids.iter().map(|id| m::BrokerId(*id)).collect())
}

pub(crate) fn life(peer: &mut Peer) {
    let dotted = peer.unique("a.b");
    create(peer, "new", topic(&dotted, 2, 1));
    create(peer, "again", topic(&dotted, 2, 1));
    create(peer, "folded alike", topic(&dotted.replace('.', "_"), 2, 1));
    for bad in ["", ".", "..", "a b", "a/b", &"x".repeat(250)] {
        create(peer, "a bad name", topic(bad, 1, 1));
    }
    let free = peer.unique("free");
    for (partitions, replicas) in [(0, 1), (-2, 1), (1, 0), (1, -3), (1, 9)] {
        create(peer, "bad numbers", topic(&free, partitions, replicas));
    }
    for (name, value) in [
        ("no.such", Some("1")),
        ("retention.ms", Some("soon")),
        ("retention.ms", Some("-2")),
        ("retention.ms", None),
        ("cleanup.policy", Some("compact,forget")),
        ("preallocate", Some("maybe")),
        ("message.timestamp.type", Some("Never")),
    ] {
        let topic = topic(&free, 1, 1).with_configs(vec![config(name, value)]);
        create(peer, "a bad configuration", topic);
    }
    for assignments in [
        vec![assign(0, &[1, 1])],
        vec![assign(0, &[99])],
        vec![assign(0, &[])],
        vec![assign(1, &[1])],
        vec![assign(0, &[1]), assign(0, &[2])],
        vec![assign(0, &[1]), assign(1, &[2, 1])],
    ] {
        create(peer, "a bad assignment", topic(&free, -1, -1).with_assignments(assignments));
    }
    let both = topic(&free, 1, -1).with_assignments(vec![assign(0, &[1])]);
    create(peer, "a number beside an assignment", both);
    peer.leader(&dotted);
    grow(peer, &dotted);
    delete(peer, &dotted);
}

fn grow(peer: &mut Peer, existing: &str) {
    use m::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
    for (name_of, count, ids) in [
        (existing, 2, None),
        (existing, 1, None),
        (existing, 0, None),
        ("none", 3, None),
        (existing, 4, Some(vec![1])),
        (existing, 3, Some(vec![77])),
        (existing, 3, Some(vec![1, 2])),
        (existing, 3, None),
    ] {
        let assignments = ids.map(|ids| {
            let ids = ids.into_iter().map(m::BrokerId).collect();
            vec![CreatePartitionsAssignment::default().with_broker_ids(ids)]
        });
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name_of))
            .with_count(count)
            .with_assignments(assignments);
        let request =
            m::CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let answer = peer.any().ask(3, &request);
        let grown = &answer.results[0];
        let message = grown.error_message.as_deref().unwrap_or_default();
        let said = format!("{} {message:?}", name(grown.error_code));
        peer.tell(&format!("{count} partitions"), said);
    }
}

fn delete(peer: &mut Peer, existing: &str) {
    let told = |answer: &m::DeleteTopicsResponse| {
        let deleted = &answer.responses[0];
        let message = deleted.error_message.as_deref().unwrap_or_default();
        format!("{} {message:?} {:?}", name(deleted.error_code), deleted.name)
    };
    let old = m::DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name(existing)])
        .with_timeout_ms(10_000);
    let answer = peer.any().ask(5, &old);
    peer.tell("deleted", told(&answer));
    // Every node learns of it in its own time.
    let begun = SystemTime::now();
    let gone =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(existing)));
    let gone = m::MetadataRequest::default().with_topics(Some(vec![gone]));
    while peer.any().ask(9, &gone).topics[0].error_code == 0 {
        assert!(begun.elapsed().unwrap().as_secs() < 20, "the topic stays");
    }
    let answer = peer.any().ask(5, &old);
    peer.tell("deleted again", told(&answer));
    let id = "c0ffee00-0000-4000-8000-000000000001".parse().unwrap();
    for (named, id) in [
        (None, id),
        (Some("none"), id),
        (None, Default::default()),
        (Some("none"), Default::default()),
    ] {
        let state = m::delete_topics_request::DeleteTopicState::default()
            .with_name(named.map(topic_name))
            .with_topic_id(id);
        let request =
            m::DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(10_000);
        let answer = peer.any().ask(6, &request);
        peer.tell(&format!("deleted {named:?} {id}"), told(&answer));
    }
}

pub(crate) fn configurations(peer: &mut Peer) {
    let topic = peer.topic("configured", 1, &[("retention.ms", "1000")]);
    peer.leader(&topic);
    let all = described(peer, &topic);
    for line in &all {
        peer.tell("described", line);
    }
    for (name_of, operation, value) in [
        ("cleanup.policy", 2, Some("compact")),
        ("cleanup.policy", 3, Some("delete")),
        ("retention.ms", 1, None),
        ("segment.ms", 0, Some("soon")),
        ("segment.ms", 2, Some("5")),
        ("segment.ms", 0, None),
        ("no.such", 0, Some("5")),
        ("no.such", 1, None),
        ("segment.ms", 0, Some("500000")),
    ] {
        use m::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let config = AlterableConfig::default()
            .with_name(text(name_of))
            .with_config_operation(operation)
            .with_value(value.map(text));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(&topic))
            .with_configs(vec![config]);
        let request = m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = peer.any().ask(1, &request);
        let altered = &answer.responses[0];
        let message = altered.error_message.as_deref().unwrap_or_default();
        let said = format!("{} {message:?}", name(altered.error_code));
        peer.tell(&format!("altered {name_of} by {operation}"), said);
    }
    let begun = SystemTime::now();
    while !described(peer, &topic).iter().any(|line| line.starts_with("segment.ms=500000 ")) {
        assert!(begun.elapsed().unwrap().as_secs() < 20, "the configuration does not change");
    }
    for line in described(peer, &topic) {
        peer.tell("described after", line);
    }
}

/// All configurations but those that the operator of the real cluster has set.
fn described(peer: &Peer, topic: &str) -> Vec<String> {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let request = m::DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = peer.any().ask(4, &request);
    let configs = answer.results[0].configs.iter();
    let configs = configs.filter(|config| &*config.name != "min.insync.replicas");
    let mut lines: Vec<_> = configs
        .map(|config| {
            let value = config.value.as_deref().unwrap_or_default();
            let (source, kind) = (config.config_source, config.config_type);
            format!("{}={value} from {source}, type {kind}", &*config.name)
        })
        .collect();
    lines.sort_unstable();
    lines
}
