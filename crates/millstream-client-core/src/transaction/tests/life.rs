//! The life of a transaction, step by step: what is sent, and in which order.

use std::time::Duration;

use millstream_protocol::{ApiKey, ErrorCode};

use super::model::{Mark, Model, Txn};
use super::world::{Fate, PATIENCE, TOPIC, World};
use crate::producer::{DeliveryError, EnqueueError};
use crate::transaction::{
    CommitFailure, TransactionCommand, TransactionCompletion, TransactionError, TransactionOutcome,
    TransactionState,
};

/// A producer that has its producer id.
pub(super) fn ready(is_v2: bool) -> World {
    let mut world = World::new(Model::new(is_v2, 0));
    let initialized = world.initialize();
    assert!(matches!(initialized, TransactionCompletion::Initialized(Ok(()))), "{initialized:?}");
    world.sent.clear();
    world
}

pub(super) fn begun(is_v2: bool) -> World {
    let mut world = ready(is_v2);
    begin(&mut world);
    world
}

pub(super) fn begin(world: &mut World) -> Option<TransactionOutcome> {
    match world.begin() {
        TransactionCompletion::Begun(Ok(begun)) => begun.previous,
        other => panic!("{other:?}"),
    }
}

pub(super) fn committed(completion: TransactionCompletion) -> Result<(), CommitFailure> {
    match completion {
        TransactionCompletion::Committed(result) => result,
        other => panic!("{other:?}"),
    }
}

fn marks(world: &World) -> Vec<Mark> {
    world.model.logs.values().flatten().map(|entry| entry.mark).collect()
}

#[test]
fn with_version_1_partitions_and_groups_are_added_before_they_are_written_to() {
    let mut world = begun(false);
    drop(world.enqueue(0, "a").unwrap());
    drop(world.enqueue(1, "b").unwrap());
    let offsets = world.offsets(7);
    let answer = world.call(offsets);
    assert!(matches!(answer, TransactionCompletion::OffsetsCommitted(Ok(()))), "{answer:?}");
    committed(world.commit()).unwrap();
    let expected = [
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::AddPartitionsToTxn,
        ApiKey::Produce,
        ApiKey::EndTxn,
    ];
    assert_eq!(world.sent, expected);
    assert_eq!(marks(&world), [Mark::Committed; 2]);
    assert_eq!(world.model.offsets[0].mark, Mark::Committed);
}

#[test]
fn with_version_2_writing_is_all_there_is_before_the_end() {
    let mut world = begun(true);
    let before = world.model.current;
    drop(world.enqueue(0, "a").unwrap());
    let offsets = world.offsets(7);
    world.call(offsets);
    committed(world.commit()).unwrap();
    assert_eq!(world.sent, [ApiKey::TxnOffsetCommit, ApiKey::Produce, ApiKey::EndTxn]);
    assert_eq!(world.model.current.1, before.1 + 1, "each transaction has an epoch of its own");
    // The next one writes in it, without another request.
    begin(&mut world);
    drop(world.enqueue(0, "b").unwrap());
    committed(world.commit()).unwrap();
    assert_eq!(marks(&world), [Mark::Committed; 2]);
}

#[test]
fn offsets_go_by_topic_id_where_all_ids_are_known() {
    for (is_v2, topic, expected) in [
        (true, TOPIC, (Some(5), None, true)),
        (true, "input", (Some(5), Some(5), false)),
        // Version 1 has no way to say it.
        (false, TOPIC, (None, Some(4), true)),
    ] {
        let mut world = begun(is_v2);
        let offsets = world.offsets_of(topic, 7);
        let answer = world.call(offsets);
        assert!(matches!(answer, TransactionCompletion::OffsetsCommitted(Ok(()))), "{answer:?}");
        assert_eq!(world.offset_requests, [expected]);
        committed(world.commit()).unwrap();
        assert_eq!(world.model.offsets[0].mark, Mark::Committed);
    }
}

#[test]
fn an_empty_transaction_sends_nothing() {
    for is_v2 in [false, true] {
        let mut world = ready(is_v2);
        for _ in 0..3 {
            begin(&mut world);
            committed(world.commit()).unwrap();
            begin(&mut world);
            assert!(matches!(world.abort(), TransactionCompletion::Aborted(Ok(()))));
        }
        assert_eq!(world.sent, []);
    }
}

#[test]
fn a_commit_waits_for_records_and_an_abort_ends_them() {
    let mut world = begun(true);
    let delivery = world.enqueue(0, "a").unwrap();
    // Not sent yet: it lingers.
    let commit = world.post(TransactionCommand::Commit { timeout: PATIENCE });
    assert_eq!(world.machine.state(), TransactionState::Committing);
    assert!(world.returned(commit).is_none());
    world.until(TransactionState::Ready);
    assert!(delivery.peek().is_some_and(|end| end.is_ok()));

    begin(&mut world);
    let delivery = world.enqueue(0, "b").unwrap();
    world.abort();
    let Some(Err(failed @ DeliveryError::NotWritten(_))) = delivery.peek() else { panic!() };
    assert!(failed.to_string().contains("transaction is aborted"), "{failed}");
    assert_eq!(marks(&world), [Mark::Committed]);
}

#[test]
fn a_failed_transaction_takes_no_more_records_and_says_why() {
    let mut world = begun(true);
    world.fates = [Fate::Refuse(ErrorCode::TopicAuthorizationFailed)].into();
    let delivery = world.enqueue(0, "a").unwrap();
    world.until(TransactionState::Failed);
    assert!(matches!(delivery.peek(), Some(Err(_))));
    let refused = world.enqueue(1, "b").unwrap_err();
    assert!(matches!(refused, EnqueueError::TransactionFailed { .. }), "{refused}");
    assert!(refused.to_string().contains("t-0"), "{refused}");
    let offsets = world.offsets(7);
    let refused = world.call(offsets);
    let TransactionCompletion::OffsetsCommitted(Err(error)) = refused else { panic!() };
    assert!(matches!(error, TransactionError::Record { .. }), "{error}");
    let error = committed(world.commit()).unwrap_err();
    assert!(matches!(error, CommitFailure::NotCommitted(TransactionError::Record { .. })));
    assert_eq!(begin(&mut world), Some(TransactionOutcome::Aborted));
    drop(world.enqueue(1, "c").unwrap());
    committed(world.commit()).unwrap();
}

#[test]
fn the_first_addition_is_tried_again_soon_while_the_one_before_is_being_ended() {
    let mut world = begun(false);
    drop(world.enqueue(0, "a").unwrap());
    world.fates = [Fate::Refuse(ErrorCode::ConcurrentTransactions); 3].into();
    let begun_at = world.now;
    committed(world.commit()).unwrap();
    let waited = world.now - begun_at;
    // 20, 40 and 80 ms, give or take a fifth; the usual backoff begins with 100 ms.
    let range = Duration::from_millis(112)..Duration::from_millis(169);
    assert!(range.contains(&waited), "{waited:?}");
}

#[test]
fn the_version_is_latched_for_a_transaction() {
    let mut world = begun(false);
    // The cluster is upgraded in the middle of it.
    world.tell_version(2, 2);
    world.model.is_v2 = true;
    drop(world.enqueue(0, "a").unwrap());
    world.model.is_v2 = false;
    committed(world.commit()).unwrap();
    assert_eq!(world.sent, [ApiKey::AddPartitionsToTxn, ApiKey::Produce, ApiKey::EndTxn]);
    world.sent.clear();
    world.model.is_v2 = true;
    begin(&mut world);
    drop(world.enqueue(0, "b").unwrap());
    committed(world.commit()).unwrap();
    assert_eq!(world.sent, [ApiKey::Produce, ApiKey::EndTxn]);
    // An older word of the features does not count.
    world.tell_version(1, 1);
    world.tell_version(2, 2);
    begin(&mut world);
    drop(world.enqueue(0, "c").unwrap());
    committed(world.commit()).unwrap();
    assert_eq!(marks(&world), [Mark::Committed; 3]);
}

#[test]
fn no_transaction_begins_in_an_epoch_in_which_a_request_may_still_arrive() {
    for late in [ApiKey::AddPartitionsToTxn, ApiKey::AddOffsetsToTxn, ApiKey::EndTxn] {
        let mut world = begun(false);
        let first = world.model.current;
        drop(world.enqueue(0, "a").unwrap());
        let serve_before = match late {
            ApiKey::AddOffsetsToTxn => 0,
            ApiKey::AddPartitionsToTxn => 2,
            _ => 4,
        };
        let mut fates = vec![Fate::Serve; serve_before];
        // It arrives when the next transaction is long under way.
        fates.push(Fate::Late(8));
        world.fates = fates.into();
        let offsets = world.offsets(7);
        world.call(offsets);
        committed(world.commit()).unwrap();
        begin(&mut world);
        assert!(world.model.current.1 > first.1, "{late:?}");
        drop(world.enqueue(0, "b").unwrap());
        world.sent.clear();
        world.until_sent(ApiKey::Produce);
        world.let_late_arrive();
        // Nothing of it acts on this one (KAFKA-17754).
        assert_eq!(world.model.txn, Txn::Ongoing, "{late:?}");
        assert!(matches!(world.abort(), TransactionCompletion::Aborted(Ok(()))));
        assert_eq!(marks(&world), [Mark::Committed, Mark::Aborted], "{late:?}");
    }
}

#[test]
fn an_unanswered_commit_is_in_doubt_and_goes_on() {
    for is_v2 in [false, true] {
        let mut world = begun(is_v2);
        drop(world.enqueue(0, "a").unwrap());
        world.flush();
        world.fates = vec![Fate::AnswerLost; 200].into();
        let error = committed(world.commit()).unwrap_err();
        assert!(matches!(error, CommitFailure::Unknown(TransactionError::TimedOut { .. })));
        assert_eq!(world.machine.state(), TransactionState::InDoubt);
        world.fates.clear();
        let answer = world.call(TransactionCommand::Resolve { number: 1, timeout: PATIENCE });
        committed(answer).unwrap();
        assert_eq!(begin(&mut world), Some(TransactionOutcome::Committed));
        // Asked for again, it is still known.
        let answer = world.call(TransactionCommand::Resolve { number: 1, timeout: PATIENCE });
        committed(answer).unwrap();
    }
}

#[test]
fn a_coordinator_that_cannot_be_reached_commits_nothing() {
    let mut world = begun(true);
    drop(world.enqueue(0, "a").unwrap());
    world.flush();
    world.fates = vec![Fate::Unsent; 200].into();
    let error = committed(world.commit()).unwrap_err();
    // No commit was ever sent, so it is certain.
    assert!(matches!(error, CommitFailure::NotCommitted(TransactionError::TimedOut { .. })));
    assert_eq!(world.machine.state(), TransactionState::Aborting);
    world.fates.clear();
    assert_eq!(begin(&mut world), Some(TransactionOutcome::Aborted));
    assert_eq!(marks(&world), [Mark::Aborted]);
}

#[test]
fn a_coordinator_without_version_2_ends_what_was_begun_with_it() {
    let mut world = begun(true);
    drop(world.enqueue(0, "a").unwrap());
    world.flush();
    world.has_end_txn_5 = false;
    let error = committed(world.commit()).unwrap_err();
    assert!(matches!(error, CommitFailure::NotCommitted(TransactionError::Request(_))), "{error}");
    world.until(TransactionState::Ready);
    assert_eq!(marks(&world), [Mark::Aborted]);
}

#[test]
fn a_closed_producer_ends_what_is_open_first() {
    for commits in [false, true] {
        let mut world = begun(true);
        drop(world.enqueue(0, "a").unwrap());
        world.flush();
        let commit = commits.then(|| world.post(TransactionCommand::Commit { timeout: PATIENCE }));
        let deadline = world.now + PATIENCE;
        world.post(TransactionCommand::Close { deadline });
        while !world.is_finished() {
            world.step();
        }
        let mark = if commits { Mark::Committed } else { Mark::Aborted };
        assert_eq!(marks(&world), [mark]);
        if let Some(commit) = commit {
            committed(world.returned(commit).unwrap()).unwrap();
        }
        let answer = world.post(TransactionCommand::Begin { timeout: PATIENCE });
        let Some(TransactionCompletion::Begun(Err(error))) = world.returned(answer) else {
            panic!()
        };
        assert!(matches!(error, TransactionError::Closed));
    }
}

/// Found by the properties: the commit was made and its answer lost; then a renewal of the epoch
/// before arrived late and wiped out what the coordinator knew of it.
#[test]
fn a_late_renewal_of_the_epoch_leaves_a_commit_undetermined() {
    let mut world = begun(false);
    drop(world.enqueue(0, "a").unwrap());
    world.until_sent(ApiKey::Produce);
    world.flush();
    // Its commit is asked for twice, so an epoch of its own comes before the next one; the first
    // request for that is late.
    world.fates = vec![Fate::AnswerLost, Fate::Serve, Fate::Late(6)].into();
    committed(world.commit()).unwrap();
    begin(&mut world);
    drop(world.enqueue(0, "b").unwrap());
    world.flush();
    world.fates = vec![Fate::AnswerLost].into();
    let commit = world.post(TransactionCommand::Commit { timeout: PATIENCE });
    world.sent.clear();
    world.until_sent(ApiKey::EndTxn);
    world.let_late_arrive();
    world.until(TransactionState::Ready);
    let result = committed(world.returned(commit).unwrap());
    assert!(matches!(result, Err(CommitFailure::Unknown(_))), "{result:?}");
    assert_eq!(begin(&mut world), Some(TransactionOutcome::Undetermined));
    // It was made; to say "not committed" would have been wrong.
    assert_eq!(marks(&world), [Mark::Committed; 2]);
}

/// Found by the properties: a coordinator that wants an abort says nothing of a commit whose answer
/// was lost; what it answers to the abort does.
#[test]
fn an_abort_that_is_wanted_after_a_lost_answer_decides() {
    for is_v2 in [false, true] {
        let mut world = begun(is_v2);
        drop(world.enqueue(0, "a").unwrap());
        world.flush();
        let refusal = Fate::Refuse(ErrorCode::TransactionAbortable);
        world.fates = vec![Fate::AnswerLost, refusal].into();
        let result = committed(world.commit());
        assert!(matches!(result, Err(CommitFailure::Unknown(_))), "{result:?}");
        world.until(TransactionState::Ready);
        assert_eq!(marks(&world), [Mark::Committed]);

        begin(&mut world);
        drop(world.enqueue(0, "b").unwrap());
        world.flush();
        world.fates = vec![Fate::Lost, refusal].into();
        let result = committed(world.commit());
        let is_certain = matches!(result, Err(CommitFailure::NotCommitted(_)));
        // With version 1 the lost commit may still arrive.
        assert_eq!(is_certain, is_v2, "{result:?}");
        assert_eq!(marks(&world), [Mark::Committed, Mark::Aborted]);
    }
}
