//! Operators at work: what a record is on its way through a task, and how operators are joined.
//!
//! A task's operators form chains of typed boxes: each owns its children, so that a record moves
//! from one to the next by one virtual call, without a type test and without an allocation. Type
//! tests happen once, when a task is built ([`NodeBuilder`]).

mod aggregate;
mod build;
mod context;
mod filter;
mod map;
mod map_values;
mod sink;
mod source;
mod table_to_stream;
mod visit;

use millstream_types::{Headers, Timestamp};

use crate::task::TaskError;

pub(crate) use aggregate::AggregateFactory;
pub(crate) use build::{AnyFork, AnyInput, CachedOperator, Fork, NodeBuilder, Output, build_task};
pub(crate) use context::{Context, StoreSlot, TaskScope};
pub(crate) use filter::{FilterFactory, NonNullKeyFactory};
pub(crate) use map::{FlatMapFactory, MapFactory, SelectKeyFactory};
pub(crate) use map_values::{FlatMapValuesFactory, MapValuesFactory};
pub(crate) use sink::SinkFactory;
pub(crate) use source::{LoadError, SourceInput, StreamSourceFactory};
pub(crate) use table_to_stream::TableToStreamFactory;
pub(crate) use visit::{ForeachFactory, PeekFactory};

/// A record inside a task. It moves along a chain of operators; only a fork clones it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamRecord<K, V> {
    pub(crate) key: Option<K>,
    pub(crate) value: Option<V>,
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: Headers,
}

/// A change of a table: what is there now, and, for operators that ask, what was there before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableChange<V> {
    pub(crate) new: Option<V>,
    pub(crate) old: Option<V>,
}

/// An operator of one task.
pub(crate) trait Process<K, V> {
    /// Takes a record and forwards what comes of it, before it returns.
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError>;
}

/// Makes the operators of a sink or processor, one per task.
pub(crate) trait ProcessorFactory: Send + Sync {
    /// Builds the operator over the children that `node` has ready.
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError>;
}

/// Makes one typed output of a source.
pub(crate) trait SourceFactory: Send + Sync {
    /// Builds output number `output` over the children that `node` has ready: an input for each of
    /// the source's topics, all of which feed the same children.
    fn build(
        &self,
        node: &mut NodeBuilder<'_, '_>,
        output: usize,
        topics: usize,
    ) -> Result<Vec<Box<dyn SourceInput>>, TaskError>;
}

impl<K, V> StreamRecord<K, V> {
    /// The same record with another key.
    pub(crate) fn with_key<K2>(self, key: Option<K2>) -> StreamRecord<K2, V> {
        StreamRecord { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with another value.
    pub(crate) fn with_value<V2>(self, value: Option<V2>) -> StreamRecord<K, V2> {
        StreamRecord { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }
}
