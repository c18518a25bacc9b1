//! Replicas: electing leaders, moving them between brokers and between folders.

mod elect;
mod log_dirs;
mod reassign;

pub use elect::{Election, ElectionType, elect_leaders};
pub use log_dirs::{
    LogDir, LogDirs, ReplicaInLogDir, ReplicaLogDir, ReplicaLogDirs, TopicPartitionReplica,
    alter_replica_log_dirs, describe_log_dirs, describe_replica_log_dirs,
};
pub use reassign::{Reassignment, alter_partition_reassignments, list_partition_reassignments};
