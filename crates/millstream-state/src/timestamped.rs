//! The stored form of a timestamped value: eight bytes of time, big-endian, then the value
//! (Java's `ValueAndTimestampSerializer`).

use millstream_types::Timestamp;

/// The bytes of time before the value.
pub const TIMESTAMP_LEN: usize = 8;

/// Clears `out` and writes the time to it; the value's bytes are to follow.
pub fn start(timestamp: Timestamp, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&timestamp.value().to_be_bytes());
}

/// Takes a stored value apart. Bytes too short to hold a time have none and are all value.
#[must_use]
pub fn split(stored: &[u8]) -> (Timestamp, &[u8]) {
    match stored.split_first_chunk::<TIMESTAMP_LEN>() {
        Some((time, value)) => (Timestamp(i64::from_be_bytes(*time)), value),
        None => (Timestamp::NONE, stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_before_the_value() {
        let mut out = b"left over".to_vec();
        start(Timestamp(258), &mut out);
        out.extend_from_slice(b"v");
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 1, 2, b'v']);
        assert_eq!(split(&out), (Timestamp(258), &b"v"[..]));
        assert_eq!(split(b"short"), (Timestamp::NONE, &b"short"[..]));
    }
}
