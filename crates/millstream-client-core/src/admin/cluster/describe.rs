//! Describing the cluster: by DescribeCluster (KIP-700), or by Metadata, which every Kafka serves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::{BrokerId, ClusterId};

use super::super::acls::AclOperations;
use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf, only,
};
use super::super::wire::{anywhere, broker_id, non_empty, optional, optional_broker};
use crate::config::Endpoint;
use crate::cx::Cx;
use crate::metadata::Broker;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id; every Kafka since 0.10.1 has one.
    pub id: Option<ClusterId>,
    /// The broker to send changes to: the controller, or one that forwards to it. Where controllers
    /// were asked for: the one that is active.
    pub controller: Option<BrokerId>,
    /// The brokers, or the controllers if those were asked for, by id.
    pub brokers: BTreeMap<BrokerId, Broker>,
    /// Those of the brokers that are registered, but fenced; only if they were asked for.
    pub fenced: BTreeSet<BrokerId>,
    /// What the caller may do to the cluster, if that was asked for.
    pub authorized_operations: Option<AclOperations>,
}

/// Which nodes of a cluster to describe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterScope {
    /// The brokers that are up.
    #[default]
    Brokers,
    /// All brokers that are registered, those that are fenced too (KIP-1073, Kafka 4.0).
    RegisteredBrokers,
    /// The controllers; only of a client that is connected to controllers (KIP-919).
    Controllers,
}

/// Describes the cluster.
pub fn describe_cluster(
    scope: ClusterScope,
    authorized_operations: bool,
) -> AdminCall<Result<Cluster, AdminError>> {
    AdminCall::new(Describe { scope, authorized_operations }, [((), Way::DescribeCluster)])
}

#[derive(Debug)]
struct Describe {
    scope: ClusterScope,
    authorized_operations: bool,
}

/// How the cluster is asked.
#[derive(Debug)]
enum Way {
    DescribeCluster,
    /// The broker is older than 2.8.
    Metadata,
}

const ABOUT: &str = "the cluster";
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Operation for Describe {
    type Key = ();
    type Input = Way;
    type Output = Cluster;
    type Done = Result<Cluster, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), _way: &Way, _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn lot(&self, (): &(), way: &Way) -> Lot {
        match way {
            Way::DescribeCluster => Lot::Shared(0),
            Way::Metadata => Lot::Shared(1),
        }
    }

    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        match self.scope {
            _ if lot != Lot::Shared(0) => (None, None),
            ClusterScope::Brokers => (None, None),
            ClusterScope::Controllers => (Some(1), None),
            ClusterScope::RegisteredBrokers => (Some(2), None),
        }
    }

    fn request(&self, items: &[(&(), &Way)], _timeout: Duration) -> RequestBody {
        if matches!(items, [(_, Way::Metadata)]) {
            return m::MetadataRequest::default()
                .with_topics(Some(Vec::new()))
                .with_allow_auto_topic_creation(false)
                .into();
        }
        let type_asked =
            if self.scope == ClusterScope::Controllers { CONTROLLERS } else { BROKERS };
        m::DescribeClusterRequest::default()
            .with_endpoint_type(type_asked)
            .with_include_fenced_brokers(self.scope == ClusterScope::RegisteredBrokers)
            .with_include_cluster_authorized_operations(self.authorized_operations)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &Way)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let result = match response.body {
            ResponseBody::Metadata(answer) => Ok(read_metadata(&answer)),
            body => {
                let answer = m::DescribeClusterResponse::try_from(body)?;
                Refusal::check(answer.error_code, answer.error_message.as_deref())
                    .map(|()| read(&answer))
            }
        };
        Ok(vec![((), result.into())])
    }

    fn fallback(&self, (): &(), way: &Way) -> Option<VerdictOf<Self>> {
        let is_new = matches!(way, Way::DescribeCluster) && self.scope == ClusterScope::Brokers;
        is_new.then(|| Verdict::Become(vec![((), Way::Metadata)]))
    }

    fn merge(self, results: Results<(), Cluster>) -> Self::Done {
        only(results, ABOUT)
    }
}

fn node(id: m::BrokerId, host: &str, port: i32, rack: Option<String>) -> Option<Broker> {
    let endpoint = Endpoint { host: host.to_owned(), port: u16::try_from(port).ok()? };
    Some(Broker { id: broker_id(id), endpoint, rack })
}

fn read(answer: &m::DescribeClusterResponse) -> Cluster {
    let brokers = answer.brokers.iter().filter_map(|broker| {
        let rack = optional(broker.rack.as_ref());
        node(broker.broker_id, &broker.host, broker.port, rack)
    });
    let fenced = answer.brokers.iter().filter(|broker| broker.is_fenced);
    Cluster {
        id: non_empty(&answer.cluster_id).map(ClusterId::from),
        controller: optional_broker(answer.controller_id),
        brokers: brokers.map(|broker| (broker.id, broker)).collect(),
        fenced: fenced.map(|broker| broker_id(broker.broker_id)).collect(),
        authorized_operations: AclOperations::read(answer.cluster_authorized_operations),
    }
}

fn read_metadata(answer: &m::MetadataResponse) -> Cluster {
    let brokers = answer.brokers.iter().filter_map(|broker| {
        node(broker.node_id, &broker.host, broker.port, optional(broker.rack.as_ref()))
    });
    Cluster {
        id: answer.cluster_id.as_ref().map(|id| ClusterId::from(id.as_str())),
        controller: optional_broker(answer.controller_id),
        brokers: brokers.map(|broker| (broker.id, broker)).collect(),
        fenced: BTreeSet::new(),
        authorized_operations: None,
    }
}
