//! All connections of a client: a link per broker and lane, dialled when something wants to use
//! it, with backoff after failures, closed when idle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::Action;
use super::node::{Health, LinkKey, Node};
use crate::backoff::{Backoff, Rng};
use crate::config::{Endpoint, EngineConfig};
use crate::connection::{Answer, Connection, ConnectionId, Dial, Parameters, Transmit};
use crate::metadata::Metadata;
use crate::outbox::{Lane, Pending, RequestFailure};
use crate::timer::earliest;

/// How many requests may wait for one connection. Machines keep to far fewer; this is for callers
/// that start thousands of admin calls at once.
const WAITING_MAX: usize = 1000;

/// The connections, and the requests that wait for one.
#[derive(Debug)]
pub(super) struct Links {
    bootstrap: Vec<Endpoint>,
    client_id: Arc<str>,
    receive_max_bytes: usize,
    max_in_flight: usize,
    reconnect_backoff: Backoff,
    setup_timeout: Backoff,
    max_idle: Option<Duration>,
    /// Whether the bootstrap servers are asked again when all brokers are out of reach (KIP-899).
    rebootstrap: bool,
    rng: Rng,
    nodes: BTreeMap<Node, Health>,
    links: BTreeMap<LinkKey, Link>,
    /// The links with waiting requests: the others need no look.
    busy: BTreeSet<LinkKey>,
    connections: BTreeMap<ConnectionId, (LinkKey, Connection)>,
    next_connection: u64,
    requests_sent: u64,
    throttling: Throttling,
    actions: VecDeque<Action>,
    writable: BTreeSet<ConnectionId>,
}

/// How often and for how long brokers asked to be left alone (KIP-219).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Throttling {
    /// How many answers asked for it.
    pub answers: u64,
    /// The times they named, together; they may overlap.
    pub time: Duration,
}

/// One broker's lane.
#[derive(Debug, Default)]
struct Link {
    connection: Option<ConnectionId>,
    waiting: VecDeque<Pending>,
}

impl Links {
    pub(super) fn new(config: &EngineConfig, rng: Rng) -> Self {
        Self {
            bootstrap: config.bootstrap.clone(),
            client_id: config.client_id.as_str().into(),
            receive_max_bytes: config.receive_max_bytes,
            max_in_flight: config.max_in_flight,
            reconnect_backoff: config.reconnect_backoff,
            setup_timeout: config.setup_timeout,
            max_idle: config.connections_max_idle,
            rebootstrap: config.rebootstrap_after.is_some(),
            rng,
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            busy: BTreeSet::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            requests_sent: 0,
            throttling: Throttling::default(),
            actions: VecDeque::new(),
            writable: BTreeSet::new(),
        }
    }

    pub(super) const fn requests_sent(&self) -> u64 {
        self.requests_sent
    }

    pub(super) const fn throttling(&self) -> Throttling {
        self.throttling
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn poll_writable(&mut self) -> Option<ConnectionId> {
        self.writable.pop_first()
    }

    pub(super) fn transmit(&self, id: ConnectionId) -> Option<&Transmit> {
        self.connections.get(&id).map(|(_, connection)| connection.transmit())
    }

    pub(super) fn receive_buffer(&mut self, id: ConnectionId) -> Option<&mut BytesMut> {
        self.connections.get_mut(&id).map(|(_, connection)| connection.receive_buffer())
    }

    /// Queues a request for a link, unless too many wait there already.
    pub(super) fn queue(&mut self, key: LinkKey, pending: Pending, answers: &mut Vec<Answer>) {
        let link = self.links.entry(key).or_default();
        let waiting = link.waiting.len();
        if waiting >= WAITING_MAX {
            let (api, broker) = (pending.body.api_key(), key.node.to_string());
            let failure = RequestFailure::QueueFull { api, broker, waiting };
            return answers.push(pending.stub().answer(Err(failure)));
        }
        link.waiting.push_back(pending);
        self.busy.insert(key);
    }

    /// The node for a request that any broker can serve: the one connected and least busy, else one
    /// being connected, else one that may be tried, by lot, else the one that may be tried first
    /// (`NetworkClient.leastLoadedNode`).
    pub(super) fn least_loaded(&mut self, now: Instant, metadata: &Metadata) -> Node {
        let mut candidates: Vec<_> =
            metadata.brokers().map(|broker| Node::Broker(broker.id)).collect();
        let all_fail = candidates.iter().all(|node| self.is_failing(*node));
        if candidates.is_empty() || self.rebootstrap && all_fail {
            candidates.extend((0..self.bootstrap.len()).map(Node::Bootstrap));
        }
        let connected = candidates.iter().filter(|node| self.muted_until(**node, now).is_none());
        let connected = connected.filter_map(|node| Some((self.load(*node)?, *node)));
        if let Some((_, node)) = connected.min() {
            return node;
        }
        let tried = |node: &Node| self.nodes.get(node).is_none_or(|health| health.may_try(now));
        let mut open: Vec<_> = candidates.iter().copied().filter(tried).collect();
        if open.is_empty() {
            let first = |node: &Node| self.nodes.get(node).and_then(|health| health.not_before);
            open = candidates.iter().copied().min_by_key(first).into_iter().collect();
        }
        let lot = self.rng.below(open.len() as u64);
        let lot = usize::try_from(lot).unwrap_or(0);
        open.get(lot).copied().unwrap_or(Node::Bootstrap(0))
    }

    /// How much a node's general lane has to do; `None` without a connection.
    fn load(&self, node: Node) -> Option<(bool, usize)> {
        let link = self.links.get(&LinkKey { node, lane: Lane::General })?;
        let (_, connection) = self.connections.get(&link.connection?)?;
        let connecting = connection.versions().is_none();
        Some((connecting, connection.in_flight() + link.waiting.len()))
    }

    fn is_failing(&self, node: Node) -> bool {
        self.nodes.get(&node).is_some_and(|health| health.failures > 0)
    }

    /// Until when a throttling broker is to be left alone.
    fn muted_until(&self, node: Node, now: Instant) -> Option<Instant> {
        self.nodes.get(&node).and_then(|health| health.muted_until).filter(|until| *until > now)
    }

    /// Sends what can be sent, and dials what must be dialled for it.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        metadata: &mut Metadata,
        answers: &mut Vec<Answer>,
    ) {
        for key in self.busy.clone() {
            let connection = self.links.get(&key).and_then(|link| link.connection);
            match connection {
                Some(id) => self.flush(now, key, id, answers),
                None => self.dial(now, key, metadata, answers),
            }
            if self.links.get(&key).is_none_or(|link| link.waiting.is_empty()) {
                self.busy.remove(&key);
            }
        }
    }

    fn flush(&mut self, now: Instant, key: LinkKey, id: ConnectionId, answers: &mut Vec<Answer>) {
        if self.muted_until(key.node, now).is_some() {
            return;
        }
        let (Some(link), Some((_, connection))) =
            (self.links.get_mut(&key), self.connections.get_mut(&id))
        else {
            return;
        };
        while connection.can_send()
            && let Some(pending) = link.waiting.pop_front()
        {
            let refused = pending.stub();
            match connection.send(now, pending) {
                Ok(()) => {
                    self.requests_sent += 1;
                    self.writable.insert(id);
                }
                Err(failure) => answers.push(refused.answer(Err(failure))),
            }
        }
    }

    fn dial(
        &mut self,
        now: Instant,
        key: LinkKey,
        metadata: &mut Metadata,
        answers: &mut Vec<Answer>,
    ) {
        let Some(endpoint) = self.endpoint(key.node, metadata) else {
            metadata.request_update();
            let broker = key.node.to_string();
            self.refuse_waiting(key, answers, |api| RequestFailure::UnknownBroker {
                api,
                broker: broker.clone(),
            });
            return;
        };
        let health = self.nodes.entry(key.node).or_default();
        if !health.may_try(now) {
            return;
        }
        let attempt = health.failures;
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let peer = format!("{} ({endpoint})", key.node);
        tracing::debug!(%peer, lane = key.lane.as_str(), attempt, "dial");
        let parameters = Parameters {
            broker: key.node.broker(),
            peer,
            client_id: Arc::clone(&self.client_id),
            receive_max_bytes: self.receive_max_bytes,
            max_in_flight: self.max_in_flight,
            setup_timeout: self.setup_timeout.after(attempt + 1, &mut self.rng),
        };
        self.connections.insert(id, (key, Connection::new(now, parameters)));
        self.links.entry(key).or_default().connection = Some(id);
        self.actions.push_back(Action::Dial(Dial { connection: id, endpoint, attempt }));
    }

    fn endpoint(&self, node: Node, metadata: &Metadata) -> Option<Endpoint> {
        match node {
            Node::Bootstrap(at) => self.bootstrap.get(at).cloned(),
            Node::Broker(id) => Some(metadata.broker(id)?.endpoint.clone()),
        }
    }

    pub(super) fn handle_connected(
        &mut self,
        now: Instant,
        id: ConnectionId,
        answers: &mut Vec<Answer>,
    ) {
        let Some((_, connection)) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.handle_connected() {
            Ok(()) => {
                self.writable.insert(id);
            }
            Err(reason) => self.close(now, id, &reason, answers),
        }
    }

    pub(super) fn handle_disconnected(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: &str,
        answers: &mut Vec<Answer>,
    ) {
        self.end(now, id, reason, answers);
    }

    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        id: ConnectionId,
        metadata: &mut Metadata,
        answers: &mut Vec<Answer>,
    ) {
        let Some((key, connection)) = self.connections.get_mut(&id) else {
            return;
        };
        let (key, was_ready) = (*key, connection.versions().is_some());
        let result = connection.handle_received(now, answers);
        // The negotiation may have to ask again.
        if !was_ready && !connection.transmit().is_empty() {
            self.writable.insert(id);
        }
        if !was_ready && let Some(versions) = connection.versions() {
            if let Some(broker) = key.node.broker() {
                metadata.learn_versions(broker, Arc::clone(versions));
            }
            self.nodes.entry(key.node).or_default().succeeded();
        }
        if let Some(throttle) = connection.take_throttle() {
            self.throttling.answers += 1;
            self.throttling.time += throttle;
            self.nodes.entry(key.node).or_default().mute(now + throttle);
        }
        if let Err(reason) = result {
            self.close(now, id, &reason, answers);
        }
    }

    pub(super) fn handle_written(
        &mut self,
        id: ConnectionId,
        count: usize,
        answers: &mut Vec<Answer>,
    ) {
        if let Some((_, connection)) = self.connections.get_mut(&id) {
            connection.handle_written(count, answers);
        }
    }

    /// Ends what is over time: connections with a request that timed out, connections that nobody
    /// uses, requests that waited too long.
    pub(super) fn handle_timeouts(&mut self, now: Instant, answers: &mut Vec<Answer>) {
        let mut ended = Vec::new();
        let mut idle = Vec::new();
        for (id, (_, connection)) in &mut self.connections {
            if let Some(reason) = connection.handle_timeout(now) {
                ended.push((*id, reason));
            } else if idle_until(connection, self.max_idle).is_some_and(|until| until <= now) {
                idle.push(*id);
            }
        }
        for (id, reason) in ended {
            self.close(now, id, &reason, answers);
        }
        for id in idle {
            self.close_idle(id);
        }
        self.nodes.values_mut().for_each(|health| health.unmute(now));
        for key in self.busy.clone() {
            let reason = self.waiting_for(key, now);
            let Some(link) = self.links.get_mut(&key) else {
                continue;
            };
            let waiting = std::mem::take(&mut link.waiting);
            for pending in waiting {
                if pending.deadline <= now {
                    answers.push(pending.timed_out(now, &reason));
                } else {
                    link.waiting.push_back(pending);
                }
            }
        }
    }

    /// What a link's waiting requests wait for, in words.
    fn waiting_for(&self, key: LinkKey, now: Instant) -> String {
        let error = self.nodes.get(&key.node).and_then(|health| health.last_error.as_deref());
        let peer = self
            .links
            .get(&key)
            .and_then(|link| self.connections.get(&link.connection?))
            .map_or_else(|| key.node.to_string(), |(_, connection)| connection.peer().to_owned());
        let error = error.map_or_else(String::new, |error| format!("; its last error: {error}"));
        if self.muted_until(key.node, now).is_some() {
            return format!("{peer} throttles this client, by a quota");
        }
        format!("it waited for a connection to {peer}{error}")
    }

    /// Ends all connections, to start again from the bootstrap servers (`NetworkClient.rebootstrap`).
    pub(super) fn close_all(&mut self, now: Instant, answers: &mut Vec<Answer>) {
        let all: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in all {
            self.close(now, id, "the client starts again from the bootstrap servers", answers);
        }
    }

    /// Ends a connection from this side.
    fn close(&mut self, now: Instant, id: ConnectionId, reason: &str, answers: &mut Vec<Answer>) {
        self.actions.push_back(Action::Close(id));
        self.end(now, id, reason, answers);
    }

    /// A connection is over: its requests and those that wait for it get their failures.
    fn end(&mut self, now: Instant, id: ConnectionId, reason: &str, answers: &mut Vec<Answer>) {
        let Some((key, mut connection)) = self.connections.remove(&id) else {
            return;
        };
        self.writable.remove(&id);
        let was_made = connection.versions().is_some();
        let was_used = connection.in_flight() > 0 || !was_made;
        if was_made || self.is_failing(key.node) {
            tracing::debug!(peer = connection.peer(), lane = key.lane.as_str(), reason, "closed");
        } else {
            // The first failure of a node, for those who look at a log to see why nothing happens.
            tracing::warn!(peer = connection.peer(), reason, "no connection to a broker");
        }
        if let Some(link) = self.links.get_mut(&key) {
            link.connection = None;
        }
        // A broker that closes a connection nobody uses is not failing.
        if was_used {
            let health = self.nodes.entry(key.node).or_default();
            health.failed(now, reason, self.reconnect_backoff, &mut self.rng);
            connection.fail(now, reason, answers);
            let (peer, reason) = (connection.peer(), reason);
            self.refuse_waiting(key, answers, |api| RequestFailure::DisconnectedUnsent {
                api,
                broker: peer.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    fn close_idle(&mut self, id: ConnectionId) {
        if let Some((key, connection)) = self.connections.remove(&id) {
            tracing::debug!(peer = connection.peer(), "close idle connection");
            self.writable.remove(&id);
            if let Some(link) = self.links.get_mut(&key) {
                link.connection = None;
            }
            self.actions.push_back(Action::Close(id));
        }
    }

    fn refuse_waiting(
        &mut self,
        key: LinkKey,
        answers: &mut Vec<Answer>,
        failure: impl Fn(millstream_protocol::ApiKey) -> RequestFailure,
    ) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        for pending in link.waiting.drain(..) {
            let failure = failure(pending.body.api_key());
            answers.push(pending.stub().answer(Err(failure)));
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values().map(|(_, connection)| {
            earliest(connection.next_timeout(), idle_until(connection, self.max_idle))
        });
        let waiting = self.busy.iter().map(|key| {
            let link = self.links.get(key);
            let deadlines = link.into_iter().flat_map(|link| &link.waiting);
            let deadline = deadlines.map(|pending| pending.deadline).min();
            let undialled = link.is_some_and(|link| link.connection.is_none());
            let health = self.nodes.get(&key.node).filter(|_| undialled);
            let muted = self.nodes.get(&key.node).and_then(|health| health.muted_until);
            let dial = health.and_then(|health| health.not_before);
            earliest(muted, earliest(deadline, dial))
        });
        connections.chain(waiting).fold(None, earliest)
    }
}

/// When a connection has been idle for too long.
fn idle_until(connection: &Connection, max_idle: Option<Duration>) -> Option<Instant> {
    Some(connection.idle_since()? + max_idle?)
}
