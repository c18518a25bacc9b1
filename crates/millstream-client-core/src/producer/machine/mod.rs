//! The producer machine: takes batches from callers, sends them to the leaders of their partitions,
//! and gives each its end.
//!
//! * [`partition`] keeps the order and the sequence numbers of one partition, whose states are in
//!   [`sequence`],
//! * [`batch`] is a batch on its way, [`stage`] its states, [`verdict`] what an answer means for it,
//! * [`identity`] gets the producer id, [`topics`] follows the metadata,
//! * [`gate`] is the hold that a transaction has on all of it,
//! * [`drain`] builds requests, [`answers`] reads their answers, [`ends`] resolves batches,
//! * [`counting`] counts, and says which brokers do not answer.

mod answers;
pub(crate) mod batch;
mod counting;
mod drain;
mod ends;
pub(crate) mod gate;
mod identity;
pub(crate) mod partition;
mod sequence;
mod stage;
mod topics;
mod verdict;

pub(crate) use gate::{FaultKind, TransactionFault};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millstream_types::{BrokerId, PartitionId, TopicId, TopicName};

use batch::BatchKey;
use identity::Identification;
use partition::{Due, Pace, PartitionState};

use super::error::DeliveryCause;
use super::metrics::NodeCounters;
use super::shared::{Inbox, ProducerShared};
use super::tally::FlushReport;
use crate::backoff::Rng;
use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};
use crate::timer::{earliest, is_due};

/// The part of the linger time that a batch gives up to go along with one that is due.
const LINGER_SLACK: u32 = 4;

/// How often the driver renews record time while callers fill batches; less than the 5 ms that are
/// promised, for timers are late.
const RECORD_TIME_INTERVAL: Duration = Duration::from_millis(3);

/// A call of a producer that its driver serves; records and flushes go through [`ProducerShared`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerCommand {
    /// Accept nothing more, send what was accepted, and end at this time whatever is left.
    Close {
        /// When batches that are not acknowledged are given up.
        deadline: Instant,
    },
    /// Give up every record that no request carries; the others end by their answers.
    Abort,
}

/// What a call of a producer returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerCompletion {
    /// Every accepted record has its end.
    Closed(FlushReport),
    /// What no request carried is given up.
    Aborted,
}

/// What the producer machine tells unasked: nothing so far.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerEvent {}

/// Sends the batches of one producer.
#[derive(Debug)]
pub struct ProducerMachine {
    shared: Arc<ProducerShared>,
    identification: Identification,
    /// What transactions let through, if there are to be transactions.
    gate: Option<gate::Gate>,
    partitions: Vec<PartitionState>,
    topics: BTreeMap<TopicName, topics::TopicState>,
    /// The metadata that the partitions were last compared with.
    generation: Option<u64>,
    brokers: BTreeMap<BrokerId, BrokerState>,
    requests: BTreeMap<RequestId, InFlight>,
    /// When to look at which partition.
    timers: BTreeSet<(Instant, usize)>,
    /// Partitions that have, or lately had, an open batch.
    open: BTreeSet<usize>,
    /// Partitions to look at before this poll ends.
    inbox: Inbox,
    /// Partitions with something to send and nobody to write as.
    unidentified: BTreeSet<usize>,
    /// Partitions with something to send and no leader.
    leaderless: BTreeSet<usize>,
    /// Whether the last poll was in haste.
    was_in_haste: bool,
    flush_epoch: Option<u64>,
    closing: Option<Closing>,
    next_serial: u64,
    /// Whether a batch was taken since the last poll that a caller had filled.
    took_full_batch: bool,
    /// Whether callers opened or closed batches since record time was renewed.
    has_news: bool,
    /// When record time is renewed; `None` while the clock is left to callers.
    tick_at: Option<Instant>,
    /// The error of the metadata that callers were told last.
    cluster_error: Option<String>,
    rng: Rng,
    /// How often a partition was looked at, to see that work goes by what is ready.
    #[cfg(test)]
    pub(crate) looks: u64,
}

/// What goes to one broker.
#[derive(Debug)]
struct BrokerState {
    /// Requests without an answer.
    in_flight: usize,
    /// Partitions that have something to send, in turn.
    line: VecDeque<usize>,
    /// The last answer, or the first request since there was none to wait for.
    waits_since: Option<Instant>,
    /// Whether records without a key go elsewhere, for it does not answer.
    is_avoided: bool,
    counters: Arc<NodeCounters>,
}

impl BrokerState {
    fn new(counters: Arc<NodeCounters>) -> Self {
        Self { in_flight: 0, line: VecDeque::new(), waits_since: None, is_avoided: false, counters }
    }
}

/// A Produce request without an answer.
#[derive(Debug)]
struct InFlight {
    broker: BrokerId,
    sent_at: Instant,
    parts: Vec<Part>,
}

/// One batch of a request.
#[derive(Debug)]
struct Part {
    /// The partition's number here.
    index: usize,
    key: BatchKey,
    topic: TopicName,
    topic_id: TopicId,
    partition: PartitionId,
}

/// The producer is closing.
#[derive(Debug)]
struct Closing {
    deadline: Instant,
    commands: Vec<CommandId>,
    is_finished: bool,
}

impl ProducerMachine {
    /// The machine behind `shared`.
    #[must_use]
    pub fn new(shared: Arc<ProducerShared>) -> Self {
        let config = &shared.config;
        Self {
            identification: Identification::new(config.retry_backoff),
            gate: None,
            partitions: Vec::new(),
            topics: BTreeMap::new(),
            generation: None,
            brokers: BTreeMap::new(),
            requests: BTreeMap::new(),
            timers: BTreeSet::new(),
            open: BTreeSet::new(),
            inbox: Inbox::default(),
            unidentified: BTreeSet::new(),
            leaderless: BTreeSet::new(),
            was_in_haste: false,
            flush_epoch: None,
            closing: None,
            next_serial: 0,
            took_full_batch: false,
            has_news: false,
            tick_at: None,
            cluster_error: None,
            rng: Rng::new(config.seed),
            #[cfg(test)]
            looks: 0,
            shared,
        }
    }

    /// The application called.
    pub fn handle_command(&mut self, id: CommandId, command: ProducerCommand, cx: &mut Cx<'_>) {
        match command {
            ProducerCommand::Close { deadline } => self.close(id, deadline, cx),
            ProducerCommand::Abort => {
                for index in 0..self.partitions.len() {
                    self.end_unsent(index, &DeliveryCause::Aborted, cx.now);
                }
                cx.complete(id, ProducerCompletion::Aborted);
            }
        }
    }

    fn close(&mut self, id: CommandId, deadline: Instant, cx: &mut Cx<'_>) {
        match &mut self.closing {
            Some(closing) if closing.is_finished => {
                let report = FlushReport::default();
                cx.complete(id, ProducerCompletion::Closed(report));
            }
            Some(closing) => {
                closing.deadline = closing.deadline.min(deadline);
                closing.commands.push(id);
            }
            None => {
                self.shared.tallies.close();
                // Who waits for room learns that there will be none.
                self.shared.pool.waiters.wake_all();
                self.shared.topic_waiters.wake_all();
                self.closing = Some(Closing { deadline, commands: vec![id], is_finished: false });
                self.inbox.partitions.extend(self.open.iter());
            }
        }
    }

    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        if self.identification.owns(id) {
            let refused = self.identification.handle_response(result, cx.now, &mut self.rng);
            if let Some(cause) = refused {
                self.refuse_all(&cause, cx.now);
            }
            self.look_at_unidentified();
            return;
        }
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        if let Some(broker) = self.brokers.get_mut(&request.broker) {
            broker.in_flight -= 1;
        }
        self.count_answer(&request, &result, cx.now);
        self.handle_answer(request, result, cx);
    }

    /// Does what is due.
    pub fn poll(&mut self, cx: &mut Cx<'_>) {
        self.shared.clock.tick();
        self.has_news |= self.shared.take_inbox(&mut self.inbox);
        for name in std::mem::take(&mut self.inbox.topics) {
            self.want_topic(name, cx);
        }
        self.follow_metadata(cx);
        self.note_cluster_error(cx);
        self.begin_flush();
        self.fire_timers(cx.now);
        self.look_at_inbox(cx);
        self.shared.pool.waiters.expire(cx.now);
        self.shared.topic_waiters.expire(cx.now);
        self.note_availability(cx.now);
        self.drain_all(cx);
        self.finish_closing(cx);
        self.keep_record_time(cx.now);
        self.shared.rest(cx.now, self.next_timeout());
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let closing = self.closing.as_ref();
        let closing = closing.filter(|closing| !closing.is_finished);
        [
            self.timers.first().map(|(at, _)| *at),
            self.identification.next_timeout(),
            self.shared.pool.waiters.next_deadline(),
            self.shared.topic_waiters.next_deadline(),
            closing.map(|closing| closing.deadline),
            self.tick_at,
            self.availability_timeout(),
        ]
        .into_iter()
        .fold(None, earliest)
    }

    /// Whether open batches are sent without waiting for more records.
    fn is_in_haste(&self) -> bool {
        self.closing.is_some() || !self.shared.pool.waiters.is_empty()
    }

    fn pace(&self, now: Instant) -> Pace {
        Pace {
            now,
            linger: self.shared.config.linger,
            slack: self.shared.config.linger / LINGER_SLACK,
            flush_epoch: self.flush_epoch,
            in_haste: self.is_in_haste(),
        }
    }

    /// While callers fill batches the driver wakes to renew record time; else it sleeps, and they
    /// read the clock themselves.
    fn keep_record_time(&mut self, now: Instant) {
        // Behind brokers that are slow callers fill batches that nobody takes yet.
        let is_behind = || self.brokers.values().any(|broker| !broker.line.is_empty());
        if std::mem::take(&mut self.took_full_batch) || (self.has_news && is_behind()) {
            self.has_news = false;
            self.tick_at = Some(now + RECORD_TIME_INTERVAL);
        } else if is_due(self.tick_at, now) {
            self.tick_at = None;
        }
        if self.tick_at.is_none() {
            self.shared.clock.park();
        }
    }

    /// Keeps why the cluster cannot be reached, for those whose time is up meanwhile.
    fn note_cluster_error(&mut self, cx: &Cx<'_>) {
        let error = cx.metadata.last_error();
        if error != self.cluster_error.as_deref() {
            self.cluster_error = error.map(str::to_owned);
            match error {
                Some(error) => self.shared.set_last_error(error.to_owned()),
                None => self.shared.clear_last_error(),
            }
        }
    }

    /// Takes up flushes and haste: both make open batches due.
    fn begin_flush(&mut self) {
        let requested = self.inbox.flush_epoch.take();
        let is_new = requested > self.flush_epoch;
        self.flush_epoch = self.flush_epoch.max(requested);
        // What opens later is announced by itself.
        let in_haste = self.is_in_haste();
        let was_in_haste = std::mem::replace(&mut self.was_in_haste, in_haste);
        if is_new || (in_haste && !was_in_haste) {
            self.inbox.partitions.extend(self.open.iter());
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        let is_due = self.timers.first().is_some_and(|(at, _)| *at <= now);
        let until = now + self.shared.config.linger / LINGER_SLACK;
        while let Some((at, index)) = self.timers.first().copied()
            && is_due
            && at <= until
        {
            self.timers.pop_first();
            self.partitions[index].timer = None;
            self.inbox.partitions.push(index);
        }
        if self.identification.tick(now) {
            self.look_at_unidentified();
        }
    }

    /// Has every partition looked at that waits for an identity.
    fn look_at_unidentified(&mut self) {
        self.inbox.partitions.extend(std::mem::take(&mut self.unidentified));
    }

    fn look_at_inbox(&mut self, cx: &mut Cx<'_>) {
        while let Some(index) = self.inbox.partitions.pop() {
            self.look(index, cx);
        }
    }

    /// Decides what is to happen with a partition, and when to look again.
    fn look(&mut self, index: usize, cx: &mut Cx<'_>) {
        let shared = Arc::clone(&self.partitions[index].shared);
        shared.is_announced.store(false, Ordering::Release);
        #[cfg(test)]
        {
            self.looks += 1;
        }
        self.expire(index, cx.now);
        self.settle(index, cx.now);
        self.finish_aborting(index, cx.now);
        if shared.queue().open.is_some() {
            self.open.insert(index);
        } else {
            self.open.remove(&index);
        }
        let pace = self.pace(cx.now);
        let partition = &self.partitions[index];
        let due = partition.due(&pace);
        let expires = partition.oldest().map(|opened| opened + self.shared.config.delivery_timeout);
        let mut wake = expires.filter(|at| *at > cx.now);
        match due {
            Due::Now => self.join_line(index, cx),
            Due::At(at) => wake = earliest(wake, Some(at)),
            Due::Idle => {}
        }
        self.set_timer(index, wake);
    }

    fn set_timer(&mut self, index: usize, at: Option<Instant>) {
        let timer = &mut self.partitions[index].timer;
        if *timer == at {
            return;
        }
        if let Some(old) = timer.take() {
            self.timers.remove(&(old, index));
        }
        *timer = at;
        if let Some(at) = at {
            self.timers.insert((at, index));
        }
    }

    /// Puts a partition with something to send into its leader's line, and asks for what is missing:
    /// an identity, a leader.
    fn join_line(&mut self, index: usize, cx: &mut Cx<'_>) {
        if !self.identify(index, cx) {
            return;
        }
        let partition = &mut self.partitions[index];
        if let Some(gate) = &mut self.gate
            && !gate.admits(index, &mut partition.added_in)
        {
            return;
        }
        let Some(leader) = partition.leader else {
            let topic = partition.shared.topic.clone();
            self.leaderless.insert(index);
            self.miss_leader(&topic, cx);
            return;
        };
        // What is with another broker first has to be answered.
        let is_elsewhere = partition.in_flight_on.is_some_and(|broker| broker != leader);
        if is_elsewhere && !partition.in_flight.is_empty() || partition.in_line_of.is_some() {
            return;
        }
        partition.in_line_of = Some(leader);
        let counters = &self.shared.counters;
        let broker = self.brokers.entry(leader);
        let broker = broker.or_insert_with(|| BrokerState::new(counters.node(leader)));
        broker.line.push_back(index);
    }

    /// Sees to it that a partition writes as whom it shall. Answers whether it does.
    fn identify(&mut self, index: usize, cx: &mut Cx<'_>) -> bool {
        let partition = &mut self.partitions[index];
        if let Some(gate) = &self.gate {
            let Some(identity) = gate.identity else {
                self.unidentified.insert(index);
                return false;
            };
            return partition.follow(identity, cx.now);
        }
        if partition.wants_identity() {
            let Some(identity) = self.identification.current() else {
                self.unidentified.insert(index);
                self.identification.want(cx);
                return false;
            };
            partition.adopt(identity, cx.now);
        }
        true
    }

    /// The key of a batch that is taken from its queue now.
    const fn next_key(&mut self) -> BatchKey {
        let serial = self.next_serial;
        self.next_serial += 1;
        BatchKey { serial, part: 0 }
    }

    /// Ends the producer once all is done, or the time is up.
    fn finish_closing(&mut self, cx: &mut Cx<'_>) {
        let Some(closing) = &self.closing else { return };
        if closing.is_finished {
            return;
        }
        if !self.shared.tallies.is_idle() {
            if cx.now < closing.deadline {
                return;
            }
            self.give_up_all(cx.now);
        }
        let report = self.shared.tallies.take_report(u64::MAX - 1).unwrap_or_default();
        if !report.is_complete() {
            tracing::warn!(
                not_written = report.not_written,
                unknown = report.unknown,
                "the producer is closed and left records behind"
            );
        }
        let Some(closing) = &mut self.closing else { return };
        closing.is_finished = true;
        let mut report = Some(report);
        for id in std::mem::take(&mut closing.commands) {
            let report = report.take().unwrap_or_default();
            cx.complete(id, ProducerCompletion::Closed(report));
        }
        cx.finish();
    }
}
