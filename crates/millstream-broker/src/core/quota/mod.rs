//! Client quotas: what is set for users and clients (KIP-546), and how long a client that exceeds
//! it is throttled (KIP-13, KIP-124, KIP-599, KIP-219).
//!
//! A quota is found as `DefaultQuotaCallback` finds it, most specific first. Byte rates and request
//! time are averaged over eleven samples of a second, as Kafka's defaults are, so that a client may
//! send ten seconds' worth before it is throttled. Connection rates of IP addresses are kept and
//! shown and otherwise ignored.

mod rate;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_protocol::ApiKey;

use super::state::State;
use crate::api::Call;
use rate::{Bucket, Rate};

/// The most sensors that are kept; those unused longest are forgotten.
const MAX_SENSORS: usize = 10_000;

pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";

pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub(crate) const REQUEST_PERCENTAGE: &str = "request_percentage";
pub(crate) const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
pub(crate) const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// Who a quota is for: names by type; `None` is the default of the type.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// What is set for an entity.
pub(crate) type Values = BTreeMap<String, f64>;

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QuotaKind {
    Produce,
    Fetch,
    Request,
    Mutation,
}

impl QuotaKind {
    const fn key(self) -> &'static str {
        match self {
            Self::Produce => PRODUCER_BYTE_RATE,
            Self::Fetch => CONSUMER_BYTE_RATE,
            Self::Request => REQUEST_PERCENTAGE,
            Self::Mutation => CONTROLLER_MUTATION_RATE,
        }
    }
}

/// Who shares a sensor: a user, a client, or a client of a user.
type SensorKey = (QuotaKind, Option<String>, Option<String>);

/// A client as quotas know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) user: &'a str,
    pub(crate) id: &'a str,
}

/// The quotas of a cluster, and what was used of them.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    set: BTreeMap<Entity, Values>,
    rates: BTreeMap<SensorKey, Rate>,
    buckets: BTreeMap<SensorKey, Bucket>,
}

impl Quotas {
    /// Whether no quota is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// What is set, by entity.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Entity, &Values)> {
        self.set.iter()
    }

    /// Sets a value, or takes it away.
    pub(crate) fn alter(&mut self, entity: &Entity, key: &str, value: Option<f64>) {
        let values = self.set.entry(entity.clone()).or_default();
        match value {
            Some(value) => drop(values.insert(key.to_owned(), value)),
            None => drop(values.remove(key)),
        }
        if values.is_empty() {
            self.set.remove(entity);
        }
        // What was used under another limit says nothing of the new one.
        self.rates.clear();
        self.buckets.clear();
    }

    /// The limit of a client, and who shares it.
    fn limit(&self, kind: QuotaKind, client: Client<'_>) -> Option<(f64, SensorKey)> {
        if self.is_empty() {
            return None;
        }
        let value = |user: Option<Option<&str>>, id: Option<Option<&str>>| {
            let mut entity = Entity::new();
            if let Some(user) = user {
                entity.insert(USER.to_owned(), user.map(str::to_owned));
            }
            if let Some(id) = id {
                entity.insert(CLIENT_ID.to_owned(), id.map(str::to_owned));
            }
            self.set.get(&entity)?.get(kind.key()).copied()
        };
        let (user, id) = (Some(Some(client.user)), Some(Some(client.id)));
        let any = Some(None);
        let both = || (kind, Some(client.user.to_owned()), Some(client.id.to_owned()));
        let user_only = || (kind, Some(client.user.to_owned()), None);
        let client_only = || (kind, None, Some(client.id.to_owned()));
        let found = value(user, id).or_else(|| value(user, any)).map(|limit| (limit, both()));
        let found = found.or_else(|| Some((value(user, None)?, user_only())));
        let found = found
            .or_else(|| Some((value(any, id).or_else(|| value(any, any))?, both())))
            .or_else(|| Some((value(any, None)?, user_only())));
        found.or_else(|| Some((value(None, id).or_else(|| value(None, any))?, client_only())))
    }

    /// Counts what a client used and says how long it is throttled for it.
    pub(crate) fn record(
        &mut self,
        kind: QuotaKind,
        client: Client<'_>,
        amount: f64,
        now: Instant,
    ) -> Duration {
        let Some((limit, key)) = self.limit(kind, client) else {
            return Duration::ZERO;
        };
        make_room(&mut self.rates, &key);
        self.rates.entry(key).or_default().record(amount, limit, now)
    }

    /// Takes back what was counted last: the client is not given it.
    pub(crate) fn unrecord(&mut self, kind: QuotaKind, client: Client<'_>, amount: f64) {
        if let Some((_, key)) = self.limit(kind, client)
            && let Some(rate) = self.rates.get_mut(&key)
        {
            rate.unrecord(amount);
        }
    }

    /// Counts partitions that a client creates or deletes. Where it is over its limit already a
    /// `strict` one is refused, with the time after which it may come again; another is throttled
    /// for it (KIP-599).
    pub(crate) fn mutate(
        &mut self,
        client: Client<'_>,
        partitions: usize,
        strict: bool,
        now: Instant,
    ) -> Result<Duration, Duration> {
        let Some((limit, key)) = self.limit(QuotaKind::Mutation, client) else {
            return Ok(Duration::ZERO);
        };
        make_room(&mut self.buckets, &key);
        let bucket = self.buckets.entry(key).or_insert_with(|| Bucket::new(limit, now));
        let count = f64::from(u32::try_from(partitions).unwrap_or(u32::MAX));
        let wait = bucket.wait(limit, now);
        if strict && !wait.is_zero() {
            return Err(wait);
        }
        bucket.take(count);
        Ok(if strict { Duration::ZERO } else { bucket.wait(limit, now) })
    }
}

impl State {
    /// Counts a request of so many bytes that was handled, and says how long its client is
    /// throttled for it and for what it did.
    pub(crate) fn count_request(&mut self, call: &Call, api: ApiKey, bytes: usize) -> Duration {
        let done = std::mem::take(&mut self.throttle);
        if self.quotas.is_empty() {
            return done;
        }
        let user = self.user_of(&call.client_id).to_owned();
        let client = Client { user: &user, id: &call.client_id };
        let busy = self.config.quotas.request_time;
        let (quotas, now) = (&mut self.quotas, call.now);
        // A percentage of a second of one thread.
        let percent = busy.as_secs_f64() * 100.0;
        let busy = quotas.record(QuotaKind::Request, client, percent, now);
        let sent = match api {
            ApiKey::Produce => quotas.record(QuotaKind::Produce, client, as_amount(bytes), now),
            _ => Duration::ZERO,
        };
        done.max(busy).max(sent)
    }

    /// Counts the bytes of a fetch; a client that is over its quota is not given them.
    pub(crate) fn count_fetch(&mut self, client_id: &str, bytes: usize, now: Instant) -> Duration {
        if self.quotas.is_empty() {
            return Duration::ZERO;
        }
        let user = self.user_of(client_id).to_owned();
        let client = Client { user: &user, id: client_id };
        let amount = as_amount(bytes);
        let throttle = self.quotas.record(QuotaKind::Fetch, client, amount, now);
        if !throttle.is_zero() {
            self.quotas.unrecord(QuotaKind::Fetch, client, amount);
        }
        throttle
    }
}

fn as_amount(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn make_room<T>(sensors: &mut BTreeMap<SensorKey, T>, key: &SensorKey) {
    if sensors.len() >= MAX_SENSORS && !sensors.contains_key(key) {
        sensors.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(user: Option<Option<&str>>, id: Option<Option<&str>>) -> Entity {
        let mut entity = Entity::new();
        if let Some(user) = user {
            entity.insert(USER.to_owned(), user.map(str::to_owned));
        }
        if let Some(id) = id {
            entity.insert(CLIENT_ID.to_owned(), id.map(str::to_owned));
        }
        entity
    }

    #[test]
    fn the_most_specific_quota_counts() {
        let mut quotas = Quotas::default();
        let client = Client { user: "u", id: "c" };
        let mut levels = vec![
            entity(None, Some(None)),
            entity(None, Some(Some("c"))),
            entity(Some(None), None),
            entity(Some(None), Some(None)),
            entity(Some(None), Some(Some("c"))),
            entity(Some(Some("u")), None),
            entity(Some(Some("u")), Some(None)),
            entity(Some(Some("u")), Some(Some("c"))),
        ];
        for (rank, level) in levels.iter().enumerate() {
            assert!(
                quotas.limit(QuotaKind::Fetch, client).is_none_or(|(limit, _)| limit < rank as f64)
            );
            quotas.alter(level, CONSUMER_BYTE_RATE, Some(rank as f64));
            assert_eq!(quotas.limit(QuotaKind::Fetch, client).unwrap().0, rank as f64);
            assert!(quotas.limit(QuotaKind::Produce, client).is_none());
        }
        while let Some(level) = levels.pop() {
            quotas.alter(&level, CONSUMER_BYTE_RATE, None);
        }
        assert_eq!(quotas.iter().count(), 0);
    }

    #[test]
    fn who_exceeds_a_rate_waits_until_the_average_is_back() {
        let mut quotas = Quotas::default();
        quotas.alter(&entity(None, Some(None)), PRODUCER_BYTE_RATE, Some(1000.0));
        let client = Client { user: "u", id: "c" };
        let start = Instant::now();
        let mut send = |at: u64, bytes| {
            quotas.record(QuotaKind::Produce, client, bytes, start + Duration::from_secs(at))
        };
        assert_eq!(send(0, 10_000.0), Duration::ZERO, "ten seconds' worth");
        assert_eq!(send(0, 1000.0), Duration::from_secs(1));
        assert_eq!(send(30, 1000.0), Duration::ZERO, "old samples are forgotten");
    }

    #[test]
    fn strict_mutations_are_refused_once_over_the_limit() {
        let mut quotas = Quotas::default();
        quotas.alter(&entity(None, Some(None)), CONTROLLER_MUTATION_RATE, Some(1.0));
        let client = Client { user: "u", id: "c" };
        let now = Instant::now();
        assert_eq!(
            quotas.mutate(client, 12, true, now),
            Ok(Duration::ZERO),
            "a burst may overshoot"
        );
        let wait = quotas.mutate(client, 1, true, now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(quotas.mutate(client, 1, false, now), Ok(Duration::from_secs(2)));
        assert_eq!(
            quotas.mutate(client, 1, true, now + Duration::from_secs(2)),
            Ok(Duration::ZERO)
        );
    }
}
