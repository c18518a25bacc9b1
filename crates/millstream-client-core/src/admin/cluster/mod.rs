//! The cluster: its brokers and controllers, features, the quorum of its metadata.

mod describe;
mod features;
mod members;
mod quorum;

pub use describe::{Cluster, ClusterScope, describe_cluster};
pub use features::{
    FeatureUpdate, Features, FinalizedFeature, UpgradeType, describe_features, update_features,
};
pub use members::{VoterEndpoint, add_raft_voter, remove_raft_voter, unregister_broker};
pub use quorum::{Quorum, QuorumReplica, describe_metadata_quorum};
