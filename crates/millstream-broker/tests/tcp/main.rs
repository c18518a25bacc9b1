//! The broker over real sockets: raw frames, nodes that die and come back, clients that are none.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use millstream_broker::{ApiKey, Broker, ErrorCode, Fault, RunningCluster, StartError};
use millstream_protocol::batch::{BatchBuilder, HeaderView};
use millstream_protocol::codec::{decode_response, encode_request};
use millstream_protocol::messages::{self as m, Request, StrBytes};
use millstream_types::{BrokerId, Timestamp, TopicPartition};

/// Long enough for a slow machine, short enough to fail in.
const PATIENCE: Duration = Duration::from_secs(20);

struct Client(TcpStream);

impl Client {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn send<R: Request>(&mut self, version: i16, request: &R) {
        let mut frame = BytesMut::new();
        encode_request(version, 7, Some("raw"), request, &mut frame).unwrap();
        self.0.write_all(&frame).unwrap();
    }

    fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body).unwrap();
        decode_response::<R>(version, body.into()).unwrap()
    }

    fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn start(nodes: i32) -> RunningCluster {
    Broker::in_process().nodes(nodes).start_blocking().unwrap()
}

/// Waits for a future on this thread, without any runtime.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

fn batch(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 22);
    let none: [HeaderView<'_>; 0] = [];
    builder.append(Timestamp(1), None, Some(value), none).unwrap();
    builder.seal().into_bytes().into()
}

fn produce(value: &[u8]) -> m::ProduceRequest {
    let partition =
        m::produce_request::PartitionProduceData::default().with_records(Some(batch(value)));
    let topic = m::produce_request::TopicProduceData::default()
        .with_name(m::TopicName(text("t")))
        .with_partition_data(vec![partition]);
    m::ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_topic_data(vec![topic])
}

fn fetch(offset: i64, wait: Duration) -> m::FetchRequest {
    let partition = m::fetch_request::FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 22);
    let topic = m::fetch_request::FetchTopic::default()
        .with_topic(m::TopicName(text("t")))
        .with_partitions(vec![partition]);
    m::FetchRequest::default()
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap())
        .with_min_bytes(1)
        .with_max_bytes(1 << 24)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn offset(response: &m::ProduceResponse) -> i64 {
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, 0);
    answer.base_offset
}

fn records_len(response: &m::FetchResponse) -> usize {
    let records = &response.responses[0].partitions[0].records;
    records.as_ref().map_or(0, Bytes::len)
}

#[test]
fn a_client_writes_and_reads() {
    let cluster = start(3);
    cluster.create_topic("t", 3).unwrap();
    assert_eq!(cluster.bootstrap().split(',').count(), 3);
    let mut client = Client::to(cluster.address(1).unwrap());
    let metadata = client.call(9, &m::MetadataRequest::default().with_topics(None));
    let ports: Vec<_> = metadata.brokers.iter().map(|node| node.port).collect();
    let told: Vec<_> =
        (1..=3).map(|node| i32::from(cluster.address(node).unwrap().port())).collect();
    assert_eq!(ports, told);
    assert_eq!(metadata.cluster_id.unwrap().as_str(), cluster.cluster_id().as_str());
    // Larger than any socket buffer, so that it is read and written in many pieces.
    let large = vec![b'x'; 1_000_000];
    for expected in 0..5 {
        assert_eq!(offset(&client.call(9, &produce(&large))), expected);
    }
    let response = client.call(6, &fetch(0, Duration::ZERO));
    assert!(records_len(&response) > 4_000_000);
    wait(cluster.stop());
}

#[test]
fn a_waiting_fetch_is_woken_from_another_connection_and_by_the_clock() {
    let cluster = start(1);
    cluster.create_topic("t", 1).unwrap();
    let address = cluster.address(1).unwrap();
    let (mut reader, mut writer) = (Client::to(address), Client::to(address));
    reader.send(6, &fetch(0, PATIENCE * 2));
    assert_eq!(offset(&writer.call(9, &produce(b"a"))), 0);
    assert!(records_len(&reader.receive::<m::FetchRequest>(6)) > 0);
    let begun = Instant::now();
    let response = reader.call(6, &fetch(1, Duration::from_millis(50)));
    assert_eq!(records_len(&response), 0);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn many_requests_in_one_write_are_answered_in_order() {
    let cluster = start(1);
    cluster.create_topic("t", 1).unwrap();
    let mut client = Client::to(cluster.address(1).unwrap());
    let mut all = BytesMut::new();
    for _ in 0..500 {
        encode_request(9, 7, None, &produce(b"a"), &mut all).unwrap();
    }
    // A parked fetch in front holds them all up, more than the broker reads ahead.
    let mut writer = client.0.try_clone().unwrap();
    client.send(6, &fetch(0, Duration::from_millis(100)));
    let sender = thread::spawn(move || writer.write_all(&all).unwrap());
    assert_eq!(records_len(&client.receive::<m::FetchRequest>(6)), 0);
    for expected in 0..500 {
        assert_eq!(offset(&client.receive::<m::ProduceRequest>(9)), expected);
    }
    sender.join().unwrap();
}

#[test]
fn who_speaks_no_kafka_is_shown_the_door() {
    let cluster = start(1);
    let address = cluster.address(1).unwrap();
    let mut http = Client::to(address);
    http.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(http.is_closed());
    let mut huge = Client::to(address);
    huge.0.write_all(&i32::MAX.to_be_bytes()).unwrap();
    assert!(huge.is_closed());
    let mut negative = Client::to(address);
    negative.0.write_all(&[0xff; 8]).unwrap();
    assert!(negative.is_closed());
    let mut fine = Client::to(address);
    fine.call(0, &m::ApiVersionsRequest::default());
}

#[test]
fn a_node_dies_and_comes_back_on_its_port() {
    let cluster = start(2);
    cluster.create_topic("t", 1).unwrap();
    let (first, second) = (cluster.address(1).unwrap(), cluster.address(2).unwrap());
    let mut client = Client::to(first);
    client.call(9, &produce(b"kept"));
    wait(cluster.crash_node(1)).unwrap();
    assert!(client.is_closed());
    let refused = TcpStream::connect(first).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut other = Client::to(second);
    assert_eq!(offset(&other.call(9, &produce(b"more"))), 1);
    wait(cluster.restart_node(1)).unwrap();
    let partition = TopicPartition::new("t", 0);
    cluster.move_leader(&partition, BrokerId(1)).unwrap();
    let mut client = Client::to(first);
    assert_eq!(offset(&client.call(9, &produce(b"again"))), 2);
    assert!(wait(cluster.crash_node(9)).is_err());
}

#[test]
fn faults_reach_real_connections() {
    let cluster = start(1);
    cluster.create_topic("t", 1).unwrap();
    let address = cluster.address(1).unwrap();
    cluster.fault(Fault::on(ApiKey::Produce).nth(2).apply_then_disconnect());
    let mut client = Client::to(address);
    assert_eq!(offset(&client.call(9, &produce(b"a"))), 0);
    client.send(9, &produce(b"b"));
    assert!(client.is_closed());
    let mut client = Client::to(address);
    assert_eq!(offset(&client.call(9, &produce(b"c"))), 2, "the lost answer hid a write");
    cluster.fault(Fault::on(ApiKey::Produce).always().error(ErrorCode::NotEnoughReplicas));
    let refused = client.call(9, &produce(b"d"));
    let code = refused.responses[0].partition_responses[0].error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotEnoughReplicas);
    cluster.clear_faults();
    cluster.fault(Fault::on(ApiKey::Produce).delay(Duration::from_millis(50)));
    let begun = Instant::now();
    assert_eq!(offset(&client.call(9, &produce(b"e"))), 3);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_stopped_cluster_closes_its_ports_and_a_dropped_one_too() {
    let cluster = start(1);
    let address = cluster.address(1).unwrap();
    let mut client = Client::to(address);
    client.call(0, &m::ApiVersionsRequest::default());
    wait(cluster.stop());
    assert!(client.is_closed());
    assert!(TcpStream::connect(address).is_err());
    let dropped = start(1);
    let mut client = Client::to(dropped.address(1).unwrap());
    client.call(0, &m::ApiVersionsRequest::default());
    drop(dropped);
    assert!(client.is_closed());
}

#[test]
fn a_cluster_starts_without_a_runtime_and_its_address_can_be_chosen() {
    let first = wait(Broker::in_process().start()).unwrap();
    let address = first.address(1).unwrap();
    let taken = wait(Broker::in_process().listen(address).start());
    assert!(matches!(taken, Err(StartError::Listen { node: 1, .. })));
    let none = Broker::in_process().nodes(0).start_blocking();
    assert!(matches!(none, Err(StartError::Nodes(0))));
    wait(first.stop());
    let again = Broker::in_process().listen(address).advertise("kafka.test");
    let again = again.start_blocking().unwrap();
    let mut client = Client::to(address);
    let metadata = client.call(9, &m::MetadataRequest::default());
    assert_eq!(metadata.brokers[0].host.as_str(), "kafka.test");
    assert_eq!(again.nodes(), [BrokerId(1)]);
}

#[test]
fn two_clusters_are_two() {
    let (one, other) = (start(1), start(1));
    assert_ne!(one.cluster_id(), other.cluster_id());
    one.create_topic("t", 1).unwrap();
    let mut client = Client::to(other.address(1).unwrap());
    let metadata = client.call(9, &m::MetadataRequest::default().with_topics(None));
    assert!(metadata.topics.is_empty());
}

#[test]
fn an_idle_cluster_stops_while_a_fetch_waits() {
    let cluster = start(1);
    cluster.create_topic("t", 1).unwrap();
    let mut client = Client::to(cluster.address(1).unwrap());
    client.send(6, &fetch(0, PATIENCE * 10));
    let (done, stopped) = mpsc::channel();
    thread::spawn(move || {
        wait(cluster.stop());
        done.send(()).unwrap();
    });
    stopped.recv_timeout(PATIENCE).unwrap();
    assert!(client.is_closed());
}
