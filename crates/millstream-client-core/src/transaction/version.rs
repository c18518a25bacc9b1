//! Which version of the transaction protocol a transaction uses (KIP-890).

use std::fmt;

use millstream_protocol::ApiKey;
use millstream_protocol::negotiate::BrokerVersions;
use millstream_types::BrokerId;

use crate::metadata::Metadata;

/// The feature by which a cluster says which version it runs.
const FEATURE: &str = "transaction.version";

/// The first version of EndTxn that answers with the next epoch.
pub(super) const END_TXN_V2: i16 = 5;
/// The first version of TxnOffsetCommit that adds the group to the transaction.
pub(super) const TXN_OFFSET_COMMIT_V2: i16 = 5;
/// The newest version of TxnOffsetCommit that names topics, not their ids (KIP-1319).
pub(super) const TXN_OFFSET_COMMIT_BY_NAME: i16 = 5;
/// The first version of Produce that adds the partition to the transaction.
const PRODUCE_V2: i16 = 12;

/// A version of the transaction protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionVersion {
    /// Partitions and groups are added before they are written to; the epoch stays.
    V1,
    /// Writing adds the partition or group, and each transaction has an epoch of its own (KIP-890):
    /// nothing late can act on a later transaction.
    V2,
}

impl fmt::Display for TransactionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "1",
            Self::V2 => "2",
        })
    }
}

/// The version for a transaction that begins now; it holds until the transaction ends.
///
/// Nodes may know different epochs of the cluster's features: the newest word counts, as in Java
/// (`ApiVersions.maybeUpdate`). A node that could not take part in version 2 rules it out.
pub(super) fn choose(metadata: &Metadata, coordinator: Option<BrokerId>) -> TransactionVersion {
    let known = metadata.brokers().filter_map(|broker| metadata.versions(broker.id));
    let known = known.chain(coordinator.and_then(|id| metadata.versions(id)));
    let nodes: Vec<&BrokerVersions> = known.collect();
    let newest = nodes.iter().filter(|node| node.finalized_epoch().is_some());
    let newest = newest.max_by_key(|node| node.finalized_epoch());
    let is_on = newest.is_some_and(|node| node.finalized_feature(FEATURE) >= Some(2));
    if is_on && nodes.iter().all(|node| speaks_v2(node)) {
        TransactionVersion::V2
    } else {
        TransactionVersion::V1
    }
}

fn speaks_v2(node: &BrokerVersions) -> bool {
    [
        (ApiKey::EndTxn, END_TXN_V2),
        (ApiKey::TxnOffsetCommit, TXN_OFFSET_COMMIT_V2),
        (ApiKey::Produce, PRODUCE_V2),
    ]
    .into_iter()
    .all(|(api, first)| node.range(api).is_some_and(|range| range.max >= first))
}
