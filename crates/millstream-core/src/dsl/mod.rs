//! The typed builder: streams, tables, and the verbs on them.
//!
//! Verbs take `self`: a record's key and value move along a chain and are cloned only where the
//! program clones the stream, a fork. Names and topics follow Java's DSL verb for verb.

mod builder;
mod grouped;
mod options;
mod repartition;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use builder::StreamsBuilder;
pub use grouped::KGroupedStream;
pub use options::{Consumed, Grouped, Materialized, Named, Produced};
pub use stream::KStream;
pub use table::KTable;
