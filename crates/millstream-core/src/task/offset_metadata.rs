//! The text that a task commits beside an offset: the partition's time, as Java writes it
//! (`TopicPartitionMetadata`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_types::Timestamp;

/// The version with processor metadata behind the time.
const VERSION: u8 = 2;

/// The version with the time alone.
const VERSION_TIME_ONLY: u8 = 1;

/// The metadata of a partition with this time; no processor keeps any of its own.
pub(crate) fn encode(partition_time: Timestamp) -> String {
    let mut bytes = [0; 9];
    bytes[0] = VERSION;
    bytes[1..].copy_from_slice(&partition_time.value().to_be_bytes());
    STANDARD.encode(bytes)
}

/// The partition time in committed metadata. Text of other making says nothing.
pub(crate) fn decode(metadata: &str) -> Timestamp {
    let Ok(bytes) = STANDARD.decode(metadata) else {
        return Timestamp::NONE;
    };
    match bytes.split_first() {
        Some((&(VERSION_TIME_ONLY | VERSION), rest)) => {
            rest.first_chunk().map_or(Timestamp::NONE, |time| Timestamp(i64::from_be_bytes(*time)))
        }
        _ => Timestamp::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_javas() {
        assert_eq!(encode(Timestamp(1000)), "AgAAAAAAAAPo");
        assert_eq!(decode("AgAAAAAAAAPo"), Timestamp(1000));
        // With {P: 42} of a processor behind it.
        assert_eq!(decode("AgAAAAAAAAPoAAAAAQAAAAFQAAAAAAAAACo="), Timestamp(1000));
        // Version 1.
        assert_eq!(decode("AQAAAAAAAAPo"), Timestamp(1000));
    }

    #[test]
    fn other_text_says_nothing() {
        for text in ["", "hello", "AwAAAAAAAAPo", "AgAA"] {
            assert_eq!(decode(text), Timestamp::NONE, "{text:?}");
        }
    }
}
