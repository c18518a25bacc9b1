//! A bench for unit tests of one machine: virtual time, and a look at what it sends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use millstream_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_protocol::messages::{self as m, MetadataResponse, StrBytes};
use millstream_types::TopicId;

use crate::coordinator::Coordinators;
use crate::cx::{Cx, Event};
use crate::metadata::Metadata;
use crate::outbox::{Outbox, Owner, Pending, Response, ResponseBody};

/// The surroundings of a machine under test.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) metadata: Metadata,
    pub(crate) coordinators: Coordinators,
    pub(crate) outbox: Outbox,
    pub(crate) events: VecDeque<Event>,
    owner: Owner,
}

impl Bench {
    /// A bench for a machine that sends as `owner`.
    #[expect(clippy::disallowed_methods, reason = "the start of virtual time")]
    pub(crate) fn new(owner: Owner) -> Self {
        Self {
            now: Instant::now(),
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(Duration::from_secs(30)),
            events: VecDeque::new(),
            owner,
        }
    }

    /// The surroundings of one call.
    pub(crate) fn cx(&mut self) -> Cx<'_> {
        Cx::new(
            self.now,
            self.owner,
            &mut self.metadata,
            &mut self.coordinators,
            &mut self.outbox,
            &mut self.events,
        )
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// What was sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<Pending> {
        std::iter::from_fn(|| self.outbox.pop()).collect()
    }

    /// Makes the cluster known: brokers 1 to `brokers`, and each topic (name, id, leader of each
    /// partition, epoch).
    pub(crate) fn learn(&mut self, brokers: i32, topics: &[(&str, TopicId, &[i32], i32)]) {
        self.metadata.apply(cluster(brokers, topics), None);
    }
}

/// A Metadata answer of a cluster of brokers 1 to `brokers`, with these topics.
pub(crate) fn cluster(brokers: i32, topics: &[(&str, TopicId, &[i32], i32)]) -> MetadataResponse {
    let brokers = (1..=brokers).map(|id| {
        MetadataResponseBroker::default()
            .with_node_id(m::BrokerId(id))
            .with_host(StrBytes::from_static_str("broker"))
            .with_port(9000 + id)
    });
    let topics = topics.iter().map(|(name, id, leaders, epoch)| {
        let partitions = leaders.iter().zip(0..).map(|(leader, index)| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(m::BrokerId(*leader))
                .with_leader_epoch(*epoch)
        });
        MetadataResponseTopic::default()
            .with_name(Some(m::TopicName(StrBytes::from_string((*name).to_owned()))))
            .with_topic_id(id.0)
            .with_partitions(partitions.collect())
    });
    MetadataResponse::default()
        .with_cluster_id(Some(StrBytes::from_static_str("cluster")))
        .with_controller_id(m::BrokerId(1))
        .with_brokers(brokers.collect())
        .with_topics(topics.collect())
}

/// An answer from broker 1, in `version`.
pub(crate) fn answer(version: i16, body: impl Into<ResponseBody>) -> Response {
    Response { from: Some(millstream_types::BrokerId(1)), version, body: body.into() }
}
