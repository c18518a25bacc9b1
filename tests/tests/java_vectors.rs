//! Our record batches, read and checked by Kafka's own code (`tests/peers/vectors`, needs Java and Maven).
//!
//! Batches of every codec and shape are written to a folder with what they hold beside them; Kafka's
//! `MemoryRecords` must read exactly that. The committed golden vectors are what Kafka writes today.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../crates/millstream-protocol/tests/reading/mod.rs"]
mod reading;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use millstream_protocol::batch::{BatchBuilder, BatchMut, ControlRecord, SealedBatch};
use millstream_protocol::compression::{Compression, Compressor};
use millstream_types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, RecordHeader, Timestamp, TimestampType,
};

static MAVEN: Mutex<()> = Mutex::new(());

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/vectors")
}

/// Runs the Maven program; a machine without Java fails the test and says what to install.
fn java(mode: &str, dir: &Path) -> String {
    // Two Mavens at once would compile into one folder.
    let _alone = MAVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "compile", "exec:java"]).current_dir(peers());
    let output = maven.arg(format!("-Dexec.args={mode} {}", dir.display())).output();
    let output = output.expect(
        "`mvn` could not be started: this test needs Java 17 and Maven 3.8 or later \
         (Debian: openjdk-17-jdk-headless maven)",
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{mode} ended with {}:\n{out}{err}", output.status);
    out
}

struct Folder {
    dir: tempfile::TempDir,
    count: usize,
}

impl Folder {
    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        fs::write(self.dir.path().join(format!("{name}.bin")), &bytes).unwrap();
        fs::write(self.dir.path().join(format!("{name}.txt")), reading::of(&bytes)).unwrap();
        self.count += 1;
    }
}

fn seal(builder: BatchBuilder, codec: Compression) -> SealedBatch {
    builder.seal_compressed(&mut Compressor::new(codec), Vec::new()).0
}

/// Every kind of key, value, header and timestamp in one batch.
fn kinds() -> BatchBuilder {
    let headers = [
        RecordHeader { key: "a", value: Some(b"1") },
        RecordHeader { key: "", value: Some(b"") },
        RecordHeader { key: "a", value: None },
        RecordHeader { key: "\u{fc}ml\u{e4}ut", value: Some(&[0xff; 200]) },
    ];
    let long = vec![b'x'; 9_000];
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    let mut add = |time, key, value, headers: &[RecordHeader<'_>]| {
        builder.append(Timestamp(time), key, value, headers).unwrap();
    };
    add(1_700_000_000_000, None, None, &[]);
    add(1_700_000_000_063, Some(&b""[..]), Some(&b""[..]), &headers[..1]);
    add(0, Some(&long[..64]), Some(long.as_slice()), &headers);
    add(-1, None, Some(&b"no time"[..]), &[]);
    add(i64::MAX, Some(&b"k"[..]), None, &headers[2..]);
    builder
}

/// Records enough for several blocks of every codec: some compress well, some not at all.
fn bulk() -> BatchBuilder {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    let mut state = 1_u64;
    for index in 0..400_i64 {
        let mut value = Vec::with_capacity(1_000);
        while value.len() < 1_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if index % 3 == 0 {
                value.extend_from_slice(&state.to_be_bytes());
            } else {
                value.extend_from_slice(
                    [&b"stream "[..], b"batch ", b"offset "][state as usize % 3],
                );
            }
        }
        let key = index.to_be_bytes();
        let headers: [RecordHeader<'_>; 0] = [];
        builder.append(Timestamp(index), Some(&key), Some(&value), headers).unwrap();
    }
    builder
}

fn appended(mut batch: SealedBatch, kind: TimestampType) -> Vec<u8> {
    batch.set_producer(ProducerId(77), ProducerEpoch(5), i32::MAX - 2);
    batch.set_transactional(true);
    let mut bytes = batch.into_bytes();
    let mut patch = BatchMut::new(&mut bytes).unwrap();
    patch.set_base_offset(Offset(1 << 40));
    patch.set_partition_leader_epoch(LeaderEpoch(12));
    patch.set_max_timestamp(kind, Timestamp(i64::MAX));
    bytes
}

#[test]
fn kafka_reads_what_we_write() {
    let mut folder = Folder { dir: tempfile::tempdir().unwrap(), count: 0 };
    for codec in Compression::ALL {
        folder.add(&format!("kinds-{codec}"), seal(kinds(), codec).into_bytes());
        folder.add(&format!("bulk-{codec}"), seal(bulk(), codec).into_bytes());
        for kind in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let bytes = appended(seal(kinds(), codec), kind);
            folder.add(&format!("appended-{codec}-{kind:?}"), bytes);
        }
    }
    for level in [1, 9] {
        let mut compressor = Compressor::with_level(Compression::Gzip, level).unwrap();
        let (batch, _) = bulk().seal_compressed(&mut compressor, Vec::new());
        folder.add(&format!("gzip-level-{level}"), batch.into_bytes());
    }
    for (name, marker) in [
        ("commit", ControlRecord::Commit { coordinator_epoch: 8 }),
        ("abort", ControlRecord::Abort { coordinator_epoch: i32::MAX }),
    ] {
        let batch = marker.to_batch(ProducerId(3), ProducerEpoch(1), Timestamp(99)).unwrap();
        folder.add(&format!("marker-{name}"), batch.into_bytes());
    }
    let several = [seal(kinds(), Compression::Lz4), seal(bulk(), Compression::None)];
    folder.add("several", several.into_iter().flat_map(SealedBatch::into_bytes).collect());

    let report = java("verify", folder.dir.path());
    assert!(report.contains(&format!("verified {}, wrong 0", folder.count)), "{report}");
}

#[test]
fn the_golden_vectors_are_what_kafka_writes() {
    let fresh = tempfile::tempdir().unwrap();
    java("generate", fresh.path());
    let golden = peers().join("../../../crates/millstream-protocol/tests/vectors");
    let mut compared = 0;
    for entry in fs::read_dir(fresh.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let committed = fs::read(golden.join(name));
        let same = committed.is_ok_and(|bytes| bytes == fs::read(&path).unwrap());
        assert!(same, "{} is not what Kafka writes: see its README", name.display());
        compared += 1;
    }
    assert!(compared >= 86, "Kafka wrote only {compared} files");
}
