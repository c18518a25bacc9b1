//! Writers of single fields.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow, bail};
use bytes::{BufMut, Bytes};
use kafka_protocol::protocol::Encodable;
use uuid::Uuid;

use crate::wire::put_uvarint as uvarint;

pub(crate) fn bool(buf: &mut impl BufMut, value: bool) {
    buf.put_u8(value.into());
}

pub(crate) fn i8(buf: &mut impl BufMut, value: i8) {
    buf.put_i8(value);
}

pub(crate) fn i16(buf: &mut impl BufMut, value: i16) {
    buf.put_i16(value);
}

pub(crate) fn u16(buf: &mut impl BufMut, value: u16) {
    buf.put_u16(value);
}

pub(crate) fn i32(buf: &mut impl BufMut, value: i32) {
    buf.put_i32(value);
}

pub(crate) fn i64(buf: &mut impl BufMut, value: i64) {
    buf.put_i64(value);
}

pub(crate) fn uuid(buf: &mut impl BufMut, value: Uuid) {
    buf.put_slice(value.as_bytes());
}

pub(crate) fn string(buf: &mut impl BufMut, flexible: bool, value: &str) -> Result<()> {
    nullable_string(buf, flexible, Some(value))
}

pub(crate) fn nullable_string(
    buf: &mut impl BufMut,
    flexible: bool,
    value: Option<&str>,
) -> Result<()> {
    let Some(value) = value else {
        if flexible {
            uvarint(buf, 0);
        } else {
            i16(buf, -1);
        }
        return Ok(());
    };
    // Kafka refuses longer ones in flexible versions too, though the length would allow them.
    let Ok(length) = i16::try_from(value.len()) else {
        bail!("a string of {} bytes is longer than 32767", value.len());
    };
    if flexible {
        uvarint(buf, u32::from(length.unsigned_abs()) + 1);
    } else {
        i16(buf, length);
    }
    buf.put_slice(value.as_bytes());
    Ok(())
}

#[cfg_attr(not(feature = "broker"), allow(dead_code))]
pub(crate) fn nullable_bytes(
    buf: &mut impl BufMut,
    flexible: bool,
    value: Option<&Bytes>,
) -> Result<()> {
    nullable_count(buf, flexible, value.map(Bytes::len))?;
    if let Some(value) = value {
        buf.put_slice(value);
    }
    Ok(())
}

pub(crate) fn count(buf: &mut impl BufMut, flexible: bool, count: usize) -> Result<()> {
    nullable_count(buf, flexible, Some(count))
}

pub(crate) fn nullable_count(
    buf: &mut impl BufMut,
    flexible: bool,
    count: Option<usize>,
) -> Result<()> {
    let count = match count.map(i32::try_from) {
        None => None,
        Some(Ok(count)) => Some(count),
        Some(Err(_)) => bail!("more than 2147483647 bytes or entries"),
    };
    if flexible {
        uvarint(buf, count.map_or(0, |count| count.unsigned_abs() + 1));
    } else {
        i32(buf, count.unwrap_or(-1));
    }
    Ok(())
}

/// The tagged fields `known`, ascending, merged with those of a newer version that were kept.
pub(crate) fn tagged_fields(
    buf: &mut impl BufMut,
    known: Vec<(i32, Vec<u8>)>,
    unknown: &BTreeMap<i32, Bytes>,
) -> Result<()> {
    if known.is_empty() && unknown.is_empty() {
        uvarint(buf, 0);
        return Ok(());
    }
    let kept = unknown.iter().map(|(tag, bytes)| (*tag, bytes.as_ref()));
    let mut all: BTreeMap<i32, &[u8]> = kept.collect();
    for (tag, bytes) in &known {
        if all.insert(*tag, bytes).is_some() {
            bail!("tag {tag} is used by a field of the schema");
        }
    }
    uvarint(buf, u32::try_from(all.len())?);
    for (tag, bytes) in all {
        uvarint(buf, u32::try_from(tag)?);
        uvarint(buf, u32::try_from(bytes.len())?);
        buf.put_slice(bytes);
    }
    Ok(())
}

/// How many bytes `message` takes: found by writing it, since only rare callers ask.
pub(crate) fn size_of<M: Encodable>(message: &M, version: i16) -> Result<usize> {
    let mut scratch = Vec::new();
    message.encode(&mut scratch, version)?;
    Ok(scratch.len())
}

/// The error of a field that is set but does not exist in `version`.
pub(crate) fn unavailable(field: &'static str, version: i16) -> Error {
    anyhow!("field {field} is set, which version {version} does not have")
}

/// The error of a field that is null where `version` does not allow it.
pub(crate) fn unexpected_null(field: &'static str, version: i16) -> Error {
    anyhow!("field {field} is null, which version {version} does not allow")
}
