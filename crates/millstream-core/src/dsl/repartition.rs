//! The topic that a grouping or join puts below a changed key.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::graph::{Graph, NodeKind, RepartitionNode};
use crate::names::{self, is_generated, repartition_topic};
use crate::operator::{NonNullKeyFactory, SinkFactory, StreamSourceFactory};
use crate::timestamp_extractor::FailOnInvalidTimestamp;

use super::Grouped;

/// A repartition topic for `prefix`, and the name of what reads it. Takes three names, used or not
/// (`KStreamImpl.createRepartitionedSource`).
pub(super) fn repartition<K: 'static, V: 'static>(
    graph: &mut Graph,
    prefix: &str,
    grouped: &Grouped<K, V>,
) -> (Arc<str>, NodeKind) {
    let topic = repartition_topic(prefix);
    let generated = [names::SINK, names::FILTER, names::SOURCE];
    let generated = generated.map(|prefix| graph.names.operator(prefix));
    let [sink_name, filter_name, source_name] = if is_generated(prefix) {
        generated
    } else {
        ["sink", "filter", "source"].map(|role| format!("{topic}-{role}").into())
    };
    let node = RepartitionNode {
        topic: topic.clone(),
        filter_name,
        filter: Arc::new(NonNullKeyFactory::<K, V>(PhantomData)),
        sink_name,
        sink: Arc::new(SinkFactory {
            topic,
            key: grouped.key.serializer().clone(),
            value: grouped.value.serializer().clone(),
        }),
        source_name: source_name.clone(),
        source: Arc::new(StreamSourceFactory {
            key: grouped.key.deserializer().clone(),
            value: grouped.value.deserializer().clone(),
            extractor: Arc::new(FailOnInvalidTimestamp),
        }),
    };
    (source_name, NodeKind::Repartition(node))
}
