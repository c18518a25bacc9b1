//! A full disk, a directory in use, damaged files: each is a typed error, never a panic or a hang.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::env;
use std::path::Path;
use std::process::Command;

use millstream_state::{
    CommittedState, Direction, Engine, KeyRange, OffsetRow, RestoreRecord, StoreError,
    StoreErrorClass, ValueFormat,
};
use millstream_state_sled::{SledEngine, SledOptions};
use millstream_types::{Offset, PartitionId, Timestamp};

const CHILD: &str = "MILLSTREAM_FULL_DISK_DIRECTORY";
const TREE: &str = "0_0/full";
const BATCH: i64 = 100;

fn offset_row(next_offset: i64) -> OffsetRow {
    OffsetRow {
        cluster_id: "c".into(),
        topic_id: None,
        partition: PartitionId(0),
        next_offset: Offset(next_offset),
        leader_epoch: None,
    }
}

/// Restores one batch of records of 1 KiB that start at `from`.
fn restore(committed: &CommittedState, from: i64) -> Result<(), StoreError> {
    let rows: Vec<_> =
        (from..from + BATCH).map(|offset| (offset.to_be_bytes(), [offset as u8; 1024])).collect();
    let records = rows.iter().map(|(key, value)| RestoreRecord {
        key,
        value: Some(value),
        timestamp: Timestamp(0),
    });
    committed.restore(ValueFormat::Plain, records, &offset_row(from + BATCH))
}

/// Restores until the disk is full.
fn fill(engine: &SledEngine) -> StoreError {
    let committed = CommittedState::open(engine, TREE).unwrap();
    for batch in 0..1_000 {
        let done = restore(&committed, batch * BATCH).and_then(|()| engine.flush());
        if let Err(error) = done {
            // Where the engine's flush failed the store learns of it by its next write.
            let written = restore(&committed, 0).unwrap_err();
            assert_eq!(written.class(), StoreErrorClass::Fatal, "{written}");
            let read = committed.get(b"any").unwrap_err();
            assert!(matches!(read, StoreError::Poisoned { .. }), "{read}");
            assert!(committed.apply_frozen().is_err(), "poisoned from now on");
            return error;
        }
    }
    panic!("the disk took 100 MB");
}

#[test]
fn stops_before_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let options = SledOptions::default().min_free_bytes(u64::MAX);
    let error = SledEngine::open(dir.path(), &options).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert_eq!(error.class(), StoreErrorClass::Fatal);
}

/// The other half of [`a_full_disk_is_an_error`]: runs in a process whose files cannot grow.
#[test]
fn child_fills_the_disk() {
    let Ok(directory) = env::var(CHILD) else {
        return;
    };
    let engine = SledEngine::open(directory, &SledOptions::default()).unwrap();
    let error = fill(&engine);
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    drop(engine);
    println!("typed and alive");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    // A limit on the size of files needs no privileges and fails the same writes as a full disk;
    // without the trap the kernel would end the process instead.
    let limited =
        r#"trap "" XFSZ; ulimit -f 8192; exec "$0" --exact child_fills_the_disk --nocapture"#;
    let child = Command::new("sh")
        .args(["-c", limited])
        .arg(env::current_exe().unwrap())
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{output}\n{errors}");
    assert!(output.contains("typed and alive"), "{output}\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");

    // With space again, what is there is good up to its offset row, and replay goes on from it.
    let engine = SledEngine::open(dir.path(), &SledOptions::default()).unwrap();
    let committed = CommittedState::open(&engine, TREE).unwrap();
    let row = committed.offset_row().unwrap();
    let from = row.map_or(0, |row| row.next_offset.value());
    assert!(from > 0, "something was written");
    for offset in 0..from {
        let value = committed.get(&offset.to_be_bytes()).unwrap();
        assert_eq!(value.as_deref(), Some(&[offset as u8; 1024][..]));
    }
    for batch in 0..5 {
        restore(&committed, from + batch * BATCH).unwrap();
    }
    let rows = committed.range(&KeyRange::all(), Direction::Backward);
    assert!(rows.unwrap().all(|row| row.is_ok()));
}

#[test]
fn a_directory_in_use_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let engine = SledEngine::open(dir.path(), &SledOptions::default()).unwrap();
    let error = SledEngine::open(dir.path(), &SledOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("in use by another process"));
    drop(engine);
    SledEngine::open(dir.path(), &SledOptions::default()).unwrap();
}

#[test]
fn a_path_that_cannot_be_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = SledEngine::open(file.join("state"), &SledOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
}

fn write_rows(directory: &Path) {
    let engine = SledEngine::open(directory, &SledOptions::default()).unwrap();
    let committed = CommittedState::open(&engine, TREE).unwrap();
    for batch in 0..10 {
        restore(&committed, batch * BATCH).unwrap();
    }
    engine.flush().unwrap();
}

/// Flips bytes all over the log. Whatever sled makes of it: no panic comes out, no row is wrong. Rows
/// may be missing, though: sled takes some damage for the end of its log (see `docs/state.md`).
#[test]
fn damage_gives_no_wrong_rows() {
    let mut found = 0;
    for step in 1..8_u64 {
        let dir = tempfile::tempdir().unwrap();
        write_rows(dir.path());
        let log = dir.path().join("db");
        let mut bytes = std::fs::read(&log).unwrap();
        let at = bytes.len() * step as usize / 8;
        for byte in bytes.iter_mut().skip(at).take(64) {
            *byte ^= 0x5a;
        }
        std::fs::write(&log, bytes).unwrap();
        if let Err(error) = read_rows(dir.path()) {
            found += 1;
            assert_eq!(error.class(), StoreErrorClass::WipeAndRestore, "{error:?}");
            SledEngine::destroy(dir.path()).unwrap();
            write_rows(dir.path());
            read_rows(dir.path()).unwrap();
        }
    }
    assert!(found > 0, "sled checks its pages");
}

/// Reads everything; asserts that what is there is right, though it may be less.
fn read_rows(directory: &Path) -> Result<(), StoreError> {
    let engine = SledEngine::open(directory, &SledOptions::default())?;
    let committed = CommittedState::open(&engine, TREE)?;
    committed.offset_row()?;
    for row in committed.range(&KeyRange::all(), Direction::Forward)? {
        let (key, value) = row?;
        let offset = i64::from_be_bytes((&*key).try_into().unwrap());
        assert_eq!(*value, [offset as u8; 1024]);
    }
    Ok(())
}
