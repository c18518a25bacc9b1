//! The primitive types of the protocol: reading them with every length checked, and writing them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, Malformed};

/// Reads primitives off a slice; every failure says where.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader at byte `at` of `bytes`.
    #[must_use]
    pub const fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..length) else {
            return Err(DecodeError::Truncated { at: self.at, needed: length, left: rest.len() });
        };
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// An `int8`.
    ///
    /// # Errors
    /// No byte is left.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    /// An `int16`.
    ///
    /// # Errors
    /// Fewer than two bytes are left.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// An `int32`.
    ///
    /// # Errors
    /// Fewer than four bytes are left.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// An `int64`.
    ///
    /// # Errors
    /// Fewer than eight bytes are left.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// An unsigned variable-length integer of at most five bytes.
    ///
    /// # Errors
    /// The bytes end inside it, or it is longer than five bytes.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let at = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed { at, reason: Malformed::Varint })
    }

    /// A string with a two-byte length, -1 for null.
    ///
    /// # Errors
    /// The length is negative or does not fit, or the string is not UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let at = self.at;
        let Some(length) = self.string_length(false)? else { return Ok(None) };
        std::str::from_utf8(self.announced(length, at)?)
            .map(Some)
            .map_err(|_| DecodeError::Malformed { at, reason: Malformed::Utf8 })
    }

    /// The length before a string: two bytes, or variable in flexible versions; `None`: null.
    ///
    /// # Errors
    /// The length is negative, or the bytes end inside it.
    pub fn string_length(&mut self, flexible: bool) -> Result<Option<u32>, DecodeError> {
        if flexible {
            return Ok(self.uvarint()?.checked_sub(1));
        }
        let at = self.at;
        not_negative(self.i16()?.into(), at)
    }

    /// The length before bytes, or the count before an array: four bytes, or variable in flexible
    /// versions; `None`: null.
    ///
    /// # Errors
    /// The length is negative, or the bytes end inside it.
    pub fn length(&mut self, flexible: bool) -> Result<Option<u32>, DecodeError> {
        if flexible {
            return Ok(self.uvarint()?.checked_sub(1));
        }
        let at = self.at;
        not_negative(self.i32()?, at)
    }

    /// The `length` bytes that the length at byte `at` announced.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn announced(&mut self, length: u32, at: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.left();
        if length as usize > left {
            return Err(DecodeError::Oversized { at, declared: length.into(), left });
        }
        self.take(length as usize)
    }

    /// The byte before a struct that may be null: whether the struct is there.
    ///
    /// # Errors
    /// The byte is missing, or neither 1 nor -1.
    pub fn is_present(&mut self) -> Result<bool, DecodeError> {
        let at = self.at;
        match self.i8()? {
            1 => Ok(true),
            -1 => Ok(false),
            _ => Err(DecodeError::Malformed { at, reason: Malformed::Presence }),
        }
    }

    /// How many tagged fields follow.
    ///
    /// # Errors
    /// More are announced than the bytes that are left can hold.
    pub fn tag_count(&mut self) -> Result<u32, DecodeError> {
        let at = self.at;
        let count = self.uvarint()?;
        let left = self.left();
        // A tagged field has a tag and a size at least.
        if u64::from(count) * 2 > left as u64 {
            return Err(DecodeError::Oversized { at, declared: count.into(), left });
        }
        Ok(count)
    }

    /// The next tagged field: its tag, and a reader confined to its content.
    ///
    /// # Errors
    /// Its size does not fit.
    pub fn tagged_field(&mut self) -> Result<(u32, Self), DecodeError> {
        let tag = self.uvarint()?;
        let at = self.at;
        let size = self.uvarint()?;
        let start = self.at;
        self.announced(size, at)?;
        let content = self.bytes.get(..self.at).unwrap_or_default();
        Ok((tag, Self::starting_at(content, start)))
    }

    /// Skips the tagged fields at the end of a struct.
    ///
    /// # Errors
    /// A size does not fit.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.tag_count()? {
            self.tagged_field()?;
        }
        Ok(())
    }
}

/// The length `value` read at byte `at`; `None` for -1, which is null.
fn not_negative(value: i32, at: usize) -> Result<Option<u32>, DecodeError> {
    match u32::try_from(value) {
        Ok(length) => Ok(Some(length)),
        Err(_) if value == -1 => Ok(None),
        Err(_) => Err(DecodeError::Malformed { at, reason: Malformed::NegativeLength }),
    }
}

/// A value is longer than its length field can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value of {0} bytes or entries is too long for its length field")]
pub struct TooLong(pub usize);

/// Appends an unsigned variable-length integer to any buffer.
pub(crate) fn put_uvarint(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Writes primitives at the end of a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`.
    pub const fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    /// An `int8`.
    pub fn i8(&mut self, value: i8) {
        self.out.put_i8(value);
    }

    /// An `int16`.
    pub fn i16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    /// An `int32`.
    pub fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    /// An `int64`.
    pub fn i64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// Sixteen bytes of a UUID.
    pub fn uuid(&mut self, value: &[u8; 16]) {
        self.out.put_slice(value);
    }

    /// An unsigned variable-length integer.
    pub fn uvarint(&mut self, value: u32) {
        put_uvarint(self.out, value);
    }

    /// A string with a two-byte length, -1 for null.
    ///
    /// # Errors
    /// The string is longer than 32767 bytes.
    pub fn nullable_string(&mut self, value: Option<&str>) -> Result<(), TooLong> {
        let Some(value) = value else {
            self.i16(-1);
            return Ok(());
        };
        self.i16(i16::try_from(value.len()).map_err(|_| TooLong(value.len()))?);
        self.out.put_slice(value.as_bytes());
        Ok(())
    }

    /// A string with a variable length (flexible versions), null as zero.
    ///
    /// # Errors
    /// The string is longer than 32767 bytes.
    pub fn compact_nullable_string(&mut self, value: Option<&str>) -> Result<(), TooLong> {
        let Some(value) = value else {
            self.uvarint(0);
            return Ok(());
        };
        let length = i16::try_from(value.len()).map_err(|_| TooLong(value.len()))?;
        self.uvarint(u32::from(length.unsigned_abs()) + 1);
        self.out.put_slice(value.as_bytes());
        Ok(())
    }

    /// The count before an array: four bytes, or a variable length in flexible versions.
    ///
    /// # Errors
    /// The count is above 2147483646.
    pub fn count(&mut self, count: usize, flexible: bool) -> Result<(), TooLong> {
        let small = i32::try_from(count).map_err(|_| TooLong(count))?;
        if flexible {
            self.uvarint(small.unsigned_abs() + 1);
        } else {
            self.i32(small);
        }
        Ok(())
    }

    /// The length before bytes or records; the bytes themselves may follow from elsewhere.
    ///
    /// # Errors
    /// The length is above 2147483646.
    pub fn bytes_length(&mut self, length: usize, flexible: bool) -> Result<(), TooLong> {
        self.count(length, flexible)
    }

    /// Bytes with their length.
    ///
    /// # Errors
    /// There are more than 2147483646.
    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<(), TooLong> {
        self.bytes_length(value.len(), flexible)?;
        self.out.put_slice(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_length_integers_come_back() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151, 0x7fff_ffff, u32::MAX] {
            let mut out = BytesMut::new();
            Writer::new(&mut out).uvarint(value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.uvarint(), Ok(value));
            assert_eq!(reader.left(), 0);
        }
    }

    #[test]
    fn a_variable_length_integer_without_end_is_refused() {
        let error = Reader::new(&[0x80; 9]).uvarint().unwrap_err();
        assert_eq!(error, DecodeError::Malformed { at: 0, reason: Malformed::Varint });
        let error = Reader::new(&[0x80; 2]).uvarint().unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { at: 2, .. }));
    }

    #[test]
    fn strings_of_both_encodings_are_as_kafka_writes_them() {
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out);
        writer.nullable_string(Some("ab")).unwrap();
        writer.nullable_string(None).unwrap();
        writer.compact_nullable_string(Some("ab")).unwrap();
        writer.compact_nullable_string(None).unwrap();
        assert_eq!(out.as_ref(), b"\0\x02ab\xff\xff\x03ab\0");
        let long = "x".repeat(40_000);
        assert_eq!(Writer::new(&mut out).nullable_string(Some(&long)), Err(TooLong(40_000)));
        assert_eq!(
            Writer::new(&mut out).compact_nullable_string(Some(&long)),
            Err(TooLong(40_000))
        );
    }

    #[test]
    fn a_tagged_field_confines_its_reader() {
        // One field of tag 5 and two bytes, then more bytes of the message.
        let bytes = [1, 5, 2, 0xaa, 0xbb, 0xcc];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.tag_count(), Ok(1));
        let (tag, mut content) = reader.tagged_field().unwrap();
        assert_eq!((tag, content.take(2)), (5, Ok(&[0xaa, 0xbb][..])));
        assert!(content.take(1).is_err());
        assert_eq!(reader.take(1), Ok(&[0xcc][..]));
    }
}
