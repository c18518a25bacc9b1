//! Every codec: round trips, reuse, limits, damage.

use super::*;

fn text(size: usize) -> Vec<u8> {
    let words = ["stream", "record", "batch", "partition", "offset", "commit"];
    let mut state = 7_u32;
    let mut out = Vec::with_capacity(size + 16);
    while out.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(words[(state >> 24) as usize % words.len()].as_bytes());
        out.push(b' ');
    }
    out.truncate(size);
    out
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..size).map(step).collect()
}

#[test]
fn names_and_numbers_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec: Compression = name.parse().unwrap();
        assert_eq!(usize::from(codec.id()), id);
        assert_eq!(codec.to_string(), name);
        assert_eq!(Compression::from_id(id as u8), Some(codec));
    }
    assert_eq!(Compression::from_id(5), None);
    let error = "LZ4".parse::<Compression>().unwrap_err();
    assert_eq!(error, CompressionError::UnknownName("LZ4".to_owned()));
}

#[test]
fn every_codec_gives_back_what_it_took_with_contexts_reused() {
    let sizes = [0, 1, 100, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000];
    for codec in Compression::ALL {
        let mut compressor = Compressor::new(codec);
        let mut decompressor = Decompressor::default();
        let mut buffer = Vec::new();
        for input in sizes.into_iter().flat_map(|size| [text(size), noise(size)]) {
            let mut compressed = b"head".to_vec();
            compressor.compress(&input, &mut compressed).unwrap();
            assert_eq!(&compressed[..4], b"head", "{codec} overwrote what was there");
            let opened = decompressor.open(codec, 2, &compressed[4..], buffer).unwrap();
            assert!(opened.bytes() == input, "{codec}, {} bytes", input.len());
            buffer = opened.into_buffer();
        }
    }
}

#[test]
fn bombs_are_refused_at_the_limit_and_not_before() {
    let input = vec![0; 1_000_000];
    for codec in Compression::ALL {
        let mut compressed = Vec::new();
        Compressor::new(codec).compress(&input, &mut compressed).unwrap();
        for limit in [0, 1, 70_000, input.len() - 1] {
            let error = Decompressor::new(limit).open(codec, 2, &compressed, Vec::new());
            let expected = CompressionError::DecompressionBomb { codec, limit };
            assert_eq!(error.unwrap_err(), expected);
        }
        let opened = Decompressor::new(input.len()).open(codec, 2, &compressed, Vec::new());
        let opened = opened.unwrap();
        assert_eq!(opened.bytes().len(), input.len());
        assert!(opened.capacity() <= 2 * input.len(), "{codec} held {}", opened.capacity());
    }
}

#[test]
fn cut_off_data_is_malformed_in_every_codec() {
    let input = text(50_000);
    for codec in Compression::ALL.into_iter().skip(1) {
        let mut compressed = Vec::new();
        Compressor::new(codec).compress(&input, &mut compressed).unwrap();
        let mut decompressor = Decompressor::default();
        for cut in [0, 1, 5, 12, compressed.len() / 2, compressed.len() - 1] {
            match decompressor.open(codec, 2, &compressed[..cut], Vec::new()) {
                Err(CompressionError::Malformed { .. }) => {}
                // Nothing at all is an empty zstd stream; a cut at a block's end is unseen in
                // snappy's framing. The batch's checksum and record count tell then.
                Ok(opened) => assert!(opened.bytes().len() < input.len(), "{codec} at {cut}"),
                Err(error) => panic!("{codec} at {cut}: {error}"),
            }
        }
        let again = decompressor.open(codec, 2, &compressed, Vec::new()).unwrap();
        assert!(again.bytes() == input, "{codec} works on after an error");
    }
}

#[test]
fn levels_are_kafkas_or_refused() {
    let accepted = |codec, level| Compressor::with_level(codec, level).is_ok();
    assert!(accepted(Compression::Gzip, -1));
    assert!((1..=9).all(|level| accepted(Compression::Gzip, level)));
    assert!(!accepted(Compression::Gzip, 0) && !accepted(Compression::Gzip, 10));
    assert!(accepted(Compression::Lz4, 9) && !accepted(Compression::Lz4, 12));
    assert!(accepted(Compression::Zstd, 3) && !accepted(Compression::Zstd, 23));
    assert!(!accepted(Compression::Snappy, 1) && !accepted(Compression::None, 1));
    assert_eq!(accepted(Compression::Zstd, 19), cfg!(feature = "zstd-c"));
    let error = Compressor::with_level(Compression::Lz4, 12).unwrap_err();
    assert_eq!(
        error.to_string(),
        "lz4 has no level 12 here: use 9, which is the fast compressor, as in Java"
    );
}

#[test]
fn gzip_levels_change_the_output() {
    let input = text(100_000);
    let size = |level| {
        let mut out = Vec::new();
        let compressor = Compressor::with_level(Compression::Gzip, level);
        compressor.unwrap().compress(&input, &mut out).unwrap();
        out.len()
    };
    assert!(size(9) < size(1));
}

#[test]
fn raw_snappy_is_read_too() {
    let input = text(10_000);
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    let opened = Decompressor::default().open(Compression::Snappy, 2, &raw, Vec::new());
    assert!(opened.unwrap().bytes() == input);
}

#[test]
fn a_length_that_no_snappy_block_can_hold_costs_no_memory() {
    // A varint that claims 100 MB, and nothing behind it.
    let claim = [0x80, 0xc2, 0xd7, 0x2f, 0];
    let opened = Decompressor::default().open(Compression::Snappy, 2, &claim, Vec::new());
    assert!(matches!(opened, Err(CompressionError::Malformed { .. })));
}

#[test]
fn gzip_headers_with_every_field_and_several_members_are_read() {
    let mut member = flate2::GzBuilder::new()
        .extra(vec![1, 2, 3])
        .filename("records")
        .comment("a comment")
        .write(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut member, b"one ").unwrap();
    let mut input = member.finish().unwrap();
    Compressor::new(Compression::Gzip).compress(b"two", &mut input).unwrap();
    let mut decompressor = Decompressor::default();
    let opened = decompressor.open(Compression::Gzip, 2, &input, Vec::new()).unwrap();
    assert_eq!(opened.bytes(), b"one two");

    let end = input.len();
    input[end - 5] ^= 1;
    let error = decompressor.open(Compression::Gzip, 2, &input, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn an_lz4_header_checksum_counts_in_format_two_only() {
    let mut frame = Vec::new();
    Compressor::new(Compression::Lz4).compress(b"records", &mut frame).unwrap();
    frame[6] ^= 0xff;
    let mut decompressor = Decompressor::default();
    assert!(decompressor.open(Compression::Lz4, 2, &frame, Vec::new()).is_err());
    for magic in [0, 1] {
        let opened = decompressor.open(Compression::Lz4, magic, &frame, Vec::new());
        assert_eq!(opened.unwrap().bytes(), b"records");
    }
}

#[test]
fn lz4_frames_of_other_writers_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let input = text(700_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB] {
            for checks in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(checks)
                    .content_checksum(checks)
                    .content_size(checks.then_some(input.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                std::io::Write::write_all(&mut encoder, &input).unwrap();
                let frame = encoder.finish().unwrap();
                let opened = Decompressor::default().open(Compression::Lz4, 2, &frame, Vec::new());
                assert!(opened.unwrap().bytes() == input);
            }
        }
    }
}

#[test]
fn a_zstd_window_beyond_all_reason_is_refused() {
    // Magic, a descriptor without a single segment, a window of 3.75 TiB.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00];
    let opened = Decompressor::default().open(Compression::Zstd, 2, &frame, Vec::new());
    assert!(matches!(opened, Err(CompressionError::Malformed { .. })));
}

/// A frame with the largest window of Kafka's levels, and blocks of 128 KiB of one byte each.
fn wide_zstd_frame(blocks: u32) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3];
    for block in 1..=blocks {
        let header = 0x20000 << 3 | 1 << 1 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(7);
    }
    frame
}

#[test]
fn a_zstd_window_does_not_hide_a_bomb_from_the_limit() {
    let limit = 1 << 20;
    let codec = Compression::Zstd;
    let mut decompressor = Decompressor::new(limit);
    let opened = decompressor.open(codec, 2, &wide_zstd_frame(8), Vec::new()).unwrap();
    assert!(opened.bytes() == vec![7; limit]);
    for blocks in [9, 10, 1_000] {
        let bomb = decompressor.open(codec, 2, &wide_zstd_frame(blocks), Vec::new());
        assert_eq!(bomb.unwrap_err(), CompressionError::DecompressionBomb { codec, limit });
    }
}
