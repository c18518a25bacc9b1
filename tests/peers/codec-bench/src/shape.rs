//! The records that are encoded and decoded.

use bytes::Bytes;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Record, TimestampType};
use millstream_types::RecordHeader;

/// Records of one kind.
pub struct Shape {
    pub name: &'static str,
    pub records: Vec<Sample>,
}

/// One record, as a caller holds it.
pub struct Sample {
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Bytes,
    pub headers: Vec<RecordHeader<'static>>,
}

const HEADERS: [RecordHeader<'static>; 2] = [
    RecordHeader { key: "trace", value: Some(b"7f3a9c0e51d2b846") },
    RecordHeader { key: "source", value: Some(b"edge-14") },
];

/// How many records a batch holds.
pub const BATCH: usize = 1_000;

pub fn all() -> Vec<Shape> {
    vec![
        shape("key16+value100", Some(16), 100, 0),
        shape("value1024", None, 1024, 0),
        shape("key16+value100+2headers", Some(16), 100, 2),
    ]
}

fn shape(name: &'static str, key: Option<usize>, value: usize, headers: usize) -> Shape {
    let sample = |index: usize| Sample {
        timestamp: 1_700_000_000_000 + index as i64 / 10,
        key: key.map(|size| noise(size, index as u64 + 1)),
        value: noise(value, index as u64 + 100_000),
        headers: HEADERS[..headers].to_vec(),
    };
    Shape { name, records: (0..BATCH).map(sample).collect() }
}

/// Bytes that differ from record to record.
fn noise(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..size).map(step).collect()
}

impl Shape {
    /// The records as kafka-protocol wants them. Cloning `Bytes` copies no payload.
    pub fn peer_records(&self) -> Vec<Record> {
        let record = |(index, sample): (usize, &Sample)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: index as i64,
            sequence: index as i32 - 1,
            timestamp: sample.timestamp,
            key: sample.key.clone(),
            value: Some(sample.value.clone()),
            headers: peer_headers(sample),
        };
        self.records.iter().enumerate().map(record).collect()
    }
}

fn peer_headers(sample: &Sample) -> IndexMap<StrBytes, Option<Bytes>> {
    let header = |header: &RecordHeader<'static>| {
        (StrBytes::from_static_str(header.key), header.value.map(Bytes::from_static))
    };
    sample.headers.iter().map(header).collect()
}
