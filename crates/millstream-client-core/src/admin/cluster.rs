//! Describing the cluster: Metadata without topics, which every version of Kafka serves.

use millstream_protocol::messages::{MetadataRequest, MetadataResponse};
use millstream_types::{BrokerId, ClusterId};
use std::collections::BTreeMap;
use std::time::Duration;

use super::broker_id;
use super::call::{AllSaid, Handler, Placement};
use super::error::AdminError;
use super::{AdminCompletion, Results};
use crate::config::Endpoint;
use crate::cx::Cx;
use crate::metadata::Broker;
use crate::outbox::{Destination, RequestBody, Response};

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id; every Kafka since 0.10.1 has one.
    pub id: Option<ClusterId>,
    /// The broker to send changes to: the controller, or one that forwards to it.
    pub controller: Option<BrokerId>,
    /// The brokers that are up, by id.
    pub brokers: BTreeMap<BrokerId, Broker>,
}

#[derive(Debug)]
pub(super) struct Describe;

impl Handler for Describe {
    type Key = ();
    type Input = ();
    type Output = Cluster;

    fn about((): &()) -> String {
        "the cluster".to_owned()
    }

    fn place(&self, (): &(), _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::AnyBroker)
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(false)
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<(), Cluster> {
        let answer = MetadataResponse::try_from(response.body)?;
        let brokers = answer.brokers.iter().filter_map(|broker| {
            let id = broker_id(broker.node_id);
            let endpoint =
                Endpoint { host: broker.host.to_string(), port: u16::try_from(broker.port).ok()? };
            let rack = broker.rack.as_ref().map(ToString::to_string);
            Some((id, Broker { id, endpoint, rack }))
        });
        let cluster = Cluster {
            id: answer.cluster_id.as_ref().map(|id| ClusterId::from(id.as_str())),
            controller: Some(broker_id(answer.controller_id)).filter(|id| id.0 >= 0),
            brokers: brokers.collect(),
        };
        Ok(vec![((), Ok(cluster))])
    }

    fn complete(mut results: Results<(), Cluster>) -> AdminCompletion {
        AdminCompletion::DescribeCluster(only(&mut results, Self::about(&())))
    }
}

/// The result of a call about one thing.
pub(super) fn only<K: Ord, T>(results: &mut Results<K, T>, about: String) -> Result<T, AdminError> {
    let result = results.pop_first().map(|(_, result)| result);
    result.unwrap_or(Err(AdminError::LeftOut { about }))
}
