//! Record time.

use crate::id::number_type;

number_type! {
    /// A record's time: milliseconds since the Unix epoch, in UTC.
    Timestamp(i64)
}

impl Timestamp {
    /// "No timestamp", as messages before format 1 carry it.
    pub const NONE: Self = Self(-1);
}

/// Who set a record's timestamp (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker, when it appended the record.
    LogAppendTime,
}
