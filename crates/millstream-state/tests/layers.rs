//! The layered store against a plain map: random changes, scans, flushes, commits, applications,
//! aborts and evictions.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_state::{
    ByteBudget, CacheForwarding, Change, ChangelogRecord, ChangelogSink, CommittedState, Direction,
    Engine, KeyRange, KeyValueOptions, KeyValueStore, MemoryEngine, RecordContext, RestoreRecord,
    StoreError, ValueFormat,
};
use millstream_types::{Offset, PartitionId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Append(Vec<u8>),
    Get(Vec<u8>),
    Range(Option<Vec<u8>>, Option<Vec<u8>>, bool),
    Prefix(Vec<u8>, bool),
    /// Scans and puts between the scan's steps.
    ScanAndPut(Vec<Vec<u8>>, bool),
    Flush,
    Freeze,
    Merge,
    Apply,
    Abort,
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(prop_oneof![Just(0), Just(1), Just(97), Just(255)], 0..4),
        "long key of more than twenty-two bytes [a-c]".prop_map(String::into_bytes),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (key(), vec(any::<u8>(), 0..30)).prop_map(|(k, v)| Op::Put(k, v)),
        3 => key().prop_map(Op::Delete),
        4 => key().prop_map(Op::Append),
        4 => key().prop_map(Op::Get),
        2 => (proptest::option::of(key()), proptest::option::of(key()), any::<bool>())
            .prop_map(|(from, to, back)| Op::Range(from, to, back)),
        1 => (key(), any::<bool>()).prop_map(|(p, back)| Op::Prefix(p, back)),
        1 => (vec(key(), 0..4), any::<bool>()).prop_map(|(k, back)| Op::ScanAndPut(k, back)),
        2 => Just(Op::Flush),
        2 => Just(Op::Freeze),
        1 => Just(Op::Merge),
        1 => Just(Op::Apply),
        1 => Just(Op::Abort),
        1 => Just(Op::Reopen),
    ]
}

/// A changelog topic.
#[derive(Clone, Default)]
struct Log(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl ChangelogSink for Log {
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        let value = record.value.map(<[u8]>::to_vec);
        self.0.push((record.key.to_vec(), value));
        Ok(())
    }
}

impl Log {
    fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for (key, value) in &self.0 {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        rows
    }
}

struct World {
    engine: MemoryEngine,
    cache: Option<u64>,
    store: KeyValueStore,
    log: Log,
    /// How much of the log is committed.
    committed_log: usize,
    current: Rows,
    committed: Rows,
    /// What a downstream table would hold.
    forwarded: Rows,
    committed_forwarded: Rows,
}

fn open(engine: &MemoryEngine, cache: Option<u64>) -> KeyValueStore {
    let committed = CommittedState::open(engine, "0_0/s").unwrap();
    let mut options = KeyValueOptions::new(Arc::new(ByteBudget::new(1_000)));
    if let Some(bytes) = cache {
        options =
            options.cached(Arc::new(ByteBudget::new(bytes))).forwarding(CacheForwarding::NewAndOld);
    }
    KeyValueStore::new(Arc::new(committed), options)
}

impl World {
    fn new(cache: Option<u64>) -> Self {
        let engine = MemoryEngine::new();
        Self {
            store: open(&engine, cache),
            engine,
            cache,
            log: Log::default(),
            committed_log: 0,
            current: Rows::new(),
            committed: Rows::new(),
            forwarded: Rows::new(),
            committed_forwarded: Rows::new(),
        }
    }

    fn drain(&mut self) {
        while self.store.flush_pending() {
            let Some(entry) = self.store.next_flushed(&mut self.log).unwrap() else {
                continue;
            };
            let old = match &entry.new {
                Some(new) => self.forwarded.insert(entry.key.to_vec(), new.to_vec()),
                None => self.forwarded.remove(&*entry.key),
            };
            assert_eq!(entry.old.as_deref(), old.as_deref(), "the old value");
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let context = RecordContext::default();
        let put = self.store.put(&key, value.as_deref(), &context, &mut self.log);
        put.unwrap();
        match value {
            Some(value) => self.current.insert(key, value),
            None => self.current.remove(&key),
        };
    }

    fn append(&mut self, key: Vec<u8>) {
        let old = self.current.get(&key).cloned();
        let context = RecordContext::default();
        let updated: Result<(), StoreError> =
            self.store.update(&key, &context, &mut self.log, |found, out| {
                assert_eq!(found, old.as_deref());
                match found {
                    None => out.push(b'+'),
                    Some(found) if found.len() > 40 => return Ok(Change::Delete),
                    Some(found) if found.len() == 7 => return Ok(Change::Keep),
                    Some(found) => {
                        out.extend_from_slice(found);
                        out.push(b'+');
                    }
                }
                Ok(Change::Put)
            });
        updated.unwrap();
        match old {
            Some(old) if old.len() > 40 => drop(self.current.remove(&key)),
            Some(old) if old.len() == 7 => {}
            old => self.current.entry(key).or_default().extend({
                drop(old);
                b"+"
            }),
        }
    }

    fn scan(&mut self, range: &KeyRange, back: bool, between: &mut dyn FnMut(&mut Self, usize)) {
        let mut expected: Vec<_> = self.current.clone().into_iter().collect();
        expected.retain(|(key, _)| range.contains(key));
        let mut direction = Direction::Forward;
        if back {
            direction = Direction::Backward;
            expected.reverse();
        }
        let mut found = Vec::new();
        let iter = self.store.range(range, direction).unwrap();
        for (step, row) in iter.enumerate() {
            let (key, value) = row.unwrap();
            found.push((key.to_vec(), value.to_vec()));
            between(self, step);
        }
        assert_eq!(found, expected);
    }

    fn freeze(&mut self) {
        self.store.begin_flush();
        self.drain();
        self.store.freeze(None).unwrap();
        self.committed_log = self.log.0.len();
        self.committed = self.current.clone();
        self.committed_forwarded = self.forwarded.clone();
        assert_eq!(self.log.rows(), self.committed, "the changelog says it all");
        assert!(!self.store.is_dirty() && !self.store.wants_commit());
    }

    fn roll_back(&mut self) {
        self.log.0.truncate(self.committed_log);
        self.current = self.committed.clone();
        self.forwarded = self.committed_forwarded.clone();
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Put(key, value) => self.put(key, Some(value)),
            Op::Delete(key) => self.put(key, None),
            Op::Append(key) => self.append(key),
            Op::Get(key) => {
                let found = self.store.get(&key).unwrap();
                assert_eq!(found.as_deref(), self.current.get(&key).map(|v| &**v));
            }
            Op::Range(from, to, back) => {
                let range = KeyRange::closed(from.as_deref(), to.as_deref());
                self.scan(&range, back, &mut |_, _| {});
            }
            Op::Prefix(prefix, back) => {
                self.scan(&KeyRange::prefix(&prefix), back, &mut |_, _| {});
            }
            Op::ScanAndPut(keys, back) => {
                self.scan(&KeyRange::all(), back, &mut |world, step| {
                    if let Some(key) = keys.get(step) {
                        let value = (step % 2 == 0).then(|| b"during a scan".to_vec());
                        world.put(key.clone(), value);
                        world.drain();
                    }
                });
            }
            Op::Flush => self.store.begin_flush(),
            Op::Freeze => self.freeze(),
            Op::Merge => self.store.committed().merge_frozen(),
            Op::Apply => drop(self.store.committed().apply_frozen().unwrap()),
            Op::Abort => {
                self.store.abort();
                self.roll_back();
            }
            Op::Reopen => {
                // What was not applied is lost with the process, and comes back by replay.
                self.roll_back();
                self.store = open(&self.engine, self.cache);
                let records = self.log.0.iter().map(|(key, value)| RestoreRecord {
                    key,
                    value: value.as_deref(),
                    timestamp: Timestamp(0),
                });
                let offset = millstream_state::OffsetRow {
                    cluster_id: "c".into(),
                    topic_id: None,
                    partition: PartitionId(0),
                    next_offset: Offset(self.log.0.len() as i64),
                    leader_epoch: None,
                };
                let committed = self.store.committed();
                committed.restore(ValueFormat::Plain, records, &offset).unwrap();
            }
        }
        self.drain();
    }

    fn check_committed(&self) {
        let committed = self.store.committed();
        let rows: Rows = committed
            .range(&KeyRange::all(), Direction::Forward)
            .unwrap()
            .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(rows, self.committed, "queries see what is committed");
        for (key, value) in &self.committed {
            assert_eq!(committed.get(key).unwrap().as_deref(), Some(&value[..]));
        }
    }
}

fn cache() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), Just(Some(0)), Just(Some(200)), Just(Some(100_000))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_one_map(cache in cache(), ops in vec(op(), 1..80)) {
        let mut world = World::new(cache);
        for op in ops {
            world.step(op);
            world.check_committed();
        }
        world.freeze();
        world.check_committed();
        if cache.is_some() {
            prop_assert_eq!(&world.forwarded, &world.current, "downstream saw every change");
        }
        world.store.committed().apply_frozen().unwrap();
        prop_assert_eq!(world.store.committed().frozen_bytes(), 0);
        world.check_committed();
    }
}

#[test]
fn budgets_are_given_back() {
    let cache = Arc::new(ByteBudget::new(10_000));
    let uncommitted = Arc::new(ByteBudget::new(100));
    let engine = MemoryEngine::new();
    let committed = Arc::new(CommittedState::open(&engine, "0_0/s").unwrap());
    let options = KeyValueOptions::new(uncommitted.clone()).cached(cache.clone());
    let mut store = KeyValueStore::new(committed, options);
    let mut log = Log::default();
    for key in [b"a", b"b"] {
        let context = RecordContext::default();
        store.put(key, Some(b"1"), &context, &mut log).unwrap();
    }
    // Java: 1 byte of key, 1 of value, 24 for references, 1 flag, 20 of context.
    assert_eq!((cache.used(), uncommitted.used()), (94, 0));
    store.begin_flush();
    while store.flush_pending() {
        store.next_flushed(&mut log).unwrap();
    }
    assert!(uncommitted.exceeded() && store.wants_commit());
    store.freeze(None).unwrap();
    assert_eq!(uncommitted.used(), 0);
    store.abort();
    assert_eq!(cache.used(), 0);
    let context = RecordContext::default();
    store.put(b"c", Some(b"1"), &context, &mut log).unwrap();
    drop(store);
    assert_eq!((cache.used(), uncommitted.used()), (0, 0));
    assert_eq!(engine.tree_names().unwrap(), ["0_0/s"]);
}
