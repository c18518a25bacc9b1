//! What we read from bytes, in the words of `tests/peers/vectors/.../Reading.java`.

use std::fmt::Write;

use bytes::Bytes;
use millstream_protocol::batch::{
    BatchHeader, CheckedBatch, ControlRecord, RawBatches, RecordView,
};
use millstream_protocol::compression::Decompressor;
use millstream_types::TimestampType;

/// How many bytes are written out.
const LONG: usize = 40;

/// Checks and reads all batches, which must all be good.
pub(crate) fn of(bytes: &Bytes) -> String {
    let mut out = String::new();
    let mut decompressor = Decompressor::default();
    let mut batches = RawBatches::new(bytes.clone());
    for raw in &mut batches {
        let raw = raw.expect("the head of a batch");
        let batch = CheckedBatch::check(raw, &mut decompressor).expect("a good batch");
        write_batch(&mut out, &batch);
    }
    assert_eq!(batches.truncated(), None);
    out
}

fn write_batch(out: &mut String, batch: &CheckedBatch) {
    let header = batch.header();
    let timestamps = match header.attributes.timestamp_type() {
        _ if header.magic == 0 => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let codec = header.attributes.compression().expect("a known codec");
    write!(
        out,
        "batch magic={} next={} codec={codec} timestamps={timestamps} max={}",
        header.magic,
        batch.next_offset(),
        header.max_timestamp
    )
    .unwrap();
    if header.magic >= 2 {
        write_head(out, header);
    }
    out.push('\n');
    for record in batch.records() {
        write_record(out, &record);
        match batch.is_control().then(|| ControlRecord::read(&record)) {
            Some(ControlRecord::Commit { coordinator_epoch }) => {
                writeln!(out, "marker COMMIT {coordinator_epoch}").unwrap();
            }
            Some(ControlRecord::Abort { coordinator_epoch }) => {
                writeln!(out, "marker ABORT {coordinator_epoch}").unwrap();
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

fn write_head(out: &mut String, header: &BatchHeader) {
    let attributes = header.attributes;
    write!(
        out,
        " base={} epoch={} producer={}:{}:{}:{} transactional={} control={} horizon={} count={}",
        header.base_offset,
        header.partition_leader_epoch.map_or(-1, |epoch| epoch.0),
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.last_sequence(),
        attributes.is_transactional(),
        attributes.is_control(),
        header.delete_horizon().map_or(-1, |time| time.0),
        header.record_count
    )
    .unwrap();
}

fn write_record(out: &mut String, record: &RecordView<'_>) {
    let (offset, timestamp) = (record.offset, record.timestamp);
    let (key, value) = (hex(record.key), hex(record.value));
    write!(out, "record {offset} {timestamp} {key} {value}").unwrap();
    for header in record.headers() {
        write!(out, " {}={}", hex(Some(header.key)), hex(header.value)).unwrap();
    }
    out.push('\n');
}

fn hex(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > LONG => {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            format!("#{}:{:08x}", bytes.len(), crc.sum())
        }
        Some(bytes) => bytes.iter().fold("x".to_owned(), |mut out, byte| {
            write!(out, "{byte:02x}").unwrap();
            out
        }),
    }
}
