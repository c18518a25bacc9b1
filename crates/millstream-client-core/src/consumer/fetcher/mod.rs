//! The fetcher: one fetch always in flight to each broker that leads partitions with room.

mod answer;
mod session;

use std::collections::BTreeMap;
use std::time::Instant;

use indexmap::IndexMap;
use millstream_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use millstream_protocol::messages::{self as m, FetchRequest};
use millstream_types::{BrokerId, TopicPartition};

use self::session::{Ask, FetchSession, Wanted};
use super::partition::{Partition, Phase};
use super::shared::ConsumerShared;
use super::table::Table;
use crate::backoff::{Backoff, Rng};
use crate::cx::Cx;
use crate::group::classic::text;
use crate::metadata::Metadata;
use crate::outbox::{Destination, Lane, Request, RequestId};
use crate::timer::{earliest, is_due};

/// How many fetches of a partition may be buffered before it is fetched no more.
const FETCHES_BUFFERED: usize = 4;
/// The newest Fetch version that goes by topic name.
const BY_NAME_MAX: i16 = 12;

/// Fetches from every broker that leads something.
#[derive(Debug)]
pub(super) struct Fetcher {
    brokers: BTreeMap<BrokerId, BrokerFetch>,
    backoff: Backoff,
    rng: Rng,
    /// The table and metadata that the last look saw.
    seen: Option<(u64, u64)>,
    /// Fetching stopped for want of room.
    starved: bool,
    /// When a partition or broker that waits may be tried again.
    timeout: Option<Instant>,
}

/// What is under way with one broker.
#[derive(Debug, Default)]
struct BrokerFetch {
    session: FetchSession,
    in_flight: Option<RequestId>,
    failures: u32,
    not_before: Option<Instant>,
}

/// What each broker is to be asked for.
type Plan = BTreeMap<BrokerId, IndexMap<TopicPartition, Wanted>>;

impl Fetcher {
    pub(super) const fn new(backoff: Backoff, rng: Rng) -> Self {
        Self { brokers: BTreeMap::new(), backoff, rng, seen: None, starved: false, timeout: None }
    }

    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Sends a fetch to every broker that can serve something and has none in flight.
    pub(super) fn poll(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        let mut table = shared.table();
        let now = (table.fetch_version, cx.metadata.generation());
        let fed = self.starved && !shared.budget.is_starved();
        if self.seen == Some(now) && !fed && !is_due(self.timeout, cx.now) {
            return;
        }
        self.seen = Some(now);
        self.timeout = None;
        let room = room(shared, &mut table);
        self.starved = room == 0;
        table.starved = self.starved;
        let plan = self.plan(shared, &mut table, cx, room);
        drop(table);
        for (broker, wanted) in plan {
            self.send(shared, broker, wanted, room, cx);
        }
    }

    /// Distributes what can be fetched over brokers that have no fetch in flight.
    fn plan(
        &mut self,
        shared: &ConsumerShared,
        table: &mut Table,
        cx: &mut Cx<'_>,
        room: usize,
    ) -> Plan {
        let mut plan = Plan::new();
        let cap = table.partition_cap;
        for (tp, partition) in &mut table.partitions {
            if partition.phase != Phase::Fetching || partition.paused || partition.revoking {
                continue;
            }
            if partition.not_before.is_some() && !is_due(partition.not_before, cx.now) {
                self.timeout = earliest(self.timeout, partition.not_before);
                continue;
            }
            if !has_room(partition, room, cap) {
                continue;
            }
            cx.metadata.request_topic(&tp.topic, cx.now);
            let Some((broker, wanted)) = wanted(shared, tp, partition, cx) else {
                continue;
            };
            let fetch = self.brokers.entry(broker).or_default();
            if fetch.in_flight.is_some() {
                continue;
            }
            if fetch.not_before.is_some() && !is_due(fetch.not_before, cx.now) {
                self.timeout = earliest(self.timeout, fetch.not_before);
                continue;
            }
            plan.entry(broker).or_default().insert(tp.clone(), wanted);
        }
        plan
    }

    fn send(
        &mut self,
        shared: &ConsumerShared,
        broker: BrokerId,
        wanted: IndexMap<TopicPartition, Wanted>,
        room: usize,
        cx: &mut Cx<'_>,
    ) {
        let config = shared.config();
        let fetch = self.brokers.entry(broker).or_default();
        let ask = fetch.session.ask(wanted);
        let body = request(shared, &fetch.session, &ask, room);
        let mut request = Request::new(Destination::Broker(broker), Lane::Fetch, body)
            .timeout(config.request_timeout.saturating_add(config.fetch_max_wait));
        if !ask.by_id {
            request = request.version_max(BY_NAME_MAX);
        }
        fetch.in_flight = Some(cx.send(request));
    }

    /// The broker whose fetch this request is.
    pub(super) fn owner(&self, id: RequestId) -> Option<BrokerId> {
        let found = self.brokers.iter().find(|(_, fetch)| fetch.in_flight == Some(id));
        found.map(|(broker, _)| *broker)
    }
}

/// How much may be fetched; 0 if only partitions with nothing buffered may have one batch more.
fn room(shared: &ConsumerShared, table: &mut Table) -> usize {
    let config = shared.config();
    let fetch = usize::try_from(config.max_partition_fetch_bytes).unwrap_or(0);
    table.partition_cap = fetch.saturating_mul(FETCHES_BUFFERED);
    // Said before looking: bytes that are given back from here on wake the driver.
    shared.budget.set_starved(true);
    let room = shared.budget.room(table.buffered_bytes);
    if room < fetch {
        return 0;
    }
    shared.budget.set_starved(false);
    room
}

/// Whether more of a partition may be fetched. One with nothing buffered always may: a reader that
/// waits for it must not starve behind the others.
fn has_room(partition: &mut Partition, room: usize, cap: usize) -> bool {
    if partition.buffer.is_empty() {
        return true;
    }
    if partition.buffered_bytes >= cap {
        partition.capped = true;
    }
    room > 0 && !partition.capped
}

/// Where and how to fetch a partition. Without a known leader it waits for metadata.
fn wanted(
    shared: &ConsumerShared,
    tp: &TopicPartition,
    partition: &Partition,
    cx: &mut Cx<'_>,
) -> Option<(BrokerId, Wanted)> {
    let position = partition.fetch_from?;
    let topic_id = cx.metadata.topic(tp.topic.as_str())?.id;
    let Some(leader) = cx.metadata.leader(tp) else {
        cx.metadata.request_update();
        return None;
    };
    let broker = follower(partition, cx.metadata, cx.now).unwrap_or(leader.broker);
    let default = shared.config().max_partition_fetch_bytes;
    let wanted = Wanted {
        topic_id,
        offset: position.offset,
        leader_epoch: leader.epoch,
        max_bytes: partition.fetch_bytes.unwrap_or(default),
        stamp: partition.stamp,
        version: partition.version,
    };
    Some((broker, wanted))
}

/// The follower that the leader sent us to, while that holds (KIP-392).
fn follower(partition: &Partition, metadata: &Metadata, now: Instant) -> Option<BrokerId> {
    let (broker, until) = partition.follower?;
    (until > now && metadata.broker(broker).is_some()).then_some(broker)
}

fn request(
    shared: &ConsumerShared,
    session: &FetchSession,
    ask: &Ask,
    room: usize,
) -> FetchRequest {
    let config = shared.config();
    let max_wait = i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX);
    // Kafka sends the first batch whole whatever the limit says (KIP-74): a limit of one byte
    // brings one batch.
    let max_bytes = i32::try_from(room.max(1)).unwrap_or(i32::MAX).min(config.fetch_max_bytes);
    FetchRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_max_wait_ms(max_wait)
        .with_min_bytes(config.fetch_min_bytes)
        .with_max_bytes(max_bytes)
        .with_isolation_level(config.isolation_level.code())
        .with_session_id(ask.session_id)
        .with_session_epoch(ask.epoch)
        .with_topics(told(session, ask))
        .with_forgotten_topics_data(forgotten(ask))
        .with_rack_id(config.client_rack.as_deref().map(text).unwrap_or_default())
}

fn told(session: &FetchSession, ask: &Ask) -> Vec<FetchTopic> {
    let mut topics: IndexMap<_, FetchTopic> = IndexMap::new();
    for tp in &ask.told {
        let Some(want) = session.wanted(tp) else { continue };
        let partition = FetchPartition::default()
            .with_partition(tp.partition.value())
            .with_current_leader_epoch(want.leader_epoch.map_or(-1, |epoch| epoch.value()))
            .with_fetch_offset(want.offset.value())
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(want.max_bytes);
        let topic = topics.entry(&tp.topic).or_insert_with(|| {
            FetchTopic::default()
                .with_topic(m::TopicName(text(tp.topic.as_str())))
                .with_topic_id(want.topic_id.0)
        });
        topic.partitions.push(partition);
    }
    topics.into_values().collect()
}

fn forgotten(ask: &Ask) -> Vec<ForgottenTopic> {
    let mut topics: IndexMap<_, ForgottenTopic> = IndexMap::new();
    for (tp, id) in &ask.forgotten {
        let topic = topics.entry((&tp.topic, *id)).or_insert_with(|| {
            ForgottenTopic::default()
                .with_topic(m::TopicName(text(tp.topic.as_str())))
                .with_topic_id(id.0)
        });
        topic.partitions.push(tp.partition.value());
    }
    topics.into_values().collect()
}
