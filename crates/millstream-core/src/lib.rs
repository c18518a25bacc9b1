//! The pure half of Millstream's streams: topologies, the typed builder, tasks, the test driver.
//!
//! A program is built by [`StreamsBuilder`] into a [`Topology`], which is data: it describes itself
//! as Java Kafka Streams would, and says what topics, stores and tasks it takes. A [`Task`] is
//! one partition of a sub-topology at work: records and the time go in; records, offsets and
//! committed rows come out. [`TopologyTestDriver`] runs a whole topology on the same tasks.
//!
//! The crate does no I/O, starts no threads and reads no clock; the crate `millstream` does.

mod dsl;
mod error;
mod graph;
mod java_hash;
mod names;
mod operator;
mod task;
mod test_driver;
mod timestamp_extractor;
mod topology;

pub use dsl::{
    Consumed, Grouped, KGroupedStream, KStream, KTable, Materialized, Named, Produced,
    StreamsBuilder,
};
pub use error::TopologyError;
pub use task::{
    CollectorError, DeserializationFailure, DeserializationHandler, DropReason, ErrorDecision,
    LogAndContinue, LogAndFail, Now, OutputKind, OutputRecord, OutputTopic, RawRecord, RecordBatch,
    RecordCollector, RecordPart, Task, TaskConfig, TaskError, TaskErrorClass, TaskEvent, TaskIdle,
    TaskMetrics, TaskState,
};
pub use test_driver::{
    KeyValueReader, TestDriverError, TestInputTopic, TestOutputTopic, TestRecord,
    TopologyTestDriver,
};
pub use timestamp_extractor::{
    ExtractableRecord, FailOnInvalidTimestamp, InvalidTimestamp, SkipOnInvalidTimestamp,
    TimestampExtractor, UsePartitionTimeOnInvalidTimestamp, WallclockTimestampExtractor,
};
pub use topology::{
    ChangelogTopic, OffsetReset, ParseTaskIdError, PartitionCountError, PartitionCounts,
    RepartitionTopic, SourceTopic, StoreSpec, Subtopology, SubtopologyId, TaskId, Topology,
    TopologyDescription, partition_counts,
};
