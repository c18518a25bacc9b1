//! Tests of the consumer protocol's bytes: vectors laid out by hand from Kafka's schemas, round trips, hostile input.

use bytes::Bytes;
use millstream_types::{GenerationId, TopicName, TopicPartition};
use proptest::prelude::*;

use super::*;

fn subscription() -> Subscription {
    Subscription {
        topics: vec![TopicName::from("b"), TopicName::from("a")],
        user_data: Some(Bytes::from_static(b"\x01\x02")),
        owned_partitions: vec![
            TopicPartition::new("b", 1),
            TopicPartition::new("a", 2),
            TopicPartition::new("b", 0),
        ],
        generation: Some(GenerationId(7)),
        rack: Some("r1".to_owned()),
        group_instance_id: None,
    }
}

/// The fields one by one, as `ConsumerProtocolSubscription.json` lists them.
fn subscription_bytes(version: i16) -> Vec<u8> {
    let mut out = vec![0, u8::try_from(version).unwrap()];
    out.extend(b"\0\0\0\x02\0\x01a\0\x01b"); // topics, sorted
    out.extend(b"\0\0\0\x02\x01\x02"); // user data
    if version >= 1 {
        out.extend(b"\0\0\0\x02"); // two topics, sorted
        out.extend(b"\0\x01a\0\0\0\x01\0\0\0\x02");
        out.extend(b"\0\x01b\0\0\0\x02\0\0\0\0\0\0\0\x01");
    }
    if version >= 2 {
        out.extend(b"\0\0\0\x07");
    }
    if version >= 3 {
        out.extend(b"\0\x02r1");
    }
    out
}

#[test]
fn subscription_equals_java_in_every_version() {
    for version in 0..=3 {
        let bytes = encode_subscription(&subscription(), version);
        assert_eq!(&bytes[..], &subscription_bytes(version)[..], "v{version}");
        let read = decode_subscription(&bytes).unwrap();
        assert_eq!(read.topics, ["a", "b"].map(TopicName::from));
        assert_eq!(read.user_data, subscription().user_data);
        assert_eq!(read.owned_partitions.len(), if version >= 1 { 3 } else { 0 });
        assert_eq!(read.generation, (version >= 2).then_some(GenerationId(7)));
        assert_eq!(read.rack.is_some(), version >= 3);
    }
}

#[test]
fn absent_fields_are_nulls() {
    let empty = Subscription { topics: vec![TopicName::from("t")], ..Subscription::default() };
    let bytes = encode_subscription(&empty, 3);
    assert_eq!(
        &bytes[..],
        b"\0\x03\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff"
    );
    assert_eq!(decode_subscription(&bytes).unwrap(), empty);
}

#[test]
fn assignment_groups_by_topic_in_order_of_appearance() {
    let assignment = Assignment {
        partitions: vec![
            TopicPartition::new("b", 1),
            TopicPartition::new("a", 0),
            TopicPartition::new("b", 0),
        ],
        user_data: None,
    };
    let bytes = encode_assignment(&assignment, 3);
    assert_eq!(
        &bytes[..],
        &b"\0\x03\0\0\0\x02\0\x01b\0\0\0\x02\0\0\0\x01\0\0\0\0\0\x01a\0\0\0\x01\0\0\0\0\xff\xff\xff\xff"[..]
    );
    let read = decode_assignment(&bytes).unwrap();
    assert_eq!(
        read.partitions,
        [("b", 1), ("b", 0), ("a", 0)].map(|(t, p)| TopicPartition::new(t, p))
    );
    assert_eq!(decode_assignment(&Bytes::new()).unwrap(), Assignment::default());
}

#[test]
fn a_later_version_is_read_as_ours() {
    let mut bytes = subscription_bytes(3);
    bytes[1] = 9;
    bytes.extend(b"fields of the future");
    assert_eq!(decode_subscription(&Bytes::from(bytes)).unwrap().generation, Some(GenerationId(7)));
}

#[test]
fn hostile_lengths_are_typed_errors() {
    let huge = Bytes::from_static(b"\0\x03\x7f\xff\xff\xff");
    assert!(matches!(
        decode_subscription(&huge),
        Err(MemberBytesError::Malformed { what: "subscription" })
    ));
    let negative = Bytes::from_static(b"\0\x01\xff\xff\xff\xfe");
    assert!(matches!(
        decode_assignment(&negative),
        Err(MemberBytesError::Malformed { what: "assignment" })
    ));
    let version = Bytes::from_static(b"\xff\xff");
    assert!(matches!(
        decode_assignment(&version),
        Err(MemberBytesError::Version { version: -1, .. })
    ));
}

proptest! {
    #[test]
    fn truncation_never_panics(cut in 0_usize..64) {
        let bytes = subscription_bytes(3);
        let cut = cut.min(bytes.len());
        let read = decode_subscription(&Bytes::copy_from_slice(&bytes[..cut]));
        prop_assert_eq!(read.is_ok(), cut == bytes.len());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_subscription(&Bytes::from(bytes.clone()));
        let _ = decode_assignment(&Bytes::from(bytes));
    }
}
