//! The admin machine and its operations: a file for each, a folder for each subject.
//!
//! A function such as [`create_topics`] makes an [`AdminCall`]; posted as a command it completes
//! with what the call's type says. Everything about tries, time and which broker to ask is the
//! same for all: `call` drives what `operation` describes, `machine` runs the calls.

mod acls;
mod call;
mod cluster;
mod command;
mod configs;
mod error;
mod everywhere;
mod groups;
mod machine;
mod offsets;
mod operation;
mod quotas;
mod replicas;
#[cfg(test)]
mod tests;
mod texts;
mod topics;
mod transactions;
mod users;
mod wire;

pub use crate::listing::{IsolationLevel, OffsetSpec};
pub use acls::{
    AclBinding, AclFilter, AclOperation, AclOperations, AclPatternFilter, AclPermission,
    AclResourceType, PatternType, create_acls, delete_acls, describe_acls,
};
pub use cluster::{
    Cluster, ClusterScope, FeatureUpdate, Features, FinalizedFeature, Quorum, QuorumReplica,
    UpgradeType, VoterEndpoint, add_raft_voter, describe_cluster, describe_features,
    describe_metadata_quorum, remove_raft_voter, unregister_broker, update_features,
};
pub use command::{AdminCall, AdminCommand, AdminCompletion};
pub use configs::{
    ConfigChange, ConfigDetail, ConfigEntry, ConfigKind, ConfigResource, ConfigSource,
    ConfigSynonym, ConfigType, alter_configs, describe_configs, list_config_resources,
};
pub use error::{AdminError, AdminErrors};
pub use groups::{
    ClassicGroup, ClassicMember, ConsumerGroup, GroupFilter, GroupListing, GroupMember,
    GroupOffsetsSpec, GroupState, GroupType, MemberToRemove, ShareGroup, ShareMember, ShareOffset,
    StreamsGroup, StreamsMember, StreamsSubtopology, StreamsTasks, StreamsTopicInfo,
    alter_group_offsets, alter_share_group_offsets, delete_group_offsets, delete_groups,
    delete_share_group_offsets, describe_classic_groups, describe_consumer_groups,
    describe_share_groups, describe_streams_groups, list_group_offsets, list_groups,
    list_share_group_offsets, remove_all_group_members, remove_group_members,
};
pub use machine::{AdminMachine, CALLS_MAX};
pub use offsets::{ListedOffset, delete_records, list_offsets};
pub use operation::Results;
pub use quotas::{
    QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch, Quotas, alter_client_quotas,
    describe_client_quotas,
};
pub use replicas::{
    Election, ElectionType, LogDir, LogDirs, Reassignment, ReplicaInLogDir, ReplicaLogDir,
    ReplicaLogDirs, TopicPartitionReplica, alter_partition_reassignments, alter_replica_log_dirs,
    describe_log_dirs, describe_replica_log_dirs, elect_leaders, list_partition_reassignments,
};
pub use texts::UnknownWord;
pub use topics::{
    CreatedTopic, NewPartitions, NewTopic, create_partitions, create_topics, delete_topics,
    delete_topics_by_id, describe_topics, list_topics,
};
pub use transactions::{
    AbortTransaction, ActiveProducer, FencedProducer, TransactionDescription, TransactionFilter,
    TransactionListing, TransactionState, abort_transaction, describe_producers,
    describe_transactions, fence_producers, list_transactions,
};
pub use users::{
    DelegationToken, KafkaPrincipal, NewDelegationToken, SaltedCredential, ScramChange,
    ScramIterations, ScramMechanism, alter_user_scram_credentials, create_delegation_token,
    describe_delegation_tokens, describe_user_scram_credentials, expire_delegation_token,
    renew_delegation_token,
};
