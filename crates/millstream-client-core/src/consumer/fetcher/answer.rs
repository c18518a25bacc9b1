//! What the fetcher makes of an answer: batches into buffers, positions from their headers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{CheckedBatch, ControlRecord, RawBatch, RawBatches};
use millstream_protocol::messages::FetchResponse;
use millstream_protocol::messages::fetch_response::{
    AbortedTransaction, NodeEndpoint, PartitionData,
};
use millstream_types::{
    BrokerId, LeaderEpoch, Offset, ProducerId, TopicId, TopicName, TopicPartition,
};

use super::Fetcher;
use super::session::Wanted;
use crate::config::Endpoint;
use crate::consumer::config::IsolationLevel;
use crate::consumer::error::FetchError;
use crate::consumer::notice::Next;
use crate::consumer::partition::{Entry, LogEnds, Phase, Position, ResetCause};
use crate::consumer::shared::ConsumerShared;
use crate::consumer::table::Table;
use crate::cx::Cx;
use crate::outbox::{RequestFailure, Response};

/// How long a follower is read from before the leader is asked again
/// (`metadata.max.age.ms`'s default, as in Java).
const FOLLOWER_HOLDS: Duration = Duration::from_secs(300);

impl Fetcher {
    /// The fetch of `broker` is answered, or never will be.
    pub(in crate::consumer) fn handle_response(
        &mut self,
        shared: &ConsumerShared,
        broker: BrokerId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        self.seen = None;
        let Some(fetch) = self.brokers.get_mut(&broker) else { return };
        fetch.in_flight = None;
        let answer = result.map_err(|failure| failure.to_string()).and_then(|response| {
            FetchResponse::try_from(response.body).map_err(|wrong| wrong.to_string())
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                tracing::debug!(%broker, reason, "a fetch failed");
                fetch.session.failed();
                fetch.failures += 1;
                fetch.not_before = Some(cx.now + self.backoff.after(fetch.failures, &mut self.rng));
                self.forget_follower(shared, broker);
                cx.metadata.request_update();
                return;
            }
        };
        let error = ErrorCode::from(answer.error_code);
        if let Err(error) = fetch.session.answered(error, answer.session_id) {
            return self.refused(shared, broker, error, cx);
        }
        fetch.failures = 0;
        fetch.not_before = None;
        self.take_over(shared, broker, answer, cx);
    }

    /// A fetch was refused whole.
    fn refused(
        &mut self,
        shared: &ConsumerShared,
        broker: BrokerId,
        error: ErrorCode,
        cx: &mut Cx<'_>,
    ) {
        tracing::debug!(%broker, %error, "a fetch was refused");
        let session_only = matches!(
            error,
            ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch
        );
        let Some(fetch) = self.brokers.get_mut(&broker) else { return };
        fetch.failures += 1;
        if session_only && fetch.failures == 1 {
            return;
        }
        fetch.not_before = Some(cx.now + self.backoff.after(fetch.failures, &mut self.rng));
        self.forget_follower(shared, broker);
        cx.metadata.request_update();
    }

    /// A follower that fails is left: the leader is asked again.
    fn forget_follower(&self, shared: &ConsumerShared, broker: BrokerId) {
        for partition in shared.table().partitions.values_mut() {
            partition.follower.take_if(|(follower, _)| *follower == broker);
        }
    }

    fn take_over(
        &mut self,
        shared: &ConsumerShared,
        broker: BrokerId,
        answer: FetchResponse,
        cx: &mut Cx<'_>,
    ) {
        let Some(fetch) = self.brokers.get(&broker) else { return };
        let mut table = shared.table();
        let names = fetch.session.names();
        for topic in answer.responses {
            let name = match names.get(&TopicId(topic.topic_id)) {
                Some(name) if !topic.topic_id.is_nil() => (*name).clone(),
                _ => TopicName::from(topic.topic.as_str()),
            };
            for data in topic.partitions {
                let tp = TopicPartition::new(&name, data.partition_index);
                let Some(want) = fetch.session.wanted(&tp) else { continue };
                let mut landing = Landing {
                    shared,
                    table: &mut table,
                    tp: &tp,
                    want,
                    broker,
                    backoff: self.backoff,
                    rng: &mut self.rng,
                };
                landing.take(data, &answer.node_endpoints, cx);
            }
        }
        table.fetch_version += 1;
    }
}

/// One partition's share of an answer, and where it goes.
struct Landing<'a> {
    shared: &'a ConsumerShared,
    table: &'a mut Table,
    tp: &'a TopicPartition,
    want: &'a Wanted,
    broker: BrokerId,
    backoff: crate::backoff::Backoff,
    rng: &'a mut crate::backoff::Rng,
}

impl Landing<'_> {
    fn take(&mut self, data: PartitionData, endpoints: &[NodeEndpoint], cx: &mut Cx<'_>) {
        // Sought, revoked, or fetched elsewhere since: the answer is to a question of the past.
        let Some(partition) = self.table.partitions.get_mut(self.tp) else { return };
        let current = partition.stamp == self.want.stamp
            && partition.version == self.want.version
            && partition.phase == Phase::Fetching
            && partition.fetch_from.is_some_and(|from| from.offset == self.want.offset);
        if !current {
            return;
        }
        self.learn_leader(&data, endpoints, cx);
        let error = ErrorCode::from(data.error_code);
        if error.is_ok() { self.land(data, cx.now) } else { self.fail(error, cx) }
    }

    /// The answer may name the new leader (KIP-951).
    fn learn_leader(&self, data: &PartitionData, endpoints: &[NodeEndpoint], cx: &mut Cx<'_>) {
        let leader = &data.current_leader;
        if leader.leader_id.0 < 0 || leader.leader_epoch < 0 {
            return;
        }
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == leader.leader_id);
        let endpoint = endpoint.and_then(|endpoint| {
            let port = u16::try_from(endpoint.port).ok()?;
            Some(Endpoint { host: endpoint.host.to_string(), port })
        });
        let epoch = LeaderEpoch(leader.leader_epoch);
        cx.metadata.update_leader(self.tp, BrokerId(leader.leader_id.0), epoch, endpoint);
    }

    fn land(&mut self, data: PartitionData, now: Instant) {
        let Some(partition) = self.table.partitions.get_mut(self.tp) else { return };
        partition.failures = 0;
        partition.not_before = None;
        let known = |offset: i64| (offset >= 0).then_some(Offset(offset));
        partition.ends = LogEnds {
            start: known(data.log_start_offset).or(partition.ends.start),
            high_watermark: known(data.high_watermark).or(partition.ends.high_watermark),
            last_stable: known(data.last_stable_offset).or(partition.ends.last_stable),
        };
        if data.preferred_read_replica.0 >= 0 {
            partition.follower =
                Some((BrokerId(data.preferred_read_replica.0), now + FOLLOWER_HOLDS));
        }
        let Some(from) = partition.fetch_from else { return };
        let mut aborted = match self.shared.config().isolation_level {
            IsolationLevel::ReadUncommitted => None,
            IsolationLevel::ReadCommitted => {
                Some(Aborted::new(data.aborted_transactions.unwrap_or_default()))
            }
        };
        let mut batches = RawBatches::new(data.records.unwrap_or_default());
        let mut at = from;
        for raw in batches.by_ref() {
            match raw {
                Ok(raw) => at = self.keep(raw, at, aborted.as_mut()),
                Err(source) => {
                    self.table.push(
                        self.tp,
                        Entry::Broken(FetchError::Corrupt {
                            partition: self.tp.clone(),
                            offset: at.offset,
                            source,
                        }),
                    );
                    self.table.enter(self.tp, Phase::Halted);
                    break;
                }
            }
        }
        if let Some(partition) = self.table.partitions.get_mut(self.tp) {
            partition.fetch_from = Some(at);
        }
        if let Some(cut) = batches.truncated().filter(|cut| cut.is_first) {
            self.ask_for_more(cut.needed, at.offset);
        }
    }

    /// Buffers a batch, or only steps over it; gives the position behind it.
    fn keep(&mut self, raw: RawBatch, at: Position, aborted: Option<&mut Aborted>) -> Position {
        let header = raw.header();
        let next = header.next_offset();
        if next <= at.offset {
            return at;
        }
        let behind = Position { offset: next, epoch: header.partition_leader_epoch.or(at.epoch) };
        let void = aborted.is_some_and(|aborted| aborted.covers(&raw));
        if header.attributes.is_control() || void {
            self.table.push(self.tp, Entry::Skip(behind));
        } else {
            self.table.push(self.tp, Entry::Raw(raw));
        }
        behind
    }

    /// A broker from before KIP-74 cut the first batch off: the next fetch asks for enough.
    fn ask_for_more(&mut self, needed: Option<usize>, offset: Offset) {
        let limit = self.want.max_bytes;
        let wanted = needed.map_or_else(
            || limit.saturating_mul(2),
            |needed| i32::try_from(needed).unwrap_or(i32::MAX),
        );
        if wanted <= limit {
            let error = FetchError::TooLarge { partition: self.tp.clone(), offset, limit };
            self.halt(error);
        } else if let Some(partition) = self.table.partitions.get_mut(self.tp) {
            partition.fetch_bytes = Some(wanted);
        }
    }

    fn fail(&mut self, error: ErrorCode, cx: &mut Cx<'_>) {
        match error {
            ErrorCode::OffsetOutOfRange => self.out_of_range(cx.now),
            ErrorCode::FencedLeaderEpoch
            | ErrorCode::InconsistentTopicId
            | ErrorCode::KafkaStorageError
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::OffsetNotAvailable
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::UnknownTopicId
            | ErrorCode::UnknownTopicOrPartition => {
                self.wait(error, cx.now);
                cx.metadata.request_update();
            }
            // The broker lags behind our metadata.
            ErrorCode::UnknownLeaderEpoch => {
                self.wait(error, cx.now);
            }
            error if error.class().is_retriable() => {
                self.wait(error, cx.now);
            }
            // Damage on the broker's disk may be healed by another replica; what is new to us says
            // nothing definite.
            ErrorCode::CorruptMessage
            | ErrorCode::UnknownServerError
            | ErrorCode::Unrecognized(_) => {
                self.wait(error, cx.now);
            }
            error => {
                // Permissions may be given: told once, tried on.
                let first = self.wait(error, cx.now) == 1;
                if first {
                    let what = self.tp.to_string();
                    self.table.notify(Next::Failed(FetchError::Refused { what, error }));
                }
            }
        }
    }

    /// Tries the partition again later, and elsewhere if a follower failed. Gives the number of
    /// failures in a row.
    fn wait(&mut self, error: ErrorCode, now: Instant) -> u32 {
        let Some(partition) = self.table.partitions.get_mut(self.tp) else { return 0 };
        partition.follower.take_if(|(follower, _)| *follower == self.broker);
        partition.failures += 1;
        partition.not_before = Some(now + self.backoff.after(partition.failures, self.rng));
        tracing::debug!(partition = %self.tp, %error, failures = partition.failures, "fetch failed");
        partition.failures
    }

    /// A definite answer: the position is outside the log. What is buffered comes first, though.
    fn out_of_range(&mut self, now: Instant) {
        let Some(partition) = self.table.partitions.get_mut(self.tp) else { return };
        let from_follower = partition.follower.take_if(|(b, _)| *b == self.broker).is_some();
        if from_follower || !partition.buffer.is_empty() {
            self.wait(ErrorCode::OffsetOutOfRange, now);
            return;
        }
        let offset = self.want.offset;
        match self.shared.reset_phase(ResetCause::OutOfRange, Some(offset)) {
            Some(phase) => self.table.enter(self.tp, phase),
            None => {
                let partition = self.tp.clone();
                self.halt(FetchError::OffsetOutOfRange { partition, offset });
            }
        }
    }

    fn halt(&mut self, error: FetchError) {
        self.table.enter(self.tp, Phase::Halted);
        self.table.notify(Next::Failed(error));
    }
}

/// The aborted transactions of one partition's share of an answer.
///
/// The list need not be sorted, and a producer may have more than one marker.
struct Aborted {
    /// By first offset, the last one first.
    ahead: Vec<(i64, ProducerId)>,
    open: BTreeSet<ProducerId>,
}

impl Aborted {
    fn new(list: Vec<AbortedTransaction>) -> Self {
        let mut ahead: Vec<_> =
            list.iter().map(|txn| (txn.first_offset, ProducerId(txn.producer_id.0))).collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        Self { ahead, open: BTreeSet::new() }
    }

    /// Whether a batch, the next in order, is void.
    fn covers(&mut self, raw: &RawBatch) -> bool {
        let header = raw.header();
        while let Some((_, producer)) =
            self.ahead.pop_if(|(first, _)| *first <= header.last_offset().value())
        {
            self.open.insert(producer);
        }
        if !header.attributes.is_transactional() {
            return false;
        }
        if header.attributes.is_control() {
            if is_abort_marker(raw) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        self.open.contains(&header.producer_id)
    }
}

fn is_abort_marker(raw: &RawBatch) -> bool {
    let mut decompressor = millstream_protocol::compression::Decompressor::new(0);
    CheckedBatch::check(raw.clone(), &mut decompressor)
        .ok()
        .and_then(|batch| batch.control_record())
        .is_some_and(|marker| matches!(marker, ControlRecord::Abort { .. }))
}
