//! Partitions that move, leaders that are elected, nodes that are forgotten, controllers that change.

use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_types::{BrokerId, TopicPartition};

use crate::bench::{Bench, text, topic_name};

/// Leader, epoch and replicas of the first partition of `t`.
fn placed(bench: &mut Bench, node: i32) -> (i32, i32, Vec<i32>) {
    let wanted =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
    let answer = bench.ask(node, 9, &m::MetadataRequest::default().with_topics(Some(vec![wanted])));
    let one = &answer.topics[0].partitions[0];
    let replicas = one.replica_nodes.iter().map(|id| id.0).collect();
    (one.leader_id.0, one.leader_epoch, replicas)
}

fn reassign(bench: &mut Bench, to: Option<&[i32]>) -> ErrorCode {
    let replicas = to.map(|ids| ids.iter().map(|id| m::BrokerId(*id)).collect());
    let partition = m::alter_partition_reassignments_request::ReassignablePartition::default()
        .with_replicas(replicas);
    let topic = m::alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = m::AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    ErrorCode::from(bench.ask(1, 1, &request).responses[0].partitions[0].error_code)
}

/// Replicas, those that come and those that go, of the one move.
fn moving(bench: &mut Bench) -> Option<[Vec<i32>; 3]> {
    let request = m::ListPartitionReassignmentsRequest::default().with_topics(None);
    let answer = bench.ask(1, 0, &request);
    let one = answer.topics.first()?.partitions.first()?;
    let ids = |ids: &[m::BrokerId]| ids.iter().map(|id| id.0).collect();
    Some([ids(&one.replicas), ids(&one.adding_replicas), ids(&one.removing_replicas)])
}

fn one_replica(time: Duration) -> Bench {
    let change = |config: &mut millstream_broker::ClusterConfig| {
        config.default_replication_factor = Some(1);
        config.reassignment_time = time;
    };
    Bench::with(3, change).topic("t", 1)
}

#[test]
fn a_move_takes_its_time_and_the_log_goes_with_it() {
    let mut bench = one_replica(Duration::from_secs(5));
    bench.produce(1, "t", 0, &["kept"]);
    assert_eq!(reassign(&mut bench, Some(&[2, 3])), ErrorCode::None);
    let [replicas, adding, removing] = moving(&mut bench).unwrap();
    assert_eq!((replicas, adding, removing), (vec![2, 3, 1], vec![2, 3], vec![1]));
    assert_eq!(placed(&mut bench, 1).0, 1, "the old leader leads until the move is done");
    bench.pass(Duration::from_secs(5));
    assert_eq!(moving(&mut bench), None);
    assert_eq!(placed(&mut bench, 1), (2, 1, vec![2, 3]));
    assert_eq!(bench.produce(2, "t", 0, &["more"]).base_offset, 1);
}

#[test]
fn a_move_can_be_cancelled_or_redirected() {
    let mut bench = one_replica(Duration::from_secs(5));
    assert_eq!(reassign(&mut bench, None), ErrorCode::NoReassignmentInProgress);
    assert_eq!(reassign(&mut bench, Some(&[2])), ErrorCode::None);
    assert_eq!(reassign(&mut bench, Some(&[3])), ErrorCode::None);
    assert_eq!(moving(&mut bench).unwrap()[0], [3, 1]);
    assert_eq!(reassign(&mut bench, None), ErrorCode::None);
    assert_eq!(moving(&mut bench), None);
    bench.pass(Duration::from_secs(60));
    let (leader, _, replicas) = placed(&mut bench, 1);
    assert_eq!((leader, replicas), (1, vec![1]));
}

#[test]
fn the_number_of_replicas_may_be_kept() {
    let mut bench = one_replica(Duration::ZERO);
    let partition = m::alter_partition_reassignments_request::ReassignablePartition::default()
        .with_replicas(Some(vec![m::BrokerId(2), m::BrokerId(3)]));
    let topic = m::alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = m::AlterPartitionReassignmentsRequest::default()
        .with_allow_replication_factor_change(false)
        .with_topics(vec![topic]);
    let answer = bench.ask(1, 1, &request);
    let code = ErrorCode::from(answer.responses[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::InvalidReplicationFactor);
    assert_eq!(reassign(&mut bench, Some(&[2])), ErrorCode::None);
    assert_eq!(placed(&mut bench, 1).0, 2, "without a time, a move is done at once");
}

fn elect(bench: &mut Bench, node: i32, kind: i8) -> ErrorCode {
    let wanted = m::elect_leaders_request::TopicPartitions::default()
        .with_topic(topic_name("t"))
        .with_partitions(vec![0]);
    let request = m::ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_topic_partitions(Some(vec![wanted]));
    let answer = bench.ask(node, 2, &request);
    ErrorCode::from(answer.replica_election_results[0].partition_result[0].error_code)
}

#[test]
fn the_preferred_replica_is_elected_when_it_is_back() {
    let mut bench = Bench::new(3).topic("t", 1);
    assert_eq!(elect(&mut bench, 2, 0), ErrorCode::ElectionNotNeeded);
    bench.cluster.crash_node(BrokerId(1), bench.now).unwrap();
    assert_eq!(elect(&mut bench, 2, 0), ErrorCode::PreferredLeaderNotAvailable);
    bench.cluster.restart_node(BrokerId(1), bench.now).unwrap();
    assert_eq!(placed(&mut bench, 2).0, 2);
    let all = m::ElectLeadersRequest::default().with_topic_partitions(None);
    let elected = bench.ask(2, 2, &all);
    assert_eq!(elected.replica_election_results.len(), 1);
    assert_eq!(placed(&mut bench, 2).0, 1);
    assert!(bench.ask(2, 2, &all).replica_election_results.is_empty(), "none is needed");
}

#[test]
fn an_unclean_election_takes_whoever_is_alive() {
    let change = |config: &mut millstream_broker::ClusterConfig| {
        config.default_replication_factor = Some(2);
    };
    let mut bench = Bench::with(3, change).topic("t", 1);
    bench.cluster.crash_node(BrokerId(1), bench.now).unwrap();
    bench.cluster.crash_node(BrokerId(2), bench.now).unwrap();
    assert_eq!(elect(&mut bench, 3, 1), ErrorCode::EligibleLeadersNotAvailable);
    bench.cluster.move_controller(BrokerId(3)).unwrap();
    assert_eq!(placed(&mut bench, 3).0, -1);
}

#[test]
fn a_forgotten_node_is_told_to_nobody_until_it_is_back() {
    let mut bench = Bench::new(3).topic("t", 1);
    let gone = m::UnregisterBrokerRequest::default().with_broker_id(1.into());
    assert_eq!(bench.ask(2, 0, &gone).error_code, 0);
    let again = bench.ask(2, 0, &gone);
    assert_eq!(ErrorCode::from(again.error_code), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(placed(&mut bench, 2).0, 2);
    let all = m::DescribeClusterRequest::default()
        .with_endpoint_type(1)
        .with_include_fenced_brokers(true);
    assert_eq!(bench.ask(2, 2, &all).brokers.len(), 2);
    bench.cluster.crash_node(BrokerId(1), bench.now).unwrap();
    bench.cluster.restart_node(BrokerId(1), bench.now).unwrap();
    assert_eq!(bench.ask(2, 2, &all).brokers.len(), 3);
}

#[test]
fn the_controller_alone_may_be_asked_where_that_is_wanted() {
    let mut bench = Bench::with(3, |config| config.controller_only = true).topic("t", 1);
    bench.cluster.move_controller(BrokerId(2)).unwrap();
    let metadata = bench.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    assert_eq!(metadata.controller_id, m::BrokerId(2));
    let delete = m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]);
    let refused = bench.ask(1, 5, &delete);
    assert_eq!(ErrorCode::from(refused.responses[0].error_code), ErrorCode::NotController);
    assert_eq!(bench.ask(2, 5, &delete).responses[0].error_code, 0);
    bench.cluster.crash_node(BrokerId(2), bench.now).unwrap();
    let metadata = bench.ask(1, 9, &m::MetadataRequest::default().with_topics(None));
    assert_eq!(metadata.controller_id, m::BrokerId(1), "another one takes over");
}

#[test]
fn replicas_change_directories() {
    let mut bench = Bench::new(1).topic("t", 1);
    let place = |path: &str| {
        let topic = m::alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![0]);
        let directory = m::alter_replica_log_dirs_request::AlterReplicaLogDir::default()
            .with_path(text(path))
            .with_topics(vec![topic]);
        m::AlterReplicaLogDirsRequest::default().with_dirs(vec![directory])
    };
    let code = |answer: &m::AlterReplicaLogDirsResponse| {
        ErrorCode::from(answer.results[0].partitions[0].error_code)
    };
    assert_eq!(code(&bench.ask(1, 2, &place("/elsewhere"))), ErrorCode::LogDirNotFound);
    assert_eq!(code(&bench.ask(1, 2, &place("/memory/1"))), ErrorCode::None);
    let all = m::DescribeLogDirsRequest::default().with_topics(None);
    let topics: Vec<_> = bench.ask(1, 4, &all).results.iter().map(|one| one.topics.len()).collect();
    assert_eq!(topics, [0, 1]);
}

#[test]
fn a_moved_leader_is_hinted_at() {
    let mut bench = Bench::new(3).topic("t", 1);
    bench.cluster.move_leader(&TopicPartition::new("t", 0), BrokerId(3), bench.now).unwrap();
    let write = crate::bench::produce_request("t", 0, crate::bench::batch(&["a"]));
    let answer = bench.ask(1, 10, &write);
    let one = &answer.responses[0].partition_responses[0];
    assert_eq!(ErrorCode::from(one.error_code), ErrorCode::NotLeaderOrFollower);
    let hint = &one.current_leader;
    assert_eq!((hint.leader_id, hint.leader_epoch), (m::BrokerId(3), 1));
    assert_eq!(answer.node_endpoints[0].node_id, m::BrokerId(3));
    assert_eq!(answer.node_endpoints[0].port, 9003);
}
