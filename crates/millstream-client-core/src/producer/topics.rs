//! The topics that records can be put into, found without a lock where a thread writes to one topic.

use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use indexmap::IndexMap;
use millstream_types::TopicName;

use super::accumulator::Topic;

/// All topics of a producer.
#[derive(Debug)]
pub(crate) struct Topics {
    /// Tells producers apart within the process.
    id: u64,
    /// Counts the changes, so that what a thread remembers is known to be right.
    generation: AtomicU64,
    by_name: RwLock<TopicMap>,
}

type TopicMap = IndexMap<TopicName, Arc<Topic>, BuildHasherDefault<NameHasher>>;

/// The topic that a thread last wrote to.
struct Remembered {
    topics: u64,
    generation: u64,
    topic: Arc<Topic>,
}

thread_local! {
    static LAST: RefCell<Option<Remembered>> = const { RefCell::new(None) };
}

impl Default for Topics {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            generation: AtomicU64::new(0),
            by_name: RwLock::default(),
        }
    }
}

impl Topics {
    /// Does something with a topic, if it is known. What is done must not come back here.
    ///
    /// Where it is the topic that this thread last asked for, no lock is taken and no count raised.
    #[inline]
    pub(crate) fn with<R>(&self, name: &str, then: impl FnOnce(&Arc<Topic>) -> R) -> Option<R> {
        LAST.with_borrow_mut(|last| {
            let generation = self.generation.load(Ordering::Acquire);
            if let Some(last) = last
                && last.topics == self.id
                && last.generation == generation
                && last.topic.name == *name
            {
                return Some(then(&last.topic));
            }
            let topic = self.get(name)?;
            let last = last.insert(Remembered { topics: self.id, generation, topic });
            Some(then(&last.topic))
        })
    }

    /// A topic, if it is known.
    #[cold]
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        let topics = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).map(Arc::clone)
    }

    /// Makes a topic, or more partitions of it, known.
    pub(crate) fn set(&self, topic: Topic) {
        let mut topics = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.name.clone(), Arc::new(topic));
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// Hashes topic names by words: quick, and the same in every run.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            let word = u64::from_le_bytes(padded);
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        // The upper bits are the well mixed ones; hash tables take the lower.
        self.0 ^ (self.0 >> 32)
    }
}
