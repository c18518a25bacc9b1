//! A stream processor for Kafka of Kafka Streams' class, in Rust.
//!
//! A program is a [`Topology`], built with [`StreamsBuilder`] from typed operators. [`KafkaStreams`]
//! runs it: its threads join a consumer group, are given tasks, keep their state in sled and in
//! changelog topics, and commit what they have done. Names, topics and bytes are Java Kafka
//! Streams', so that Rust and Java instances can take over from each other.
//!
//! ```
//! use std::time::Duration;
//!
//! use millstream::{Close, KafkaStreams, StreamsBuilder, TopologyTestDriver};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<String, String>("lines")
//!     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .count()
//!     .to_stream()
//!     .to("counts");
//! let topology = builder.build()?;
//!
//! // In a test, without a cluster:
//! let driver = TopologyTestDriver::new(&topology);
//! driver.input::<String, String>("lines").pipe_value("to be or not to be");
//! let counts = driver.output::<String, i64>("counts");
//! counts.assert_next([("to", 1), ("be", 1), ("or", 1), ("not", 1), ("to", 2), ("be", 2)]);
//!
//! // In earnest, here on a broker inside the process:
//! let broker = millstream_broker::Broker::in_process().start().await?;
//! broker.create_topic("lines", 4)?;
//! broker.create_topic("counts", 4)?;
//! let state = tempfile::tempdir()?;
//! let app = KafkaStreams::builder(topology, "word-count", [broker.bootstrap()])
//!     .state_dir(state.path())
//!     .start()
//!     .await?;
//! app.wait_until_running().await?;
//! assert!(app.close(Close::within(Duration::from_secs(10))).await);
//! # Ok(())
//! # }
//! ```
//!
//! `docs/streams.md` in the repository explains the thread's loop, the order of a commit, and what
//! happens to state when something fails.

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
