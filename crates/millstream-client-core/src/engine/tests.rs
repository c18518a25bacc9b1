//! A whole engine against a broker written by hand, in virtual time: silence and starting again.

use std::io::IoSlice;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use millstream_protocol::messages::api_versions_response::ApiVersion;
use millstream_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, MetadataRequest,
    MetadataResponse,
};
use millstream_protocol::{ApiKey, ErrorCode, api, codec};
use millstream_types::BrokerId;

use super::node::{LinkKey, Node};
use super::*;
use crate::config::Endpoint;
use crate::outbox::{Lane, Pending, Request};
use crate::testing::{Bench, cluster};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The answer to ApiVersions of a broker that speaks all that we do.
fn all_versions(correlation_id: i32) -> BytesMut {
    let all = ApiKey::ALL.iter().map(|api| {
        let range = api::supported_versions(*api);
        ApiVersion::default()
            .with_api_key(api.code())
            .with_min_version(range.min)
            .with_max_version(range.max)
    });
    let versions = ApiVersionsResponse::default().with_api_keys(all.collect());
    let mut out = BytesMut::new();
    let version = millstream_protocol::negotiate::FIRST_API_VERSIONS;
    codec::encode_response::<ApiVersionsRequest>(version, correlation_id, &versions, &mut out)
        .unwrap();
    out
}

/// What a request's frame says of itself: API, version, correlation id.
fn head(frame: &[u8]) -> (i16, i16, i32) {
    let int = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
    let id = i32::from_be_bytes([frame[8], frame[9], frame[10], frame[11]]);
    (int(4), int(6), id)
}

fn bytes_of(transmit: &Transmit) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 16];
    let count = transmit.slices(&mut slices);
    slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
}

/// The links of a client, and the time.
struct Net {
    bench: Bench,
    links: Links,
    answers: Vec<Answer>,
}

impl Net {
    /// Two brokers are known.
    fn new() -> Self {
        let mut bench = Bench::new(Owner::Admin);
        bench.learn(2, &[]);
        let config = EngineConfig::new(vec![Endpoint { host: "first".to_owned(), port: 1 }]);
        let links = Links::new(&config, Rng::new(1));
        Self { bench, links, answers: Vec::new() }
    }

    fn key(broker: i32, lane: Lane) -> LinkKey {
        LinkKey { node: Node::Broker(BrokerId(broker)), lane }
    }

    /// Queues a heartbeat and sends what can be sent.
    fn send(&mut self, key: LinkKey) {
        let destination = Destination::Broker(BrokerId(1));
        let request = Request::new(destination, key.lane, HeartbeatRequest::default());
        self.bench.outbox.send(self.bench.now, Owner::Admin, request);
        let pending: Pending = self.bench.outbox.pop().unwrap();
        self.links.queue(key, pending, &mut self.answers);
        self.drive();
    }

    fn drive(&mut self) {
        let now = self.bench.now;
        self.links.handle_timeouts(now, &mut self.answers);
        self.links.drive(now, &mut self.bench.metadata, &mut self.answers);
    }

    /// Opens the connection that was dialled last.
    fn open(&mut self) -> ConnectionId {
        let Some(Action::Dial(dial)) = self.links.poll_action() else {
            panic!("nothing is dialled");
        };
        let (id, now) = (dial.connection, self.bench.now);
        self.links.handle_connected(now, id, &mut self.answers);
        let written = self.written(id);
        let (_, _, correlation) = head(&written);
        self.receive(id, &all_versions(correlation));
        self.drive();
        id
    }

    fn written(&mut self, id: ConnectionId) -> Vec<u8> {
        let bytes = bytes_of(self.links.transmit(id).unwrap());
        self.links.handle_written(id, bytes.len(), &mut self.answers);
        bytes
    }

    fn receive(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.links.receive_buffer(id).unwrap().extend_from_slice(bytes);
        let now = self.bench.now;
        self.links.handle_received(now, id, &mut self.bench.metadata, &mut self.answers);
    }

    /// Answers the request that was written last.
    fn answer(&mut self, id: ConnectionId, throttle: i32) {
        let written = self.written(id);
        let (_, version, correlation) = head(&written);
        let response = HeartbeatResponse::default().with_throttle_time_ms(throttle);
        let mut out = BytesMut::new();
        codec::encode_response::<HeartbeatRequest>(version, correlation, &response, &mut out)
            .unwrap();
        self.receive(id, &out);
        self.drive();
    }
}

#[test]
fn a_broker_that_throttles_is_left_alone_in_every_lane() {
    let mut net = Net::new();
    let (general, produce) = (Net::key(1, Lane::General), Net::key(1, Lane::Produce));
    let other = Net::key(2, Lane::Produce);
    let opened = [general, produce, other].map(|key| {
        net.send(key);
        net.open()
    });
    opened.iter().for_each(|id| net.answer(*id, 0));
    assert_eq!((net.links.requests_sent(), net.answers.len()), (3, 3));
    net.send(general);
    net.answer(opened[0], 700);
    assert_eq!(net.links.requests_sent(), 4);

    net.send(produce);
    net.send(other);
    assert_eq!(net.links.requests_sent(), 5, "only the other broker is asked");
    let over = net.bench.now + ms(700);
    assert_eq!(net.links.next_timeout(), Some(over));
    net.bench.advance(ms(699));
    net.drive();
    assert_eq!(net.links.requests_sent(), 5);
    net.bench.advance(ms(1));
    net.drive();
    assert_eq!(net.links.requests_sent(), 6);
    let throttling = net.links.throttling();
    assert_eq!((throttling.answers, throttling.time), (1, ms(700)));
}

#[test]
fn a_request_that_waits_out_its_time_in_silence_says_so() {
    let mut net = Net::new();
    let key = Net::key(1, Lane::General);
    net.send(key);
    let id = net.open();
    net.answer(id, 40_000);
    net.send(key);
    net.answers.clear();
    net.bench.advance(Duration::from_secs(30));
    net.drive();
    let failure = net.answers.remove(0).result.unwrap_err().to_string();
    assert!(failure.contains("throttles this client"), "{failure}");
}

#[test]
fn any_broker_is_one_that_does_not_throttle() {
    let mut net = Net::new();
    let ids = [1, 2].map(|broker| {
        net.send(Net::key(broker, Lane::General));
        net.open()
    });
    net.answer(ids[0], 500);
    net.answer(ids[1], 0);
    for _ in 0..10 {
        let node = net.links.least_loaded(net.bench.now, &net.bench.metadata);
        assert_eq!(node, Node::Broker(BrokerId(2)));
    }
}

/// An engine with nothing to do but to know its cluster.
struct Client {
    now: Instant,
    engine: Engine,
}

impl Client {
    fn new() -> Self {
        let config = EngineConfig::new(vec![Endpoint { host: "first".to_owned(), port: 1 }]);
        let now = Bench::new(Owner::Admin).now;
        Self { now, engine: Engine::new(&config, None, None) }
    }

    /// Polls, and gives what is to be done to sockets.
    fn poll(&mut self) -> Vec<Action> {
        self.engine.poll(self.now);
        std::iter::from_fn(|| self.engine.poll_action()).collect()
    }

    /// Lets time pass until something is to be done to sockets.
    fn wait(&mut self) -> Vec<Action> {
        for _ in 0..100 {
            let actions = self.poll();
            if !actions.is_empty() {
                return actions;
            }
            self.now = self.engine.poll_timeout().expect("something is due").max(self.now);
        }
        panic!("nothing happens");
    }

    /// Opens a connection whose broker speaks all that we do.
    fn open(&mut self, id: ConnectionId) {
        self.engine.handle_connected(self.now, id);
        let (_, _, correlation) = head(&self.written(id));
        self.engine.handle_bytes(self.now, id, &all_versions(correlation));
        self.poll();
    }

    fn written(&mut self, id: ConnectionId) -> Vec<u8> {
        let bytes = bytes_of(self.engine.transmit(id).unwrap());
        self.engine.handle_written(id, bytes.len());
        bytes
    }

    /// Answers the Metadata request that was written on a connection.
    fn answer(&mut self, id: ConnectionId, response: &MetadataResponse) {
        let written = self.written(id);
        let (api, version, correlation) = head(&written);
        assert_eq!(api, ApiKey::Metadata.code());
        let mut out = BytesMut::new();
        codec::encode_response::<MetadataRequest>(version, correlation, response, &mut out)
            .unwrap();
        self.engine.handle_bytes(self.now, id, &out);
    }
}

fn dialled(actions: &[Action]) -> Vec<(ConnectionId, String, u32)> {
    let dial = |action: &Action| match action {
        Action::Dial(dial) => Some((dial.connection, dial.endpoint.host.clone(), dial.attempt)),
        Action::Close(_) => None,
    };
    actions.iter().filter_map(dial).collect()
}

/// KIP-1102: a broker that knows that it is not the one asked for sends the client back to where
/// it started; no connection to the old brokers is kept.
#[test]
fn a_client_that_is_told_to_starts_again() {
    let mut client = Client::new();
    let (first, host, _) = dialled(&client.poll()).remove(0);
    assert_eq!(host, "first");
    client.open(first);
    client.answer(first, &cluster(2, &[]));
    client.poll();
    assert_eq!(client.engine.metadata().brokers().count(), 2);

    // By age, from one of the brokers that are known now.
    let (second, host, _) = dialled(&client.wait()).remove(0);
    assert_eq!(host, "broker");
    client.open(second);
    let code = ErrorCode::RebootstrapRequired.code();
    client.answer(second, &MetadataResponse::default().with_error_code(code));
    let actions = client.poll();
    assert!(actions.contains(&Action::Close(second)), "{actions:?}");
    assert!(client.engine.metadata().brokers().next().is_none());
    let (_, host, _) = dialled(&client.wait()).remove(0);
    assert_eq!(host, "first");
}

/// KIP-602, pain of Kubernetes: each attempt names the host, never an address that was resolved
/// before, and counts up so that another of its addresses has its turn.
#[test]
fn each_attempt_resolves_the_name_anew() {
    let mut client = Client::new();
    let mut attempts = Vec::new();
    let mut actions = client.poll();
    for _ in 0..3 {
        let (id, host, attempt) = dialled(&actions).remove(0);
        attempts.push((host, attempt));
        client.engine.handle_disconnected(client.now, id, "refused");
        actions = client.wait();
    }
    let expected = [0, 1, 2].map(|attempt| ("first".to_owned(), attempt));
    assert_eq!(attempts, expected);
}

/// The frame of a connection that nobody speaks Kafka on is no panic.
#[test]
fn a_connection_that_is_closed_takes_no_bytes() {
    let mut client = Client::new();
    let (id, ..) = dialled(&client.poll()).remove(0);
    client.engine.handle_connected(client.now, id);
    let mut garbage = BytesMut::new();
    garbage.put_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    client.engine.handle_bytes(client.now, id, &garbage);
    let actions = client.poll();
    assert!(actions.contains(&Action::Close(id)), "{actions:?}");
    client.engine.handle_bytes(client.now, id, &garbage);
    assert!(client.engine.transmit(id).is_none());
}
