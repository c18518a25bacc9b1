//! Reading and writing as Java's `DataOutputStream` and Kafka's non-flexible messages do:
//! big-endian numbers, lengths before what they count.

use super::AssignmentDataError;

/// Reads one payload from its bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    payload: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'static str, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, payload }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], AssignmentDataError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..count) else {
            return Err(AssignmentDataError::Truncated {
                payload: self.payload,
                at: self.bytes.len(),
            });
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AssignmentDataError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, AssignmentDataError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn i16(&mut self) -> Result<i16, AssignmentDataError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, AssignmentDataError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, AssignmentDataError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn uuid(&mut self) -> Result<uuid::Uuid, AssignmentDataError> {
        self.array().map(uuid::Uuid::from_bytes)
    }

    /// A count of entries, each at least `entry_size` bytes: never more than fit.
    pub(super) fn count(&mut self, entry_size: usize) -> Result<usize, AssignmentDataError> {
        let count = self.i32()?;
        self.fitting(i64::from(count), entry_size)
    }

    /// Bytes behind an i32 length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], AssignmentDataError> {
        let length = self.count(1)?;
        self.take(length)
    }

    /// Text behind a u16 length (`DataInput.readUTF`). Kafka's names have no zero character and
    /// none beyond the basic plane, where modified UTF-8 would differ.
    pub(super) fn utf(&mut self) -> Result<String, AssignmentDataError> {
        let length = usize::from(self.array().map(u16::from_be_bytes)?);
        let text = self.take(length)?.to_vec();
        String::from_utf8(text).map_err(|_| AssignmentDataError::Text { payload: self.payload })
    }

    /// Text behind an i16 length, -1 for null.
    pub(super) fn skip_nullable_text(&mut self) -> Result<(), AssignmentDataError> {
        let length = self.i16()?;
        if length > 0 {
            let length = self.fitting(i64::from(length), 1)?;
            self.take(length)?;
        }
        Ok(())
    }

    fn fitting(&self, count: i64, entry_size: usize) -> Result<usize, AssignmentDataError> {
        let error = AssignmentDataError::Count { payload: self.payload, count };
        let count = usize::try_from(count).map_err(|_| error)?;
        let rest = self.bytes.len() - self.at;
        if count > rest / entry_size.max(1) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            return Err(AssignmentDataError::Count { payload: self.payload, count });
        }
        Ok(count)
    }
}

/// Writes one payload.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A count of entries that are held in memory, so it fits.
    pub(super) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// Text behind a u16 length (`DataOutput.writeUTF`); topic and host names are far shorter.
    pub(super) fn utf(&mut self, text: &str) {
        self.raw(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.raw(text.as_bytes());
    }
}
