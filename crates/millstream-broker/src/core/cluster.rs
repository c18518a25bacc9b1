//! The cluster: frames of all connections in, frames out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use millstream_protocol::codec::RequestHeader;
use millstream_protocol::messages as m;
use millstream_protocol::{ApiKey, ErrorCode};
use millstream_types::{BrokerId, ClusterId, Timestamp};
use tracing::{debug, warn};

use super::ControlError;
use super::config::ClusterConfig;
use super::connection::{Connection, ConnectionId, Parked, Pending, RequestHead};
use super::fault::{AfterReply, FaultAction, Faults};
use super::frame::ResponseFrame;
use super::state::{Answer, State};
use super::timers::Timer;
use super::transaction::Moment;
use crate::api::{self, Call, Reply};

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
        if self.state.nodes.is_alive(node) {
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
    fn run(&mut self, id: ConnectionId, now: Instant) {
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
                self.answer(id, answer);
                self.run(id, now);
            } else if let Some(id) = self.state.woken.pop_front() {
                self.wake(id, now);
            } else {
                return;
            }
        }
    }

    fn serve(&mut self, id: ConnectionId, node: BrokerId, now: Instant, frame: Bytes) {
        let header = match RequestHeader::peek(&frame) {
            Ok(header) => header,
            Err(error) => {
                warn!(%id, %error, "closing: the head of a request cannot be read");
                return self.close(id);
            }
        };
        let served = header.api().and_then(|api| Some((api, api::served_versions(api)?)));
        let Some((api, versions)) = served else {
            warn!(%id, api = header.api_key, "closing: this API is not served");
            return self.close(id);
        };
        let client_id = header.client_id.unwrap_or_default();
        let fault = self.faults.strike(api, node, &client_id);
        let head = RequestHead {
            api,
            version: header.api_version,
            correlation_id: header.correlation_id,
            after: after_reply(fault),
        };
        if let Some(action) = fault {
            debug!(%id, %api, ?action, "a fault strikes");
        }
        match fault {
            Some(FaultAction::Disconnect) => return self.close(id),
            Some(FaultAction::Drop) => return self.park(id, head, Parked::Forever, None),
            Some(FaultAction::Delay(delay)) => {
                return self.park(id, head, Parked::Delayed(frame), Some(now + delay));
            }
            _ => {}
        }
        if !versions.contains(head.version) {
            return self.unsupported(id, &head);
        }
        let refusal = match fault {
            Some(FaultAction::Error(code)) => Some(code),
            _ => None,
        };
        let corrupt = fault == Some(FaultAction::CorruptRecords);
        self.handle(id, node, now, head, &client_id, frame, refusal, corrupt);
    }

    #[expect(clippy::too_many_arguments, reason = "one request with all that is known of it")]
    fn handle(
        &mut self,
        id: ConnectionId,
        node: BrokerId,
        now: Instant,
        head: RequestHead,
        client_id: &str,
        frame: Bytes,
        refusal: Option<ErrorCode>,
        corrupt: bool,
    ) {
        let call = Call {
            version: head.version,
            correlation_id: head.correlation_id,
            client_id: client_id.to_owned(),
            node,
            connection: id,
            now,
            wall: self.wall(now),
        };
        match api::serve(&mut self.state, head.api, &call, frame, refusal) {
            Ok(Reply::Frame(frame)) => self.reply(id, head.after, frame),
            Ok(Reply::Silent) => self.after_silence(id, &head),
            Ok(Reply::Close) => self.close(id),
            Ok(Reply::Parked(mut parked, until)) => {
                if let Parked::Fetch(plan) = &mut parked {
                    plan.corrupt = corrupt;
                }
                let at_once = matches!(parked, Parked::Fetch(_)) && until.is_none();
                self.park(id, head, parked, until);
                if at_once {
                    self.answer_fetch(id);
                }
            }
            Err(error) => {
                let api = head.api;
                warn!(%id, %api, version = head.version, error = %Chain(&error), "closing");
                self.close(id);
            }
        }
    }

    /// With `acks=0` a fault that closes or hangs the connection still does.
    fn after_silence(&mut self, id: ConnectionId, head: &RequestHead) {
        match head.after {
            AfterReply::Send => {}
            AfterReply::Disconnect => self.close(id),
            AfterReply::Drop => self.park(id, head.clone(), Parked::Forever, None),
        }
    }

    /// A version that is not served: ApiVersions is answered so that the client can choose another
    /// (KIP-511), any other request is the client's mistake and closes the connection.
    fn unsupported(&mut self, id: ConnectionId, head: &RequestHead) {
        if head.api == ApiKey::ApiVersions
            && let Ok(frame) = api::unsupported_api_versions(head.correlation_id)
        {
            return self.reply(id, head.after, frame);
        }
        warn!(%id, api = %head.api, version = head.version, "closing: this version is not served");
        self.close(id);
    }

    fn park(
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
    fn unpark(&mut self, id: ConnectionId) -> Option<Pending> {
        let pending = self.connections.get_mut(&id)?.pending.take()?;
        self.state.fetching.remove(&id);
        if let Some(timer) = pending.timer {
            self.state.timers.cancel(timer);
        }
        Some(pending)
    }

    fn reply(&mut self, id: ConnectionId, after: AfterReply, frame: ResponseFrame) {
        match after {
            AfterReply::Send => self.output.push_back((id, Output::Frame(frame))),
            AfterReply::Disconnect => self.close(id),
            AfterReply::Drop => {
                let head =
                    RequestHead { api: ApiKey::ApiVersions, version: 0, correlation_id: 0, after };
                self.park(id, head, Parked::Forever, None);
            }
        }
    }

    pub(super) fn close(&mut self, id: ConnectionId) {
        self.disconnect(id);
        self.output.push_back((id, Output::Close));
    }

    fn wait_is_over(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let node = connection.node;
        match connection.pending.as_ref().map(|pending| &pending.parked) {
            Some(Parked::Fetch(_)) => {
                self.answer_fetch(id);
                self.run(id, now);
            }
            Some(Parked::Delayed(_)) => {
                if let Some(pending) = self.unpark(id)
                    && let Parked::Delayed(frame) = pending.parked
                {
                    self.serve_late(id, node, now, pending.head, frame);
                    self.run(id, now);
                }
            }
            Some(Parked::Group | Parked::Forever) | None => {}
        }
    }

    fn serve_late(
        &mut self,
        id: ConnectionId,
        node: BrokerId,
        now: Instant,
        head: RequestHead,
        frame: Bytes,
    ) {
        let served = api::served_versions(head.api);
        if !served.is_some_and(|versions| versions.contains(head.version)) {
            return self.unsupported(id, &head);
        }
        let header = RequestHeader::peek(&frame).ok();
        let client_id = header.and_then(|header| header.client_id).unwrap_or_default();
        self.handle(id, node, now, head, &client_id, frame, None, false);
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
            self.answer_fetch(id);
            self.run(id, now);
        } else {
            plan.watch(&mut self.state, id);
        }
    }

    fn answer_fetch(&mut self, id: ConnectionId) {
        let Some(pending) = self.unpark(id) else {
            return;
        };
        let Parked::Fetch(plan) = pending.parked else {
            return;
        };
        match plan.answer(&mut self.state) {
            Ok(frame) => self.reply(id, pending.head.after, frame),
            Err(error) => {
                warn!(%id, %error, "closing: a fetch cannot be answered");
                self.close(id);
            }
        }
    }

    fn answer(&mut self, id: ConnectionId, answer: Answer) {
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
            Ok(frame) => self.reply(id, head.after, frame),
            Err(error) => {
                warn!(%id, %error, "closing: an answer cannot be encoded");
                self.close(id);
            }
        }
    }
}

const fn after_reply(fault: Option<FaultAction>) -> AfterReply {
    match fault {
        Some(FaultAction::ApplyThenDisconnect) => AfterReply::Disconnect,
        Some(FaultAction::ApplyThenDrop) => AfterReply::Drop,
        _ => AfterReply::Send,
    }
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
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
