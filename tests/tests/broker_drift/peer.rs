//! One of the two that are compared: raw connections, and a record of what was said.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchBuilder, HeaderView};
use millstream_protocol::codec::{decode_response, encode_request};
use millstream_protocol::messages::{self as m, Request, StrBytes};
use millstream_types::{ProducerEpoch, ProducerId, Timestamp};

/// How long an answer may take, and a new topic until it is there.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

pub(crate) fn name(code: i16) -> &'static str {
    ErrorCode::from(code).name()
}

/// A connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) {
        let mut frame = BytesMut::new();
        encode_request(version, 1, Some("drift"), request, &mut frame).unwrap();
        self.0.write_all(&frame).unwrap();
    }

    /// The answer; `None` if the connection was closed instead.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> Option<R::Response> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some(decode_response::<R>(version, frame.into()).unwrap())
    }

    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        match self.receive::<R>(version) {
            Some(response) => response,
            None => panic!("{} {version} closed the connection", R::KEY),
        }
    }
}

/// One of the two.
pub(crate) struct Peer {
    nodes: BTreeMap<i32, String>,
    /// Makes names unique; left out of what is told.
    suffix: String,
    lines: Vec<String>,
}

impl Peer {
    pub(crate) fn new(bootstrap: &str) -> Self {
        let first = bootstrap.split(',').next().unwrap();
        let metadata = Wire::to(first).ask(9, &m::MetadataRequest::default().with_topics(None));
        let nodes = metadata.brokers.iter();
        let nodes = nodes.map(|node| (node.node_id.0, format!("{}:{}", &*node.host, node.port)));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            nodes: nodes.collect(),
            suffix: format!("-{}", since.as_micros()),
            lines: Vec::new(),
        }
    }

    /// Tells something, without what only makes names unique.
    pub(crate) fn tell(&mut self, what: &str, said: impl std::fmt::Display) {
        self.lines.push(format!("{what}: {said}").replace(&self.suffix, ""));
    }

    pub(crate) fn told(&self) -> String {
        self.lines.join("\n")
    }

    /// A name that nobody used.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// A connection to any node.
    pub(crate) fn any(&self) -> Wire {
        Wire::to(self.nodes.values().next().unwrap())
    }

    pub(crate) fn node(&self, id: i32) -> Wire {
        Wire::to(&self.nodes[&id])
    }

    /// A node that is another one.
    pub(crate) fn other(&self, id: i32) -> Wire {
        self.node(*self.nodes.keys().find(|other| **other != id).unwrap())
    }

    /// Creates a topic with one replica.
    pub(crate) fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        use m::create_topics_request::{CreatableTopic, CreatableTopicConfig};
        let name = self.unique(name);
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(&name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request =
            m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let answer = self.any().ask(7, &request);
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        name
    }

    /// Creates a topic of one partition with these replicas.
    pub(crate) fn assigned(&self, name: &str, replicas: &[i32]) -> String {
        use m::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
        let name = self.unique(name);
        let assignment = CreatableReplicaAssignment::default()
            .with_broker_ids(replicas.iter().map(|id| m::BrokerId(*id)).collect());
        let topic = CreatableTopic::default()
            .with_name(topic_name(&name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![assignment]);
        let request =
            m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let answer = self.any().ask(7, &request);
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        self.leader(&name);
        name
    }

    /// The leader of a topic's first partition, once it knows that it leads.
    pub(crate) fn leader(&self, topic: &str) -> (Wire, i32) {
        let wanted =
            m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = m::MetadataRequest::default().with_topics(Some(vec![wanted]));
        let begun = SystemTime::now();
        while begun.elapsed().unwrap() < PATIENCE {
            let answer = self.any().ask(9, &request);
            let partition = answer.topics[0].partitions.first();
            let Some(leader) = partition.map(|partition| partition.leader_id.0) else {
                continue;
            };
            if self.nodes.contains_key(&leader) {
                let mut wire = self.node(leader);
                let answer = wire.ask(7, &crate::offsets::list(topic, -1));
                if answer.topics[0].partitions[0].error_code == 0 {
                    return (wire, leader);
                }
            }
        }
        panic!("{topic} has no leader");
    }

    /// The coordinator of a group, once it is ready.
    pub(crate) fn coordinator(&self, group: &str) -> (Wire, i32) {
        let request = m::FindCoordinatorRequest::default().with_key(text(group));
        let describe =
            m::DescribeGroupsRequest::default().with_groups(vec![m::GroupId(text(group))]);
        let begun = SystemTime::now();
        while begun.elapsed().unwrap() < PATIENCE {
            let answer = self.any().ask(3, &request);
            if answer.error_code != 0 {
                continue;
            }
            let mut wire = self.node(answer.node_id.0);
            if wire.ask(5, &describe).groups[0].error_code == 0 {
                return (wire, answer.node_id.0);
            }
        }
        panic!("{group} has no coordinator");
    }
}

/// Waits until something is so: the real one's nodes learn of changes in their own time.
pub(crate) fn eventually(is: impl Fn() -> bool) {
    let begun = SystemTime::now();
    while !is() {
        assert!(begun.elapsed().unwrap() < PATIENCE, "it never comes to be");
    }
}

/// The time of the first record of every batch: lately, so that retention spares it.
pub(crate) fn base_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // The same for both, and for a whole run.
    i64::try_from(since / 3600 * 3600).unwrap() * 1000
}

/// A batch of values, a millisecond apart, perhaps of an idempotent producer.
pub(crate) fn batch(values: &[&str], producer: Option<(i64, i16, i32)>) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 22);
    let none: [HeaderView<'_>; 0] = [];
    for (value, time) in values.iter().zip(base_time()..) {
        builder.append(Timestamp(time), None, Some(value.as_bytes()), none).unwrap();
    }
    let mut sealed = builder.seal();
    if let Some((id, epoch, sequence)) = producer {
        sealed.set_producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    }
    sealed.into_bytes().into()
}
