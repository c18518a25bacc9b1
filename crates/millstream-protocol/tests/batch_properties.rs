//! Properties of batches: what goes in comes out, and damage is an error, never a panic.
//!
//! A failing case is shrunk and printed whole by proptest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use millstream_protocol::batch::{
    AppendError, BATCH_OVERHEAD, BatchBuilder, BatchError, CheckedBatch, HeaderView, RawBatch,
    RawBatches, RecordView, SealedBatch,
};
use millstream_protocol::compression::{Compression, CompressionError, Compressor, Decompressor};
use millstream_types::{ProducerEpoch, ProducerId, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Field = Option<Vec<u8>>;

#[derive(Clone, Debug, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Field,
    value: Field,
    headers: Vec<(Vec<u8>, Field)>,
}

impl Owned {
    fn of(record: &RecordView<'_>) -> Self {
        let header =
            |header: HeaderView<'_>| (header.key.to_vec(), header.value.map(<[u8]>::to_vec));
        Self {
            timestamp: record.timestamp.0,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers().map(header).collect(),
        }
    }

    fn headers(&self) -> Vec<HeaderView<'_>> {
        self.headers
            .iter()
            .map(|(key, value)| HeaderView { key, value: value.as_deref() })
            .collect()
    }

    fn append_to(&self, builder: &mut BatchBuilder) -> Result<i32, AppendError> {
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        builder.append(Timestamp(self.timestamp), key, value, self.headers())
    }
}

fn field() -> impl Strategy<Value = Field> {
    let bytes = prop_oneof![vec(any::<u8>(), 0..40), vec(b'a'..b'd', 100..600)];
    option::of(bytes)
}

fn record() -> impl Strategy<Value = Owned> {
    let time = prop_oneof![Just(-1), 0..i64::MAX, 1_700_000_000_000..1_700_000_010_000_i64];
    let headers = vec((vec(any::<u8>(), 0..12), field()), 0..4);
    (time, field(), field(), headers).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers,
    })
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn sealed(records: &[Owned], codec: Compression) -> SealedBatch {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    for record in records {
        record.append_to(&mut builder).unwrap();
    }
    match codec {
        Compression::None => builder.seal(),
        codec => builder.seal_compressed(&mut Compressor::new(codec), Vec::new()).0,
    }
}

fn check(bytes: impl Into<Bytes>) -> Result<CheckedBatch, BatchError> {
    let raw = RawBatch::parse(bytes.into())?;
    let checked = CheckedBatch::check(raw, &mut Decompressor::new(1 << 20));
    checked.map_err(|error| error.error)
}

fn read(batch: &CheckedBatch) -> Vec<Owned> {
    batch.records().map(|record| Owned::of(&record)).collect()
}

/// Walks whatever can be read of bytes that may be anything.
fn survive(bytes: Bytes) {
    let mut decompressor = Decompressor::new(1 << 20);
    for raw in RawBatches::new(bytes).flatten() {
        let size = raw.bytes().len();
        let batch = match CheckedBatch::check(raw, &mut decompressor) {
            Ok(batch) => Some(batch),
            Err(error) => error.prefix.map(|prefix| *prefix),
        };
        if let Some(batch) = batch {
            let seen = read(&batch).len();
            assert_eq!(seen, batch.len(), "the iterator gives what was checked");
            assert!(batch.len() <= size.max(1 << 20));
        }
    }
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > 21 {
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back_as_they_went_in(records in vec(record(), 1..20), codec in codec()) {
        let mut batch = sealed(&records, codec);
        batch.set_producer(ProducerId(7), ProducerEpoch(1), 5);
        let opened = batch.open(&mut Decompressor::default()).unwrap();
        prop_assert_eq!(read(&opened), records.clone());

        let checked = check(batch.into_bytes()).unwrap();
        prop_assert_eq!(read(&checked), records.clone());
        prop_assert_eq!(checked.header().producer_id, ProducerId(7));
        prop_assert_eq!(checked.next_offset().0, records.len() as i64);
        let offsets: Vec<_> = checked.records().map(|record| record.offset.0).collect();
        prop_assert_eq!(offsets, (0..records.len() as i64).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_never_passes_its_limit(records in vec(record(), 1..20), limit in 61_usize..2_000) {
        let mut builder = BatchBuilder::new(Vec::new(), limit);
        for record in &records {
            let (before, count) = (builder.size(), builder.record_count());
            let headers = record.headers();
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let size = builder.record_size(Timestamp(record.timestamp), key, value, headers);
            match record.append_to(&mut builder) {
                Ok(index) => {
                    prop_assert_eq!(index, count);
                    prop_assert_eq!(builder.size(), before + size);
                    prop_assert!(builder.size() <= limit);
                }
                Err(error) => {
                    let full = AppendError::Full { needed: before + size, limit };
                    prop_assert_eq!(error, full);
                    prop_assert_eq!((builder.size(), builder.record_count()), (before, count));
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error(records in vec(record(), 1..6), codec in codec(), at in any::<prop::sample::Index>()) {
        let bytes = sealed(&records, codec).into_bytes();
        let cut = at.index(bytes.len());
        prop_assert!(check(bytes[..cut].to_vec()).is_err());

        let mut batches = RawBatches::new(Bytes::from(bytes[..cut].to_vec()));
        prop_assert!(batches.next().is_none());
        let truncated = batches.truncated();
        prop_assert_eq!(truncated.is_some(), cut > 0);
        if let Some(truncated) = truncated {
            prop_assert!(truncated.is_first);
            prop_assert_eq!(truncated.needed, (cut >= 12).then_some(bytes.len()));
        }
    }

    #[test]
    fn every_flipped_bit_that_the_checksum_covers_is_found(records in vec(record(), 1..6), codec in codec(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = sealed(&records, codec).into_bytes();
        let place = 21 + at.index(bytes.len() - 21);
        bytes[place] ^= 1_u8 << bit;
        let found = matches!(check(bytes), Err(BatchError::Crc { .. }));
        prop_assert!(found);
    }

    #[test]
    fn damage_under_a_valid_checksum_never_panics(
        records in vec(record(), 1..6),
        codec in codec(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = sealed(&records, codec).into_bytes();
        for (at, value) in edits {
            let place = at.index(bytes.len());
            bytes[place] = value;
        }
        survive(Bytes::from(bytes.clone()));
        survive(Bytes::from(with_crc(bytes)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..400), magic in 0_u8..4) {
        survive(Bytes::from(bytes.clone()));
        if bytes.len() > 61 {
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = magic;
            survive(Bytes::from(with_crc(bytes)));
        }
    }

    #[test]
    fn a_damaged_record_leaves_those_before_it(records in vec(record(), 2..10), bad in any::<prop::sample::Index>()) {
        let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
        let bad = bad.index(records.len());
        let mut start = 0;
        for (index, record) in records.iter().enumerate() {
            if index == bad {
                start = builder.size();
            }
            record.append_to(&mut builder).unwrap();
        }
        let mut bytes = builder.seal().into_bytes();
        // A negative length.
        bytes[start] = 1;
        let raw = RawBatch::parse(Bytes::from(with_crc(bytes))).unwrap();
        let error = CheckedBatch::check(raw, &mut Decompressor::default()).unwrap_err();
        let at = matches!(error.error, BatchError::Record { index, .. } if index as usize == bad);
        prop_assert!(at, "{}", error.error);
        let prefix = error.prefix.map(|prefix| read(&prefix)).unwrap_or_default();
        prop_assert_eq!(prefix, records[..bad].to_vec());
    }
}

#[test]
fn a_bomb_is_refused_in_every_codec() {
    let value = vec![0; 3 << 20];
    for codec in Compression::ALL.into_iter().skip(1) {
        let record =
            Owned { timestamp: 1, key: None, value: Some(value.clone()), headers: Vec::new() };
        let bytes = sealed(&[record], codec).into_bytes();
        let Err(BatchError::Compression { source, .. }) = check(bytes) else {
            panic!("{codec} opened a bomb");
        };
        let limit = 1 << 20;
        assert_eq!(source, CompressionError::DecompressionBomb { codec, limit });
    }
}

#[test]
fn a_record_count_alone_costs_nothing() {
    let record = Owned { timestamp: 1, key: None, value: None, headers: Vec::new() };
    let mut bytes = sealed(&[record], Compression::None).into_bytes();
    assert_eq!(bytes.len(), BATCH_OVERHEAD + 7);
    bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    bytes[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    let raw = RawBatch::parse(Bytes::from(with_crc(bytes))).unwrap();
    let error = CheckedBatch::check(raw, &mut Decompressor::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 1 of the batch at offset 0 is malformed: it is missing: the batch ends before it"
    );
    assert_eq!(error.prefix.map(|prefix| prefix.len()), Some(1));
}
