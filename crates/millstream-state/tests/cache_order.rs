//! What a full cache flushes, and in which order, against a literal reading of Java's
//! `ThreadCache`, `NamedCache` and `CachingKeyValueStore`: two stores that share a thread's bytes.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;

use millstream_state::{
    ByteBudget, CacheForwarding, ChangelogRecord, ChangelogSink, CommittedState, KeyValueOptions,
    KeyValueStore, MemoryEngine, RecordContext, StoreError,
};
use millstream_types::{Offset, PartitionId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

/// A record that went to a changelog: store, key, value, time.
type Logged = (usize, u8, Option<Vec<u8>>, i64);

#[derive(Clone, Debug)]
struct Entry {
    key: u8,
    value: Option<Vec<u8>>,
    dirty: bool,
    timestamp: i64,
    context_size: usize,
}

/// `NamedCache`, as lists: most recently used first; dirty keys in order of their last change.
#[derive(Default)]
struct NamedCache {
    entries: Vec<Entry>,
    dirty: Vec<u8>,
    /// What lies below the cache.
    below: std::collections::BTreeMap<u8, Vec<u8>>,
}

struct ThreadCache {
    max: usize,
    caches: [NamedCache; 2],
    log: Vec<Logged>,
}

fn size(entry: &Entry) -> usize {
    1 + 24 + 1 + entry.value.as_ref().map_or(0, Vec::len) + entry.context_size
}

impl ThreadCache {
    fn used(&self) -> usize {
        let entries = self.caches.iter().flat_map(|cache| &cache.entries);
        entries.map(size).sum()
    }

    fn put(&mut self, store: usize, entry: Entry) {
        let cache = &mut self.caches[store];
        cache.entries.retain(|held| held.key != entry.key);
        if entry.dirty {
            cache.dirty.retain(|key| *key != entry.key);
            cache.dirty.push(entry.key);
        }
        cache.entries.insert(0, entry);
        while self.used() > self.max {
            let Some(eldest) = self.caches[store].entries.pop() else {
                return;
            };
            if eldest.dirty {
                self.flush(store, Some(eldest));
            }
        }
    }

    fn get(&mut self, store: usize, key: u8) -> Option<Vec<u8>> {
        let cache = &mut self.caches[store];
        if let Some(at) = cache.entries.iter().position(|entry| entry.key == key) {
            let entry = cache.entries.remove(at);
            let value = entry.value.clone();
            cache.entries.insert(0, entry);
            return value;
        }
        let value = cache.below.get(&key).cloned()?;
        self.put(
            store,
            Entry {
                key,
                value: Some(value.clone()),
                dirty: false,
                timestamp: -1,
                context_size: 20,
            },
        );
        Some(value)
    }

    fn flush(&mut self, store: usize, evicted: Option<Entry>) {
        let cache = &mut self.caches[store];
        let mut entries = Vec::new();
        if let Some(entry) = evicted {
            cache.dirty.retain(|key| *key != entry.key);
            entries.push(entry);
        }
        for key in cache.dirty.drain(..) {
            let entry = cache.entries.iter_mut().find(|entry| entry.key == key);
            let entry = entry.unwrap();
            entry.dirty = false;
            entries.push(entry.clone());
        }
        for entry in &entries {
            // putAndMaybeForward with a flush listener that wants no old values.
            let known = cache.below.contains_key(&entry.key);
            match &entry.value {
                None if !known => continue,
                None => cache.below.remove(&entry.key),
                Some(value) => cache.below.insert(entry.key, value.clone()),
            };
            let value = entry.value.clone();
            self.log.push((store, entry.key, value, entry.timestamp));
        }
        let cache = &mut self.caches[store];
        cache.entries.retain(|entry| {
            let flushed = entries.iter().any(|flushed| flushed.key == entry.key);
            entry.value.is_some() || !flushed
        });
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(usize, u8, Option<Vec<u8>>, bool),
    Get(usize, u8),
    Flush(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let store = 0..2_usize;
    let key = 0..12_u8;
    let value = proptest::option::weighted(0.8, vec(any::<u8>(), 0..30));
    prop_oneof![
        5 => (store.clone(), key.clone(), value, any::<bool>())
            .prop_map(|(s, k, v, topic)| Op::Put(s, k, v, topic)),
        3 => (store.clone(), key).prop_map(|(s, k)| Op::Get(s, k)),
        1 => store.prop_map(Op::Flush),
    ]
}

struct Sink<'a>(usize, &'a mut Vec<Logged>);

impl ChangelogSink for Sink<'_> {
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        let value = record.value.map(<[u8]>::to_vec);
        let time = record.timestamp.value();
        self.1.push((self.0, record.key[0], value, time));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flushes_and_evicts_as_java(max in 0..600_usize, ops in vec(op(), 1..120)) {
        let mut java = ThreadCache { max, caches: Default::default(), log: Vec::new() };
        let engine = MemoryEngine::new();
        let budget = Arc::new(ByteBudget::new(max as u64));
        let mut stores = ["0_0/a", "0_0/b"].map(|name| {
            let committed = CommittedState::open(&engine, name).unwrap();
            let options = KeyValueOptions::new(Arc::new(ByteBudget::new(1 << 20)))
                .cached(budget.clone())
                .forwarding(CacheForwarding::New);
            KeyValueStore::new(Arc::new(committed), options)
        });
        let mut log = Vec::new();
        for (op, time) in ops.into_iter().zip(0..) {
            let store = match op {
                Op::Put(store, key, value, topic) => {
                    let topic: Option<&str> = topic.then_some("tøpic");
                    let context = RecordContext {
                        timestamp: Timestamp(time),
                        offset: Offset(time),
                        partition: PartitionId(0),
                        topic: topic.map(Into::into),
                        ..RecordContext::default()
                    };
                    let put = stores[store]
                        .put(&[key], value.as_deref(), &context, &mut Sink(store, &mut log));
                    put.unwrap();
                    let context_size = 20 + topic.map_or(0, |_| 5);
                    java.put(store, Entry { key, value, dirty: true, timestamp: time, context_size });
                    store
                }
                Op::Get(store, key) => {
                    let found = stores[store].get(&[key]).unwrap();
                    let expected = java.get(store, key);
                    prop_assert_eq!(found.as_deref(), expected.as_deref());
                    store
                }
                Op::Flush(store) => {
                    stores[store].begin_flush();
                    java.flush(store, None);
                    store
                }
            };
            while stores[store].flush_pending() {
                stores[store].next_flushed(&mut Sink(store, &mut log)).unwrap();
            }
            prop_assert_eq!(&log, &java.log);
            prop_assert_eq!(budget.used(), java.used() as u64);
        }
    }
}

/// Downstream of a flush, processors use the same store.
#[test]
fn an_entry_changed_while_it_is_queued_is_flushed_twice() {
    let engine = MemoryEngine::new();
    let committed = Arc::new(CommittedState::open(&engine, "0_0/a").unwrap());
    let options = KeyValueOptions::new(Arc::new(ByteBudget::new(1 << 20)))
        .cached(Arc::new(ByteBudget::new(1 << 20)))
        .forwarding(CacheForwarding::NewAndOld);
    let mut store = KeyValueStore::new(committed, options);
    let mut log = Vec::new();
    let at = |time| RecordContext { timestamp: Timestamp(time), ..RecordContext::default() };
    let mut sink = Sink(0, &mut log);
    store.put(b"a", Some(b"1"), &at(1), &mut sink).unwrap();
    store.put(b"b", Some(b"1"), &at(2), &mut sink).unwrap();
    store.begin_flush();
    let first = store.next_flushed(&mut sink).unwrap().unwrap();
    assert_eq!(&*first.key, b"a");
    store.put(b"b", Some(b"2"), &at(3), &mut sink).unwrap();
    let value = store.get(b"b").unwrap();
    assert_eq!(value.as_deref(), Some(&b"2"[..]), "reads see the latest");
    store.begin_flush();
    let mut flushed = Vec::new();
    while let Some(entry) = store.next_flushed(&mut sink).unwrap() {
        let old = entry.old.map(|old| old.to_vec());
        flushed.push((old, entry.new.unwrap().to_vec(), entry.context.timestamp));
    }
    assert_eq!(
        flushed,
        [(None, b"1".to_vec(), Timestamp(2)), (Some(b"1".to_vec()), b"2".to_vec(), Timestamp(3)),]
    );
    assert!(!store.is_dirty());
}
