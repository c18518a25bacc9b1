//! The pure half of Millstream's streams: topologies, the typed builder, tasks, the test driver.
//!
//! A program is built by [`StreamsBuilder`] into a [`Topology`], which is data: it describes itself
//! as Java Kafka Streams would, and says what topics, stores and tasks it takes. A [`task::Task`] is
//! one partition of a sub-topology at work: records and the time go in; records, offsets and
//! committed rows come out. `TopologyTestDriver` runs a whole topology on the same tasks.
//!
//! The crate does no I/O, starts no threads and reads no clock; the crate `millstream` does.

mod dsl;
mod error;
mod graph;
mod java_hash;
mod names;
mod operator;
pub mod task;
mod timestamp_extractor;
pub mod topology;

pub use dsl::{
    Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Named, Produced,
    StreamsBuilder,
};
pub use error::TopologyError;
pub use timestamp_extractor::{
    ExtractableRecord, FailOnInvalidTimestamp, InvalidTimestamp, SkipOnInvalidTimestamp,
    TimestampExtractor, UsePartitionTimeOnInvalidTimestamp, WallclockTimestampExtractor,
};
pub use topology::Topology;
