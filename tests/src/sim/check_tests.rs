//! Planted histories: the judges find what is wrong, and nothing in what is right.

use std::collections::BTreeMap;

use millstream_types::{PartitionId, TopicPartition};

use super::check::{Lane, Logged, Outcome, Promise, Sent, Violation, check_reads, check_writes};
use super::history::{
    History, Step, check_at_least_once, check_commits, check_order, check_ownership,
    check_processing,
};

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", PartitionId(number))
}

/// A log of these numbers from offset 0 on.
fn log(values: &[u64]) -> Vec<Logged> {
    values.iter().zip(0..).map(|(value, offset)| Logged { offset, value: *value }).collect()
}

fn writes(promise: Promise, sent: &[(u64, Option<Outcome>)], values: &[u64]) -> Vec<Violation> {
    let sent = sent.iter().map(|(value, outcome)| Sent { value: *value, outcome: *outcome });
    let lane: Lane = (partition(0), sent.collect());
    check_writes(promise, &[lane], &BTreeMap::from([(partition(0), log(values))]))
}

const WRITTEN: Option<Outcome> = Some(Outcome::Written(None));
const NOT_WRITTEN: Option<Outcome> = Some(Outcome::NotWritten);
const UNKNOWN: Option<Outcome> = Some(Outcome::Unknown);

#[test]
fn true_outcomes_are_left_alone() {
    use Promise::{AtLeastOnce, Idempotent};
    let at = |offset| Some(Outcome::Written(Some(offset)));
    assert_eq!(writes(Idempotent, &[], &[]), []);
    assert_eq!(writes(Idempotent, &[(1, at(0)), (2, WRITTEN), (3, at(2))], &[1, 2, 3]), []);
    let mixed = [(1, UNKNOWN), (2, at(0)), (3, NOT_WRITTEN), (4, UNKNOWN)];
    assert_eq!(writes(Idempotent, &mixed, &[2, 4]), []);
    assert_eq!(writes(AtLeastOnce, &[(1, WRITTEN), (2, at(0))], &[2, 1, 1]), []);
}

#[test]
fn false_outcomes_are_found() {
    use Promise::Idempotent;
    let here = partition(0);
    let at = |offset| Some(Outcome::Written(Some(offset)));
    type Case<'a> = (&'a [(u64, Option<Outcome>)], &'a [u64], Violation);
    let cases: [Case<'_>; 8] = [
        (&[(1, None)], &[1], Violation::Unresolved(here.clone(), 1)),
        (&[(1, WRITTEN), (2, WRITTEN)], &[1], Violation::Lost(here.clone(), 2)),
        (&[(1, NOT_WRITTEN)], &[1], Violation::Phantom(here.clone(), 1)),
        (&[(1, WRITTEN)], &[1, 1], Violation::Duplicate(here.clone(), 1)),
        (&[(1, UNKNOWN)], &[1, 1], Violation::Duplicate(here.clone(), 1)),
        (&[(1, WRITTEN), (2, UNKNOWN)], &[2, 1], Violation::Reordered(here.clone(), 2)),
        (&[(1, at(1)), (2, WRITTEN)], &[1, 2], Violation::Misplaced(here.clone(), 1)),
        (&[(1, WRITTEN)], &[1, 9], Violation::Invented(here.clone(), 9)),
    ];
    for (sent, values, expected) in cases {
        assert_eq!(writes(Idempotent, sent, values), [expected]);
    }
}

#[test]
fn the_order_of_two_producers_is_free() {
    let lane = |values: &[u64]| -> Lane {
        let sent = values.iter().map(|value| Sent { value: *value, outcome: WRITTEN });
        (partition(0), sent.collect())
    };
    let logs = BTreeMap::from([(partition(0), log(&[1, 11, 12, 2]))]);
    assert_eq!(check_writes(Promise::Idempotent, &[lane(&[1, 2]), lane(&[11, 12])], &logs), []);
    assert_eq!(
        check_writes(Promise::Idempotent, &[lane(&[1, 2]), lane(&[12, 11])], &logs),
        [Violation::Reordered(partition(0), 11)]
    );
}

#[test]
fn readers_are_held_to_the_log() {
    let here = partition(0);
    let whole = log(&[5, 6, 7]);
    let reads = |seen: &[Logged], to_end| check_reads(&here, 0, seen, &whole, to_end);
    assert_eq!(reads(&whole, true), []);
    assert_eq!(reads(&whole[..1], false), []);
    assert_eq!(reads(&whole[..2], true), [Violation::Unread(here.clone(), 2)]);
    assert_eq!(reads(&[whole[0], whole[2]], true), [Violation::Skipped(here.clone(), 1)]);
    let again = [whole[0], whole[1], whole[1], whole[2]];
    assert_eq!(reads(&again, true), [Violation::Repeated(here.clone(), 1)]);
    let back = [whole[0], whole[1], whole[0], whole[2]];
    assert_eq!(reads(&back, true), [Violation::Repeated(here.clone(), 0)]);
    let other = [whole[0], Logged { offset: 1, value: 9 }, whole[2]];
    assert_eq!(reads(&other, true), [Violation::Inconsistent(here.clone(), 1)]);
}

fn assigned(generation: i32, numbers: &[i32]) -> Step {
    Step::Assigned { generation, all: numbers.iter().copied().map(partition).collect() }
}

fn gave_up(number: i32) -> Step {
    Step::GaveUp(vec![partition(number)])
}

#[test]
fn ownership_that_is_handed_on_is_left_alone() {
    let eager: History = vec![
        (1, assigned(1, &[0, 1])),
        (1, Step::GaveUp(vec![partition(0), partition(1)])),
        (1, assigned(2, &[0])),
        (2, assigned(2, &[1])),
    ];
    let cooperative: History = vec![
        (1, assigned(1, &[0, 1])),
        (2, assigned(2, &[])),
        (1, gave_up(1)),
        (1, assigned(2, &[0])),
        (2, assigned(3, &[1])),
        (1, assigned(3, &[0])),
    ];
    // A member that was expelled learns of it late, and may even rejoin later.
    let expelled: History = vec![
        (1, assigned(1, &[0])),
        (2, assigned(2, &[0])),
        (1, Step::Lost(vec![partition(0)])),
        (1, assigned(3, &[])),
    ];
    let late: History = vec![
        (1, assigned(1, &[0])),
        (2, assigned(2, &[0])),
        (1, gave_up(0)),
        (1, assigned(4, &[])),
    ];
    let dead: History = vec![(1, assigned(1, &[0])), (1, Step::Gone), (2, assigned(1, &[0]))];
    for history in [eager, cooperative, expelled, late, dead] {
        assert_eq!(check_ownership(&history), [], "{history:?}");
    }
}

#[test]
fn shared_ownership_is_found() {
    let shared = [Violation::Shared(partition(0), 1, 2)];
    let in_one_generation: History = vec![(1, assigned(3, &[0])), (2, assigned(3, &[0]))];
    // It takes part in generation 2 and had not given the partition up when another got it.
    let too_early: History = vec![
        (1, assigned(1, &[0])),
        (2, assigned(2, &[0])),
        (1, gave_up(0)),
        (1, assigned(2, &[])),
    ];
    assert_eq!(check_ownership(&in_one_generation), shared);
    assert_eq!(check_ownership(&too_early), shared);
}

#[test]
fn processing_and_commits_are_held_to_each_other() {
    let logs = BTreeMap::from([(partition(0), log(&[5, 6, 7]))]);
    let processed = |offset| (1, Step::Processed(partition(0), offset));
    let committed = |offset| (1, Step::Committed(partition(0), offset));
    let good: History = vec![processed(0), committed(1), processed(1), processed(2), committed(3)];
    assert_eq!(check_at_least_once(&good, &logs, true), []);
    assert_eq!(check_order(&good, &logs), []);
    let ahead: History = vec![processed(0), committed(2), processed(1), processed(2)];
    let found = [Violation::CommittedAhead(partition(0), 2)];
    assert_eq!(check_at_least_once(&ahead, &logs, true), found);
    let unread: History = vec![processed(0), processed(2)];
    let found = [Violation::Unread(partition(0), 1)];
    assert_eq!(check_at_least_once(&unread, &logs, true), found);
    assert_eq!(check_order(&unread, &logs), [Violation::Skipped(partition(0), 1)]);
    let repeated: History = vec![processed(0), processed(0)];
    assert_eq!(check_order(&repeated, &logs), [Violation::Repeated(partition(0), 0)]);
    let reassigned: History =
        vec![processed(0), (1, gave_up(0)), (1, assigned(2, &[0])), processed(0)];
    assert_eq!(check_order(&reassigned, &logs), []);
    let late = BTreeMap::from([(partition(0), 1)]);
    assert_eq!(check_commits(&good, &late), [Violation::CommitLost(partition(0), 3)]);
    assert_eq!(check_commits(&good, &BTreeMap::from([(partition(0), 3)])), []);
}

#[test]
fn only_owners_process() {
    let good: History = vec![(1, assigned(1, &[0])), (1, Step::Processed(partition(0), 0))];
    assert_eq!(check_processing(&good), []);
    let stolen: History = vec![
        (1, assigned(1, &[0])),
        (1, Step::Lost(vec![partition(0)])),
        (1, Step::Processed(partition(0), 0)),
    ];
    assert!(matches!(check_processing(&stolen)[..], [Violation::Unfounded(_)]));
}
