//! A producer's figures for the `metrics` facade: differences, a few times a second while it works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};
use millstream_client_core::Event;
use millstream_client_core::producer::{Distribution, ProducerShared};
use millstream_types::{BrokerId, TopicName};

use super::NetworkMetrics;
use crate::driver::EventSink;

/// How long figures may lag behind while the producer works. One that rests has none to tell.
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells the facade what a producer counted.
pub(crate) struct ProducerPublisher {
    producer: Arc<ProducerShared>,
    client_id: String,
    totals: Group,
    network: Group,
    topics: BTreeMap<TopicName, Group>,
    nodes: BTreeMap<BrokerId, Group>,
    gauges: Vec<(&'static str, Gauge)>,
    due: Option<Instant>,
}

/// What was last told of one group of figures, and to whom.
#[derive(Default)]
struct Group {
    counters: Vec<(Counter, u64)>,
    histograms: Vec<(Histogram, Distribution)>,
}

impl Group {
    /// Tells what came since the last time.
    fn publish(
        &mut self,
        prefix: &str,
        labels: &[Label],
        counters: &[(&'static str, u64)],
        distributions: &[(&'static str, Distribution)],
    ) {
        if self.counters.is_empty() && self.histograms.is_empty() {
            let counter = |(name, _): &(&str, u64)| {
                (counter!(format!("{prefix}_{name}"), labels.to_vec()), 0)
            };
            self.counters = counters.iter().map(counter).collect();
            let histogram = |(name, _): &(&str, Distribution)| {
                let handle = histogram!(format!("{prefix}_{name}"), labels.to_vec());
                (handle, Distribution::default())
            };
            self.histograms = distributions.iter().map(histogram).collect();
        }
        for ((handle, told), (_, now)) in self.counters.iter_mut().zip(counters) {
            if *now > *told {
                handle.increment(*now - *told);
                *told = *now;
            }
        }
        for ((handle, told), (_, now)) in self.histograms.iter_mut().zip(distributions) {
            let count = now.count.saturating_sub(told.count);
            if count > 0 {
                // Values that came together are told as their mean.
                let mean = now.sum.saturating_sub(told.sum) as f64 / count as f64;
                handle.record_many(mean, usize::try_from(count).unwrap_or(usize::MAX));
                *told = *now;
            }
        }
    }
}

impl ProducerPublisher {
    pub(crate) fn new(producer: Arc<ProducerShared>, client_id: String) -> Self {
        Self {
            producer,
            client_id,
            totals: Group::default(),
            network: Group::default(),
            topics: BTreeMap::new(),
            nodes: BTreeMap::new(),
            gauges: Vec::new(),
            due: None,
        }
    }

    fn publish(&mut self, network: &NetworkMetrics) {
        let labels = vec![Label::new("client_id", self.client_id.clone())];
        let with = |name: &'static str, value: String| {
            let mut labels = labels.clone();
            labels.push(Label::new(name, value));
            labels
        };
        let client = self.producer.totals();
        let (counters, distributions) = (client.counters(), client.distributions());
        let prefix = "millstream_producer";
        self.totals.publish(prefix, &labels, &counters, &distributions);
        self.network.publish(prefix, &labels, &network.counters(), &[]);
        for (topic, totals) in self.producer.topic_totals() {
            let labels = with("topic", topic.to_string());
            let group = self.topics.entry(topic).or_default();
            let prefix = "millstream_producer_topic";
            group.publish(prefix, &labels, &totals.counters(), &totals.distributions());
        }
        for (node, totals) in self.producer.node_totals() {
            let labels = with("node_id", node.to_string());
            let group = self.nodes.entry(node).or_default();
            let prefix = "millstream_producer_node";
            group.publish(prefix, &labels, &totals.counters(), &totals.distributions());
        }
        let in_flight = client.produce_request_total.saturating_sub(client.produce_response_total);
        let budget = self.producer.memory_budget();
        let free = budget.saturating_sub(self.producer.memory_used());
        let values = [
            ("requests_in_flight", in_flight as f64),
            ("buffer_total_bytes", budget as f64),
            ("buffer_available_bytes", free as f64),
            ("waiting_threads", self.producer.waiting_for_memory() as f64),
            ("connection_count", network.connection_count() as f64),
            ("metadata_age", self.producer.metadata_age().map_or(0.0, |age| age.as_secs_f64())),
        ];
        if self.gauges.is_empty() {
            let handle = |(name, _): &(&'static str, f64)| {
                (*name, gauge!(format!("{prefix}_{name}"), labels.clone()))
            };
            self.gauges = values.iter().map(handle).collect();
        }
        for ((_, gauge), (_, value)) in self.gauges.iter().zip(values) {
            gauge.set(value);
        }
    }
}

impl EventSink for ProducerPublisher {
    fn handle_event(&mut self, event: Event) {
        tracing::debug!(?event, "event without a listener");
    }

    fn round(&mut self, now: Instant, is_busy: bool, network: &NetworkMetrics) {
        match self.due {
            Some(due) if due <= now => {
                self.due = None;
                self.publish(network);
            }
            None if is_busy => self.due = Some(now + INTERVAL),
            _ => {}
        }
    }

    fn next_round(&self) -> Option<Instant> {
        self.due
    }

    fn finish(&mut self, network: &NetworkMetrics) {
        self.publish(network);
    }
}
