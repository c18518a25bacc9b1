//! kill -9 at any moment: every committed row up to the offset row is there, nothing uncommitted is,
//! and replay from the offset row repairs the rest, also when it is killed itself.
//!
//! The changelog is a function of a seed, so that the killed process and its judge know it alike.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::BTreeMap;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use millstream_state::{
    ByteBudget, CommittedState, Direction, Engine, KeyRange, KeyValueOptions, KeyValueStore,
    NoChangelog, OffsetRow, RecordContext, RestoreRecord, ValueFormat,
};
use millstream_state_sled::{SledEngine, SledOptions};
use millstream_types::{Offset, PartitionId, Timestamp};

const DIRECTORY: &str = "MILLSTREAM_KILL_DIRECTORY";
const SEED: &str = "MILLSTREAM_SEED";
const END: &str = "MILLSTREAM_KILL_END";
const TREE: &str = "0_0/killed";
const KEYS: u64 = 5_000;
const ROUNDS: u32 = 8;
/// What no commit ever froze.
const UNCOMMITTED: &[u8] = b"uncommitted";

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A number that is a function of `of` alone (splitmix64).
fn mix(of: u64) -> u64 {
    let mut x = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Record `offset` of the changelog: one in twenty deletes; a value starts with its offset.
fn record(seed: u64, offset: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let random = mix(seed ^ mix(offset));
    let key = (random % KEYS).to_be_bytes().to_vec();
    let value = !(random >> 32).is_multiple_of(20);
    let length = 8 + (random >> 40) as usize % 200;
    let value = value.then(|| {
        let mut value = offset.to_be_bytes().to_vec();
        value.resize(length, random as u8);
        value
    });
    (key, value)
}

fn rows_at(seed: u64, end: u64) -> Rows {
    let mut rows = Rows::new();
    for offset in 0..end {
        match record(seed, offset) {
            (key, Some(value)) => rows.insert(key, value),
            (key, None) => rows.remove(&key),
        };
    }
    rows
}

fn offset_row(next_offset: u64) -> OffsetRow {
    OffsetRow {
        cluster_id: "c".into(),
        topic_id: None,
        partition: PartitionId(0),
        next_offset: Offset(next_offset as i64),
        leader_epoch: None,
    }
}

fn open(directory: &Path) -> (SledEngine, Arc<CommittedState>) {
    // A cache much too small, so that sled evicts pages while it is killed.
    let options = SledOptions::default().cache_capacity(256 << 10);
    let engine = SledEngine::open(directory, &options).unwrap();
    let committed = CommittedState::open(&engine, TREE).unwrap();
    (engine, Arc::new(committed))
}

fn next_offset(committed: &CommittedState) -> u64 {
    let row = committed.offset_row().unwrap();
    row.map_or(0, |row| row.next_offset.value() as u64)
}

/// Replays the changelog from the offset row to `end`.
fn replay(committed: &CommittedState, seed: u64, end: u64, mut batch_done: impl FnMut(u64)) {
    let mut at = next_offset(committed);
    while at < end {
        let to = (at + 500).min(end);
        let batch: Vec<_> = (at..to).map(|offset| record(seed, offset)).collect();
        let records = batch.iter().map(|(key, value)| RestoreRecord {
            key,
            value: value.as_deref(),
            timestamp: Timestamp(0),
        });
        committed.restore(ValueFormat::Plain, records, &offset_row(to)).unwrap();
        at = to;
        batch_done(at);
    }
}

/// The process that is killed: replays, then changes, commits and applies until it dies.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(directory) = env::var(DIRECTORY) else {
        return;
    };
    let number = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let (seed, end) = (number(SEED), number(END));
    let mut out = std::io::stdout();
    let mut say = |what: &str, offset: u64| {
        writeln!(out, "\n{what} {offset}").unwrap();
        out.flush().unwrap();
    };
    let (engine, committed) = open(directory.as_ref());
    replay(&committed, seed, end, |offset| say("restored", offset));
    let budget = Arc::new(ByteBudget::new(u64::MAX));
    let mut store = KeyValueStore::new(committed.clone(), KeyValueOptions::new(budget));
    let context = RecordContext::default();
    let mut at = end;
    for commit in 0_u64.. {
        let random = mix(seed ^ at ^ commit);
        if random.is_multiple_of(5) {
            for key in 0..200_u64 {
                let key = key.to_be_bytes();
                let value = Some(UNCOMMITTED);
                store.put(&key, value, &context, &mut NoChangelog).unwrap();
            }
            store.abort();
        }
        let to = at + random % 1_000;
        for offset in at..to {
            let (key, value) = record(seed, offset);
            let value = value.as_deref();
            store.put(&key, value, &context, &mut NoChangelog).unwrap();
        }
        at = to;
        say("committed", at);
        store.freeze(Some(offset_row(at))).unwrap();
        match random % 4 {
            0 => {}
            1 => committed.merge_frozen(),
            _ => drop(committed.apply_frozen().unwrap()),
        }
        if random.is_multiple_of(7) {
            engine.flush().unwrap();
        }
    }
}

/// Runs the child, kills it after `lines` steps, and gives the last offset it said was committed.
fn run_and_kill(directory: &Path, seed: u64, end: u64, lines: u64) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .env(END, end.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (mut said, mut committed) = (0, end);
    for line in output.lines() {
        let line = line.unwrap();
        let step = line.split_once(' ');
        let Some((what @ ("restored" | "committed"), offset)) = step else {
            continue;
        };
        said += 1;
        if what == "committed" {
            committed = offset.parse().unwrap();
        }
        if said == lines {
            // SIGKILL; what it still wrote to the pipe is read on.
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(said >= lines, "seed {seed}: the child ended by itself: {status}");
    committed
}

/// Every row up to the offset row; beyond it only committed ones.
fn check(committed: &CommittedState, seed: u64, end: u64) {
    let from = next_offset(committed);
    assert!(from <= end, "seed {seed}: offset row {from} of {end}");
    let expected = rows_at(seed, from);
    let mut deleted_later = Vec::new();
    for offset in from..end {
        if let (key, None) = record(seed, offset) {
            deleted_later.push(key);
        }
    }
    let mut found = Rows::new();
    for row in committed.range(&KeyRange::all(), Direction::Forward).unwrap() {
        let (key, value) = row.unwrap();
        found.insert(key.to_vec(), value.to_vec());
    }
    for (key, value) in &found {
        assert_ne!(value, UNCOMMITTED, "seed {seed}");
        if expected.get(key) == Some(value) {
            continue;
        }
        let offset = u64::from_be_bytes(value[..8].try_into().unwrap());
        assert!((from..end).contains(&offset), "seed {seed}: a row of {offset}");
        assert_eq!(record(seed, offset), (key.clone(), Some(value.clone())));
    }
    for key in expected.keys() {
        let gone = !found.contains_key(key);
        assert!(
            !gone || deleted_later.contains(key),
            "seed {seed}: {key:?} is missing below offset {from}"
        );
    }
}

#[test]
fn survives_kill_9() {
    let seed = env::var(SEED)
        .map_or_else(|_| RandomState::new().hash_one("seed"), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut end = 0;
    for round in 0..ROUNDS {
        let lines = 1 + mix(seed ^ u64::from(round)) % 60;
        end = run_and_kill(dir.path(), seed, end, lines);
        let (engine, committed) = open(dir.path());
        check(&committed, seed, end);
        if round % 2 == 0 {
            // Otherwise the next child replays, and may be killed while it does.
            replay(&committed, seed, end, |_| {});
            let rows: Rows = committed
                .range(&KeyRange::all(), Direction::Backward)
                .unwrap()
                .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(rows, rows_at(seed, end), "seed {seed}, round {round}");
        }
        drop((committed, engine));
    }
}
