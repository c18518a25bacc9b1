//! The shape guard: proves that every count and length of a message fits its bytes, before a
//! decoder that allocates by them may run.
//!
//! The walk visits each byte at most once, allocates nothing, and recurses no deeper than the schema
//! does. What it lets pass, the decoder accepts, with memory in proportion to the bytes: each entry
//! of an array has been seen on the wire, and each takes at least one byte of it.

pub(crate) mod shape;
mod walk;

use crate::api::{ApiKey, supported_versions};
use crate::error::{DecodeError, Malformed};
use crate::generated::shapes;
use crate::wire::Reader;

use self::shape::Shape;
use self::walk::Walk;

/// Checks the body of a request, from byte `at` of `frame` to its end.
///
/// # Errors
/// The version is not supported, or the bytes are not a message of that shape.
#[cfg(feature = "broker")]
pub(crate) fn check_request(
    api: ApiKey,
    version: i16,
    frame: &[u8],
    at: usize,
) -> Result<(), DecodeError> {
    supported(api, version)?;
    check_whole(shapes::request(api), version, frame, at)
}

/// Checks the body of a response, from byte `at` of `frame` to its end.
///
/// # Errors
/// The version is not supported, or the bytes are not a message of that shape.
pub(crate) fn check_response(
    api: ApiKey,
    version: i16,
    frame: &[u8],
    at: usize,
) -> Result<(), DecodeError> {
    supported(api, version)?;
    check_whole(shapes::response(api), version, frame, at)
}

/// Checks that the bytes from `at` on are one message of `shape`; says where it ends.
///
/// # Errors
/// They are not.
pub(crate) fn check(
    shape: &Shape,
    version: i16,
    bytes: &[u8],
    at: usize,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::starting_at(bytes, at);
    let walk = Walk { version, flexible: version >= shape.first_flexible };
    walk.fields(&mut reader, shape.fields)?;
    Ok(reader.at())
}

fn check_whole(shape: &Shape, version: i16, frame: &[u8], at: usize) -> Result<(), DecodeError> {
    let end = check(shape, version, frame, at)?;
    if end == frame.len() {
        return Ok(());
    }
    // Bytes after the message mean that the peer speaks another version than it was asked to.
    Err(DecodeError::Malformed { at: end, reason: Malformed::TrailingBytes })
}

fn supported(api: ApiKey, version: i16) -> Result<(), DecodeError> {
    if supported_versions(api).contains(version) {
        return Ok(());
    }
    Err(DecodeError::Unsupported { api: api.code(), version })
}
