//! Borrowed views of records: what reading a batch gives.

use millstream_types::{Header, Headers, Offset, RecordHeader, Timestamp, TimestampType};

use super::{BatchHeader, RecordDefect, legacy, varint};

/// A record of a batch, borrowed from its bytes. Null and empty stay distinct.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// The record's offset.
    pub offset: Offset,
    /// The record's time: the batch's largest one where the broker set it.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    pub(super) headers: HeaderViews<'a>,
}

impl<'a> RecordView<'a> {
    /// The record's offset.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// The record's time: the batch's largest one where the broker set it.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The headers, in order, duplicates included.
    #[must_use]
    pub const fn headers(&self) -> HeaderViews<'a> {
        self.headers
    }
}

/// A header of a record, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The key: UTF-8 when a sane client wrote it, but nobody checks that on its way.
    pub key: &'a [u8],
    /// The value; null and empty are different values.
    pub value: Option<&'a [u8]>,
}

impl HeaderView<'_> {
    /// The key as text, with the replacement character for what is not UTF-8, as Java reads it.
    #[must_use]
    pub fn key_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.key)
    }

    /// The header with bytes of its own.
    #[must_use]
    pub fn to_header(&self) -> Header {
        Header {
            key: self.key_text().into_owned(),
            value: self.value.map(bytes::Bytes::copy_from_slice),
        }
    }
}

impl<'a> From<RecordHeader<'a>> for HeaderView<'a> {
    #[inline]
    fn from(header: RecordHeader<'a>) -> Self {
        Self { key: header.key.as_bytes(), value: header.value }
    }
}

impl<'a> From<&RecordHeader<'a>> for HeaderView<'a> {
    #[inline]
    fn from(header: &RecordHeader<'a>) -> Self {
        Self::from(*header)
    }
}

impl<'a> From<&'a Header> for HeaderView<'a> {
    #[inline]
    fn from(header: &'a Header) -> Self {
        Self { key: header.key.as_bytes(), value: header.value.as_deref() }
    }
}

/// The headers of a record: an iterator that may be copied and walked again.
#[derive(Clone, Copy, Debug)]
pub struct HeaderViews<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl HeaderViews<'_> {
    pub(super) const NONE: HeaderViews<'static> = HeaderViews { bytes: &[], count: 0 };

    /// The headers with bytes of their own.
    #[must_use]
    pub fn to_headers(self) -> Headers {
        self.map(|header| header.to_header()).collect()
    }
}

impl<'a> Iterator for HeaderViews<'a> {
    type Item = HeaderView<'a>;

    #[inline]
    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.count = self.count.checked_sub(1)?;
        let mut at = 0;
        let key = read_field(self.bytes, &mut at)?.unwrap_or_default();
        let value = read_field(self.bytes, &mut at)?;
        self.bytes = self.bytes.get(at..)?;
        Some(HeaderView { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for HeaderViews<'_> {}

/// A place between the records of a batch, for those who cannot hold a borrow from one record to
/// the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: usize,
    pub(super) index: u32,
}

impl Cursor {
    /// The place in the batch, from 0, of the record that is read next.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

/// The records of a batch, in order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    count: u32,
    layout: Layout,
    cursor: Cursor,
}

impl<'a> Records<'a> {
    /// Over bytes that were checked, or that this process encoded.
    pub(super) const fn trusted(bytes: &'a [u8], count: u32, layout: Layout) -> Self {
        Self { bytes, count, layout, cursor: Cursor { at: 0, index: 0 } }
    }

    pub(super) const fn starting_at(mut self, cursor: Cursor) -> Self {
        self.cursor = cursor;
        self
    }

    /// The place of the record that [`next`](Iterator::next) gives.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        if self.cursor.index >= self.count {
            return None;
        }
        let record = match self.layout.format {
            Format::Current => {
                let raw = RawRecord::read(self.bytes, &mut self.cursor.at).ok()?;
                raw.view(&self.layout)
            }
            Format::Legacy => {
                legacy::read_message(self.bytes, &mut self.cursor.at)?.view(&self.layout)
            }
        };
        self.cursor.index += 1;
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.count - self.cursor.index) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

/// How the bytes of a batch become offsets and timestamps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    /// What is added to an offset on the wire.
    pub(super) base_offset: i64,
    /// What is added to a timestamp on the wire.
    pub(super) base_timestamp: i64,
    /// The time that stands for all, where the broker set it.
    pub(super) append_time: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Records of format 2.
    Current,
    /// Messages of formats 0 and 1.
    Legacy,
}

impl Layout {
    /// Of a batch that is being built.
    pub(super) const fn built(base_timestamp: i64) -> Self {
        Self { format: Format::Current, base_offset: 0, base_timestamp, append_time: None }
    }

    /// Of a format 2 batch with this header.
    pub(super) fn of(header: &BatchHeader) -> Self {
        let appended = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        Self {
            format: Format::Current,
            base_offset: header.base_offset.0,
            base_timestamp: header.base_timestamp.0,
            append_time: appended.then_some(header.max_timestamp.0),
        }
    }
}

/// A record of format 2 as it stands in its batch.
pub(super) struct RawRecord<'a> {
    pub(super) offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    pub(super) headers: HeaderViews<'a>,
}

impl<'a> RawRecord<'a> {
    /// Reads the record at `*at` and moves `*at` behind it. The headers are left as they are: see
    /// [`check_headers`](Self::check_headers).
    #[inline]
    pub(super) fn read(bytes: &'a [u8], at: &mut usize) -> Result<Self, RecordDefect> {
        let mut position = *at;
        let length = varint::read_int(bytes, &mut position).ok_or(RecordDefect::Length)?;
        let length = usize::try_from(length).map_err(|_| RecordDefect::Length)?;
        let body = bytes[position..].get(..length).ok_or(RecordDefect::Length)?;
        let record = Self::read_body(body).ok_or(RecordDefect::Field)?;
        *at = position + length;
        Ok(record)
    }

    #[inline]
    fn read_body(body: &'a [u8]) -> Option<Self> {
        // The first byte is the attributes of the record, none of which has a meaning.
        let mut at = 1;
        let timestamp_delta = varint::read(body, &mut at)?;
        let offset_delta = varint::read_int(body, &mut at)?;
        let key = read_field(body, &mut at)?;
        let value = read_field(body, &mut at)?;
        let count = varint::read_int(body, &mut at)?;
        let headers = HeaderViews {
            bytes: body.get(at..)?,
            // A negative count is kept as one that no record can have.
            count: count as u32,
        };
        Some(Self { offset_delta, timestamp_delta, key, value, headers })
    }

    /// Proves that the headers fill the rest of the record.
    #[inline]
    pub(super) fn check_headers(&self) -> Result<(), RecordDefect> {
        let HeaderViews { bytes, count } = self.headers;
        // A header takes two bytes at least.
        if count as usize > bytes.len() / 2 {
            return Err(RecordDefect::HeaderCount);
        }
        let mut at = 0;
        for _ in 0..count {
            let key = read_field(bytes, &mut at).ok_or(RecordDefect::Field)?;
            key.ok_or(RecordDefect::NullHeaderKey)?;
            read_field(bytes, &mut at).ok_or(RecordDefect::Field)?;
        }
        if at == bytes.len() { Ok(()) } else { Err(RecordDefect::Trailing) }
    }

    #[inline]
    fn view(self, layout: &Layout) -> RecordView<'a> {
        let timestamp = layout
            .append_time
            .unwrap_or_else(|| layout.base_timestamp.wrapping_add(self.timestamp_delta));
        RecordView {
            offset: Offset(layout.base_offset.wrapping_add(i64::from(self.offset_delta))),
            timestamp: Timestamp(timestamp),
            key: self.key,
            value: self.value,
            headers: self.headers,
        }
    }
}

/// Reads bytes with their length in front; a negative length is null, as in Java.
#[inline]
fn read_field<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = varint::read_int(bytes, at)?;
    if length < 0 {
        return Some(None);
    }
    let start = *at;
    let field = bytes[start..].get(..length as usize)?;
    *at = start + field.len();
    Some(Some(field))
}
