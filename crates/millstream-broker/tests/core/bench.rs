//! A cluster in memory with virtual time, driven by real frames.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use millstream_broker::{Cluster, ClusterConfig, ConnectionId, Output};
use millstream_protocol::batch::{BatchBuilder, CheckedBatch, HeaderView, RawBatches};
use millstream_protocol::codec::{decode_response, encode_request, peek_correlation_id};
use millstream_protocol::compression::{Compression, Compressor, Decompressor};
use millstream_protocol::messages::{self as m, Request, StrBytes};
use millstream_types::{BrokerId, ProducerEpoch, ProducerId, Timestamp};

/// The wall clock at the start of every test.
pub(crate) const START: i64 = 1_700_000_000_000;

/// A cluster, a clock that the test moves, and what came out.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) now: Instant,
    /// What the client calls itself.
    pub(crate) client: &'static str,
    correlation: i32,
    inbox: Vec<(ConnectionId, Output)>,
}

/// A request that was sent, to await its answer by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) connection: ConnectionId,
    pub(crate) version: i16,
    correlation: i32,
}

impl Bench {
    pub(crate) fn new(nodes: i32) -> Self {
        Self::with(nodes, |_| {})
    }

    pub(crate) fn with(nodes: i32, change: impl FnOnce(&mut ClusterConfig)) -> Self {
        let mut config = ClusterConfig::default();
        config.nodes = nodes;
        config.seed = 42;
        change(&mut config);
        let now = Instant::now();
        let mut cluster = Cluster::new(config, now, Timestamp(START));
        for (node, port) in cluster.nodes().into_iter().zip(9001..) {
            cluster.set_address(node, "broker", port).unwrap();
        }
        Self { cluster, now, client: "bench", correlation: 0, inbox: Vec::new() }
    }

    /// A topic whose partitions are led by the nodes in turn, from node 1 on, if it is the first.
    pub(crate) fn topic(self, name: &str, partitions: i32) -> Self {
        let mut bench = self;
        bench.cluster.create_topic(name, partitions).unwrap();
        bench
    }

    pub(crate) fn connect(&mut self, node: i32) -> ConnectionId {
        self.cluster.connect(BrokerId(node))
    }

    pub(crate) fn send<R: Request>(
        &mut self,
        connection: ConnectionId,
        version: i16,
        request: &R,
    ) -> Sent {
        self.correlation += 1;
        let mut frame = BytesMut::new();
        encode_request(version, self.correlation, Some(self.client), request, &mut frame).unwrap();
        self.send_frame(connection, frame.split_off(4).freeze());
        Sent { connection, version, correlation: self.correlation }
    }

    pub(crate) fn send_frame(&mut self, connection: ConnectionId, frame: Bytes) {
        self.cluster.handle_frame(connection, self.now, frame);
        self.drain();
    }

    /// Lets the time pass, firing every timer at its time.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.cluster.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.cluster.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            self.inbox.push(output);
        }
    }

    /// The answer to a request, if it is there.
    pub(crate) fn answer<R: Request>(&mut self, sent: Sent) -> Option<R::Response> {
        self.drain();
        let at = self.inbox.iter().position(|(connection, output)| {
            let Output::Frame(frame) = output else {
                return false;
            };
            let bytes = frame.clone().into_bytes();
            *connection == sent.connection
                && peek_correlation_id(&bytes[4..]).unwrap() == sent.correlation
        })?;
        let (_, Output::Frame(frame)) = self.inbox.remove(at) else {
            return None;
        };
        let mut bytes = frame.into_bytes();
        let length = u32::from_be_bytes(bytes.split_to(4)[..].try_into().unwrap());
        assert_eq!(length as usize, bytes.len(), "the frame's length is right");
        Some(decode_response::<R>(sent.version, bytes).unwrap())
    }

    /// Whether the cluster closed a connection.
    pub(crate) fn is_closed(&mut self, connection: ConnectionId) -> bool {
        self.drain();
        self.inbox.contains(&(connection, Output::Close))
    }

    /// Sends a request and takes the answer, which must come at once.
    pub(crate) fn call<R: Request>(
        &mut self,
        connection: ConnectionId,
        version: i16,
        request: &R,
    ) -> R::Response {
        let sent = self.send(connection, version, request);
        match self.answer::<R>(sent) {
            Some(response) => response,
            None => panic!("{} {version} was not answered at once", R::KEY),
        }
    }

    /// Sends a request to a node on a connection of its own.
    pub(crate) fn ask<R: Request>(&mut self, node: i32, version: i16, request: &R) -> R::Response {
        let connection = self.connect(node);
        let response = self.call(connection, version, request);
        self.cluster.disconnect(connection);
        response
    }

    /// Appends values to a partition led by `node` and gives the answer for it.
    pub(crate) fn produce(
        &mut self,
        node: i32,
        topic: &str,
        partition: i32,
        values: &[&str],
    ) -> m::produce_response::PartitionProduceResponse {
        self.produce_batch(node, topic, partition, batch(values))
    }

    pub(crate) fn produce_batch(
        &mut self,
        node: i32,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> m::produce_response::PartitionProduceResponse {
        let response = self.ask(node, 9, &produce_request(topic, partition, batch));
        response.responses[0].partition_responses[0].clone()
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

pub(crate) fn produce_request(topic: &str, partition: i32, batch: Bytes) -> m::ProduceRequest {
    let partition = m::produce_request::PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let topic = m::produce_request::TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![partition]);
    m::ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

/// A batch of values without keys, one millisecond apart.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    sealed(values, Compression::None, None)
}

/// A batch of an idempotent producer.
pub(crate) fn batch_of(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    sealed(values, Compression::None, Some((id, epoch, sequence)))
}

pub(crate) fn compressed(values: &[&str], compression: Compression) -> Bytes {
    sealed(values, compression, None)
}

fn sealed(values: &[&str], compression: Compression, producer: Option<(i64, i16, i32)>) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    for (value, time) in values.iter().zip(START..) {
        let value = Some(value.as_bytes());
        let none: [HeaderView<'_>; 0] = [];
        builder.append(Timestamp(time), None, value, none).unwrap();
    }
    let mut batch = match compression {
        Compression::None => builder.seal(),
        codec => builder.seal_compressed(&mut Compressor::new(codec), Vec::new()).0,
    };
    if let Some((id, epoch, sequence)) = producer {
        batch.set_producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    }
    batch.into_bytes().into()
}

/// Offsets and values of fetched records.
pub(crate) fn records(bytes: Option<&Bytes>) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    for raw in RawBatches::new(bytes.cloned().unwrap_or_default()) {
        let batch = CheckedBatch::check(raw.unwrap(), &mut Decompressor::new(1 << 20)).unwrap();
        for record in batch.records() {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            records.push((record.offset.0, value));
        }
    }
    records
}
