//! Positions: where reading starts, and when it may be moved.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use millstream_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use millstream_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use millstream_protocol::messages::{
    ListOffsetsResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, TopicName,
};
use millstream_types::{Offset, TopicPartition};

use super::bench::{Consumed, asked, batch, data, fetched, offsets, tp};
use crate::consumer::{
    ConsumerConfig, FetchError, GroupConfig, Next, OffsetReset, ResetCause, Wants,
};
use crate::group::classic::text;
use crate::outbox::{RequestBody, RequestId};

fn name() -> TopicName {
    TopicName(text("t"))
}

fn listed(offset: i64, error: ErrorCode) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse::default()
        .with_partition_index(0)
        .with_error_code(error.code())
        .with_offset(offset);
    let topic =
        ListOffsetsTopicResponse::default().with_name(name()).with_partitions(vec![partition]);
    ListOffsetsResponse::default().with_topics(vec![topic])
}

fn committed(offset: i64, error: ErrorCode) -> OffsetFetchResponse {
    let partition = OffsetFetchResponsePartitions::default()
        .with_partition_index(0)
        .with_error_code(error.code())
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1);
    let topic =
        OffsetFetchResponseTopics::default().with_name(name()).with_partitions(vec![partition]);
    let group = OffsetFetchResponseGroup::default().with_topics(vec![topic]);
    OffsetFetchResponse::default().with_groups(vec![group])
}

fn epoch_end(offset: i64) -> OffsetForLeaderEpochResponse {
    let partition =
        EpochEndOffset::default().with_partition(0).with_leader_epoch(0).with_end_offset(offset);
    let topic =
        OffsetForLeaderTopicResult::default().with_topic(name()).with_partitions(vec![partition]);
    OffsetForLeaderEpochResponse::default().with_topics(vec![topic])
}

fn config(reset: OffsetReset, group: bool) -> ConsumerConfig {
    ConsumerConfig {
        auto_offset_reset: reset,
        group: group.then(|| GroupConfig::new("g")),
        ..ConsumerConfig::default()
    }
}

fn assigned(config: ConsumerConfig) -> Consumed {
    let consumed = Consumed::new(config, &[1]);
    consumed.shared.assign(vec![(tp(0), None)]).unwrap();
    consumed
}

#[test]
fn a_reader_starts_where_the_policy_says_and_tells_so() {
    for (reset, code, offset) in [(OffsetReset::Earliest, -2, 3), (OffsetReset::Latest, -1, 99)] {
        let mut consumed = assigned(config(reset, false));
        let lookup = consumed.one();
        let RequestBody::ListOffsets(request) = &lookup.body else { panic!("{lookup:?}") };
        assert_eq!(request.topics[0].partitions[0].timestamp, code);
        consumed.answer(lookup.id, listed(offset, ErrorCode::None));
        assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, offset)]));
        let Some(Next::Reset { from, to, cause, .. }) = consumed.next(Wants::Events) else {
            panic!()
        };
        assert_eq!((from, to, cause), (None, Offset(offset), ResetCause::NoPosition));
    }
}

#[test]
fn committed_offsets_come_before_the_policy() {
    let mut consumed = assigned(config(OffsetReset::Earliest, true));
    let lookup = consumed.one();
    assert!(matches!(lookup.body, RequestBody::OffsetFetch(_)));
    consumed.answer(lookup.id, committed(42, ErrorCode::None));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 42)]));
    assert!(consumed.next(Wants::Events).is_none(), "that is no reset");
}

#[test]
fn no_reset_without_a_definite_answer() {
    // librdkafka #4447: time-outs and resolution errors reset offsets.
    let mut consumed = assigned(config(OffsetReset::Earliest, true));
    let errors = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::UnstableOffsetCommit,
    ];
    for error in errors {
        let lookup = consumed.one();
        assert!(matches!(lookup.body, RequestBody::OffsetFetch(_)));
        consumed.answer(lookup.id, committed(-1, error));
        consumed.wait(2_000);
    }
    let lookup = consumed.one();
    consumed.fail(lookup.id);
    consumed.wait(2_000);
    let lookup = consumed.one();
    consumed.answer(lookup.id, committed(7, ErrorCode::None));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 7)]));
}

#[test]
fn without_a_policy_a_missing_offset_is_an_error_until_a_seek() {
    let mut consumed = assigned(config(OffsetReset::None, true));
    let lookup = consumed.one();
    consumed.answer(lookup.id, committed(-1, ErrorCode::None));
    assert!(consumed.sent().is_empty());
    assert!(matches!(consumed.error(), FetchError::NoOffset { .. }));
    consumed.shared.seek(&tp(0), Offset(5)).unwrap();
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 5)]));
}

#[test]
fn a_reader_without_a_policy_is_told_unless_it_seeks_first() {
    let mut consumed = assigned(config(OffsetReset::None, false));
    assert!(consumed.sent().is_empty());
    assert!(matches!(consumed.error(), FetchError::NoOffset { .. }));
    let mut consumed = assigned(config(OffsetReset::None, false));
    consumed.shared.seek(&tp(0), Offset(5)).unwrap();
    assert!(consumed.next(Wants::Events).is_none());
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 5)]));
}

#[test]
fn a_seek_overtakes_a_look_up() {
    let mut consumed = assigned(config(OffsetReset::Earliest, false));
    let lookup = consumed.one();
    consumed.shared.seek(&tp(0), Offset(5)).unwrap();
    consumed.answer(lookup.id, listed(0, ErrorCode::None));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 5)]));
    assert!(consumed.next(Wants::Events).is_none());
}

/// A consumer that has read 0..10 of epoch 0, when a new leader of epoch 1 is elected; and its
/// question to that.
fn after_an_election(reset: OffsetReset, read: bool) -> (Consumed, RequestId) {
    let mut consumed = Consumed::new(config(reset, false), &[1]);
    consumed.shared.assign(vec![(tp(0), Some(Offset(0)))]).unwrap();
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, batch(0, 10))));
    if read {
        assert_eq!(consumed.batch().len(), 10);
    }
    let fetch = consumed.one();
    consumed.led_by(&[1], 1);
    let lookup = consumed.one();
    assert!(matches!(lookup.body, RequestBody::OffsetForLeaderEpoch(_)), "{lookup:?}");
    consumed.answer(fetch.id, fetched(data(0, batch(10, 5))));
    assert!(consumed.sent().is_empty(), "nothing is fetched or taken meanwhile");
    (consumed, lookup.id)
}

#[test]
fn a_log_that_still_holds_what_was_read_is_read_on() {
    let (mut consumed, lookup) = after_an_election(OffsetReset::Earliest, true);
    consumed.answer(lookup, epoch_end(10));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 10)]));
    assert!(consumed.next(Wants::Events).is_none());
}

#[test]
fn a_truncated_log_is_told_and_read_from_where_it_agrees() {
    let (mut consumed, lookup) = after_an_election(OffsetReset::Earliest, true);
    consumed.answer(lookup, epoch_end(6));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 6)]));
    let Some(Next::Truncated { from, to, .. }) = consumed.next(Wants::Events) else { panic!() };
    assert_eq!((from, to), (Offset(10), Offset(6)));
}

#[test]
fn a_truncated_log_without_a_policy_is_an_error() {
    let (mut consumed, lookup) = after_an_election(OffsetReset::None, true);
    consumed.answer(lookup, epoch_end(6));
    assert!(consumed.sent().is_empty());
    let error = consumed.error();
    assert!(
        matches!(error, FetchError::Truncated { position: Offset(10), diverged: Offset(6), .. }),
        "{error}"
    );
}

#[test]
fn what_was_cut_before_anybody_saw_it_is_fetched_anew() {
    let (mut consumed, lookup) = after_an_election(OffsetReset::Earliest, false);
    consumed.answer(lookup, epoch_end(6));
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), BTreeMap::from([(0, 0)]));
    consumed.answer(fetch.id, fetched(data(0, batch(0, 6))));
    assert_eq!(offsets(&consumed.batch()), (0..6).collect::<Vec<_>>());
}

#[test]
fn an_epoch_that_the_leader_does_not_know_resets_nothing() {
    // franz-go: UNDEFINED_EPOCH_OFFSET was taken for a reset.
    let (mut consumed, lookup) = after_an_election(OffsetReset::Earliest, true);
    consumed.answer(lookup, epoch_end(-1));
    assert_eq!(asked(&consumed.one()), BTreeMap::from([(0, 10)]));
    assert!(consumed.next(Wants::Events).is_none());
}

#[test]
fn a_topic_made_anew_halts_what_was_read_of_the_old_one() {
    let mut consumed = Consumed::new(config(OffsetReset::Earliest, false), &[1]);
    consumed.shared.assign(vec![(tp(0), Some(Offset(4)))]).unwrap();
    let fetch = consumed.one();
    let anew = millstream_types::TopicId(uuid::Uuid::from_u128(2));
    consumed.bench.learn(3, &[("t", anew, &[1], 0)]);
    assert!(consumed.sent().is_empty());
    assert!(matches!(consumed.error(), FetchError::TopicDeleted { .. }));
    consumed.answer(fetch.id, fetched(data(0, batch(4, 1))));
    assert!(consumed.next(Wants::Records).is_none(), "that was the old topic's");
}

#[test]
fn verbs_refuse_what_makes_no_sense() {
    let consumed = assigned(config(OffsetReset::Earliest, false));
    let shared = &consumed.shared;
    let elsewhere = TopicPartition::new("u", 0);
    assert!(shared.seek(&elsewhere, Offset(0)).is_err());
    assert!(shared.seek(&tp(0), Offset(-1)).is_err());
    assert!(shared.pause(&[elsewhere]).is_err());
    assert!(shared.subscribe(vec!["t".into()]).is_err(), "no group");
    for name in ["", ".", "a b", &"x".repeat(250)] {
        assert!(shared.assign(vec![(TopicPartition::new(name, 0), None)]).is_err(), "{name}");
    }
}
