//! Incremental fetch sessions (KIP-227): after the first fetch, only what changed is said.
//!
//! The broker remembers the partitions of a session and their offsets; an answer of a session
//! names only partitions with news. Follows `FetchSessionHandler.java`.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use millstream_protocol::ErrorCode;
use millstream_types::{LeaderEpoch, Offset, TopicId, TopicName, TopicPartition};

use crate::consumer::partition::Stamp;

/// "No session": in a request it asks for one, in an answer it refuses one.
const NONE: i32 = 0;
/// The epoch of a full request.
const INITIAL: i32 = 0;

/// What is wanted of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic_id: TopicId,
    pub(super) offset: Offset,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) max_bytes: i32,
    /// Not sent: under which ownership and after which seek this was asked.
    pub(super) stamp: Stamp,
    pub(super) version: u64,
}

impl Wanted {
    /// Whether the broker has to be told.
    fn differs(&self, known: &Self) -> bool {
        self.offset != known.offset
            || self.leader_epoch != known.leader_epoch
            || self.max_bytes != known.max_bytes
    }
}

/// What a request has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) session_id: i32,
    pub(super) epoch: i32,
    /// The partitions that are new or changed; all of them in a full request.
    pub(super) told: Vec<TopicPartition>,
    /// The partitions that the broker shall forget.
    pub(super) forgotten: Vec<(TopicPartition, TopicId)>,
    /// Whether every topic has an id, so that versions from 13 on can carry it.
    pub(super) by_id: bool,
}

/// The session with one broker.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
    by_id: bool,
    /// What the broker knows after the last request.
    partitions: IndexMap<TopicPartition, Wanted>,
}

impl FetchSession {
    /// The next request, for exactly `wanted`.
    pub(super) fn ask(&mut self, wanted: IndexMap<TopicPartition, Wanted>) -> Ask {
        let by_id = wanted.values().all(|want| want.topic_id.is_known());
        if by_id != self.by_id {
            // A session goes by names or by ids, not by both.
            self.close();
        }
        self.by_id = by_id;
        let known = std::mem::replace(&mut self.partitions, wanted);
        let mut ask = Ask {
            session_id: self.id,
            epoch: self.epoch,
            told: Vec::new(),
            forgotten: Vec::new(),
            by_id,
        };
        if self.epoch == INITIAL {
            ask.told.extend(self.partitions.keys().cloned());
            return ask;
        }
        for (tp, want) in &self.partitions {
            match known.get(tp) {
                Some(was) if was.topic_id != want.topic_id => {
                    // The topic was made anew under its name.
                    ask.forgotten.push((tp.clone(), was.topic_id));
                    ask.told.push(tp.clone());
                }
                Some(was) if !want.differs(was) => {}
                _ => ask.told.push(tp.clone()),
            }
        }
        for (tp, was) in known {
            if !self.partitions.contains_key(&tp) {
                ask.forgotten.push((tp, was.topic_id));
            }
        }
        ask
    }

    /// The broker has answered.
    ///
    /// # Errors
    /// The answer's error; the next request is a full one.
    pub(super) fn answered(&mut self, error: ErrorCode, session_id: i32) -> Result<(), ErrorCode> {
        match error {
            ErrorCode::None if session_id == NONE => {
                // No room for a session, or none in this version: full requests.
                self.reset();
                Ok(())
            }
            ErrorCode::None => {
                self.id = session_id;
                self.epoch = next_epoch(self.epoch);
                Ok(())
            }
            // Evicted, or the broker was restarted.
            ErrorCode::FetchSessionIdNotFound => {
                self.reset();
                Err(error)
            }
            error => {
                self.close();
                Err(error)
            }
        }
    }

    /// Nobody knows whether the broker has seen the last request.
    pub(super) const fn failed(&mut self) {
        self.close();
    }

    /// What was asked of a partition in the last request.
    pub(super) fn wanted(&self, tp: &TopicPartition) -> Option<&Wanted> {
        self.partitions.get(tp)
    }

    /// The topics of the last request, by id.
    pub(super) fn names(&self) -> BTreeMap<TopicId, &TopicName> {
        self.partitions.iter().map(|(tp, want)| (want.topic_id, &tp.topic)).collect()
    }

    /// The next request is full and, if there is a session, ends it.
    const fn close(&mut self) {
        self.epoch = INITIAL;
    }

    const fn reset(&mut self) {
        self.id = NONE;
        self.epoch = INITIAL;
    }
}

/// After the largest epoch comes 1: 0 would mean a full request (`FetchMetadata.nextEpoch`).
const fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests;
