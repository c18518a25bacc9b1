//! Asking every broker: first any broker which there are, then each (`AllBrokersStrategy`).
//!
//! The items of such an operation are brokers; the item without one is the question which there are,
//! and becomes the others.

use std::collections::BTreeMap;

use millstream_protocol::messages as m;
use millstream_types::BrokerId;

use super::error::AdminError;
use super::operation::{Lot, Operation, Placement, Results, Said, Verdict};
use super::wire::{anywhere, broker_id};
use crate::outbox::{Destination, RequestBody};

/// A broker, or the question which there are.
pub(super) type Everywhere = Option<BrokerId>;

pub(super) fn place(key: Everywhere) -> Placement {
    key.map_or_else(anywhere, |broker| Placement::At(Destination::Broker(broker)))
}

/// The question which brokers there are, in a lot of its own.
pub(super) fn lot(key: Everywhere) -> Lot {
    Lot::Shared(u8::from(key.is_some()))
}

pub(super) fn which_brokers() -> RequestBody {
    m::MetadataRequest::default()
        .with_topics(Some(Vec::new()))
        .with_allow_auto_topic_creation(false)
        .into()
}

/// The question becomes all brokers of the answer.
pub(super) fn all_of<O>(answer: &m::MetadataResponse) -> Vec<Said<O>>
where
    O: Operation<Key = Everywhere, Input = ()>,
{
    let brokers = answer.brokers.iter().map(|broker| (Some(broker_id(broker.node_id)), ()));
    vec![(None, Verdict::Become(brokers.collect()))]
}

/// What all brokers said, if none failed.
pub(super) fn merge<K: Ord, T>(
    results: Results<Everywhere, BTreeMap<K, T>>,
) -> Result<BTreeMap<K, T>, AdminError> {
    let mut merged = BTreeMap::new();
    for result in results.into_values() {
        merged.extend(result?);
    }
    Ok(merged)
}
