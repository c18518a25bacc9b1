//! Messages that travel as bytes inside others: the subscriptions and assignments of consumer groups.
//!
//! Each is two bytes of version and then the message (`ConsumerProtocol.java`). They are written by
//! other members of a group, so they pass the shape guard as everything from the wire does.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use crate::error::{DecodeError, EncodeError, Malformed};
use crate::generated::shapes::embedded;
use crate::guard;
use crate::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::Reader;

mod sealed {
    use crate::error::DecodeError;

    /// A message whose shape is known; not for other crates, which have no shapes.
    pub trait Shaped {
        /// Kafka's name of the message.
        const NAME: &'static str;

        /// Runs the shape guard over the message at byte `at` of `bytes`.
        fn check(version: i16, bytes: &[u8], at: usize) -> Result<usize, DecodeError>;
    }
}

use sealed::Shaped;

/// A message with its version before it, inside the bytes of another message.
pub trait Embedded: Message + Encodable + Decodable + Shaped {}

impl<M: Message + Encodable + Decodable + Shaped> Embedded for M {}

impl Shaped for ConsumerProtocolSubscription {
    const NAME: &'static str = "ConsumerProtocolSubscription";

    fn check(version: i16, bytes: &[u8], at: usize) -> Result<usize, DecodeError> {
        guard::check(&embedded::consumer_protocol_subscription::SHAPE, version, bytes, at)
    }
}

impl Shaped for ConsumerProtocolAssignment {
    const NAME: &'static str = "ConsumerProtocolAssignment";

    fn check(version: i16, bytes: &[u8], at: usize) -> Result<usize, DecodeError> {
        guard::check(&embedded::consumer_protocol_assignment::SHAPE, version, bytes, at)
    }
}

/// Writes `message` with its version before it.
///
/// # Errors
/// The version does not exist, or cannot carry what `message` says.
pub fn encode_embedded<M: Embedded>(version: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    out.put_i16(version);
    match message.encode(&mut out, version) {
        Ok(()) => Ok(out.freeze()),
        Err(error) => {
            Err(EncodeError::Embedded { message: M::NAME, version, reason: error.to_string() })
        }
    }
}

/// Reads a message with its version before it, and says which version that is.
///
/// A version newer than any known here is read as the newest known, and what follows is left aside,
/// as Java does: fields are only ever added at the end.
///
/// # Errors
/// The bytes are not such a message.
pub fn decode_embedded<M: Embedded>(mut bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(&bytes);
    let version = reader.i16()?;
    if version < M::VERSIONS.min {
        return Err(DecodeError::Malformed { at: 0, reason: Malformed::NegativeVersion });
    }
    let readable = version.min(M::VERSIONS.max);
    M::check(readable, &bytes, reader.at())?;
    bytes.advance(reader.at());
    let message = M::decode(&mut bytes, readable)
        .map_err(|_| DecodeError::Malformed { at: 2, reason: Malformed::Refused })?;
    Ok((version, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::TopicName;
    use crate::messages::consumer_protocol_subscription::TopicPartition;
    use kafka_protocol::protocol::StrBytes;

    fn subscription() -> ConsumerProtocolSubscription {
        let owned = TopicPartition::default()
            .with_topic(TopicName(StrBytes::from_static_str("orders")))
            .with_partitions(vec![0, 3]);
        ConsumerProtocolSubscription::default()
            .with_topics(vec![StrBytes::from_static_str("orders")])
            .with_user_data(Some(Bytes::from_static(b"user data")))
            .with_owned_partitions(vec![owned])
            .with_generation_id(7)
    }

    #[test]
    fn a_subscription_comes_back() {
        let bytes = encode_embedded(2, &subscription()).unwrap();
        let (version, back) = decode_embedded::<ConsumerProtocolSubscription>(bytes).unwrap();
        assert_eq!((version, back), (2, subscription()));
    }

    #[test]
    fn the_first_version_is_topics_and_user_data() {
        let message = ConsumerProtocolSubscription::default()
            .with_topics(vec![StrBytes::from_static_str("t")])
            .with_user_data(None);
        let bytes = encode_embedded(0, &message).unwrap();
        assert_eq!(bytes.as_ref(), b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
    }

    #[test]
    fn what_kafka_wrote_is_read_and_written_again_byte_for_byte() {
        let mut rest = Bytes::from_static(include_bytes!("../tests/messages/kafka-4.4.0.bin"));
        let mut seen = 0;
        while !rest.is_empty() {
            let head = rest.split_to(9);
            let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let body = rest.split_to(length as usize);
            if head[0] != 2 {
                continue;
            }
            seen += 1;
            let whole = Bytes::from([&head[3..5], &body[..]].concat());
            let again = if head[2] == 0 {
                let (version, message) =
                    decode_embedded::<ConsumerProtocolSubscription>(whole.clone()).unwrap();
                encode_embedded(version, &message).unwrap()
            } else {
                let (version, message) =
                    decode_embedded::<ConsumerProtocolAssignment>(whole.clone()).unwrap();
                encode_embedded(version, &message).unwrap()
            };
            assert_eq!(again, whole);
        }
        assert!(seen >= 16, "{seen}");
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_known() {
        let newest = ConsumerProtocolSubscription::VERSIONS.max;
        let mut bytes = BytesMut::from(encode_embedded(newest, &subscription()).unwrap().as_ref());
        bytes[1] = 99;
        bytes.extend_from_slice(b"fields of the future");
        let (version, back) =
            decode_embedded::<ConsumerProtocolSubscription>(bytes.freeze()).unwrap();
        assert_eq!((version, back), (99, subscription()));
    }

    #[test]
    fn a_hostile_member_is_refused() {
        let huge = Bytes::from_static(b"\0\x01\x7f\xff\xff\xff");
        let error = decode_embedded::<ConsumerProtocolSubscription>(huge).unwrap_err();
        assert!(matches!(error, DecodeError::Oversized { declared: 0x7fff_ffff, .. }), "{error}");
        let negative = Bytes::from_static(b"\xff\xff");
        let error = decode_embedded::<ConsumerProtocolAssignment>(negative).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
    }
}
