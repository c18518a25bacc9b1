//! The quorum that keeps the cluster's metadata (KIP-595, KIP-836).

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use millstream_protocol::messages::describe_quorum_response::ReplicaState;
use millstream_types::{BrokerId, LeaderEpoch, Offset, Timestamp};
use uuid::Uuid;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Refusal, Results, Said, only};
use super::super::wire::{broker_id, controller, optional_broker, text};
use crate::config::Endpoint;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// The quorum of the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller.
    pub leader: Option<BrokerId>,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// Up to where the metadata log is committed.
    pub high_watermark: Offset,
    /// The controllers that vote.
    pub voters: Vec<QuorumReplica>,
    /// Those who only follow: brokers, and controllers that do not vote.
    pub observers: Vec<QuorumReplica>,
    /// Where the controllers listen, by listener name; from brokers that tell it (3.9).
    pub endpoints: BTreeMap<BrokerId, BTreeMap<String, Endpoint>>,
}

/// A replica of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The node.
    pub id: BrokerId,
    /// Its directory (KIP-853), from nodes that have told it.
    pub directory_id: Option<Uuid>,
    /// The end of its log.
    pub log_end_offset: Offset,
    /// When it last fetched.
    pub last_fetch: Option<Timestamp>,
    /// When it last had all there was.
    pub last_caught_up: Option<Timestamp>,
}

/// Describes the quorum of the cluster's metadata.
pub fn describe_metadata_quorum() -> AdminCall<Result<Quorum, AdminError>> {
    AdminCall::new(Describe, [((), ())])
}

#[derive(Debug)]
struct Describe;

const ABOUT: &str = "the quorum of the cluster's metadata";
const METADATA_TOPIC: &str = "__cluster_metadata";

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = Quorum;
    type Done = Result<Quorum, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let topic = TopicData::default()
            .with_topic_name(m::TopicName(text(METADATA_TOPIC)))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        m::DescribeQuorumRequest::default().with_topics(vec![topic]).into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeQuorumResponse::try_from(response.body)?;
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        if let Err(refusal) = whole {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let said = partitions.take(1).map(|partition| {
            let check = Refusal::check(partition.error_code, partition.error_message.as_deref());
            let quorum = Quorum {
                leader: optional_broker(partition.leader_id),
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                high_watermark: Offset(partition.high_watermark),
                voters: partition.current_voters.iter().map(read_replica).collect(),
                observers: partition.observers.iter().map(read_replica).collect(),
                endpoints: read_endpoints(&answer),
            };
            ((), check.map(|()| quorum).into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<(), Quorum>) -> Self::Done {
        only(results, ABOUT)
    }
}

fn read_replica(replica: &ReplicaState) -> QuorumReplica {
    let time = |millis| Some(Timestamp(millis)).filter(|time| time.0 >= 0);
    QuorumReplica {
        id: broker_id(replica.replica_id),
        directory_id: Some(replica.replica_directory_id).filter(|id| !id.is_nil()),
        log_end_offset: Offset(replica.log_end_offset),
        last_fetch: time(replica.last_fetch_timestamp),
        last_caught_up: time(replica.last_caught_up_timestamp),
    }
}

fn read_endpoints(
    answer: &m::DescribeQuorumResponse,
) -> BTreeMap<BrokerId, BTreeMap<String, Endpoint>> {
    let nodes = answer.nodes.iter().map(|node| {
        let listeners = node.listeners.iter().map(|listener| {
            let endpoint = Endpoint { host: listener.host.to_string(), port: listener.port };
            (listener.name.to_string(), endpoint)
        });
        (broker_id(node.node_id), listeners.collect())
    });
    nodes.collect()
}
