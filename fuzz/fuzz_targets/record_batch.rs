//! Any bytes as the records of a fetch answer: an error or records, never a panic, never much memory.
//!
//! Each input is tried as it is and with its checksum set right, or the checksum would hide all that is behind it.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millstream_protocol::batch::{BatchBuilder, CheckedBatch, ControlRecord, RawBatches};
use millstream_protocol::compression::Decompressor;

const LIMIT: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    read(Bytes::copy_from_slice(input));
    if input.len() > 61 {
        let mut repaired = input.to_vec();
        let length = (input.len() - 12) as i32;
        repaired[8..12].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c::crc32c(&repaired[21..]);
        repaired[17..21].copy_from_slice(&crc.to_be_bytes());
        read(Bytes::from(repaired));
    }
});

fn read(bytes: Bytes) {
    let mut decompressor = Decompressor::new(LIMIT);
    let mut batches = RawBatches::new(bytes);
    for raw in batches.by_ref().flatten() {
        let batch = match CheckedBatch::check(raw, &mut decompressor) {
            Ok(batch) => batch,
            Err(error) => match error.prefix {
                Some(prefix) => *prefix,
                None => continue,
            },
        };
        let _ = batch.next_offset();
        assert!(batch.decompressed_bytes() <= LIMIT.max(128 * 1024));
        let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
        let mut seen = 0;
        for record in batch.records() {
            seen += 1;
            assert!(record.headers().count() == record.headers().len());
            let _ = ControlRecord::read(&record);
            let size =
                builder.record_size(record.timestamp, record.key, record.value, record.headers());
            let before = builder.size();
            // A batch may carry a timestamp that no producer may send.
            if builder.append(record.timestamp, record.key, record.value, record.headers()).is_ok()
            {
                assert_eq!(builder.size(), before + size);
            }
        }
        assert_eq!(seen, batch.len(), "the iterator gives what was checked");
    }
    let _ = batches.truncated();
}
