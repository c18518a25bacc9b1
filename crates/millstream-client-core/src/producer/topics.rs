//! The topics that records can be put into, found by name without a lock: a record on its way in
//! writes to no memory but its partition's.
//!
//! Safe code can publish a value to readers without a lock only once. So nothing here moves or goes
//! away: names hang in chains whose ends are set once, and a topic that changes gets a further
//! version. A topic changes when partitions are added, which is rare; past the versions that have a
//! place of their own, a lock serves.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use millstream_types::TopicName;

use super::accumulator::Topic;

/// The chains of each level. A level is made when those before it are full.
const LEVELS: [usize; 3] = [16, 1 << 10, 1 << 17];
/// The length of a chain at which the next level takes the name; the last level takes all.
const CHAIN_MAX: usize = 4;
/// The versions of a topic that are found without a lock.
const VERSIONS: usize = 8;

/// Topics by name, for the producer's life.
#[derive(Debug, Default)]
pub(crate) struct TopicTable {
    /// The first topic that came, which for most producers is the only one: no hash is needed.
    first: OnceLock<Box<Node>>,
    levels: [OnceLock<Box<[Link]>>; LEVELS.len()],
    /// Held by who adds or changes a topic.
    writer: Mutex<()>,
}

type Link = OnceLock<Box<Node>>;

#[derive(Debug)]
struct Node {
    hash: u64,
    name: TopicName,
    /// The number of versions so far.
    count: AtomicUsize,
    versions: [OnceLock<Arc<Topic>>; VERSIONS],
    /// The version after those.
    later: RwLock<Option<Arc<Topic>>>,
    next: Link,
}

/// A topic that was found.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Borrowed(&'a Arc<Topic>),
    Shared(Arc<Topic>),
}

impl Deref for Found<'_> {
    type Target = Topic;

    #[inline]
    fn deref(&self) -> &Topic {
        match self {
            Self::Borrowed(topic) => topic,
            Self::Shared(topic) => topic,
        }
    }
}

impl TopicTable {
    /// The newest version of a topic.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<Found<'_>> {
        let first = self.first.get()?;
        if first.name.as_str() == name {
            return first.newest();
        }
        self.find_other(name)
    }

    fn find_other(&self, name: &str) -> Option<Found<'_>> {
        let hash = hash(name.as_bytes());
        for level in &self.levels {
            let chains = level.get()?;
            let mut link = &chains[hash as usize & (chains.len() - 1)];
            while let Some(node) = link.get() {
                if node.hash == hash && node.name.as_str() == name {
                    return node.newest();
                }
                link = &node.next;
            }
        }
        None
    }

    /// Adds a topic, or a newer version of one.
    pub(crate) fn set(&self, topic: Topic) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = hash(topic.name.as_str().as_bytes());
        let topic = Arc::new(topic);
        let Some(first) = self.first.get() else {
            // Nobody else sets it: the writer's lock is held.
            let _ = self.first.set(Box::new(Node::new(hash, topic)));
            return;
        };
        if first.name == topic.name {
            first.add(topic);
            return;
        }
        for (level, size) in self.levels.iter().zip(LEVELS) {
            let is_last = size == LEVELS[LEVELS.len() - 1];
            let chains = level.get_or_init(|| (0..size).map(|_| Link::new()).collect());
            let mut link = &chains[hash as usize & (size - 1)];
            let mut length = 0;
            while let Some(node) = link.get() {
                if node.hash == hash && node.name == topic.name {
                    node.add(topic);
                    return;
                }
                link = &node.next;
                length += 1;
            }
            if length < CHAIN_MAX || is_last {
                let _ = link.set(Box::new(Node::new(hash, topic)));
                return;
            }
        }
    }
}

impl Node {
    fn new(hash: u64, topic: Arc<Topic>) -> Self {
        let node = Self {
            hash,
            name: topic.name.clone(),
            count: AtomicUsize::new(0),
            versions: Default::default(),
            later: RwLock::new(None),
            next: Link::new(),
        };
        node.add(topic);
        node
    }

    #[inline]
    fn newest(&self) -> Option<Found<'_>> {
        let count = self.count.load(Ordering::Acquire);
        if let Some(version) = self.versions.get(count.wrapping_sub(1)) {
            return version.get().map(Found::Borrowed);
        }
        self.latest()
    }

    #[cold]
    fn latest(&self) -> Option<Found<'_>> {
        self.later.read().unwrap_or_else(PoisonError::into_inner).clone().map(Found::Shared)
    }

    /// Makes `topic` the newest version; under the writer's lock.
    fn add(&self, topic: Arc<Topic>) {
        let count = self.count.load(Ordering::Relaxed);
        match self.versions.get(count) {
            Some(version) => {
                let _ = version.set(topic);
            }
            None => *self.later.write().unwrap_or_else(PoisonError::into_inner) = Some(topic),
        }
        self.count.store(count + 1, Ordering::Release);
    }
}

/// Hashes a name by words; the same in every run, and not made to withstand an enemy: who names
/// topics is the application itself.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let mut hash = bytes.len() as u64;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        hash = mix(hash, u64::from_le_bytes(*word));
        rest = after;
    }
    let mut last = 0;
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    hash = mix(hash, last);
    // The upper bits are the well mixed ones; chains are chosen by the lower.
    hash ^ (hash >> 32)
}

const MULTIPLIER: u64 = 0x517c_c1b7_2722_0a95;

#[cfg(test)]
mod tests {
    use millstream_types::PartitionId;

    use super::super::accumulator::{Partition, TopicCommon};
    use super::super::codec::Codecs;
    use super::super::config::ProducerConfig;
    use super::super::metrics::ProducerCounters;
    use super::*;

    fn topic(name: &str, partitions: usize) -> Topic {
        let name = TopicName::from(name);
        let codecs = Codecs::new(&ProducerConfig::default()).unwrap();
        let counters = ProducerCounters::default();
        let common = Arc::new(TopicCommon::new(&name, 0, codecs.of(&name), &counters));
        let partitions = (0..partitions).map(|index| {
            let id = PartitionId(i32::try_from(index).unwrap());
            Arc::new(Partition::new(name.clone(), id, index, Arc::clone(&common)))
        });
        Topic { name: name.clone(), partitions: partitions.collect(), common: Arc::clone(&common) }
    }

    fn partitions_of(table: &TopicTable, name: &str) -> Option<usize> {
        let found = table.get(name)?;
        assert_eq!(found.name.as_str(), name);
        Some(found.partitions.len())
    }

    #[test]
    fn every_topic_is_found_through_all_levels() {
        let table = TopicTable::default();
        let name = |number: usize| format!("topic-{number}");
        // More than the first two levels hold.
        let count = CHAIN_MAX * (LEVELS[0] + LEVELS[1]) + 100;
        for number in 0..count {
            assert_eq!(partitions_of(&table, &name(number)), None);
            table.set(topic(&name(number), number % 7));
        }
        for number in 0..count {
            assert_eq!(partitions_of(&table, &name(number)), Some(number % 7));
        }
        assert!(table.levels[2].get().is_some());
        assert_eq!(partitions_of(&table, "topic-"), None);
    }

    #[test]
    fn the_newest_version_is_found_with_and_without_a_place_of_its_own() {
        let table = TopicTable::default();
        for partitions in 1..3 * VERSIONS {
            table.set(topic("t", partitions));
            assert_eq!(partitions_of(&table, "t"), Some(partitions));
        }
    }
}
