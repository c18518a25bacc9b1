//! A stream processor for Kafka of Kafka Streams' class, in Rust.
//!
//! A program is a [`Topology`], built with [`StreamsBuilder`] from typed operators. [`KafkaStreams`]
//! runs it: its threads join a consumer group, are given tasks, keep their state in sled and in
//! changelog topics, and commit what they have done. Names, topics and bytes are Java Kafka
//! Streams', so that Rust and Java instances can take over from each other.

mod application;
mod assignment;
mod config;
mod error;
mod internal_topics;
mod lifecycle;
mod metrics;
mod state;
mod state_dir;
mod streams;
mod sync;
mod thread;
mod uncaught;
mod updater;

pub use assignment::AssignmentDataError;
pub use error::{InternalTopicError, StartError, StreamsConfigError, StreamsError};
pub use metrics::StreamsMetrics;
pub use millstream_core::*;
pub use state::KafkaStreamsState;
pub use state_dir::StateDirError;
pub use streams::{Close, KafkaStreams, KafkaStreamsBuilder};
pub use uncaught::UncaughtResponse;

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
