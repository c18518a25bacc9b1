//! The deterministic core: every decision of the broker, without sockets, threads or clocks.
//!
//! Frames and the current time go in, frames come out; the same inputs give the same outputs.

pub(crate) mod acl;
pub(crate) mod batch;
mod cluster;
mod config;
pub(crate) mod configs;
pub(crate) mod connection;
mod controls;
pub(crate) mod fault;
pub(crate) mod frame;
pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod node;
pub(crate) mod placement;
pub(crate) mod producers;
pub(crate) mod quota;
pub(crate) mod reassign;
pub(crate) mod resource;
mod rng;
pub(crate) mod scram;
mod serving;
pub(crate) mod session;
pub(crate) mod state;
pub(crate) mod timers;
pub(crate) mod topic;
pub(crate) mod transaction;

pub use cluster::{Cluster, Output};
pub use config::{
    ClusterConfig, CreateTopicPolicy, GroupConfig, Limits, QuotaConfig, SecurityConfig,
    TransactionConfig,
};
pub use connection::ConnectionId;
pub use controls::ControlError;
pub use fault::{Fault, FaultBuilder};
pub use frame::ResponseFrame;
pub use transaction::TransactionSnapshot;
