//! Damaged and hostile messages: refused by the guard with a typed error, before any decoder runs.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::Vector;
use crate::api::{ApiKey, supported_versions};
use crate::error::{DecodeError, Malformed};
use crate::generated::shapes;
use crate::guard::shape::{Field, Kind};
use crate::messages::{MetadataRequest, ProduceRequest};

#[test]
fn every_prefix_of_every_message_is_refused() {
    for vector in Vector::all() {
        for end in 0..vector.body.len() {
            let error = vector.rewrite(vector.body.slice(..end)).map(|out| out.len());
            let typed =
                matches!(error, Err(DecodeError::Truncated { .. } | DecodeError::Oversized { .. }));
            assert!(typed, "{vector:?} cut to {end} bytes: {error:?}");
        }
    }
}

#[test]
fn a_byte_after_the_message_is_refused() {
    for vector in Vector::all() {
        let mut longer = BytesMut::from(vector.body.as_ref());
        longer.extend_from_slice(&[0]);
        let at = vector.body.len();
        let expected = DecodeError::Malformed { at, reason: Malformed::TrailingBytes };
        assert_eq!(vector.rewrite(longer.freeze()).unwrap_err(), expected, "{vector:?}");
    }
}

/// The largest counts and lengths of either encoding, written over every byte of every message:
/// whatever the guard lets pass must be a message that is in proportion to its bytes.
#[test]
fn huge_counts_at_every_byte_are_refused_or_harmless() {
    let hostile: [&[u8]; 2] = [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x07]];
    for vector in Vector::fullest() {
        for at in 0..vector.body.len() {
            for pattern in hostile {
                let mut body = BytesMut::from(vector.body.as_ref());
                let end = (at + pattern.len()).min(body.len());
                body[at..end].copy_from_slice(&pattern[..end - at]);
                refused_or_readable(&vector, body.freeze());
            }
        }
    }
}

/// A body that passes the guard must decode: the decoder finds nothing that the guard did not.
fn refused_or_readable(vector: &Vector, body: Bytes) {
    let refused = DecodeError::Malformed { at: 0, reason: Malformed::Refused };
    let outcome = vector.rewrite(body.clone());
    assert_ne!(outcome.err(), Some(refused), "{vector:?} as {body:?}");
}

/// The eight bytes that made an unguarded decoder ask for two gigabytes.
#[test]
fn a_metadata_request_of_two_billion_topics_is_refused() {
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&[0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff]);
    frame.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let error = crate::codec::decode_request::<MetadataRequest>(1, frame.freeze()).unwrap_err();
    assert_eq!(error, DecodeError::Oversized { at: 10, declared: 0x7fff_ffff, left: 4 });
}

#[test]
fn records_longer_than_the_request_are_refused() {
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 1, 0xff, 0xff]);
    frame.extend_from_slice(&[0xff, 0xff, 0, 1, 0, 0, 0x0f, 0xa0, 0, 0, 0, 1, 0, 1, b't']);
    frame.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2]);
    let error = crate::codec::decode_request::<ProduceRequest>(7, frame.freeze()).unwrap_err();
    assert!(matches!(error, DecodeError::Oversized { left: 2, .. }), "{error}");
}

/// The guard bounds a count by the bytes that are left, which needs every entry to take one.
#[test]
fn every_entry_of_every_array_takes_a_byte() {
    for api in ApiKey::ALL {
        let versions = supported_versions(*api);
        for version in versions.min..=versions.max {
            for shape in [shapes::request(*api), shapes::response(*api)] {
                let flexible = version >= shape.first_flexible;
                assert!(entries_take_bytes(shape.fields, version, flexible), "{api} {version}");
            }
        }
    }
}

fn entries_take_bytes(fields: &[Field], version: i16, flexible: bool) -> bool {
    let exists =
        |field: &&Field| field.is_in_place(version) || field.is_tagged(field.tag.into(), version);
    fields.iter().filter(exists).all(|field| below(&field.kind, version, flexible))
}

fn below(kind: &Kind, version: i16, flexible: bool) -> bool {
    match kind {
        Kind::Struct(fields) => entries_take_bytes(fields, version, flexible),
        Kind::Array(element) => {
            is_wide(element, version, flexible) && below(element, version, flexible)
        }
        _ => true,
    }
}

fn is_wide(kind: &Kind, version: i16, flexible: bool) -> bool {
    match kind {
        // A struct of a flexible version ends with the count of its tagged fields.
        Kind::Struct(fields) => flexible || fields.iter().any(|field| field.is_in_place(version)),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn mutated_messages_never_reach_the_decoder_broken(
        choice in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let vectors = vectors();
        let vector = choice.get(vectors);
        let mut body = BytesMut::from(vector.body.as_ref());
        for (at, byte) in edits {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len() + 1));
        }
        refused_or_readable(vector, body.freeze());
    }

    #[test]
    fn noise_never_reaches_the_decoder_broken(
        choice in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let vectors = vectors();
        refused_or_readable(choice.get(vectors), Bytes::from(noise));
    }

    #[test]
    fn noise_is_no_request_header(noise in prop::collection::vec(any::<u8>(), 0..64)) {
        // Whatever it says, it must not panic, and what it reads must lie in the bytes.
        if let Ok(header) = crate::codec::RequestHeader::peek(&noise) {
            prop_assert!(header.client_id.is_none_or(|id| id.len() <= noise.len()));
        }
    }
}

fn vectors() -> &'static [Vector] {
    static VECTORS: std::sync::OnceLock<Vec<Vector>> = std::sync::OnceLock::new();
    VECTORS.get_or_init(Vector::all)
}
