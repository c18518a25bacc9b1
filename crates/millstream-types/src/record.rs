//! A record to produce, borrowed from the caller.

use crate::{PartitionId, Timestamp};

/// How many headers a record holds without allocating.
const INLINE_HEADERS: usize = 4;

/// A header of a record to produce, borrowed from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The key.
    pub key: &'a str,
    /// The value; null and empty are different values.
    pub value: Option<&'a [u8]>,
}

/// A record to produce: borrows its bytes, and allocates only for a fifth header.
///
/// ```
/// use millstream_types::Record;
///
/// let record = Record::to("orders").key("42").value(b"paid").header("trace", b"7f");
/// assert_eq!(record.headers().len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Record<'a> {
    topic: &'a str,
    partition: Option<PartitionId>,
    timestamp: Option<Timestamp>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: HeaderList<'a>,
}

impl<'a> Record<'a> {
    /// A record for `topic` with a null key, a null value and no headers.
    #[must_use]
    #[inline]
    pub const fn to(topic: &'a str) -> Self {
        Self {
            topic,
            partition: None,
            timestamp: None,
            key: None,
            value: None,
            headers: HeaderList::Empty,
        }
    }

    /// Sets the key.
    #[must_use]
    #[inline]
    pub fn key<B: AsRef<[u8]> + ?Sized>(mut self, key: &'a B) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the key, or none.
    #[must_use]
    pub const fn maybe_key(mut self, key: Option<&'a [u8]>) -> Self {
        self.key = key;
        self
    }

    /// Sets the value.
    #[must_use]
    #[inline]
    pub fn value<B: AsRef<[u8]> + ?Sized>(mut self, value: &'a B) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Sets the value, or none: a null value is a tombstone in a compacted topic.
    #[must_use]
    pub const fn maybe_value(mut self, value: Option<&'a [u8]>) -> Self {
        self.value = value;
        self
    }

    /// Names the partition; without it the producer's partitioner chooses.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<PartitionId>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// Sets the record's time; without it the producer's clock does.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Appends a header. Keys may repeat.
    #[must_use]
    pub fn header<B: AsRef<[u8]> + ?Sized>(self, key: &'a str, value: &'a B) -> Self {
        self.maybe_header(key, Some(value.as_ref()))
    }

    /// Appends a header whose value may be null.
    #[must_use]
    pub fn maybe_header(mut self, key: &'a str, value: Option<&'a [u8]>) -> Self {
        self.headers.push(RecordHeader { key, value });
        self
    }

    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// The partition, if the caller named one.
    #[must_use]
    pub const fn named_partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// The record's time, if the caller set one.
    #[must_use]
    pub const fn named_timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The key's bytes.
    #[must_use]
    pub const fn key_bytes(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value's bytes.
    #[must_use]
    pub const fn value_bytes(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The headers, in order.
    #[must_use]
    #[inline]
    pub fn headers(&self) -> &[RecordHeader<'a>] {
        self.headers.as_slice()
    }
}

const EMPTY_HEADER: RecordHeader<'static> = RecordHeader { key: "", value: None };

/// Headers: a few inline, more on the heap.
#[derive(Clone, Debug)]
enum HeaderList<'a> {
    /// Most records have none, and need not pay for the slots.
    Empty,
    Inline([RecordHeader<'a>; INLINE_HEADERS], usize),
    Heap(Vec<RecordHeader<'a>>),
}

impl<'a> HeaderList<'a> {
    fn push(&mut self, header: RecordHeader<'a>) {
        match self {
            Self::Empty => {
                let mut slots = [EMPTY_HEADER; INLINE_HEADERS];
                slots[0] = header;
                *self = Self::Inline(slots, 1);
            }
            Self::Inline(slots, len) if *len < INLINE_HEADERS => {
                slots[*len] = header;
                *len += 1;
            }
            Self::Inline(slots, _) => {
                let mut all = slots.to_vec();
                all.push(header);
                *self = Self::Heap(all);
            }
            Self::Heap(all) => all.push(header),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[RecordHeader<'a>] {
        match self {
            Self::Empty => &[],
            Self::Inline(slots, len) => &slots[..*len],
            Self::Heap(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_and_duplicates_past_the_inline_slots() {
        let keys = ["a", "b", "a", "c", "d", "a"];
        let record = keys.iter().fold(Record::to("t"), |record, key| record.header(key, key));
        let seen: Vec<_> = record.headers().iter().map(|header| header.key).collect();
        assert_eq!(seen, keys);
    }

    #[test]
    fn null_and_empty_stay_distinct() {
        let record = Record::to("t").value("").maybe_header("h", None);
        assert_eq!(record.key_bytes(), None);
        assert_eq!(record.value_bytes(), Some(&b""[..]));
        assert_eq!(record.headers()[0].value, None);
    }
}
