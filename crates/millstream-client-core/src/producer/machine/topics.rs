//! Following the metadata: topics that callers named, their partitions and leaders.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_types::{PartitionId, TopicName, TopicPartition};

use super::partition::PartitionState;
use super::{Cx, ProducerMachine};
use crate::metadata;
use crate::producer::accumulator::{Partition, Topic, TopicCommon};

/// A topic that callers named. It stays for the producer's life: its sequence numbers must outlive
/// a topic that flaps out of the metadata.
#[derive(Debug)]
pub(super) struct TopicState {
    common: Arc<TopicCommon>,
    /// The machine's numbers of its partitions.
    indices: Vec<usize>,
    /// How many of them callers may use.
    count: usize,
    /// The metadata for which a leader was missed, to ask once for each.
    missed_at: Option<u64>,
}

impl ProducerMachine {
    /// A caller named a topic for the first time, or a partition that it does not seem to have.
    pub(super) fn want_topic(&mut self, name: TopicName, cx: &mut Cx<'_>) {
        cx.metadata.request_topic(&name, cx.now);
        let seed = self.rng.next();
        match self.topics.entry(name) {
            Entry::Vacant(entry) => {
                let common = self.shared.topic_common(entry.key(), seed);
                entry.insert(TopicState {
                    common: Arc::new(common),
                    indices: Vec::new(),
                    count: 0,
                    missed_at: None,
                });
                self.generation = None;
            }
            Entry::Occupied(_) => cx.metadata.request_update(),
        }
        if self.shared.config.idempotence && self.gate.is_none() {
            self.identification.want(cx);
        }
    }

    /// Compares all topics with the metadata, if that changed.
    pub(super) fn follow_metadata(&mut self, cx: &mut Cx<'_>) {
        let generation = cx.metadata.generation();
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        self.inbox.partitions.extend(std::mem::take(&mut self.leaderless));
        self.shared.counters.note_metadata(cx.now);
        let names: Vec<TopicName> = self.topics.keys().cloned().collect();
        for name in names {
            match cx.metadata.topic_state(name.as_str()) {
                metadata::TopicState::Known(topic) => {
                    self.learn_topic(&name, topic);
                    self.drop_absent(&name, topic);
                }
                metadata::TopicState::Missing(code) => {
                    self.shared.set_last_error(format!("topic {name}: {code}"));
                    if self.topics.get(&name).is_some_and(|topic| topic.count == 0) {
                        self.shared.set_topic_error(&name, code);
                    }
                    // Who may not see a topic may still write to it: the leader will say.
                    if code.class().is_retriable() {
                        self.forget_leaders(&name);
                    }
                }
                metadata::TopicState::NotRequested | metadata::TopicState::Pending => {}
            }
            self.follow_leaders(&name, cx);
        }
        self.spread_availability();
    }

    /// Takes over the partitions of a topic.
    fn learn_topic(&mut self, name: &TopicName, known: &metadata::Topic) {
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        let last = known.partitions.last_key_value();
        let count = last.map_or(0, |(id, _)| usize::try_from(id.value()).map_or(0, |id| id + 1));
        if count == 0 {
            return;
        }
        let in_flight_max = self.shared.config.partition_in_flight();
        let is_anonymous = self.shared.config.idempotence;
        let is_local = self.gate.is_none();
        while topic.indices.len() < count {
            let Ok(id) = i32::try_from(topic.indices.len()) else {
                return;
            };
            let index = self.partitions.len();
            let partition =
                Partition::new(name.clone(), PartitionId(id), index, Arc::clone(&topic.common));
            let partition = Arc::new(partition);
            let state = PartitionState::new(partition, in_flight_max, is_anonymous);
            self.partitions.push(state);
            topic.indices.push(index);
        }
        for index in &topic.indices {
            let partition = &mut self.partitions[*index];
            if partition.topic_id != known.id {
                partition.learn_topic_id(known.id, is_local);
                self.inbox.partitions.push(*index);
            }
        }
        if topic.count != count {
            topic.count = count;
            let partitions = topic.indices.iter().take(count);
            let partitions = partitions.map(|index| Arc::clone(&self.partitions[*index].shared));
            let partitions = partitions.collect();
            // Callers must find partitions with leaders at their first look.
            for index in &topic.indices {
                let state = &self.partitions[*index];
                let partition = known.partitions.get(&state.shared.id);
                let leader = partition.and_then(|partition| partition.leader);
                state.shared.has_leader.store(leader.is_some(), Ordering::Relaxed);
            }
            self.shared.set_topic(Topic {
                name: name.clone(),
                partitions,
                common: Arc::clone(&topic.common),
            });
        }
    }

    /// Partitions that a topic no longer has, since it was made anew, have no leader.
    fn drop_absent(&mut self, name: &TopicName, known: &metadata::Topic) {
        let Some(topic) = self.topics.get(name) else {
            return;
        };
        if known.partitions.len() >= topic.indices.len() {
            return;
        }
        for index in &topic.indices {
            let state = &mut self.partitions[*index];
            if !known.partitions.contains_key(&state.shared.id) {
                state.leader = None;
                state.shared.has_leader.store(false, Ordering::Relaxed);
            }
        }
    }

    fn forget_leaders(&mut self, name: &TopicName) {
        let Some(topic) = self.topics.get(name) else {
            return;
        };
        for index in &topic.indices {
            let state = &mut self.partitions[*index];
            state.leader = None;
            state.shared.has_leader.store(false, Ordering::Relaxed);
        }
    }

    /// Takes over who leads the partitions of a topic; those with a new leader are looked at.
    fn follow_leaders(&mut self, name: &TopicName, cx: &Cx<'_>) {
        let Some(topic) = self.topics.get(name) else {
            return;
        };
        for index in &topic.indices {
            let state = &mut self.partitions[*index];
            let partition = TopicPartition::new(name.clone(), state.shared.id);
            if cx.metadata.partition(&partition).is_none() {
                // Forgotten for idleness, or not answered: the last leader known is the best guess.
                continue;
            }
            let leader = cx.metadata.leader(&partition).map(|leader| leader.broker);
            if leader != state.leader {
                self.inbox.partitions.push(*index);
                state.leader = leader;
                // The old leader may be one that answers nobody: do not wait in its line.
                if let Some(old) = state.in_line_of.take()
                    && let Some(broker) = self.brokers.get_mut(&old)
                {
                    broker.line.retain(|other| other != index);
                }
                state.shared.has_leader.store(leader.is_some(), Ordering::Relaxed);
                if leader.is_some() && leader != state.in_flight_on {
                    // KIP-951: another leader need not be waited for.
                    state.retry_at = None;
                }
            }
        }
    }

    /// The machine's number for a partition.
    pub(super) fn index_of(&self, partition: &TopicPartition) -> Option<usize> {
        let number = usize::try_from(partition.partition.value()).ok()?;
        self.topics.get(&partition.topic)?.indices.get(number).copied()
    }

    /// Something is to be sent to a partition without a leader: ask, once for each metadata.
    pub(super) fn miss_leader(&mut self, name: &TopicName, cx: &mut Cx<'_>) {
        let generation = cx.metadata.generation();
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        if topic.missed_at == Some(generation) {
            return;
        }
        topic.missed_at = Some(generation);
        cx.metadata.request_topic(name, cx.now);
        cx.metadata.request_update();
    }
}
