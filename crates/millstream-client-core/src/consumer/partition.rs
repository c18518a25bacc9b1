//! What a consumer knows of one partition that is assigned to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use millstream_protocol::batch::{CheckedBatch, Cursor, RawBatch};
use millstream_types::{BrokerId, LeaderEpoch, Offset};

use super::command::OffsetSpec;
use super::error::FetchError;

/// The incarnation of ownership under which a batch was fetched: new each time a partition comes
/// to this consumer, so that nothing fetched before a loss is committed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub(super) u64);

/// A place in the log, and the epoch of the record before it where it is known (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset.
    pub offset: Offset,
    /// The leader epoch of the record before it.
    pub epoch: Option<LeaderEpoch>,
}

impl From<Offset> for Position {
    fn from(offset: Offset) -> Self {
        Self { offset, epoch: None }
    }
}

/// Why a position was set anew without the application asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResetCause {
    /// The group has committed none, or there is no group.
    NoPosition,
    /// The broker says that the position is outside the log.
    OutOfRange,
    /// The log was cut below the position.
    Truncated,
    /// The application asked for the beginning or the end.
    Requested,
}

/// What stands between a partition and being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The group's committed offset is to be asked for.
    NeedsCommitted,
    /// An offset is to be looked up by place.
    NeedsReset(Reset),
    /// The leader changed: whether the log still holds what was read is to be asked (KIP-320).
    NeedsValidation,
    /// It is fetched from its position.
    Fetching,
    /// It waits for a seek: the application was told why.
    Halted,
}

/// A look-up of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reset {
    pub(super) spec: OffsetSpec,
    pub(super) cause: ResetCause,
    pub(super) from: Option<Offset>,
}

/// What the broker said of a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogEnds {
    pub(super) start: Option<Offset>,
    pub(super) high_watermark: Option<Offset>,
    pub(super) last_stable: Option<Offset>,
}

/// One thing that waits for the application.
#[derive(Debug)]
pub(super) enum Entry {
    /// A batch as it was fetched.
    Raw(RawBatch),
    /// The rest of a batch of which a part was handed out (`max.poll.records`).
    Opened { batch: Arc<CheckedBatch>, from: Cursor },
    /// Nothing to see up to here: control records, aborted transactions.
    Skip(Position),
    /// What follows cannot be read.
    Broken(FetchError),
}

impl Entry {
    /// The bytes it charges to the budget while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.bytes().len(),
            Self::Opened { .. } | Self::Skip(_) | Self::Broken(_) => 0,
        }
    }
}

/// A partition that is assigned.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) stamp: Stamp,
    pub(super) phase: Phase,
    pub(super) paused: bool,
    /// Being given up: nothing more is handed out, but commits still count.
    pub(super) revoking: bool,
    /// Raised by each seek: answers to what was asked before are dropped.
    pub(super) version: u64,
    /// What is handed out next.
    pub(super) position: Option<Position>,
    /// What is fetched next; runs ahead of `position` by what is buffered.
    pub(super) fetch_from: Option<Position>,
    pub(super) buffer: VecDeque<Entry>,
    pub(super) buffered_bytes: usize,
    /// Not fetched until half of what is buffered is taken.
    pub(super) capped: bool,
    /// Whether it stands in the queue of partitions with something to hand out.
    pub(super) queued: bool,
    pub(super) ends: LogEnds,
    /// Behind the last batch that the application has finished.
    pub(super) finished: Option<Position>,
    /// The leader epoch under which `fetch_from` was last found to be in the log.
    pub(super) validated: Option<LeaderEpoch>,
    /// The follower that the leader sent us to, and until when (KIP-392).
    pub(super) follower: Option<(BrokerId, Instant)>,
    /// More than `max.partition.fetch.bytes`, for a batch that did not fit.
    pub(super) fetch_bytes: Option<i32>,
    /// A look-up is on its way.
    pub(super) asked: bool,
    /// No look-up before this.
    pub(super) not_before: Option<Instant>,
    pub(super) failures: u32,
}

impl Partition {
    pub(super) fn new(stamp: Stamp, phase: Phase) -> Self {
        Self {
            stamp,
            phase,
            paused: false,
            revoking: false,
            version: 0,
            position: None,
            fetch_from: None,
            buffer: VecDeque::new(),
            buffered_bytes: 0,
            capped: false,
            queued: false,
            ends: LogEnds::default(),
            finished: None,
            validated: None,
            follower: None,
            fetch_bytes: None,
            asked: false,
            not_before: None,
            failures: 0,
        }
    }

    /// Goes to `position` and forgets what was buffered; returns the bytes that this frees.
    pub(super) fn go_to(&mut self, position: Position, phase: Phase) -> usize {
        let freed = self.clear();
        self.position = Some(position);
        self.fetch_from = Some(position);
        self.enter(phase);
        freed
    }

    /// Forgets what was buffered and what is under way.
    pub(super) fn clear(&mut self) -> usize {
        self.version += 1;
        self.buffer.clear();
        self.capped = false;
        std::mem::take(&mut self.buffered_bytes)
    }

    pub(super) const fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.asked = false;
        self.not_before = None;
        self.failures = 0;
    }

    pub(super) const fn is_unsettled(&self) -> bool {
        matches!(self.phase, Phase::NeedsCommitted | Phase::NeedsReset(_) | Phase::NeedsValidation)
    }

    /// Whether what is buffered may be handed out.
    pub(super) fn is_deliverable(&self) -> bool {
        !self.paused && !self.revoking && !self.buffer.is_empty()
    }
}
