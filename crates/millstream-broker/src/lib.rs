//! An in-process Kafka broker for development and tests.
//!
//! [`Broker::in_process`] starts real nodes on real sockets, with faults on demand. [`Cluster`] is the
//! same broker as a pure state machine: frames and the time in, frames out. All data is in memory
//! and gone when the broker is.

mod api;
mod core;
mod shell;

pub use core::{
    Cluster, ClusterConfig, ConnectionId, ControlError, CreateTopicPolicy, Fault, FaultBuilder,
    GroupConfig, Limits, Output, QuotaConfig, ResponseFrame, SecurityConfig, TransactionConfig,
    TransactionSnapshot,
};
pub use shell::{Broker, BrokerBuilder, RunningCluster, StartError};

pub use millstream_protocol::{ApiKey, ErrorCode};

/// The program of the broker's page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/broker.md")]
struct Guide;
