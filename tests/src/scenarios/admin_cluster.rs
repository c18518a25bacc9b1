//! Admin calls about the cluster and its replicas.

use millstream_client::admin::{
    AclOperation, AdminError, ClusterScope, Election, ElectionType, FeatureUpdate,
    TopicPartitionReplica, UpgradeType, VoterEndpoint,
};
use millstream_client::{Admin, ErrorCode, Record};
use millstream_types::{BrokerId, TopicId, TopicPartition};

use crate::cluster::TestCluster;
use crate::deadline::{eventually, step};

fn code(error: &AdminError) -> Option<ErrorCode> {
    match error {
        AdminError::Call(error) => error.code(),
        _ => None,
    }
}

/// Brokers with what may be done to the cluster; controllers only from controllers.
pub async fn the_cluster_tells_who_belongs_to_it(cluster: &TestCluster) {
    let admin = cluster.admin().with_authorized_operations();
    let described = admin.describe_cluster_with(ClusterScope::RegisteredBrokers).await;
    if cluster.is_before(4, 0) {
        assert!(matches!(described, Err(AdminError::Call(error)) if error.is_unsupported()));
        return;
    }
    let described = described.expect("a description");
    assert_eq!(described.brokers.len(), 3);
    assert!(described.fenced.is_empty());
    if cluster.version().is_some() {
        let operations = described.authorized_operations.expect("they were asked for");
        assert!(operations.contains(AclOperation::Alter));
        assert!(operations.iter().any(|operation| operation == AclOperation::Describe));
        let error = admin.describe_cluster_with(ClusterScope::Controllers).await.unwrap_err();
        assert_eq!(code(&error), Some(ErrorCode::MismatchedEndpointType), "{error}");
    }
}

/// Features and the quorum are told; levels that cannot be are refused.
pub async fn features_and_the_quorum_are_told(cluster: &TestCluster) {
    let admin = cluster.admin();
    let features = admin.describe_features().await.expect("features");
    let name = if cluster.is_before(4, 0) { "metadata.version" } else { "transaction.version" };
    let version = features.finalized[name];
    let supported = features.supported[name];
    assert!(version.max_level <= supported.max, "{features:?}");
    assert!(features.finalized_epoch.is_some());
    let update = FeatureUpdate { max_level: 9999, upgrade_type: UpgradeType::Upgrade };
    let error = admin.validate_update_features([(name, update)]).await.unwrap_err();
    assert!(error.failed().all(|(_, error)| error.code().is_some()), "{error}");
    let error = admin.update_features([(name, update)]).await.unwrap_err();
    assert!(error.failed().all(|(_, error)| error.code().is_some()), "{error}");

    let quorum = admin.describe_metadata_quorum().await.expect("a quorum");
    assert_eq!(quorum.voters.len(), 3);
    assert!(quorum.leader.is_some_and(|leader| quorum.voters.iter().any(|v| v.id == leader)));

    step("no voter joins or leaves a static quorum, and no broker that is not there");
    let endpoint = VoterEndpoint {
        listener: "CONTROLLER".to_owned(),
        endpoint: millstream_client::admin::Endpoint { host: "localhost".to_owned(), port: 1 },
    };
    let directory = TopicId::ZERO.0;
    let error = admin.add_raft_voter(BrokerId(9), directory, [endpoint]).await.unwrap_err();
    assert!(code(&error).is_some(), "{error}");
    let error = admin.remove_raft_voter(BrokerId(9), directory).await.unwrap_err();
    assert!(code(&error).is_some(), "{error}");
    let error = admin.unregister_broker(BrokerId(99)).await.unwrap_err();
    assert_eq!(code(&error), Some(ErrorCode::BrokerIdNotRegistered), "{error}");
}

/// Partitions move to other brokers, the first of them is elected, and a move is called off.
pub async fn partitions_move_and_elect(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("moving", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let described = admin.describe_topics([&*topic]).await.expect("a description");
    let mut replicas = described[&*topic].partitions[&partition.partition].replicas.clone();
    replicas.rotate_left(1);
    let target = [(partition.clone(), Some(replicas.clone()))];
    admin.alter_partition_reassignments(target).await.expect("it moves");
    eventually("nothing moves any more", || async {
        let moving = admin.list_partition_reassignments([partition.clone()]).await;
        moving.expect("a list").is_empty()
    })
    .await;
    let all = admin.list_all_partition_reassignments().await.expect("a list");
    assert!(!all.contains_key(&partition));
    let error = admin.alter_partition_reassignments([(partition.clone(), None)]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::NoReassignmentInProgress), "{error}");

    step("the first replica is elected, once");
    cluster.wait_for_replicas(&topic).await;
    eventually("the first replica leads", || async {
        let elected = admin.elect_leaders(ElectionType::Preferred, [partition.clone()]).await;
        drop(elected);
        cluster.leader(&partition).await == replicas[0]
    })
    .await;
    let again = admin.elect_leaders(ElectionType::Preferred, [partition.clone()]).await;
    assert_eq!(again.expect("a result")[&partition], Election::NotNeeded);
    let unclean = admin.elect_leaders(ElectionType::Unclean, [partition.clone()]).await;
    assert_eq!(unclean.expect("a result")[&partition], Election::NotNeeded);
    let absent = TopicPartition::new(&*topic, 7);
    let error = admin.elect_leaders(ElectionType::Preferred, [absent]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
}

/// Folders tell what is in them; on real Kafka a replica moves from one to the other.
pub async fn folders_tell_what_is_in_them(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("foldered", 1).await;
    let producer = cluster.producer().build().await.expect("a producer");
    producer.send(&Record::to(&topic).value("v")).await.expect("it is written");
    let partition = TopicPartition::new(&*topic, 0);
    let broker = cluster.leader(&partition).await;
    let replica = TopicPartitionReplica { partition: partition.clone(), broker };
    let folders = admin.describe_log_dirs([broker]).await.expect("folders");
    let folders = &folders[&broker];
    let holds = |folder: &millstream_client::admin::LogDir| {
        folder.replicas.get(&partition).is_some_and(|replica| replica.size > 0)
    };
    let holding: Vec<_> =
        folders.iter().filter(|(_, folder)| folder.as_ref().is_ok_and(holds)).collect();
    assert_eq!(holding.len(), 1, "{folders:?}");
    let found = admin.describe_replica_log_dirs([replica.clone()]).await.expect("its folder");
    let current = found[&replica].current.as_ref().expect("it is held").path.clone();
    assert_eq!(current, *holding[0].0);
    let other = folders.keys().find(|path| **path != current);
    if cluster.version().is_none() {
        return;
    }
    step("the replica moves to the other folder");
    let other = other.expect("nodes have two folders").clone();
    let target = [(replica.clone(), other.clone())];
    admin.alter_replica_log_dirs(target).await.expect("it moves");
    eventually("the replica is in the other folder", || async {
        let found = admin.describe_replica_log_dirs([replica.clone()]).await.expect("its folder");
        let current = found[&replica].current.as_ref();
        found[&replica].future.is_none() && current.is_some_and(|folder| folder.path == other)
    })
    .await;
    let error = admin.alter_replica_log_dirs([(replica, "/no/such/folder")]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::LogDirNotFound), "{error}");
}

/// A client of controllers describes them, and is refused what only brokers serve (KIP-919).
pub async fn controllers_speak_for_themselves(cluster: &TestCluster) {
    let quorum = cluster.admin().describe_metadata_quorum().await.expect("a quorum");
    let listeners = quorum.endpoints.values().flat_map(std::collections::BTreeMap::values);
    let addresses: Vec<_> = listeners.map(ToString::to_string).collect();
    if cluster.version().is_none() {
        // The in-process broker has no controllers beside its brokers.
        return;
    }
    assert_eq!(addresses.len(), 3, "{quorum:?}");
    let admin = Admin::builder_for_controllers(addresses.clone()).connect().await;
    let admin = admin.expect("controllers answer");
    let described = admin.describe_cluster().await.expect("a description");
    assert_eq!(described.controller, quorum.leader);
    let found: Vec<_> = described.brokers.values().map(|node| node.endpoint.to_string()).collect();
    assert_eq!(found, addresses);
    let again = admin.describe_metadata_quorum().await.expect("a quorum");
    assert_eq!(again.voters.len(), 3);
    let AdminError::Call(error) = admin.list_topics().await.unwrap_err() else {
        panic!("the client is closed");
    };
    assert!(error.is_unsupported(), "{error}");
}
