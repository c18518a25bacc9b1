//! What the suites across crates share: clusters to run against, scenarios, deadlines and peers.
//!
//! A scenario is written once, as an async function over a [`cluster::TestCluster`], and expanded
//! into tests against the in-process broker and against real Kafka.

pub mod cluster;
pub mod deadline;
pub mod java;
pub mod matrix;
pub mod numbered;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod reading;
pub mod scenarios;
pub mod sim;
pub mod streams;
pub mod wire;
