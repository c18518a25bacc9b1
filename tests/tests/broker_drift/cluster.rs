//! Elections, moves, directories, features, the quorum, nodes.

use millstream_protocol::messages as m;

use crate::peer::{Peer, eventually, name, text, topic_name};

fn moves(peer: &Peer, topic: &str) -> usize {
    use m::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
    let wanted = ListPartitionReassignmentsTopics::default()
        .with_name(topic_name(topic))
        .with_partition_indexes(vec![0, 1]);
    let request = m::ListPartitionReassignmentsRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_timeout_ms(10_000);
    peer.any().ask(0, &request).topics.len()
}

/// The leader and the replicas of a topic's first partition.
fn placed(peer: &Peer, topic: &str) -> (i32, Vec<i32>, Vec<i32>) {
    let wanted =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let answer = peer.any().ask(9, &m::MetadataRequest::default().with_topics(Some(vec![wanted])));
    let partition = &answer.topics[0].partitions[0];
    let mut isr: Vec<_> = partition.isr_nodes.iter().map(|id| id.0).collect();
    isr.sort_unstable();
    (partition.leader_id.0, partition.replica_nodes.iter().map(|id| id.0).collect(), isr)
}

pub(crate) fn reassignments(peer: &mut Peer) {
    use m::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let topic = peer.assigned("moved", &[1]);
    let alter = |peer: &mut Peer, what: &str, of: &str, index, to: Option<&[i32]>, change| {
        let replicas = to.map(|ids| ids.iter().map(|id| m::BrokerId(*id)).collect());
        let partition =
            ReassignablePartition::default().with_partition_index(index).with_replicas(replicas);
        let topic =
            ReassignableTopic::default().with_name(topic_name(of)).with_partitions(vec![partition]);
        let request = m::AlterPartitionReassignmentsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000)
            .with_allow_replication_factor_change(change);
        let answer = peer.any().ask(1, &request);
        let one = &answer.responses[0].partitions[0];
        let message = one.error_message.as_deref();
        let whole = (name(answer.error_code), answer.error_message.as_deref());
        let echoed = answer.allow_replication_factor_change;
        let said = format!("{whole:?} {echoed} {} {message:?}", name(one.error_code));
        peer.tell(what, said);
    };
    alter(peer, "another topic", "none-at-all", 0, Some(&[1]), true);
    alter(peer, "another partition", &topic, 7, Some(&[1]), true);
    alter(peer, "nobody", &topic, 0, Some(&[]), true);
    alter(peer, "twice", &topic, 0, Some(&[2, 2]), true);
    alter(peer, "an unknown node", &topic, 0, Some(&[77]), true);
    alter(peer, "nothing to cancel", &topic, 0, None, true);
    alter(peer, "more replicas, forbidden", &topic, 0, Some(&[2, 3]), false);
    alter(peer, "another node", &topic, 0, Some(&[2]), false);
    eventually(|| moves(peer, &topic) == 0 && placed(peer, &topic).0 == 2);
    let there = placed(peer, &topic);
    peer.tell("moved to", format!("{there:?}"));
    alter(peer, "more replicas", &topic, 0, Some(&[3, 2]), true);
    eventually(|| moves(peer, &topic) == 0 && placed(peer, &topic).2.len() == 2);
    let there = placed(peer, &topic);
    peer.tell("moved to", format!("{there:?}"));
    elections(peer, &topic);
}

fn elections(peer: &mut Peer, topic: &str) {
    use m::elect_leaders_request::TopicPartitions;
    let elect = |peer: &mut Peer, what: &str, kind, of: &str, index| {
        let wanted =
            TopicPartitions::default().with_topic(topic_name(of)).with_partitions(vec![index]);
        let request = m::ElectLeadersRequest::default()
            .with_election_type(kind)
            .with_topic_partitions(Some(vec![wanted]))
            .with_timeout_ms(10_000);
        let answer = peer.any().ask(2, &request);
        let one = &answer.replica_election_results[0].partition_result[0];
        let message = one.error_message.as_deref();
        let said = format!("{} {} {message:?}", name(answer.error_code), name(one.error_code));
        peer.tell(what, said);
    };
    elect(peer, "elected of another topic", 0, "none-at-all", 0);
    elect(peer, "elected of another partition", 0, topic, 9);
    elect(peer, "elected", 0, topic, 0);
    eventually(|| placed(peer, topic).0 == 3);
    elect(peer, "elected again", 0, topic, 0);
    elect(peer, "elected uncleanly", 1, topic, 0);
    let there = placed(peer, topic);
    peer.tell("led by the preferred", format!("{there:?}"));
}

pub(crate) fn directories(peer: &mut Peer) {
    use m::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
    let topic = peer.assigned("placed", &[1]);
    peer.leader(&topic);
    let mut alter = |what: &str, node, path: &str, of: &str| {
        let topic =
            AlterReplicaLogDirTopic::default().with_name(topic_name(of)).with_partitions(vec![0]);
        let directory =
            AlterReplicaLogDir::default().with_path(text(path)).with_topics(vec![topic]);
        let request = m::AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
        let answer = peer.node(node).ask(2, &request);
        let one = &answer.results[0].partitions[0];
        peer.tell(what, format!("{} {}", &*answer.results[0].topic_name, name(one.error_code)));
    };
    alter("nowhere", 1, "/no/such/directory", &topic);
    let wanted = m::describe_log_dirs_request::DescribableLogDirTopic::default()
        .with_topic(topic_name(&topic))
        .with_partitions(vec![0]);
    let request = m::DescribeLogDirsRequest::default().with_topics(Some(vec![wanted]));
    let directories = |peer: &Peer| {
        let answer = peer.node(1).ask(4, &request);
        let results = answer.results.into_iter();
        results.map(|one| (one.log_dir.to_string(), one.error_code, one.topics.len())).collect()
    };
    let before: Vec<(String, i16, usize)> = directories(peer);
    let free = before.iter().find(|one| one.2 == 0).unwrap().0.clone();
    let mut alter = |what: &str, node, path: &str, of: &str| {
        let topic =
            AlterReplicaLogDirTopic::default().with_name(topic_name(of)).with_partitions(vec![0]);
        let directory =
            AlterReplicaLogDir::default().with_path(text(path)).with_topics(vec![topic]);
        let request = m::AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
        let answer = peer.node(node).ask(2, &request);
        peer.tell(what, name(answer.results[0].partitions[0].error_code));
    };
    alter("another topic", 1, &free, "none-at-all");
    alter("moved", 1, &free, &topic);
    eventually(|| {
        let now: Vec<(String, i16, usize)> = directories(peer);
        now.iter().any(|one| one.0 == free && one.2 == 1)
            && now.iter().filter(|one| one.2 > 0).count() == 1
    });
    let codes: Vec<_> = before.iter().map(|one| name(one.1)).collect();
    peer.tell("directories", format!("{codes:?}"));
}

pub(crate) fn features(peer: &mut Peer) {
    use m::update_features_request::FeatureUpdateKey;
    for (what, feature, level, kind) in [
        ("another feature", "no.such.feature", 1, 1),
        ("an unknown type", "transaction.version", 2, 9),
        ("too high", "transaction.version", 99, 1),
        ("below nothing", "transaction.version", -1, 1),
        ("lower without saying so", "transaction.version", 1, 1),
        ("lower", "transaction.version", 1, 2),
        ("lower unsafely", "transaction.version", 0, 3),
        ("the same", "transaction.version", 2, 1),
    ] {
        let update = FeatureUpdateKey::default()
            .with_feature(text(feature))
            .with_max_version_level(level)
            .with_upgrade_type(kind);
        let request = m::UpdateFeaturesRequest::default()
            .with_timeout_ms(10_000)
            .with_feature_updates(vec![update])
            .with_validate_only(true);
        for version in [1, 2] {
            let answer = peer.any().ask(version, &request);
            // Which controller says it depends on who is active.
            let blur = |text: &str| {
                let words = text
                    .split("controller ")
                    .map(|rest| rest.strip_prefix(|c: char| c.is_ascii_digit()).unwrap_or(rest));
                words.collect::<Vec<_>>().join("controller ")
            };
            let results: Vec<_> = answer
                .results
                .iter()
                .map(|one| (name(one.error_code), one.error_message.as_deref().map(blur)))
                .collect();
            let message = answer.error_message.as_deref().map(blur);
            let said = format!("{} {message:?} {results:?}", name(answer.error_code));
            peer.tell(&format!("{what} {version}"), said);
        }
    }
}

pub(crate) fn quorum(peer: &mut Peer) {
    use m::describe_quorum_request::{PartitionData, TopicData};
    for (topic, index) in [("__cluster_metadata", 0), ("__cluster_metadata", 1), ("other", 0)] {
        let partition = PartitionData::default().with_partition_index(index);
        let wanted = TopicData::default()
            .with_topic_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = m::DescribeQuorumRequest::default().with_topics(vec![wanted]);
        let answer = peer.any().ask(2, &request);
        let one = &answer.topics[0].partitions[0];
        let mut voters: Vec<_> = one.current_voters.iter().map(|one| one.replica_id.0).collect();
        voters.sort_unstable();
        let led = voters.contains(&one.leader_id.0);
        let code = (name(answer.error_code), answer.error_message.as_deref());
        let said = (name(one.error_code), one.error_message.as_deref());
        let (nodes, observers) = (answer.nodes.len(), one.observers.len());
        let said = format!("{code:?} {said:?} {voters:?} led {led} {nodes} {observers}");
        peer.tell(&format!("{topic}-{index}"), said);
    }
    let directory = "c0ffee00-0000-4000-8000-000000000001".parse().unwrap();
    for directory in [Default::default(), directory] {
        let listener = m::add_raft_voter_request::Listener::default()
            .with_name(text("CONTROLLER"))
            .with_host(text("localhost"))
            .with_port(9999);
        let add = m::AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(10_000)
            .with_voter_id(9)
            .with_voter_directory_id(directory)
            .with_listeners(vec![listener]);
        let answer = peer.any().ask(0, &add);
        let message = answer.error_message.as_deref();
        peer.tell("a voter more", format!("{} {message:?}", name(answer.error_code)));
        let remove = m::RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(9)
            .with_voter_directory_id(directory);
        let answer = peer.any().ask(0, &remove);
        let message = answer.error_message.as_deref();
        peer.tell("a voter less", format!("{} {message:?}", name(answer.error_code)));
    }
    let gone = m::UnregisterBrokerRequest::default().with_broker_id(m::BrokerId(99));
    let answer = peer.any().ask(0, &gone);
    let message = answer.error_message.as_deref();
    peer.tell("an unknown node", format!("{} {message:?}", name(answer.error_code)));
}

pub(crate) fn consumer_groups(peer: &mut Peer) {
    let group = peer.unique("classic");
    let (mut wire, _) = peer.coordinator(&group);
    let ids = vec![m::GroupId(text(&group)), m::GroupId(text(""))];
    let request = m::ConsumerGroupDescribeRequest::default().with_group_ids(ids);
    let mut answer = wire.ask(1, &request);
    answer.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    for one in &answer.groups {
        let message = one.error_message.as_deref();
        let said = format!("{:?} {} {message:?}", &**one.group_id, name(one.error_code));
        peer.tell("described", said);
    }
}
