//! A call of the application that asks for offsets: what is left to ask, what was found.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_types::{Offset, OffsetAndMetadata, TopicPartition};

use super::answers::Answers;
use super::requests::Sought;
use crate::consumer::command::{ConsumerCompletion, OffsetSpec};
use crate::consumer::error::ConsumerError;

/// A call of the application.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) what: CallKind,
    pub(super) started: Instant,
    pub(super) timeout: Duration,
    pub(super) in_flight: usize,
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
    pub(super) last_error: String,
}

#[derive(Debug)]
pub(super) enum CallKind {
    Committed { left: Vec<TopicPartition>, found: BTreeMap<TopicPartition, OffsetAndMetadata> },
    Offsets { left: BTreeMap<TopicPartition, OffsetSpec>, found: BTreeMap<TopicPartition, Offset> },
}

impl Call {
    pub(super) const fn new(what: CallKind, timeout: Duration, now: Instant) -> Self {
        Self {
            what,
            started: now,
            timeout,
            in_flight: 0,
            failures: 0,
            not_before: None,
            last_error: String::new(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        match &self.what {
            CallKind::Committed { left, .. } => left.is_empty(),
            CallKind::Offsets { left, .. } => left.is_empty(),
        }
    }

    pub(super) fn complete(self) -> ConsumerCompletion {
        match self.what {
            CallKind::Committed { found, .. } => ConsumerCompletion::Committed(Ok(found)),
            CallKind::Offsets { found, .. } => ConsumerCompletion::ListOffsets(Ok(found)),
        }
    }

    pub(super) fn fail(self, error: ConsumerError) -> ConsumerCompletion {
        match self.what {
            CallKind::Committed { .. } => ConsumerCompletion::Committed(Err(error)),
            CallKind::Offsets { .. } => ConsumerCompletion::ListOffsets(Err(error)),
        }
    }

    pub(super) fn timed_out(&self) -> ConsumerError {
        let what = match self.what {
            CallKind::Committed { .. } => "looking committed offsets up",
            CallKind::Offsets { .. } => "looking offsets up",
        };
        let last_error = if self.last_error.is_empty() {
            "no broker answered".to_owned()
        } else {
            self.last_error.clone()
        };
        ConsumerError::TimedOut { what, waited: self.timeout, last_error }
    }

    /// Takes answers over; false if some have to be asked for again.
    pub(super) fn take(&mut self, answers: Answers) -> Result<bool, ConsumerError> {
        let mut all = true;
        match answers.whole() {
            Some(error) if error.class().is_retriable() => {
                self.last_error = error.to_string();
                return Ok(false);
            }
            Some(error) => {
                return Err(ConsumerError::Refused { what: "the group".to_owned(), error });
            }
            None => {}
        }
        for (tp, answer) in answers.into_iter() {
            let sought = match answer {
                Ok(sought) => sought,
                Err(error) if error.class().is_retriable() => {
                    self.last_error = format!("{tp}: {error}");
                    all = false;
                    continue;
                }
                Err(error) => return Err(ConsumerError::Refused { what: tp.to_string(), error }),
            };
            match (&mut self.what, sought) {
                (CallKind::Committed { left, found }, Sought::Committed(committed)) => {
                    left.retain(|wanted| *wanted != tp);
                    found.extend(committed.map(|committed| (tp, committed)));
                }
                (CallKind::Offsets { left, found }, Sought::Offset(offset)) => {
                    left.remove(&tp);
                    found.extend(offset.map(|offset| (tp, offset)));
                }
                _ => {}
            }
        }
        Ok(all)
    }
}
