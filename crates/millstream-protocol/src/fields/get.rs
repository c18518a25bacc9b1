//! Readers of single fields. Each is safe on any bytes: nothing is reserved by a length alone.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow, bail};
use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::protocol::buf::ByteBuf;
use uuid::Uuid;

pub(crate) fn bool(buf: &mut impl ByteBuf) -> Result<bool> {
    Ok(buf.try_get_u8()? != 0)
}

pub(crate) fn i8(buf: &mut impl ByteBuf) -> Result<i8> {
    Ok(buf.try_get_i8()?)
}

pub(crate) fn i16(buf: &mut impl ByteBuf) -> Result<i16> {
    Ok(buf.try_get_i16()?)
}

pub(crate) fn u16(buf: &mut impl ByteBuf) -> Result<u16> {
    Ok(buf.try_get_u16()?)
}

pub(crate) fn i32(buf: &mut impl ByteBuf) -> Result<i32> {
    Ok(buf.try_get_i32()?)
}

pub(crate) fn i64(buf: &mut impl ByteBuf) -> Result<i64> {
    Ok(buf.try_get_i64()?)
}

pub(crate) fn uuid(buf: &mut impl ByteBuf) -> Result<Uuid> {
    let mut bytes = [0; 16];
    buf.try_copy_to_slice(&mut bytes)?;
    Ok(Uuid::from_bytes(bytes))
}

pub(crate) fn uvarint(buf: &mut impl ByteBuf) -> Result<u32> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = buf.try_get_u8()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a variable-length integer does not end")
}

pub(crate) fn string(buf: &mut impl ByteBuf, flexible: bool) -> Result<StrBytes> {
    nullable_string(buf, flexible)?.ok_or_else(|| unexpected_null("a string"))
}

pub(crate) fn nullable_string(buf: &mut impl ByteBuf, flexible: bool) -> Result<Option<StrBytes>> {
    let length = if flexible { length(buf, true)? } else { not_negative(i16(buf)?.into())? };
    match length {
        None => Ok(None),
        Some(length) => Ok(Some(StrBytes::from_utf8(buf.try_get_bytes(length)?)?)),
    }
}

pub(crate) fn nullable_bytes(buf: &mut impl ByteBuf, flexible: bool) -> Result<Option<Bytes>> {
    match length(buf, flexible)? {
        None => Ok(None),
        Some(length) => Ok(Some(buf.try_get_bytes(length)?)),
    }
}

/// The byte before a struct that may be null.
pub(crate) fn is_present(buf: &mut impl ByteBuf) -> Result<bool> {
    Ok(i8(buf)? >= 0)
}

pub(crate) fn array<B: ByteBuf, T>(
    buf: &mut B,
    flexible: bool,
    item: impl FnMut(&mut B) -> Result<T>,
) -> Result<Vec<T>> {
    nullable_array(buf, flexible, item)?.ok_or_else(|| unexpected_null("an array"))
}

pub(crate) fn nullable_array<B: ByteBuf, T>(
    buf: &mut B,
    flexible: bool,
    mut item: impl FnMut(&mut B) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let Some(count) = length(buf, flexible)? else { return Ok(None) };
    if count > buf.remaining() {
        bail!("{count} entries do not fit {} bytes", buf.remaining());
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(item(buf)?);
    }
    Ok(Some(items))
}

/// Hands each tagged field to `known`, which says whether it took it; the others are kept.
pub(crate) fn tagged_fields(
    buf: &mut impl ByteBuf,
    unknown: &mut BTreeMap<i32, Bytes>,
    mut known: impl FnMut(u32, &mut Bytes) -> Result<bool>,
) -> Result<()> {
    for _ in 0..uvarint(buf)? {
        let tag = uvarint(buf)?;
        let size = uvarint(buf)? as usize;
        let mut content = buf.try_get_bytes(size)?;
        if known(tag, &mut content)? {
            if content.has_remaining() {
                bail!("tagged field {tag} is longer than its content");
            }
        } else {
            unknown.insert(i32::try_from(tag)?, content);
        }
    }
    Ok(())
}

/// The error of a field that is null where its version does not allow it.
pub(crate) fn unexpected_null(field: &'static str) -> Error {
    anyhow!("{field} is null, which its version does not allow")
}

/// The length before bytes, or the count before an array; `None`: null.
fn length(buf: &mut impl ByteBuf, flexible: bool) -> Result<Option<usize>> {
    if flexible {
        return Ok(uvarint(buf)?.checked_sub(1).map(|length| length as usize));
    }
    not_negative(i32(buf)?)
}

fn not_negative(length: i32) -> Result<Option<usize>> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => bail!("a length of {length}"),
    }
}
