//! Looking positions up: committed offsets, offsets by place or time, and whether the log still holds what was read.
//!
//! Serves the partitions that need a position before they can be fetched, and calls of the
//! application that ask for offsets.

mod answers;
mod call;
mod requests;
mod settle;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    ListOffsetsResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse,
};
use millstream_types::{BrokerId, TopicPartition};

use self::answers::Answers;
use self::call::{Call, CallKind};
use self::settle::settle;
use super::command::OffsetSpec;
use super::error::{ConsumerError, FetchError};
use super::notice::Next;
use super::partition::{Phase, Position, Stamp};
use super::shared::ConsumerShared;
use super::table::Table;
use crate::backoff::{Backoff, Rng};
use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};
use crate::timer::{earliest, is_due};

/// Looks positions up.
#[derive(Debug)]
pub(super) struct Lookups {
    backoff: Backoff,
    rng: Rng,
    sent: BTreeMap<RequestId, Sent>,
    calls: BTreeMap<CommandId, Call>,
    timeout: Option<Instant>,
}

/// A request on its way and what it is for.
#[derive(Debug)]
struct Sent {
    what: What,
    /// The call it belongs to; `None`: partitions of the table.
    call: Option<CommandId>,
    partitions: BTreeMap<TopicPartition, Asked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Committed,
    Offsets,
    Epochs,
}

/// What a partition was when it was asked about.
#[derive(Clone, Copy, Debug)]
struct Asked {
    stamp: Stamp,
    version: u64,
}

impl Lookups {
    pub(super) const fn new(backoff: Backoff, rng: Rng) -> Self {
        Self { backoff, rng, sent: BTreeMap::new(), calls: BTreeMap::new(), timeout: None }
    }

    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Whether the answer to this request is ours.
    pub(super) fn owns(&self, id: RequestId) -> bool {
        self.sent.contains_key(&id)
    }

    /// The application asks what is committed.
    pub(super) fn committed(
        &mut self,
        id: CommandId,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
        cx: &Cx<'_>,
    ) {
        let what = CallKind::Committed { left: partitions, found: BTreeMap::new() };
        self.calls.insert(id, Call::new(what, timeout, cx.now));
    }

    /// The application asks for offsets by place or time.
    pub(super) fn offsets(
        &mut self,
        id: CommandId,
        partitions: BTreeMap<TopicPartition, OffsetSpec>,
        timeout: Duration,
        cx: &Cx<'_>,
    ) {
        let what = CallKind::Offsets { left: partitions, found: BTreeMap::new() };
        self.calls.insert(id, Call::new(what, timeout, cx.now));
    }

    /// Asks what is due, and ends calls that are over.
    pub(super) fn poll(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        self.timeout = None;
        self.poll_table(shared, cx);
        let ids: Vec<_> = self.calls.keys().copied().collect();
        for id in ids {
            self.poll_call(shared, id, cx);
        }
    }

    /// Asks about the partitions that need a position.
    fn poll_table(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        let mut committed = BTreeMap::new();
        let mut offsets: BTreeMap<BrokerId, Vec<(TopicPartition, OffsetSpec)>> = BTreeMap::new();
        let mut epochs: BTreeMap<BrokerId, Vec<(TopicPartition, Position)>> = BTreeMap::new();
        let mut asked = BTreeMap::new();
        {
            let mut table = shared.table();
            let Table { unsettled, partitions, .. } = &mut *table;
            for tp in &*unsettled {
                let Some(partition) = partitions.get_mut(tp) else { continue };
                if partition.asked {
                    continue;
                }
                if partition.not_before.is_some() && !is_due(partition.not_before, cx.now) {
                    self.timeout = earliest(self.timeout, partition.not_before);
                    continue;
                }
                let was = Asked { stamp: partition.stamp, version: partition.version };
                if partition.phase == Phase::NeedsCommitted {
                    partition.asked = true;
                    committed.insert(tp.clone(), was);
                    continue;
                }
                cx.metadata.request_topic(&tp.topic, cx.now);
                let Some(leader) = cx.metadata.leader(tp) else {
                    if cx.metadata.topic(tp.topic.as_str()).is_some() {
                        cx.metadata.request_update();
                    }
                    continue;
                };
                partition.asked = true;
                asked.insert(tp.clone(), was);
                match (partition.phase, partition.fetch_from) {
                    (Phase::NeedsReset(reset), _) => {
                        offsets.entry(leader.broker).or_default().push((tp.clone(), reset.spec));
                    }
                    (Phase::NeedsValidation, Some(from)) => {
                        epochs.entry(leader.broker).or_default().push((tp.clone(), from));
                    }
                    _ => partition.asked = false,
                }
            }
        }
        if !committed.is_empty() {
            let partitions: Vec<_> = committed.keys().cloned().collect();
            if let Some(id) = requests::committed(shared, &partitions, cx) {
                self.sent
                    .insert(id, Sent { what: What::Committed, call: None, partitions: committed });
            }
        }
        for (broker, list) in offsets {
            let partitions = pick(&asked, list.iter().map(|(tp, _)| tp));
            let id = requests::offsets(shared, broker, &list, cx);
            self.sent.insert(id, Sent { what: What::Offsets, call: None, partitions });
        }
        for (broker, list) in epochs {
            let partitions = pick(&asked, list.iter().map(|(tp, _)| tp));
            let id = requests::epochs(broker, &list, cx);
            self.sent.insert(id, Sent { what: What::Epochs, call: None, partitions });
        }
    }

    fn poll_call(&mut self, shared: &ConsumerShared, id: CommandId, cx: &mut Cx<'_>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let deadline = call.started + call.timeout;
        if call.in_flight == 0 && call.is_complete() {
            if let Some(call) = self.calls.remove(&id) {
                cx.complete(id, call.complete());
            }
            return;
        }
        if deadline <= cx.now {
            if let Some(call) = self.calls.remove(&id) {
                let error = call.timed_out();
                cx.complete(id, call.fail(error));
            }
            return;
        }
        self.timeout = earliest(self.timeout, Some(deadline));
        if call.in_flight > 0 {
            return;
        }
        if call.not_before.is_some() && !is_due(call.not_before, cx.now) {
            self.timeout = earliest(self.timeout, call.not_before);
            return;
        }
        let mut sent = Vec::new();
        match &call.what {
            CallKind::Committed { left, .. } => match requests::committed(shared, left, cx) {
                Some(request) => sent.push((request, What::Committed)),
                None => {
                    if let Some(call) = self.calls.remove(&id) {
                        cx.complete(id, call.fail(ConsumerError::NoGroup));
                    }
                    return;
                }
            },
            CallKind::Offsets { left, .. } => {
                for (broker, list) in requests::by_leader(left, cx) {
                    sent.push((requests::offsets(shared, broker, &list, cx), What::Offsets));
                }
            }
        }
        call.in_flight = sent.len();
        if sent.is_empty() {
            call.last_error = match cx.metadata.last_error() {
                Some(error) => format!("no leader is known; the last error of metadata: {error}"),
                None => "no leader is known".to_owned(),
            };
            call.failures += 1;
            call.not_before = Some(cx.now + self.backoff.after(call.failures, &mut self.rng));
            self.timeout = earliest(self.timeout, call.not_before);
        }
        for (request, what) in sent {
            let partitions = BTreeMap::new();
            self.sent.insert(request, Sent { what, call: Some(id), partitions });
        }
    }

    /// A request is answered, or never will be.
    pub(super) fn handle_response(
        &mut self,
        shared: &ConsumerShared,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let Some(sent) = self.sent.remove(&id) else { return };
        let answers = match result {
            Ok(response) => answers::read(sent.what, response),
            Err(failure) => Err(failure),
        };
        if let Ok(answers) = &answers {
            answers.report(shared, cx);
        } else {
            cx.metadata.request_update();
        }
        match sent.call {
            Some(call) => self.answer_call(call, answers, cx),
            None => self.answer_table(shared, &sent, answers, cx),
        }
    }

    fn answer_call(
        &mut self,
        id: CommandId,
        answers: Result<Answers, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.in_flight -= 1;
        let outcome = match answers {
            Ok(answers) => call.take(answers),
            Err(failure) if failure.class().is_retriable() => {
                call.last_error = failure.to_string();
                Ok(false)
            }
            Err(failure) => Err(ConsumerError::Request(failure)),
        };
        match outcome {
            // What an answer left out is asked for again, but not at once.
            Ok(whole) if whole && (call.in_flight > 0 || call.is_complete()) => {}
            Ok(_) => {
                call.failures += 1;
                call.not_before = Some(cx.now + self.backoff.after(call.failures, &mut self.rng));
            }
            Err(error) => {
                if let Some(call) = self.calls.remove(&id) {
                    cx.complete(id, call.fail(error));
                }
            }
        }
    }

    fn answer_table(
        &mut self,
        shared: &ConsumerShared,
        sent: &Sent,
        answers: Result<Answers, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let mut table = shared.table();
        let answers = match answers {
            Ok(answers) => answers,
            Err(failure) => {
                if !failure.class().is_retriable() {
                    let error = refused_lookup(shared, &failure);
                    table.notify(Next::Failed(error));
                }
                Answers::default()
            }
        };
        for (tp, was) in &sent.partitions {
            let Some(partition) = table.partitions.get_mut(tp) else { continue };
            if partition.stamp != was.stamp || partition.version != was.version || !partition.asked
            {
                continue;
            }
            partition.asked = false;
            match answers.of(tp) {
                Some(Ok(sought)) => settle(shared, &mut table, tp, sought, cx),
                Some(Err(error)) if !error.class().is_retriable() => {
                    table.enter(tp, Phase::Halted);
                    let what = tp.to_string();
                    table.notify(Next::Failed(FetchError::Refused { what, error }));
                }
                Some(Err(_)) | None => {
                    partition.failures += 1;
                    let wait = self.backoff.after(partition.failures, &mut self.rng);
                    partition.not_before = Some(cx.now + wait);
                }
            }
        }
    }

    /// Ends every call: the consumer closes.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        for (id, call) in std::mem::take(&mut self.calls) {
            cx.complete(id, call.fail(ConsumerError::Closed));
        }
    }
}

fn pick<'a>(
    asked: &BTreeMap<TopicPartition, Asked>,
    partitions: impl Iterator<Item = &'a TopicPartition>,
) -> BTreeMap<TopicPartition, Asked> {
    partitions.filter_map(|tp| Some((tp.clone(), *asked.get(tp)?))).collect()
}

/// A look-up that will never work, in the words of fetching.
fn refused_lookup(shared: &ConsumerShared, failure: &RequestFailure) -> FetchError {
    match &shared.config().group {
        Some(group) => {
            FetchError::Group { group: group.id.clone(), reason: failure.to_string(), error: None }
        }
        None => {
            FetchError::Refused { what: failure.to_string(), error: ErrorCode::UnsupportedVersion }
        }
    }
}
