//! OffsetDelete: what members still want is kept.

use bytes::Bytes;
use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use crate::bench::{Bench, text, topic_name};

/// A subscription to topic `t`, version 0.
const TO_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

/// Joins the group `g` as its one member, in a version that needs no second try.
fn join(bench: &mut Bench, protocol_type: &str, metadata: &'static [u8]) {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(metadata));
    let request = m::JoinGroupRequest::default()
        .with_group_id(m::GroupId(text("g")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text(protocol_type))
        .with_protocols(vec![protocol]);
    let connection = bench.connect(1);
    let joined = bench.call(connection, 3, &request);
    assert_eq!(joined.error_code, 0, "{joined:?}");
}

/// The code of the whole, and of topics `t` and `u`.
fn delete(bench: &mut Bench) -> (ErrorCode, Vec<ErrorCode>) {
    let topics = ["t", "u"].map(|name| {
        let partition = m::offset_delete_request::OffsetDeleteRequestPartition::default();
        m::offset_delete_request::OffsetDeleteRequestTopic::default()
            .with_name(topic_name(name))
            .with_partitions(vec![partition])
    });
    let request = m::OffsetDeleteRequest::default()
        .with_group_id(m::GroupId(text("g")))
        .with_topics(topics.to_vec());
    let answer = bench.ask(1, 0, &request);
    let codes = answer.topics.iter().map(|topic| ErrorCode::from(topic.partitions[0].error_code));
    (ErrorCode::from(answer.error_code), codes.collect())
}

#[test]
fn subscribed_topics_are_kept_and_others_forgotten() {
    let mut bench = Bench::new(1).topic("t", 1).topic("u", 1);
    assert_eq!(delete(&mut bench), (ErrorCode::GroupIdNotFound, vec![]));
    join(&mut bench, "consumer", TO_T);
    let kept = ErrorCode::GroupSubscribedToTopic;
    assert_eq!(delete(&mut bench), (ErrorCode::None, vec![kept, ErrorCode::None]));
}

#[test]
fn all_is_kept_of_members_whose_subscription_is_unreadable() {
    let mut bench = Bench::new(1).topic("t", 1).topic("u", 1);
    join(&mut bench, "consumer", b"\0\0\0\0\0\x05");
    let kept = ErrorCode::GroupSubscribedToTopic;
    assert_eq!(delete(&mut bench), (ErrorCode::None, vec![kept, kept]));
}

#[test]
fn groups_of_other_members_are_left_alone() {
    let mut bench = Bench::new(1).topic("t", 1).topic("u", 1);
    join(&mut bench, "connect", TO_T);
    assert_eq!(delete(&mut bench), (ErrorCode::NonEmptyGroup, vec![]));
}
