//! Assignors: who gets which partition of a classic group.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use millstream_client_core::consumer::AssignorSpec;
use millstream_types::{GenerationId, TopicName};

pub use millstream_client_core::group::{
    Assignment, AssignorError, BrokerView, ClusterView, GroupAssignment, GroupSubscription,
    PartitionView, RebalanceProtocol, Subscription, TopicView,
};

/// A future in a box, as trait methods return them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An assignor of your own (Java's `ConsumerPartitionAssignor`).
///
/// Every member of a group must have an assignor of the same name; the elected leader runs it for
/// all. All methods run on the client's I/O thread and must not block it.
pub trait GroupAssignor: Send + Sync + fmt::Debug + 'static {
    /// Its name on the wire.
    fn name(&self) -> &str;

    /// The rebalance protocols it supports. A group goes by the best that all assignors of its
    /// members support.
    fn supported_protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager]
    }

    /// Bytes that accompany this member's subscription; asked for at every join.
    fn subscription_user_data(&self, topics: &[TopicName]) -> Option<Bytes> {
        let _ = topics;
        None
    }

    /// Assigns partitions to all members. It may take its time (create topics, look offsets up):
    /// heartbeats go on meanwhile. `cluster` shows the topics that members subscribe to.
    ///
    /// Fails with [`AssignorError`] where no assignment can be made; the round is tried again.
    fn assign<'a>(
        &'a self,
        cluster: ClusterView,
        group: GroupSubscription,
    ) -> BoxFuture<'a, Result<GroupAssignment, AssignorError>>;

    /// This member's assignment has come. Runs before the application hears of it.
    fn on_assignment(&self, assignment: &Assignment, generation: GenerationId) {
        let _ = (assignment, generation);
    }
}

/// An assignor to configure a consumer with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Assignor {
    /// Each topic's partitions in contiguous runs over its members: Java's `range`.
    Range,
    /// One of your own.
    Custom(Arc<dyn GroupAssignor>),
}

impl Assignor {
    pub(super) fn spec(&self) -> AssignorSpec {
        match self {
            Self::Range => AssignorSpec::range(),
            Self::Custom(assignor) => AssignorSpec {
                name: assignor.name().to_owned(),
                protocols: assignor.supported_protocols().to_vec(),
                builtin: None,
            },
        }
    }

    /// The assignor of a name that `partition.assignment.strategy` may have.
    pub(super) fn named(name: &str) -> Option<Self> {
        let short = name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name);
        matches!(short, "range" | "RangeAssignor").then_some(Self::Range)
    }
}

impl From<Arc<dyn GroupAssignor>> for Assignor {
    fn from(assignor: Arc<dyn GroupAssignor>) -> Self {
        Self::Custom(assignor)
    }
}

impl<A: GroupAssignor> From<Arc<A>> for Assignor {
    fn from(assignor: Arc<A>) -> Self {
        Self::Custom(assignor)
    }
}
