//! Commits: coalesced, only of what is owned, tried until the answer is definite.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use millstream_protocol::messages::{OffsetCommitResponse, TopicName};
use millstream_types::{LeaderEpoch, Offset, OffsetAndMetadata};

use super::bench::{Consumed, batch, data, fetched, tp};
use crate::consumer::{
    Batch, CommitError, ConsumerCommand, ConsumerCompletion, ConsumerConfig, GroupConfig, Next,
    OffsetToCommit, Wants,
};
use crate::cx::{CommandId, Completion, Event};
use crate::group::classic::text;
use crate::outbox::{Pending, RequestBody};

fn answered(error: ErrorCode) -> OffsetCommitResponse {
    let partition = OffsetCommitResponsePartition::default()
        .with_partition_index(0)
        .with_error_code(error.code());
    let topic = OffsetCommitResponseTopic::default()
        .with_name(TopicName(text("t")))
        .with_partitions(vec![partition]);
    OffsetCommitResponse::default().with_topics(vec![topic])
}

/// The offsets of a commit on its way.
fn committing(pending: &Pending) -> Vec<i64> {
    let RequestBody::OffsetCommit(request) = &pending.body else { panic!("{pending:?}") };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.committed_offset).collect()
}

/// A consumer in a group, assigned by hand, with batches of two records at hand.
fn with_batches(change: impl FnOnce(&mut GroupConfig)) -> (Consumed, Vec<Batch>) {
    let mut group = GroupConfig::new("g");
    change(&mut group);
    let config = ConsumerConfig { group: Some(group), ..ConsumerConfig::default() };
    let mut consumed = Consumed::new(config, &[1]);
    consumed.shared.assign(vec![(tp(0), Some(Offset(0)))]).unwrap();
    let fetch = consumed.one();
    let records = [batch(0, 2), batch(2, 2), batch(4, 2)].concat();
    consumed.answer(fetch.id, fetched(data(0, records)));
    consumed.one();
    let batches = (0..3).map(|_| consumed.batch()).collect();
    (consumed, batches)
}

fn call(consumed: &mut Consumed, id: u64, offsets: Vec<OffsetToCommit>) {
    let command = ConsumerCommand::Commit { offsets, timeout: Duration::from_secs(60) };
    consumed.machine.handle_command(CommandId(id), command, &mut consumed.bench.cx());
}

fn outcome(consumed: &mut Consumed, id: u64) -> Option<Result<(), CommitError>> {
    let found =
        consumed.bench.events.iter().position(
            |event| matches!(event, Event::Completed(done, _) if *done == CommandId(id)),
        )?;
    let Some(Event::Completed(_, Completion::Consumer(ConsumerCompletion::Commit(result)))) =
        consumed.bench.events.remove(found)
    else {
        panic!()
    };
    Some(result)
}

#[test]
fn commits_are_coalesced_and_go_one_at_a_time() {
    let (mut consumed, batches) = with_batches(|_| {});
    consumed.shared.commit_later(&batches[0]).unwrap();
    consumed.shared.commit_later(&batches[1]).unwrap();
    let commit = consumed.one();
    assert_eq!(committing(&commit), [4], "the later one");
    consumed.shared.commit_later(&batches[2]).unwrap();
    let offset = consumed.shared.offset_of(&batches[2]).unwrap();
    assert_eq!(offset.offset.leader_epoch, Some(LeaderEpoch(0)));
    call(&mut consumed, 1, vec![offset]);
    assert!(consumed.sent().is_empty());
    consumed.answer(commit.id, answered(ErrorCode::None));
    let commit = consumed.one();
    assert_eq!(committing(&commit), [6]);
    assert!(outcome(&mut consumed, 1).is_none());
    consumed.answer(commit.id, answered(ErrorCode::None));
    assert!(matches!(outcome(&mut consumed, 1), Some(Ok(()))));
}

#[test]
fn a_commit_is_tried_until_the_answer_is_definite() {
    let (mut consumed, batches) = with_batches(|_| {});
    let offset = consumed.shared.offset_of(&batches[0]).unwrap();
    call(&mut consumed, 1, vec![offset]);
    for error in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::RequestTimedOut,
        ErrorCode::UnknownTopicOrPartition,
    ] {
        let commit = consumed.one();
        consumed.answer(commit.id, answered(error));
        assert!(consumed.sent().is_empty(), "backs off");
        consumed.wait(2_000);
    }
    let commit = consumed.one();
    consumed.fail(commit.id);
    consumed.wait(2_000);
    let commit = consumed.one();
    consumed.answer(commit.id, answered(ErrorCode::OffsetMetadataTooLarge));
    let error = outcome(&mut consumed, 1).unwrap().unwrap_err();
    assert!(matches!(error, CommitError::Refused { .. }), "{error}");
}

#[test]
fn a_commit_that_is_never_confirmed_times_out_and_says_why() {
    let (mut consumed, batches) = with_batches(|_| {});
    let offset = consumed.shared.offset_of(&batches[0]).unwrap();
    call(&mut consumed, 1, vec![offset]);
    while outcome(&mut consumed, 1).is_none() {
        for commit in consumed.sent() {
            consumed.answer(commit.id, answered(ErrorCode::CoordinatorLoadInProgress));
        }
        consumed.wait(1_000);
        if consumed.bench.events.iter().any(|event| matches!(event, Event::Completed(..))) {
            break;
        }
    }
    let error = outcome(&mut consumed, 1).unwrap().unwrap_err();
    assert!(error.to_string().contains("COORDINATOR_LOAD_IN_PROGRESS"), "{error}");
}

#[test]
fn store_after_revoke_rejected() {
    // librdkafka 1.9.0: an offset stored after the revocation was committed on re-assignment.
    let (mut consumed, batches) = with_batches(|_| {});
    let bound = consumed.shared.offset_of(&batches[0]).unwrap();
    consumed.shared.commit_later(&batches[1]).unwrap();
    consumed.shared.assign(Vec::new()).unwrap();
    assert!(matches!(consumed.shared.commit_later(&batches[1]), Err(CommitError::NotOwned { .. })));
    consumed.shared.assign(vec![(tp(0), Some(Offset(0)))]).unwrap();
    assert!(matches!(consumed.shared.commit_later(&batches[1]), Err(CommitError::NotOwned { .. })));
    call(&mut consumed, 1, vec![bound]);
    assert!(consumed.sent().iter().all(|sent| !matches!(sent.body, RequestBody::OffsetCommit(_))));
    assert!(matches!(outcome(&mut consumed, 1), Some(Err(CommitError::NotOwned { .. }))));
}

#[test]
fn offsets_may_be_committed_backwards_on_purpose() {
    let (mut consumed, batches) = with_batches(|_| {});
    let later = consumed.shared.offset_of(&batches[2]).unwrap();
    let earlier =
        OffsetAndMetadata { offset: Offset(1), leader_epoch: None, metadata: "again".to_owned() };
    let earlier = consumed.shared.offset_owned_now(tp(0), earlier).unwrap();
    call(&mut consumed, 1, vec![later]);
    call(&mut consumed, 2, vec![earlier]);
    let commit = consumed.one();
    assert_eq!(committing(&commit), [1], "in the order of the calls");
    consumed.answer(commit.id, answered(ErrorCode::None));
    assert!(matches!(outcome(&mut consumed, 1), Some(Ok(()))));
    assert!(matches!(outcome(&mut consumed, 2), Some(Ok(()))));
}

#[test]
fn auto_commit_leaves_the_last_batch_out() {
    let (mut consumed, batches) = with_batches(|group| {
        group.auto_commit_interval = Some(Duration::from_secs(5));
    });
    assert!(consumed.sent().is_empty());
    consumed.wait(5_000);
    assert_eq!(committing(&consumed.one()), [4], "the third is being handled");
    drop(batches);
}

#[test]
fn a_failed_commit_that_nobody_waits_for_is_told() {
    let (mut consumed, batches) = with_batches(|_| {});
    consumed.shared.commit_later(&batches[0]).unwrap();
    let commit = consumed.one();
    consumed.answer(commit.id, answered(ErrorCode::GroupAuthorizationFailed));
    let told = consumed.next(Wants::Events);
    assert!(matches!(told, Some(Next::CommitFailed(CommitError::Refused { .. }))), "{told:?}");
}

#[test]
fn closing_commits_what_is_due_and_ends_the_client() {
    let (mut consumed, batches) = with_batches(|_| {});
    consumed.shared.commit_later(&batches[0]).unwrap();
    let close = ConsumerCommand::Close { timeout: Duration::from_secs(5) };
    consumed.machine.handle_command(CommandId(9), close, &mut consumed.bench.cx());
    let commit = consumed.one();
    assert_eq!(committing(&commit), [2]);
    assert!(consumed.bench.events.is_empty());
    consumed.answer(commit.id, answered(ErrorCode::None));
    assert!(consumed.sent().is_empty());
    assert!(matches!(consumed.bench.events.pop_back(), Some(Event::Finished)));
}

#[test]
fn closing_ends_in_time_whatever_the_coordinator_does() {
    let (mut consumed, batches) = with_batches(|_| {});
    consumed.shared.commit_later(&batches[0]).unwrap();
    let close = ConsumerCommand::Close { timeout: Duration::from_secs(5) };
    consumed.machine.handle_command(CommandId(9), close, &mut consumed.bench.cx());
    consumed.one();
    assert_eq!(consumed.machine.next_timeout(), Some(consumed.bench.now + Duration::from_secs(5)));
    consumed.wait(5_000);
    consumed.machine.poll(&mut consumed.bench.cx());
    let closed = consumed.bench.events.iter().any(|event| {
        matches!(
            event,
            Event::Completed(_, Completion::Consumer(ConsumerCompletion::Close(Err(_))))
        )
    });
    assert!(closed, "{:?}", consumed.bench.events);
    assert!(matches!(consumed.bench.events.back(), Some(Event::Finished)));
}
