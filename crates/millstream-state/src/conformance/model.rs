//! Random commits, failures, crashes and restores against a plain map.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::{Offset, PartitionId, Timestamp};

use super::{Fault, FaultyEngine, Fixture, OrFail, offset_row};
use crate::{
    ByteBudget, ChangelogRecord, ChangelogSink, CommittedState, Direction, Engine, KeyRange,
    KeyValueOptions, KeyValueStore, LogIdentity, OffsetVerdict, RecordContext, RestoreRecord,
    StoreError, ValueFormat, WipeReason, timestamped,
};

const TREE: &str = "0_3/model";

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A changelog topic: keys, values and times, by offset.
#[derive(Debug, Default)]
struct Log {
    records: Vec<(Vec<u8>, Option<Vec<u8>>, Timestamp)>,
}

impl ChangelogSink for Log {
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        let value = record.value.map(<[u8]>::to_vec);
        self.records.push((record.key.to_vec(), value, record.timestamp));
        Ok(())
    }
}

impl Log {
    /// What a store that holds the first `end` records holds.
    fn rows(&self, end: usize) -> Rows {
        let mut rows = Rows::new();
        for (key, value, timestamp) in self.records.iter().take(end) {
            match value {
                Some(value) => {
                    let mut stored = Vec::new();
                    timestamped::start(*timestamp, &mut stored);
                    stored.extend_from_slice(value);
                    rows.insert(key.clone(), stored);
                }
                None => {
                    rows.remove(key);
                }
            }
        }
        rows
    }

    fn identity(&self) -> LogIdentity {
        let row = offset_row(0);
        LogIdentity {
            cluster_id: row.cluster_id,
            topic_id: row.topic_id,
            partition: row.partition,
            log_start: Offset::ZERO,
            log_end: Offset(self.records.len() as i64),
        }
    }
}

/// Numbers from a seed: the suite must not need a crate of its own (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn key(&mut self) -> Vec<u8> {
        // Few keys, among them awkward ones.
        match self.below(40) {
            0 => Vec::new(),
            1 => vec![0],
            2 => vec![0xff; 30],
            n => format!("key {n}").into_bytes(),
        }
    }
}

/// Lives through `lives` lives of a store: each restores from the changelog, changes, commits and
/// applies at random over an engine that fails at a random moment, and ends. After each the store
/// must be poisoned if anything failed, and the engine must hold every row up to its offset row and
/// otherwise only later committed ones, so that replay makes it equal to the changelog.
///
/// # Panics
/// If it does not; the message has the seed.
pub fn model(fixture: &mut dyn Fixture, seed: u64, lives: u32) {
    let mut random = Random(seed | 1);
    let mut log = Log::default();
    for life in 0..lives {
        let what = format!("seed {seed}, life {life}");
        let engine = fixture.open();
        check_disk(&engine, &log, &what);
        live(&engine, &mut log, &mut random, &what);
    }
    let engine = fixture.open();
    let committed = restored(&engine, &log, false).or_fail("restore after the last life");
    assert_rows(&committed, &log.rows(log.records.len()), "after the last life");
}

/// Every row up to the offset row is there; every other difference is a later committed value.
fn check_disk(engine: &Arc<dyn Engine>, log: &Log, what: &str) {
    let committed = CommittedState::open(&**engine, TREE).or_fail(what);
    let from = committed.offset_row().or_fail(what);
    let from = from.map_or(0, |row| row.next_offset.value() as usize);
    let rows = log.rows(from);
    let later = |key: &[u8]| -> Vec<Option<Vec<u8>>> {
        let ends = (from..=log.records.len()).filter(|end| {
            end.checked_sub(1)
                .and_then(|last| log.records.get(last))
                .is_some_and(|(changed, ..)| changed == key)
        });
        ends.map(|end| log.rows(end).remove(key)).collect()
    };
    let mut keys: Vec<Vec<u8>> = rows.keys().cloned().collect();
    keys.extend(log.records.iter().map(|(key, ..)| key.clone()));
    keys.sort();
    keys.dedup();
    for key in keys {
        let found = committed.get(&key).or_fail(what).map(|v| v.to_vec());
        let fine = found == rows.get(&key).cloned() || later(&key).contains(&found);
        assert!(
            fine,
            "{what}: {:?} is {found:?} with offset {from}",
            key.escape_ascii().to_string()
        );
    }
}

/// Opens the store and replays what its offset row does not cover; `twice` from the start again.
fn restored(
    engine: &Arc<dyn Engine>,
    log: &Log,
    twice: bool,
) -> Result<Arc<CommittedState>, StoreError> {
    let committed = CommittedState::open(&**engine, TREE)?;
    let from = match committed.judge(&log.identity())? {
        OffsetVerdict::Resume(offset) => offset.value() as usize,
        OffsetVerdict::Wipe(reason) => {
            // Cut short before its first offset row: whatever is there is committed, too.
            assert_eq!(reason, WipeReason::Missing);
            0
        }
    };
    let passes = if twice { vec![from, 0] } else { vec![from] };
    for start in passes {
        let records: Vec<_> = log.records.iter().skip(start).collect();
        let mut at = start;
        // Replaying from before the offset row: the row goes back first, so that it is never ahead.
        committed.restore(ValueFormat::Timestamped, [], &offset_row(at as i64))?;
        for batch in records.chunks(7) {
            at += batch.len();
            let batch = batch.iter().map(|(key, value, timestamp)| RestoreRecord {
                key,
                value: value.as_deref(),
                timestamp: *timestamp,
            });
            committed.restore(ValueFormat::Timestamped, batch, &offset_row(at as i64))?;
        }
    }
    Ok(Arc::new(committed))
}

fn assert_rows(committed: &CommittedState, expected: &Rows, what: &str) {
    let iter = committed.range(&KeyRange::all(), Direction::Forward);
    let rows: Rows = iter
        .or_fail(what)
        .map(|row| {
            let (key, value) = row.or_fail(what);
            (key.to_vec(), value.to_vec())
        })
        .collect();
    assert_eq!(&rows, expected, "{what}");
}

fn live(engine: &Arc<dyn Engine>, log: &mut Log, random: &mut Random, what: &str) {
    let fault = [Fault::Io, Fault::DiskFull, Fault::AfterWrite][random.below(3) as usize];
    // Some lives end without a failure.
    let operations = random.below(600) as u32;
    let faulty: Arc<dyn Engine> = Arc::new(FaultyEngine::new(engine.clone(), operations, fault));
    let Ok(committed) = restored(&faulty, log, random.below(4) == 0) else {
        return;
    };
    if let Err(error) = change(&committed, log, random, what) {
        assert!(error.poisons(), "{what}: {error}");
        let after = committed.get(b"any").err();
        assert!(
            matches!(after, Some(StoreError::Poisoned { .. })),
            "{what}: after a failure the store answers {after:?}"
        );
        assert!(committed.apply_frozen().is_err(), "{what}");
    }
}

/// Changes, commits and applies until something fails or it is enough.
fn change(
    committed: &Arc<CommittedState>,
    log: &mut Log,
    random: &mut Random,
    what: &str,
) -> Result<(), StoreError> {
    let uncommitted = Arc::new(ByteBudget::new(1 << 20));
    let mut options = KeyValueOptions::new(uncommitted).format(ValueFormat::Timestamped);
    if random.below(2) == 0 {
        options = options.cached(Arc::new(ByteBudget::new(random.below(2_000))));
    }
    let mut store = KeyValueStore::new(committed.clone(), options);
    let mut current = log.rows(log.records.len());
    // Written since the last commit; part of the topic only once committed.
    let mut open = Log::default();
    for _ in 0..random.below(300) {
        let key = random.key();
        match random.below(12) {
            0..4 => {
                let time = Timestamp(random.below(1_000) as i64);
                let mut value = Vec::new();
                timestamped::start(time, &mut value);
                value.resize(value.len() + random.below(40) as usize, 7);
                let context = context(random);
                store.put(&key, Some(&value), &context, &mut open)?;
                current.insert(key, value);
            }
            4..6 => {
                store.put(&key, None, &context(random), &mut open)?;
                current.remove(&key);
            }
            6..8 => {
                let found = store.get(&key)?.map(|value| value.to_vec());
                assert_eq!(found.as_ref(), current.get(&key), "{what}");
            }
            8 => {
                store.begin_flush();
                drain(&mut store, &mut open)?;
                log.records.append(&mut open.records);
                let row = offset_row(log.records.len() as i64);
                store.freeze(Some(row))?;
            }
            9 => {
                committed.apply_frozen()?;
            }
            10 => committed.merge_frozen(),
            _ => {
                store.abort();
                open.records.clear();
                current = log.rows(log.records.len());
            }
        }
        drain(&mut store, &mut open)?;
    }
    Ok(())
}

fn context(random: &mut Random) -> RecordContext {
    RecordContext {
        timestamp: Timestamp(random.below(1_000) as i64),
        offset: Offset(0),
        partition: PartitionId(3),
        topic: Some("input".into()),
        ..RecordContext::default()
    }
}

fn drain(store: &mut KeyValueStore, log: &mut Log) -> Result<(), StoreError> {
    while store.flush_pending() {
        store.next_flushed(log)?;
    }
    Ok(())
}
