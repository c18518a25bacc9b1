//! The life of a batch, from builder to reader, by example.

use bytes::Bytes;
use millstream_types::{
    Header, Headers, LeaderEpoch, Offset, ProducerEpoch, ProducerId, RecordHeader, Timestamp,
    TimestampType,
};

use super::*;
use crate::compression::{Compression, Compressor, Decompressor};

const NO_HEADERS: [RecordHeader<'static>; 0] = [];

fn builder_of(values: &[&str]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    for (time, value) in values.iter().enumerate() {
        let time = Timestamp(1_000 + time as i64);
        builder.append(time, None, Some(value.as_bytes()), NO_HEADERS).unwrap();
    }
    builder
}

fn raw(bytes: impl Into<Bytes>) -> RawBatch {
    RawBatch::parse(bytes.into()).unwrap()
}

fn check(bytes: impl Into<Bytes>) -> Result<CheckedBatch, CheckError> {
    CheckedBatch::check(raw(bytes), &mut Decompressor::default())
}

fn values(batch: &CheckedBatch) -> Vec<String> {
    let text = |record: RecordView<'_>| String::from_utf8_lossy(record.value().unwrap()).into();
    batch.records().map(text).collect()
}

#[test]
fn an_open_batch_tells_of_its_contents() {
    let builder = builder_of(&["a", "b", "c"]);
    assert_eq!(builder.record_count(), 3);
    assert_eq!(builder.base_timestamp(), Timestamp(1_000));
    assert_eq!(builder.max_timestamp(), Timestamp(1_002));
    assert_eq!(builder.size(), BATCH_OVERHEAD + 3 * 8);
    let offsets: Vec<_> = builder.records().map(|record| record.offset().0).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[test]
fn the_size_of_a_single_record_is_exact() {
    let headers = [RecordHeader { key: "k", value: None }];
    let size = BatchBuilder::single_record_size(Some(b"key"), Some(&[7; 300]), &headers);
    let mut builder = BatchBuilder::new(Vec::new(), size);
    builder.append(Timestamp(5), Some(b"key"), Some(&[7; 300]), &headers).unwrap();
    assert_eq!(builder.size(), size);
    let more = builder.append(Timestamp(5), None, None, NO_HEADERS);
    assert_eq!(more, Err(AppendError::Full { needed: size + 7, limit: size }));
    builder.raise_limit(size + 7);
    assert_eq!(builder.append(Timestamp(5), None, None, NO_HEADERS), Ok(1));
}

#[test]
fn a_negative_timestamp_is_refused_and_leaves_the_batch_as_it_was() {
    let mut builder = builder_of(&["a"]);
    let size = builder.size();
    let appended = builder.append(Timestamp(-2), None, None, NO_HEADERS);
    assert_eq!(appended, Err(AppendError::InvalidTimestamp(-2)));
    assert_eq!((builder.size(), builder.record_count()), (size, 1));
}

#[test]
fn a_buffer_is_used_again_without_growing() {
    let mut buffer = builder_of(&["some", "longer", "records"]).into_buffer();
    buffer.reserve(1_000);
    let (at, capacity) = (buffer.as_ptr(), buffer.capacity());
    let mut builder = BatchBuilder::new(buffer, capacity);
    while builder.append(Timestamp(1), None, Some(b"x"), NO_HEADERS).is_ok() {}
    let bytes = builder.seal().into_bytes();
    assert_eq!((bytes.as_ptr(), bytes.capacity()), (at, capacity));
}

#[test]
fn headers_come_from_either_kind_and_go_to_owned_ones() {
    let mut owned = Headers::new();
    owned.add("k", Some(Bytes::from_static(b"1")));
    owned.add("k", None);
    let borrowed =
        [RecordHeader { key: "k", value: Some(b"1") }, RecordHeader { key: "k", value: None }];
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 10);
    builder.append(Timestamp(1), None, None, &owned).unwrap();
    builder.append(Timestamp(1), None, None, &borrowed).unwrap();
    builder.append(Timestamp(1), None, None, borrowed).unwrap();
    for record in builder.records() {
        assert_eq!(record.headers().to_headers(), owned);
    }
    let odd = HeaderView { key: &[b'a', 0xff], value: None };
    assert_eq!(odd.to_header(), Header { key: "a\u{fffd}".to_owned(), value: None });
}

#[test]
fn setters_make_the_checksum_stale_until_finish() {
    let mut batch = builder_of(&["a", "b"]).seal();
    batch.set_producer(ProducerId(9), ProducerEpoch(2), i32::MAX);
    batch.set_transactional(true);
    let first = Bytes::copy_from_slice(batch.finish());
    raw(first.clone()).verify().unwrap();
    batch.set_partition_leader_epoch(LeaderEpoch(4));
    raw(Bytes::copy_from_slice(batch.as_bytes())).verify().unwrap();

    batch.set_producer(ProducerId(9), ProducerEpoch(3), 0);
    let second = raw(batch.into_bytes());
    second.verify().unwrap();
    let header = second.header();
    assert_eq!((header.producer_epoch, header.base_sequence), (ProducerEpoch(3), 0));
    assert_eq!(header.partition_leader_epoch, Some(LeaderEpoch(4)));
    assert_eq!(raw(first).header().last_sequence(), 0);
}

#[test]
fn a_sealed_batch_is_read_again_compressed_or_not() {
    let mut decompressor = Decompressor::default();
    for codec in Compression::ALL {
        let mut compressor = Compressor::new(codec);
        let (batch, _) = builder_of(&["a", "b", "c"]).seal_compressed(&mut compressor, Vec::new());
        assert_eq!(batch.records().is_some(), codec == Compression::None);
        let opened = batch.open(&mut decompressor).unwrap();
        assert_eq!(values(&opened), ["a", "b", "c"]);
    }
}

#[test]
fn compressing_gives_both_buffers_to_the_caller() {
    let builder = builder_of(&["a"; 100]);
    let size = builder.size();
    let output = Vec::with_capacity(4096);
    let place = output.as_ptr();
    let (batch, spare) = builder.seal_compressed(&mut Compressor::new(Compression::Lz4), output);
    assert!(spare.capacity() >= size);
    assert!(batch.size() < size);
    let bytes = batch.into_bytes();
    assert_eq!(bytes.as_ptr(), place);
}

#[test]
fn a_broker_sets_offset_epoch_and_time() {
    let mut bytes = builder_of(&["a", "b"]).seal().into_bytes();
    let crc = BatchHeader::parse(&bytes).unwrap().crc;
    let mut patch = BatchMut::new(&mut bytes).unwrap();
    patch.set_base_offset(Offset(500));
    patch.set_partition_leader_epoch(LeaderEpoch(7));
    patch.set_max_timestamp(TimestampType::CreateTime, Timestamp(1_001));
    assert_eq!(BatchHeader::parse(&bytes).unwrap().crc, crc, "nothing under the checksum changed");

    let mut patch = BatchMut::new(&mut bytes).unwrap();
    patch.set_max_timestamp(TimestampType::LogAppendTime, Timestamp(9_999));
    let batch = check(bytes).unwrap();
    assert_eq!(batch.next_offset(), Offset(502));
    let seen: Vec<_> =
        batch.records().map(|record| (record.offset.0, record.timestamp.0)).collect();
    assert_eq!(seen, [(500, 9_999), (501, 9_999)]);
}

#[test]
fn a_cursor_keeps_its_place_without_a_borrow() {
    let batch = check(builder_of(&["a", "b", "c"]).seal().into_bytes()).unwrap();
    let mut cursor = Cursor::default();
    assert_eq!(batch.next_record(&mut cursor).unwrap().value, Some(&b"a"[..]));
    assert_eq!(cursor.index(), 1);
    assert_eq!(batch.records_from(cursor).len(), 2);
    assert_eq!(batch.next_record(&mut cursor).unwrap().value, Some(&b"b"[..]));
    assert_eq!(batch.next_record(&mut cursor).unwrap().value, Some(&b"c"[..]));
    assert!(batch.next_record(&mut cursor).is_none());
    assert!(batch.next_record(&mut cursor).is_none());
}

#[test]
fn batches_are_split_without_a_copy_and_the_tail_may_be_cut_off() {
    let one = builder_of(&["a"]).seal().into_bytes();
    let two = builder_of(&["b", "c"]).seal().into_bytes();
    let all = Bytes::from([one.as_slice(), &two, &two[..20]].concat());
    let mut batches = RawBatches::new(all.clone());
    let first = batches.next().unwrap().unwrap();
    assert_eq!(first.bytes().as_ptr(), all.as_ptr());
    assert_eq!(batches.next().unwrap().unwrap().header().record_count, 2);
    assert_eq!(batches.truncated(), None);
    assert!(batches.next().is_none());
    let cut = TruncatedBatch { available: 20, needed: Some(two.len()), is_first: false };
    assert_eq!(batches.truncated(), Some(cut));

    let mut batches = RawBatches::new(all.slice(..5));
    assert!(batches.next().is_none());
    let cut = TruncatedBatch { available: 5, needed: None, is_first: true };
    assert_eq!(batches.truncated(), Some(cut));
}

#[test]
fn a_malformed_head_ends_the_batches_with_an_error() {
    let good = builder_of(&["a"]).seal().into_bytes();
    let damaged = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        let mut batches = RawBatches::new(Bytes::from([good.as_slice(), &bad, &good].concat()));
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err();
        assert!(batches.next().is_none());
        assert_eq!(batches.truncated(), None);
        error
    };
    assert_eq!(damaged(16, 3), BatchError::Magic { base_offset: 0, magic: 3 });
    let error = damaged(8, 0x80);
    assert!(matches!(error, BatchError::Length { length, .. } if length < 0), "{error}");
    let error = damaged(11, 20);
    assert_eq!(error, BatchError::Length { base_offset: 0, length: 20 });
}

#[test]
fn exactly_one_batch_is_asked_for() {
    let bytes = builder_of(&["a"]).seal().into_bytes();
    let size = bytes.len();
    let mut long = bytes.clone();
    long.push(0);
    let error = RawBatch::parse(Bytes::from(long)).unwrap_err();
    assert_eq!(error, BatchError::TrailingBytes { extra: 1 });
    let error = RawBatch::parse(Bytes::from(bytes).slice(..30)).unwrap_err();
    assert_eq!(error, BatchError::Truncated { needed: size, available: 30 });
    assert!(RawBatch::parse(Bytes::new()).is_err());
}

#[test]
fn verify_finds_headers_that_contradict_themselves() {
    let bytes = builder_of(&["a", "b"]).seal().into_bytes();
    raw(bytes.clone()).verify().unwrap();
    let verify = |at: usize, field: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        header::write_crc(&mut bytes);
        raw(bytes).verify().unwrap_err().to_string()
    };
    assert!(verify(57, &3_i32.to_be_bytes()).contains("do not agree"));
    assert!(verify(57, &0_i32.to_be_bytes()).contains("do not agree"));
    assert!(verify(43, &1_i64.to_be_bytes()).contains("no sequence number"));
    assert!(verify(21, &0x10_i16.to_be_bytes()).contains("no producer id"));
    assert!(verify(21, &5_i16.to_be_bytes()).contains("codec is unknown"));
    let mut torn = bytes.clone();
    torn[70] ^= 1;
    assert!(matches!(raw(torn).verify(), Err(BatchError::Crc { .. })));
}

#[test]
fn markers_are_written_and_read() {
    for marker in [
        ControlRecord::Commit { coordinator_epoch: 3 },
        ControlRecord::Abort { coordinator_epoch: 4 },
    ] {
        let batch = marker.to_batch(ProducerId(1), ProducerEpoch(2), Timestamp(3)).unwrap();
        let batch = check(batch.into_bytes()).unwrap();
        assert!(batch.is_control() && batch.header().attributes.is_transactional());
        assert_eq!(batch.control_record(), Some(marker));
    }
    let unknown = ControlRecord::Unknown { kind: Some(2) };
    assert!(unknown.to_batch(ProducerId(1), ProducerEpoch(2), Timestamp(3)).is_none());
    let data = check(builder_of(&["a"]).seal().into_bytes()).unwrap();
    assert_eq!(data.control_record(), None);
}

#[test]
fn control_records_of_no_transaction_are_unknown() {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 10);
    builder.append(Timestamp(1), Some(&[0, 0, 0, 2]), Some(&[0; 8]), NO_HEADERS).unwrap();
    builder.append(Timestamp(1), Some(&[0]), None, NO_HEADERS).unwrap();
    builder.append(Timestamp(1), Some(&[0, 0, 0, 1]), Some(&[0]), NO_HEADERS).unwrap();
    let kinds: Vec<_> = builder.records().map(|record| ControlRecord::read(&record)).collect();
    let unknown = |kind| ControlRecord::Unknown { kind };
    assert_eq!(kinds, [unknown(Some(2)), unknown(None), unknown(Some(1))]);
}

#[test]
fn decompression_buffers_return_to_their_pool() {
    let (batch, _) =
        builder_of(&["a"; 50]).seal_compressed(&mut Compressor::new(Compression::Zstd), Vec::new());
    let bytes = Bytes::from(batch.into_bytes());
    let pool = BufferPool::new(1, 1 << 20);
    let mut decompressor = Decompressor::with_pool(1 << 20, pool.clone());
    let mut open = || CheckedBatch::check(raw(bytes.clone()), &mut decompressor).unwrap();
    let (first, second) = (open(), open());
    assert!(first.decompressed_bytes() > 0);
    assert_eq!(pool.idle(), 0);
    fn given_away(batch: impl Send + 'static) {
        drop(batch);
    }
    given_away(first);
    assert_eq!(pool.idle(), 1);
    drop(second);
    assert_eq!(pool.idle(), 1, "the pool keeps as many as it was told");
    drop(open());
    assert_eq!(pool.idle(), 1);
}

#[test]
fn errors_say_what_can_be_done() {
    use crate::ErrorClass;
    let mut bytes = builder_of(&["a"]).seal().into_bytes();
    bytes[66] ^= 1;
    let error = check(bytes).unwrap_err();
    assert!(error.prefix.is_none());
    assert_eq!(error.error.class(), ErrorClass::Retriable);
    assert!(error.to_string().starts_with("record batch at offset 0 is corrupt"));

    let (bomb, _) =
        builder_of(&["a"; 50]).seal_compressed(&mut Compressor::new(Compression::Gzip), Vec::new());
    let error = CheckedBatch::check(raw(bomb.into_bytes()), &mut Decompressor::new(10));
    assert_eq!(error.unwrap_err().error.class(), ErrorClass::InvalidConfiguration);
}
