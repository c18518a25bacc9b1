//! Every administrative API in every version: done, refused as a whole and by item, throttled.

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;

use crate::bench::{text, topic_name};
use crate::versions::sweep;

#[test]
fn rules_of_access() {
    // The clusters of a sweep have no authorizer.
    let disabled = ErrorCode::SecurityDisabled.code();
    let describe = m::DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, disabled, "{version}");
        },
    );
    let rule = m::create_acls_request::AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_resource_pattern_type(3)
        .with_principal(text("User:a"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let create = m::CreateAclsRequest::default().with_creations(vec![rule]);
    sweep(
        &create,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].error_code, disabled, "{version}");
        },
    );
    let filter = m::delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let delete = m::DeleteAclsRequest::default().with_filters(vec![filter]);
    sweep(
        &delete,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.filter_results[0].error_code, disabled, "{version}");
        },
    );
}

#[test]
fn users_and_tokens() {
    let upsertion = m::alter_user_scram_credentials_request::ScramCredentialUpsertion::default()
        .with_name(text("u"))
        .with_mechanism(1)
        .with_iterations(4096);
    let alter = m::AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
    sweep(
        &alter,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].error_code, 0, "{version}");
        },
    );
    let describe = m::DescribeUserScramCredentialsRequest::default().with_users(None);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert!(answer.results.is_empty(), "{version}");
        },
    );
    let refused = ErrorCode::DelegationTokenRequestNotAllowed.code();
    let create = m::CreateDelegationTokenRequest::default();
    let fit = |version, request: m::CreateDelegationTokenRequest| {
        if version < 3 {
            return request;
        }
        request.with_owner_principal_type(None).with_owner_principal_name(None)
    };
    sweep(&create, fit, |version, answer| {
        assert_eq!(answer.error_code, refused, "{version}");
        assert_eq!(&*answer.principal_name, "ANONYMOUS", "{version}");
    });
    sweep(
        &m::RenewDelegationTokenRequest::default(),
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, refused, "{version}");
        },
    );
    sweep(
        &m::ExpireDelegationTokenRequest::default(),
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, refused, "{version}");
        },
    );
    let describe = m::DescribeDelegationTokenRequest::default().with_owners(None);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, refused, "{version}");
        },
    );
}

#[test]
fn quotas() {
    use m::alter_client_quotas_request::{EntityData, EntryData, OpData};
    let entity =
        EntityData::default().with_entity_type(text("user")).with_entity_name(Some(text("u")));
    let op = OpData::default().with_key(text("producer_byte_rate")).with_value(1e6);
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let alter = m::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    sweep(
        &alter,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.entries[0].error_code, 0, "{version}");
        },
    );
    let describe = m::DescribeClientQuotasRequest::default();
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.entries.map(|entries| entries.len()), Some(0), "{version}");
        },
    );
}

#[test]
fn moves_and_elections() {
    let wanted = m::elect_leaders_request::TopicPartitions::default()
        .with_topic(topic_name("t"))
        .with_partitions(vec![0]);
    let elect = m::ElectLeadersRequest::default().with_topic_partitions(Some(vec![wanted]));
    sweep(
        &elect,
        |_, request| request,
        |version, answer| {
            let one = &answer.replica_election_results[0].partition_result[0];
            assert_eq!(one.error_code, ErrorCode::ElectionNotNeeded.code(), "{version}");
        },
    );
    let partition = m::alter_partition_reassignments_request::ReassignablePartition::default()
        .with_replicas(Some(vec![m::BrokerId(1)]));
    let topic = m::alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let alter = m::AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    sweep(
        &alter,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.responses[0].partitions[0].error_code, 0, "{version}");
        },
    );
    let topic = m::alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![0]);
    let directory = m::alter_replica_log_dirs_request::AlterReplicaLogDir::default()
        .with_path(text("/memory/1"))
        .with_topics(vec![topic]);
    let place = m::AlterReplicaLogDirsRequest::default().with_dirs(vec![directory]);
    sweep(
        &place,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].partitions[0].error_code, 0, "{version}");
        },
    );
}

#[test]
fn features_and_nodes() {
    let update = m::update_features_request::FeatureUpdateKey::default()
        .with_feature(text("transaction.version"))
        .with_max_version_level(1);
    let features = m::UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
    let fit = |version, mut request: m::UpdateFeaturesRequest| {
        let update = &mut request.feature_updates[0];
        if version == 0 {
            update.allow_downgrade = true;
        } else {
            update.upgrade_type = 2;
        }
        request
    };
    sweep(&features, fit, |version, answer| {
        assert_eq!(answer.error_code, 0, "{version}");
        assert_eq!(answer.results.len(), usize::from(version < 2), "{version}");
    });
    let partition = m::describe_quorum_request::PartitionData::default();
    let topic = m::describe_quorum_request::TopicData::default()
        .with_topic_name(topic_name("__cluster_metadata"))
        .with_partitions(vec![partition]);
    let quorum = m::DescribeQuorumRequest::default().with_topics(vec![topic]);
    sweep(
        &quorum,
        |_, request| request,
        |version, answer| {
            let one = &answer.topics[0].partitions[0];
            assert_eq!((one.error_code, one.leader_id, one.current_voters.len()), (0, 1.into(), 1));
            assert_eq!(answer.nodes.len(), usize::from(version >= 2), "{version}");
        },
    );
    let add = m::AddRaftVoterRequest::default().with_cluster_id(None);
    sweep(
        &add,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, ErrorCode::InvalidRequest.code(), "{version}");
        },
    );
    let remove = m::RemoveRaftVoterRequest::default().with_cluster_id(None);
    sweep(
        &remove,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, ErrorCode::InvalidRequest.code(), "{version}");
        },
    );
    let gone = m::UnregisterBrokerRequest::default().with_broker_id(9.into());
    sweep(
        &gone,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, ErrorCode::BrokerIdNotRegistered.code(), "{version}");
        },
    );
    let describe =
        m::ConsumerGroupDescribeRequest::default().with_group_ids(vec![m::GroupId(text("g"))]);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.groups[0].error_code, ErrorCode::GroupIdNotFound.code(), "{version}");
        },
    );
}
