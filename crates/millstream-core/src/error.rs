//! What can be wrong with a topology.

/// A program that describes no valid topology. Found when the builder builds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A given name is not one that Kafka allows.
    #[error("the {what} name {name:?} cannot be used: {reason}; choose another")]
    InvalidName {
        /// What it would have named.
        what: String,
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two operators have one name.
    #[error("two operators are called {name:?}; name one of them otherwise")]
    DuplicateOperator {
        /// The name.
        name: String,
    },
    /// Two operators ask for a store of one name.
    #[error(
        "operator {second:?} asks for store {store:?}, which operator {first:?} has; name one of them otherwise"
    )]
    DuplicateStore {
        /// The store.
        store: String,
        /// Who has it.
        first: String,
        /// Who asks for it.
        second: String,
    },
    /// Two sources share some of their topics, but not all.
    #[error(
        "sources {first:?} and {second:?} both read topic {topic:?} but not the same set of topics; read it once and clone the stream"
    )]
    OverlappingSources {
        /// The topic both read.
        topic: String,
        /// The source made first.
        first: String,
        /// The other.
        second: String,
    },
    /// Two sources of one topic that should start at different places.
    #[error(
        "sources {first:?} and {second:?} of topic {topic:?} have different offset reset policies; give both the same"
    )]
    ConflictingReset {
        /// The topic.
        topic: String,
        /// The source made first.
        first: String,
        /// The other.
        second: String,
    },
    /// A source without topics.
    #[error("source {source_name:?} has no topics; name at least one")]
    NoTopics {
        /// The source.
        source_name: String,
    },
    /// A name was given to a verb that adds no operator.
    #[error(
        "the name {name:?} was given to {verb}, which adds no operator; name the repartition topic by Grouped instead"
    )]
    UnusedName {
        /// The name.
        name: String,
        /// The verb.
        verb: &'static str,
    },
    /// Two groupings name their repartition topic alike, without being clones of one.
    #[error(
        "two groupings both name their repartition topic {topic:?}; name one of them otherwise, or clone the grouped stream"
    )]
    RepartitionReused {
        /// The undecorated repartition topic.
        topic: String,
    },
}
