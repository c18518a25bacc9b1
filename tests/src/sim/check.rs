//! The judges: pure functions from what was done and seen to what was wrong with it.
//!
//! Every value that a workload writes is a number of its own, so a history is numbers and places.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use millstream_types::TopicPartition;

/// A record in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its offset.
    pub offset: i64,
    /// Its number.
    pub value: u64,
}

/// How a record ended, as its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, here if that was told.
    Written(Option<i64>),
    /// It is in no log.
    NotWritten,
    /// It may be in the log.
    Unknown,
}

/// A record that a producer accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub value: u64,
    /// How it ended; `None`: not at all.
    pub outcome: Option<Outcome>,
}

/// What one producer accepted for one partition, in this order.
pub type Lane = (TopicPartition, Vec<Sent>);

/// What producers promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Once and in order.
    Idempotent,
    /// At least once where it says written, perhaps out of order and more than once.
    AtLeastOnce,
}

/// Something that must not be. The partition and number (or offset) say where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An accepted record has no end.
    Unresolved(TopicPartition, u64),
    /// A record that was written is not in the log.
    Lost(TopicPartition, u64),
    /// A record that was not written is in the log.
    Phantom(TopicPartition, u64),
    /// A record is in the log more than once.
    Duplicate(TopicPartition, u64),
    /// A record stands before one that was accepted earlier.
    Reordered(TopicPartition, u64),
    /// A record is not where its receipt says.
    Misplaced(TopicPartition, u64),
    /// Nobody sent this record here.
    Invented(TopicPartition, u64),
    /// An offset was read as something else than the log holds.
    Inconsistent(TopicPartition, i64),
    /// A reader did not get this offset though it got later ones.
    Skipped(TopicPartition, i64),
    /// A reader got this offset again, or went back to it.
    Repeated(TopicPartition, i64),
    /// Nobody got this offset though all had time to.
    Unread(TopicPartition, i64),
    /// Two members owned a partition in one generation, or one got it before the other gave it up.
    Shared(TopicPartition, usize, usize),
    /// This offset is committed, but a record before it was processed by nobody.
    CommittedAhead(TopicPartition, i64),
    /// A commit that was acknowledged is gone: an earlier offset is committed at the end.
    CommitLost(TopicPartition, i64),
    /// A flush reported other counts than the deliveries: written, not written, unknown.
    Miscounted([u64; 3], [u64; 3]),
    /// Of this transaction of this transactional id, a part is visible.
    Torn(usize, usize),
    /// The group of this transactional id has committed this offset, but its last transaction that
    /// is visible that one.
    OffsetApart(usize, Option<i64>, Option<i64>),
    /// Something was told or stands that has no ground.
    Unfounded(String),
    /// Something did not happen in time.
    Late(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Judges what became of accepted records.
#[must_use]
pub fn check_writes(
    promise: Promise,
    lanes: &[Lane],
    logs: &BTreeMap<TopicPartition, Vec<Logged>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (partition, log) in logs {
        let lanes = lanes.iter().filter(|(of, _)| of == partition).map(|(_, sent)| sent.as_slice());
        check_partition(promise, partition, &lanes.collect::<Vec<_>>(), log, &mut found);
    }
    found
}

fn check_partition(
    promise: Promise,
    partition: &TopicPartition,
    lanes: &[&[Sent]],
    log: &[Logged],
    found: &mut Vec<Violation>,
) {
    let mut places: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for record in log {
        places.entry(record.value).or_default().push(record.offset);
    }
    let mut known = BTreeSet::new();
    for sent in lanes.iter().copied().flatten() {
        known.insert(sent.value);
        let at = places.get(&sent.value).map_or(&[][..], Vec::as_slice);
        check_outcome(partition, sent, at, found);
        if at.len() > 1 && promise == Promise::Idempotent {
            found.push(Violation::Duplicate(partition.clone(), sent.value));
        }
    }
    for record in log.iter().filter(|record| !known.contains(&record.value)) {
        found.push(Violation::Invented(partition.clone(), record.value));
    }
    if promise == Promise::Idempotent {
        for lane in lanes {
            check_order(partition, lane, &places, found);
        }
    }
}

fn check_outcome(partition: &TopicPartition, sent: &Sent, at: &[i64], found: &mut Vec<Violation>) {
    let violation = match sent.outcome {
        None => Violation::Unresolved(partition.clone(), sent.value),
        Some(Outcome::Written(_)) if at.is_empty() => {
            Violation::Lost(partition.clone(), sent.value)
        }
        Some(Outcome::Written(Some(offset))) if !at.contains(&offset) => {
            Violation::Misplaced(partition.clone(), sent.value)
        }
        Some(Outcome::NotWritten) if !at.is_empty() => {
            Violation::Phantom(partition.clone(), sent.value)
        }
        Some(_) => return,
    };
    found.push(violation);
}

/// The records of one producer stand in the order of their acceptance.
fn check_order(
    partition: &TopicPartition,
    lane: &[Sent],
    places: &BTreeMap<u64, Vec<i64>>,
    found: &mut Vec<Violation>,
) {
    let mut furthest = -1;
    for sent in lane {
        let Some(at) = places.get(&sent.value).and_then(|at| at.first()) else { continue };
        if *at < furthest {
            found.push(Violation::Reordered(partition.clone(), sent.value));
        }
        furthest = furthest.max(*at);
    }
}

/// Judges one reader of a partition from `start`: it got what the log holds, each record once and in
/// order, up to the last one of `seen`; with `to_end` up to the end of the log.
#[must_use]
pub fn check_reads(
    partition: &TopicPartition,
    start: i64,
    seen: &[Logged],
    log: &[Logged],
    to_end: bool,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let by_offset: BTreeMap<i64, u64> = log.iter().map(|at| (at.offset, at.value)).collect();
    let mut next = start;
    for record in seen {
        if by_offset.get(&record.offset) != Some(&record.value) {
            found.push(Violation::Inconsistent(partition.clone(), record.offset));
        }
        if record.offset < next {
            found.push(Violation::Repeated(partition.clone(), record.offset));
            continue;
        }
        let skipped = by_offset.range(next..record.offset).map(|(offset, _)| *offset);
        found.extend(skipped.map(|offset| Violation::Skipped(partition.clone(), offset)));
        next = record.offset + 1;
    }
    if to_end {
        let unread = by_offset.range(next..).map(|(offset, _)| *offset);
        found.extend(unread.map(|offset| Violation::Unread(partition.clone(), offset)));
    }
    found
}
