//! Record batches of Kafka's own encoder: read as Kafka reads them, written byte for byte as it does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod reading;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use millstream_protocol::batch::{BatchBuilder, BatchMut, CheckedBatch, RawBatch, RawBatches};
use millstream_protocol::compression::{Compression, Compressor, Decompressor};

fn vectors() -> Vec<(String, Bytes, PathBuf)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Bytes::from(fs::read(&path).unwrap()), path)
        })
        .collect();
    all.sort();
    assert!(all.len() >= 43, "only {} vectors were found", all.len());
    all
}

#[test]
fn every_vector_reads_as_kafka_reads_it() {
    for (name, bytes, path) in vectors() {
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert!(reading::of(&bytes) == expected, "{name} reads otherwise");
    }
}

/// Encodes the records of a batch again, with all that its header says.
fn encode_again(batch: &CheckedBatch, compressor: Option<&mut Compressor>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    for record in batch.records() {
        let size =
            builder.record_size(record.timestamp, record.key, record.value, record.headers());
        let before = builder.size();
        builder.append(record.timestamp, record.key, record.value, record.headers()).unwrap();
        assert_eq!(builder.size(), before + size, "the size that was announced");
    }
    let mut sealed = match compressor {
        None => builder.seal(),
        Some(compressor) => builder.seal_compressed(compressor, Vec::new()).0,
    };
    let header = batch.header();
    sealed.set_producer(header.producer_id, header.producer_epoch, header.base_sequence);
    sealed.set_transactional(header.attributes.is_transactional());
    sealed.set_control(header.attributes.is_control());
    let mut bytes = sealed.into_bytes();
    let mut patch = BatchMut::new(&mut bytes).unwrap();
    patch.set_base_offset(header.base_offset);
    if let Some(epoch) = header.partition_leader_epoch {
        patch.set_partition_leader_epoch(epoch);
    }
    patch.set_max_timestamp(header.attributes.timestamp_type(), header.max_timestamp);
    bytes
}

fn is_as_a_producer_or_broker_writes(batch: &CheckedBatch) -> bool {
    let header = batch.header();
    header.magic == 2
        && header.delete_horizon().is_none()
        && header.last_offset_delta + 1 == header.record_count
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte() {
    let mut compared = 0;
    for (name, bytes, _) in vectors() {
        for raw in RawBatches::new(bytes) {
            let raw = raw.unwrap();
            let original = raw.bytes().clone();
            let batch = CheckedBatch::check(raw, &mut Decompressor::default()).unwrap();
            let codec = batch.header().attributes.compression();
            // With log-append time the deltas of the producer's own times are gone.
            let known = name != "v2-log-append-time" && codec == Ok(Compression::None);
            if known && is_as_a_producer_or_broker_writes(&batch) {
                assert!(encode_again(&batch, None) == original, "{name} is written otherwise");
                compared += 1;
            }
        }
    }
    assert!(compared >= 16, "only {compared} batches were compared");
}

#[test]
fn compressed_batches_keep_their_contents_and_headers() {
    let mut compared = 0;
    for (name, bytes, _) in vectors() {
        for raw in RawBatches::new(bytes) {
            let mut decompressor = Decompressor::default();
            let batch = CheckedBatch::check(raw.unwrap(), &mut decompressor).unwrap();
            let codec = batch.header().attributes.compression().unwrap();
            if codec == Compression::None || !is_as_a_producer_or_broker_writes(&batch) {
                continue;
            }
            let ours = Bytes::from(encode_again(&batch, Some(&mut Compressor::new(codec))));
            let again = RawBatch::parse(ours.clone()).unwrap();
            let again = CheckedBatch::check(again, &mut decompressor).unwrap();
            let mut header = *again.header();
            (header.crc, header.batch_length) = (batch.header().crc, batch.header().batch_length);
            assert_eq!(&header, batch.header(), "{name}");
            let same = again.records().eq_by_content(batch.records());
            assert!(same, "{name} changes its records");
            compared += 1;
        }
    }
    assert!(compared >= 14, "only {compared} batches were compared");
}

/// Compares records by what they hold.
trait EqByContent: Sized {
    fn eq_by_content(self, other: Self) -> bool;
}

impl EqByContent for millstream_protocol::batch::Records<'_> {
    fn eq_by_content(mut self, mut other: Self) -> bool {
        loop {
            match (self.next(), other.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) => {
                    let same = (a.offset, a.timestamp, a.key, a.value)
                        == (b.offset, b.timestamp, b.key, b.value);
                    if !same || !a.headers().eq(b.headers()) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
}
