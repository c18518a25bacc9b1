//! The transaction coordinator, versions 1 and 2 (KIP-98, KIP-360, KIP-890).
//!
//! Kafka keeps this state in the log `__transaction_state` and sends markers between brokers. Here
//! it is one map that survives the death of nodes, and markers are written to the logs directly;
//! they can be made to take time. A transaction that times out is aborted on time, where Kafka looks
//! every ten seconds; ids that are not used for long are forgotten when they are next looked for.

mod coordinator;
mod markers;
mod metadata;
mod snapshot;
mod state;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_types::{BrokerId, ProducerEpoch, ProducerId, Timestamp};

use super::node::Nodes;
use super::placement::Placement;
use super::producers::Producers;
pub(crate) use metadata::Transaction;
pub use snapshot::TransactionSnapshot;
pub(crate) use state::TransactionState;

/// The topic whose partitions stand for the offsets of groups in a transaction.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A producer id with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

/// The moment of an event, on the clock of deadlines and on the wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) wall: Timestamp,
}

/// The rules of transactions (the feature `transaction.version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TransactionVersion {
    /// What requests of clients of versions 0 and 1 count as.
    V0,
    V1,
    V2,
}

impl TransactionVersion {
    /// The version of this number; what is above 2 counts as 2.
    pub(crate) const fn from_level(level: i16) -> Self {
        match level {
            i16::MIN..=0 => Self::V0,
            1 => Self::V1,
            _ => Self::V2,
        }
    }

    /// Whether each end of a transaction raises the producer's epoch (KIP-890).
    pub(crate) const fn raises_epoch(self) -> bool {
        matches!(self, Self::V2)
    }
}

/// All transactional ids, and who coordinates them.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    pub(crate) placement: Placement,
    /// The producers that wrote offsets of groups, by partition of `__consumer_offsets`.
    offsets: BTreeMap<u32, Producers>,
    /// How long markers take.
    pub(crate) marker_delay: Duration,
    /// Nodes that show another finalised `transaction.version` than the cluster.
    skewed: BTreeMap<BrokerId, i16>,
    level: i16,
    /// How often the level was set.
    changes: i64,
}

impl Transactions {
    pub(crate) fn new(nodes: &Nodes, level: i16) -> Self {
        Self {
            by_id: BTreeMap::new(),
            placement: Placement::new(nodes),
            offsets: BTreeMap::new(),
            marker_delay: Duration::ZERO,
            skewed: BTreeMap::new(),
            level,
            changes: 1,
        }
    }

    /// The finalised `transaction.version`, as a node knows it.
    pub(crate) fn level(&self, node: BrokerId) -> i16 {
        self.skewed.get(&node).copied().unwrap_or(self.level)
    }

    /// The epoch of the features that a node knows: a node that lags behind knows an older one.
    pub(crate) fn features_epoch(&self, node: BrokerId) -> i64 {
        self.changes + i64::from((self.level(node) - self.level).signum())
    }

    /// Sets the finalised version, for one node or for all.
    pub(crate) fn set_level(&mut self, node: Option<BrokerId>, level: i16) {
        match node {
            Some(node) => {
                self.skewed.insert(node, level);
            }
            None => {
                self.skewed.clear();
                self.level = level;
                self.changes += 1;
            }
        }
    }

    /// What is known of an id.
    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    /// All ids and what is known of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.by_id.iter().map(|(id, transaction)| (id.as_str(), transaction))
    }
}
