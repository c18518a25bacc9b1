//! The cluster: frames of all connections in, frames out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use millstream_protocol::messages as m;
use millstream_types::{BrokerId, ClusterId, Timestamp};
use tracing::warn;

use super::ControlError;
use super::config::ClusterConfig;
use super::connection::{Connection, ConnectionId, Parked, Pending, RequestHead};
use super::fault::Faults;
use super::frame::ResponseFrame;
use super::state::{Answer, State};
use super::timers::Timer;
use super::transaction::Moment;
use crate::api;

/// What the cluster wants done with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Frame(ResponseFrame),
    /// Close it; nothing more will come for it.
    Close,
}

/// A Kafka cluster of some nodes, as a pure state machine.
///
/// After each call that takes `now`, drain [`poll_output`](Self::poll_output) and arm one timer for
/// [`next_timeout`](Self::next_timeout).
#[derive(Debug)]
pub struct Cluster {
    pub(super) state: State,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    pub(super) faults: Faults,
    output: VecDeque<(ConnectionId, Output)>,
    /// Connections that were reset and not closed by the shell yet.
    resets: BTreeSet<ConnectionId>,
    /// A moment and the wall clock at it: record times follow from `now`.
    epoch: (Instant, Timestamp),
}

impl Cluster {
    /// A cluster whose wall clock shows `wall` at `now`, and goes on with `now` from there.
    #[must_use]
    pub fn new(config: ClusterConfig, now: Instant, wall: Timestamp) -> Self {
        Self {
            state: State::new(config),
            connections: BTreeMap::new(),
            next_connection: 0,
            faults: Faults::default(),
            output: VecDeque::new(),
            resets: BTreeSet::new(),
            epoch: (now, wall),
        }
    }

    /// The cluster's id.
    #[must_use]
    pub const fn cluster_id(&self) -> &ClusterId {
        &self.state.cluster_id
    }

    /// The ids of all nodes, dead ones too.
    #[must_use]
    pub fn nodes(&self) -> Vec<BrokerId> {
        self.state.nodes.ids().collect()
    }

    /// What it was started with.
    #[must_use]
    pub const fn config(&self) -> &ClusterConfig {
        &self.state.config
    }

    /// Tells the address under which clients reach a node.
    ///
    /// # Errors
    /// There is no such node.
    pub fn set_address(
        &mut self,
        node: BrokerId,
        host: impl Into<String>,
        port: u16,
    ) -> Result<(), ControlError> {
        let found = self.state.nodes.node_mut(node);
        let found = found.ok_or(ControlError::UnknownNode(node))?;
        found.host = host.into();
        found.port = port;
        Ok(())
    }

    /// Opens a connection to a node; nobody answers on one to a dead node.
    pub fn connect(&mut self, node: BrokerId) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        if self.state.nodes.get(node).is_some_and(|node| node.alive) {
            self.connections.insert(id, Connection::new(node));
        } else {
            self.output.push_back((id, Output::Close));
        }
        id
    }

    /// The client closed a connection.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.state.fetching.remove(&id);
        if let Some(connection) = self.connections.remove(&id)
            && let Some(timer) = connection.pending.and_then(|pending| pending.timer)
        {
            self.state.timers.cancel(timer);
        }
    }

    /// Whether a connection that is closed is to be reset, so that the client meets an error
    /// rather than an orderly end. Tells it once.
    pub fn was_reset(&mut self, id: ConnectionId) -> bool {
        self.resets.remove(&id)
    }

    /// How many requests of a connection wait behind the one being served.
    #[must_use]
    pub fn backlog(&self, id: ConnectionId) -> usize {
        self.connections.get(&id).map_or(0, |connection| connection.backlog.len())
    }

    /// Takes a request: a frame without its length.
    pub fn handle_frame(&mut self, id: ConnectionId, now: Instant, frame: Bytes) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.backlog.push_back(frame);
        self.run(id, now);
        self.settle(now);
    }

    /// The time went on.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.state.timers.pop_due(now) {
            match timer {
                Timer::Connection(id) => self.wait_is_over(id, now),
                Timer::Group(id) => self.state.group_timeout(&id, now),
                Timer::GroupsLoaded => self.state.group_placement.loaded(now),
                Timer::Reassignments => self.state.complete_moves(now),
                Timer::Transaction(id) => {
                    let at = Moment { now, wall: self.wall(now) };
                    self.state.transaction_timeout(&id, at);
                }
            }
            self.settle(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.state.timers.next_timeout()
    }

    /// The next thing to do with a connection.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, Output)> {
        self.output.pop_front()
    }

    pub(super) fn wall(&self, now: Instant) -> Timestamp {
        let (start, wall) = self.epoch;
        let passed = now.saturating_duration_since(start).as_millis();
        Timestamp(wall.0.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)))
    }

    /// Serves the requests of a connection until one has to wait.
    pub(super) fn run(&mut self, id: ConnectionId, now: Instant) {
        while let Some(connection) = self.connections.get_mut(&id)
            && connection.pending.is_none()
            && let Some(frame) = connection.backlog.pop_front()
        {
            let node = connection.node;
            self.serve(id, node, now, frame);
        }
    }

    /// Answers what other requests made answerable, until nothing is left.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some((id, answer)) = self.state.answered.pop_front() {
                self.answer(id, now, answer);
                self.run(id, now);
            } else if let Some(id) = self.state.woken.pop_front() {
                self.wake(id, now);
            } else {
                return;
            }
        }
    }

    pub(super) fn park(
        &mut self,
        id: ConnectionId,
        head: RequestHead,
        parked: Parked,
        until: Option<Instant>,
    ) {
        let timer = until.map(|at| self.state.timers.arm(at, Timer::Connection(id)));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.pending = Some(Pending { head, parked, timer });
        }
    }

    /// Takes the parked request of a connection.
    pub(super) fn unpark(&mut self, id: ConnectionId) -> Option<Pending> {
        let pending = self.connections.get_mut(&id)?.pending.take()?;
        self.state.fetching.remove(&id);
        if let Some(timer) = pending.timer {
            self.state.timers.cancel(timer);
        }
        Some(pending)
    }

    pub(super) fn send(&mut self, id: ConnectionId, frame: ResponseFrame) {
        self.output.push_back((id, Output::Frame(frame)));
    }

    /// Closes a connection the hard way; the shell is told by [`was_reset`](Self::was_reset).
    pub(super) fn reset(&mut self, id: ConnectionId) {
        self.resets.insert(id);
        self.close(id);
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        self.disconnect(id);
        self.output.push_back((id, Output::Close));
    }

    /// A parked fetch may have enough now.
    fn wake(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Some(Pending { parked: Parked::Fetch(plan), .. }) = &connection.pending else {
            return;
        };
        if plan.is_ready(&self.state) {
            self.answer_fetch(id, now);
            self.run(id, now);
        } else {
            plan.watch(&mut self.state, id);
        }
    }

    fn answer(&mut self, id: ConnectionId, now: Instant, answer: Answer) {
        let waits = self.connections.get(&id).and_then(|connection| connection.pending.as_ref());
        if !waits.is_some_and(|pending| matches!(pending.parked, Parked::Group)) {
            return;
        }
        let Some(Pending { head, .. }) = self.unpark(id) else {
            return;
        };
        let (version, correlation_id) = (head.version, head.correlation_id);
        let frame = match answer {
            Answer::Join(answer) => {
                let answer = api::join_group_answer(version, answer);
                api::encode::<m::JoinGroupRequest>(version, correlation_id, &answer)
            }
            Answer::Sync(answer) => {
                api::encode::<m::SyncGroupRequest>(version, correlation_id, &answer)
            }
        };
        match frame {
            Ok(frame) => self.reply(id, now, head, frame),
            Err(error) => {
                warn!(%id, %error, "closing: an answer cannot be encoded");
                self.close(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use millstream_protocol::codec::encode_request;
    use millstream_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

    use super::*;

    /// A fetch that waits for the first record of topic `t`.
    fn waiting_fetch() -> Bytes {
        let partition = FetchPartition::default().with_partition_max_bytes(1);
        let topic =
            FetchTopic::default().with_topic(api::topic_name("t")).with_partitions(vec![partition]);
        let request = m::FetchRequest::default()
            .with_max_wait_ms(1000)
            .with_min_bytes(1)
            .with_topics(vec![topic]);
        let mut frame = BytesMut::new();
        encode_request(6, 1, None, &request, &mut frame).unwrap();
        frame.split_off(4).freeze()
    }

    #[test]
    fn connections_that_went_away_are_forgotten() {
        let now = Instant::now();
        let mut cluster = Cluster::new(ClusterConfig::default(), now, Timestamp(0));
        cluster.create_topic("t", 1).unwrap();
        for _ in 0..1000 {
            let id = cluster.connect(BrokerId(1));
            cluster.handle_frame(id, now, waiting_fetch());
            assert!(cluster.next_timeout().is_some(), "the fetch waits");
            cluster.disconnect(id);
        }
        let topic = cluster.state.topics.get("t").unwrap();
        let waiting = topic.partition(0).unwrap().waiting.len();
        assert!((1..=16).contains(&waiting), "{waiting} connections are remembered");
        assert_eq!(cluster.next_timeout(), None);
        assert!(cluster.state.fetching.is_empty());
    }
}
