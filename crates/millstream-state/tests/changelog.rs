//! What stores write to their changelogs, and what happens when one refuses a record.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;

use millstream_state::{
    ByteBudget, Change, ChangelogRecord, ChangelogSink, CommittedState, KeyValueOptions,
    KeyValueStore, MemoryEngine, RecordContext, StoreError, ValueFormat, timestamped,
};
use millstream_types::{Offset, PartitionId, Timestamp};

type Logged = (Vec<u8>, Option<Vec<u8>>, i64);

#[derive(Default)]
struct Log {
    records: Vec<Logged>,
    refuses: bool,
}

impl ChangelogSink for Log {
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        if self.refuses {
            return Err(StoreError::Changelog {
                store: "counts".into(),
                source: Arc::new(std::io::Error::other("too large")),
            });
        }
        self.records.push((
            record.key.to_vec(),
            record.value.map(<[u8]>::to_vec),
            record.timestamp.value(),
        ));
        Ok(())
    }
}

fn store(format: ValueFormat, cached: bool) -> KeyValueStore {
    let committed = CommittedState::open(&MemoryEngine::new(), "0_0/counts").unwrap();
    let mut options = KeyValueOptions::new(Arc::new(ByteBudget::new(1 << 20))).format(format);
    if cached {
        options = options.cached(Arc::new(ByteBudget::new(1 << 20)));
    }
    KeyValueStore::new(Arc::new(committed), options)
}

fn at(timestamp: i64) -> RecordContext {
    RecordContext {
        timestamp: Timestamp(timestamp),
        offset: Offset(0),
        partition: PartitionId(0),
        topic: Some("input".into()),
        ..RecordContext::default()
    }
}

fn stored(timestamp: i64, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    timestamped::start(Timestamp(timestamp), &mut stored);
    stored.extend_from_slice(value);
    stored
}

fn flush(store: &mut KeyValueStore, log: &mut Log) {
    store.begin_flush();
    while store.flush_pending() {
        store.next_flushed(log).unwrap();
    }
}

fn logged(key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Logged {
    (key.to_vec(), value.map(<[u8]>::to_vec), timestamp)
}

#[test]
fn plain_values_are_logged_with_the_time_of_the_record() {
    let (mut store, mut log) = (store(ValueFormat::Plain, false), Log::default());
    store.put(b"k", Some(b"v"), &at(5), &mut log).unwrap();
    store.put(b"k", None, &at(6), &mut log).unwrap();
    assert_eq!(log.records, [logged(b"k", Some(b"v"), 5), logged(b"k", None, 6)]);
}

#[test]
fn timestamped_values_are_logged_with_their_own() {
    let (mut store, mut log) = (store(ValueFormat::Timestamped, false), Log::default());
    let value = stored(9, b"v");
    store.put(b"k", Some(&value), &at(5), &mut log).unwrap();
    store.put(b"k", None, &at(6), &mut log).unwrap();
    assert_eq!(log.records, [logged(b"k", Some(b"v"), 9), logged(b"k", None, 6)]);
}

#[test]
fn a_cache_logs_the_last_change_only() {
    let (mut store, mut log) = (store(ValueFormat::Timestamped, true), Log::default());
    for time in 1..5 {
        let value = stored(time, b"v");
        store.put(b"k", Some(&value), &at(time), &mut log).unwrap();
        store.put(b"gone", Some(&value), &at(time), &mut log).unwrap();
    }
    store.put(b"gone", None, &at(7), &mut log).unwrap();
    assert_eq!(log.records, []);
    flush(&mut store, &mut log);
    assert_eq!(
        log.records,
        [logged(b"k", Some(b"v"), 4), logged(b"gone", None, 7)],
        "nobody listens, so the deletion is logged, though nothing was below"
    );
}

#[test]
fn a_refused_record_changes_nothing() {
    let (mut store, mut log) = (store(ValueFormat::Plain, false), Log::default());
    store.put(b"k", Some(b"old"), &at(1), &mut log).unwrap();
    log.refuses = true;
    let error = store.put(b"k", Some(b"new"), &at(2), &mut log).unwrap_err();
    assert_eq!(error.to_string(), "the changelog of store counts refused a record: too large");
    assert_eq!(store.get(b"k").unwrap().as_deref(), Some(&b"old"[..]));
    store.freeze(None).unwrap();
    let committed = store.committed().get(b"k").unwrap();
    assert_eq!(committed.as_deref(), Some(&b"old"[..]), "not poisoned");
}

#[test]
fn a_refused_flush_keeps_the_entry() {
    let (mut store, mut log) = (store(ValueFormat::Plain, true), Log::default());
    store.put(b"k", Some(b"v"), &at(1), &mut log).unwrap();
    store.begin_flush();
    log.refuses = true;
    store.next_flushed(&mut log).unwrap_err();
    assert!(store.is_dirty() && store.flush_pending());
    log.refuses = false;
    flush(&mut store, &mut log);
    assert_eq!(log.records, [logged(b"k", Some(b"v"), 1)]);
}

#[test]
fn a_failed_update_changes_nothing() {
    #[derive(Debug)]
    struct Refused;
    impl From<StoreError> for Refused {
        fn from(_: StoreError) -> Self {
            Self
        }
    }
    for cached in [false, true] {
        let (mut store, mut log) = (store(ValueFormat::Plain, cached), Log::default());
        store.put(b"k", Some(b"v"), &at(1), &mut log).unwrap();
        for key in [b"k", b"n"] {
            let failed = store.update(key, &at(2), &mut log, |_, out| {
                out.extend_from_slice(b"half");
                Err::<Change, _>(Refused)
            });
            assert!(failed.is_err());
        }
        assert_eq!(store.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
        assert!(store.get(b"n").unwrap().is_none());
    }
}
