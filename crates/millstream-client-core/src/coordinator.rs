//! Which broker coordinates which group or transactional id, and the machine that finds out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use millstream_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, StrBytes};
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::BrokerId;

use crate::backoff::{Backoff, Rng};
use crate::config::{Endpoint, EngineConfig};
use crate::cx::Cx;
use crate::outbox::{
    CoordinatorKey, Destination, Lane, Request, RequestFailure, RequestId, Response,
};
use crate::timer;

/// The coordinators that are known.
#[derive(Debug, Default)]
pub struct Coordinators {
    known: BTreeMap<CoordinatorKey, BrokerId>,
}

impl Coordinators {
    /// The coordinator, if it is known. Sending to it does not need this: the engine looks it up.
    #[must_use]
    pub fn get(&self, key: &CoordinatorKey) -> Option<BrokerId> {
        self.known.get(key).copied()
    }

    /// Forgets a coordinator: its answer was `NOT_COORDINATOR` or `COORDINATOR_NOT_AVAILABLE`.
    /// Requests sent after this wait for the new one. After a broken connection the engine does it.
    pub fn invalidate(&mut self, key: &CoordinatorKey) {
        self.known.remove(key);
    }

    pub(crate) fn learn(&mut self, key: CoordinatorKey, broker: BrokerId) {
        self.known.insert(key, broker);
    }
}

/// Looks coordinators up while requests wait for them.
#[derive(Debug)]
pub struct CoordinatorFinder {
    backoff: Backoff,
    rng: Rng,
    lookups: BTreeMap<CoordinatorKey, Lookup>,
}

#[derive(Debug, Default)]
struct Lookup {
    in_flight: Option<RequestId>,
    failures: u32,
    not_before: Option<Instant>,
    refused: Option<ErrorCode>,
}

impl CoordinatorFinder {
    /// A finder that retries as `config` says.
    #[must_use]
    pub fn new(config: &EngineConfig, rng: Rng) -> Self {
        Self { backoff: config.retry_backoff, rng, lookups: BTreeMap::new() }
    }

    /// Asks for the coordinators that are wanted and not being asked for.
    pub fn poll(&mut self, wanted: &BTreeSet<CoordinatorKey>, cx: &mut Cx<'_>) {
        self.lookups.retain(|key, lookup| lookup.in_flight.is_some() || wanted.contains(key));
        for key in wanted {
            let lookup = self.lookups.entry(key.clone()).or_default();
            let due = lookup.not_before.is_none_or(|at| at <= cx.now);
            if due && lookup.in_flight.is_none() && lookup.refused.is_none() {
                lookup.in_flight = Some(cx.send(request(key)));
            }
        }
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let waiting = self.lookups.values().filter(|lookup| lookup.in_flight.is_none());
        waiting.map(|lookup| lookup.not_before).fold(None, timer::earliest)
    }

    /// Why a lookup was refused for good, until nobody wants it any more.
    #[must_use]
    pub fn refusal(&self, key: &CoordinatorKey) -> Option<ErrorCode> {
        self.lookups.get(key)?.refused
    }

    /// A request is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let mut lookups = self.lookups.iter_mut();
        let Some((key, lookup)) = lookups.find(|(_, lookup)| lookup.in_flight == Some(id)) else {
            return;
        };
        let key = key.clone();
        lookup.in_flight = None;
        let answer = result.ok().and_then(|response| read(response, &key));
        match answer {
            Some(Ok((broker, endpoint))) => {
                tracing::debug!(%key, %broker, "coordinator found");
                self.lookups.remove(&key);
                cx.metadata.learn_broker(broker, endpoint);
                cx.coordinators.learn(key, broker);
            }
            Some(Err(error)) if is_final(error) => lookup.refused = Some(error),
            Some(Err(_)) | None => {
                lookup.failures += 1;
                let wait = self.backoff.after(lookup.failures, &mut self.rng);
                lookup.not_before = Some(cx.now + wait);
            }
        }
    }
}

fn request(key: &CoordinatorKey) -> Request {
    let name = StrBytes::from_string(key.key.to_string());
    let body = FindCoordinatorRequest::default()
        .with_key_type(key.kind.key_type())
        .with_coordinator_keys(vec![name]);
    Request::new(Destination::AnyBroker, Lane::General, body)
}

/// The broker that an answer names: in a list from version 4 on (KIP-699). `None`: unreadable.
fn read(
    response: Response,
    key: &CoordinatorKey,
) -> Option<Result<(BrokerId, Endpoint), ErrorCode>> {
    let version = response.version;
    let answer = FindCoordinatorResponse::try_from(response.body).ok()?;
    let (code, id, host, port) = if version >= 4 {
        let found = answer.coordinators.into_iter().find(|c| c.key.as_str() == &*key.key)?;
        (found.error_code, found.node_id, found.host, found.port)
    } else {
        (answer.error_code, answer.node_id, answer.host, answer.port)
    };
    if let Err(error) = ErrorCode::check(code) {
        return Some(Err(error));
    }
    let endpoint = Endpoint { host: host.to_string(), port: u16::try_from(port).ok()? };
    Some(Ok((BrokerId(id.0), endpoint)))
}

/// Whether asking again is of no use.
fn is_final(error: ErrorCode) -> bool {
    matches!(error.class(), ErrorClass::Fatal | ErrorClass::InvalidConfiguration)
        && !matches!(error, ErrorCode::UnknownServerError)
}
