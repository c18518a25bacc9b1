//! What is measured: each variant works on one batch of one shape.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression as PeerCompression, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions,
};
use millstream_protocol::batch::{BatchBuilder, CheckedBatch, RawBatches};
use millstream_protocol::compression::Decompressor;
use millstream_types::Timestamp;

use crate::shape::Shape;

/// A variant with the buffers that it reuses.
pub struct Variant {
    pub suite: &'static str,
    pub peer: &'static str,
    run: Box<dyn FnMut()>,
}

impl Variant {
    /// Works through one batch.
    #[inline(never)]
    pub fn batch(&mut self) {
        (self.run)();
    }
}

/// All variants of a shape, after a proof that the encoders write the same bytes.
pub fn all(shape: Shape) -> Vec<Variant> {
    let shape: &'static Shape = Box::leak(Box::new(shape));
    let ours = encode_ours(shape, Vec::new());
    let mut theirs = BytesMut::new();
    encode_peer(&shape.peer_records(), &mut theirs);
    // kafka-protocol numbers sequences where there is no producer; nothing else may differ.
    assert_eq!(ours.len(), theirs.len(), "the encoders differ in {}", shape.name);
    assert!(ours[61..] == theirs[61..], "the encoders differ in {}", shape.name);
    let batch = Bytes::from(ours);

    let mut variants = encoders(shape, &batch);
    variants.extend(decoders(batch));
    variants
}

fn variant(suite: &'static str, peer: &'static str, run: impl FnMut() + 'static) -> Variant {
    Variant { suite, peer, run: Box::new(run) }
}

fn encoders(shape: &'static Shape, batch: &Bytes) -> Vec<Variant> {
    let source = batch.clone();
    let mut copy = vec![0; source.len()];
    let floor = move || {
        copy.copy_from_slice(black_box(&source));
        black_box(crc32c::crc32c(&copy[21..]));
    };
    let mut buffer = Some(Vec::new());
    let ours = move || {
        buffer = Some(black_box(encode_ours(shape, buffer.take().unwrap_or_default())));
    };
    let ready = shape.peer_records();
    let mut out = BytesMut::new();
    let peer_ready = move || {
        out.clear();
        encode_peer(&ready, &mut out);
        black_box(&out);
    };
    let mut out = BytesMut::new();
    let peer = move || {
        out.clear();
        encode_peer(&shape.peer_records(), &mut out);
        black_box(&out);
    };
    vec![
        variant("encode", "floor", floor),
        variant("encode", "millstream", ours),
        variant("encode", "kafka-protocol, records at hand", peer_ready),
        variant("encode", "kafka-protocol", peer),
    ]
}

fn decoders(batch: Bytes) -> Vec<Variant> {
    let bytes = batch.clone();
    let floor = move || {
        black_box(crc32c::crc32c(black_box(&bytes[21..])));
    };
    let bytes = batch.clone();
    let mut decompressor = Decompressor::default();
    let ours = move || decode_ours(&bytes, &mut decompressor);
    let peer = move || {
        let set = RecordBatchDecoder::decode(&mut batch.clone()).expect("a good batch");
        let mut seen = 0;
        for record in &set.records {
            seen += record.key.as_ref().map_or(0, Bytes::len);
            seen += record.value.as_ref().map_or(0, Bytes::len);
            seen += record.headers.values().flatten().map(Bytes::len).sum::<usize>();
        }
        black_box(seen);
    };
    vec![
        variant("decode", "floor", floor),
        variant("decode", "millstream", ours),
        variant("decode", "kafka-protocol", peer),
    ]
}

fn encode_ours(shape: &Shape, buffer: Vec<u8>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(buffer, usize::MAX);
    for sample in &shape.records {
        let (time, key) = (Timestamp(sample.timestamp), sample.key.as_deref());
        let appended = builder.append(time, key, Some(&sample.value), sample.headers.as_slice());
        appended.expect("no limit");
    }
    builder.seal().into_bytes()
}

fn encode_peer(records: &[Record], out: &mut BytesMut) {
    let options = RecordEncodeOptions { version: 2, compression: PeerCompression::None };
    RecordBatchEncoder::encode(out, records.iter(), &options).expect("good records");
}

fn decode_ours(bytes: &Bytes, decompressor: &mut Decompressor) {
    let mut seen = 0;
    for raw in RawBatches::new(bytes.clone()) {
        let raw = raw.expect("a good head");
        let batch = CheckedBatch::check(raw, decompressor).expect("a good batch");
        for record in batch.records() {
            seen += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            for header in record.headers() {
                seen += header.value.map_or(0, <[u8]>::len);
            }
        }
    }
    black_box(seen);
}
