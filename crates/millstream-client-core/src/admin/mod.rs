//! The admin machine: topics, configs, offsets, the cluster.
//!
//! Each call is a `call::Call` of a handler that knows one API; everything about tries, time and
//! which broker to ask is the same for all.

mod call;
mod cluster;
mod configs;
mod error;
mod offsets;
mod topics;

use std::collections::BTreeMap;
use std::time::Instant;

use millstream_types::{BrokerId, GroupId, Offset, OffsetAndMetadata, TopicName, TopicPartition};

use crate::backoff::Rng;
use crate::config::EngineConfig;
use crate::consumer::IsolationLevel;
use crate::cx::{CommandId, Cx};
use crate::metadata::Topic;
use crate::outbox::{RequestFailure, RequestId, Response};
use crate::timer;
use call::{AnyCall, Call, Limits};

pub use cluster::Cluster;
pub use configs::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource};
pub use error::{AdminError, AdminErrors};
pub use offsets::{ListedOffset, OffsetSpec};
pub use topics::{CreatedTopic, NewTopic};

/// A call of an admin client.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminCommand {
    /// Changes single settings (KIP-339).
    AlterConfigs(Vec<(ConfigResource, Vec<ConfigChange>)>),
    /// Raises the number of partitions of topics to this.
    CreatePartitions(Vec<(TopicName, i32)>),
    /// Creates topics.
    CreateTopics(Vec<NewTopic>),
    /// Deletes the records before these offsets.
    DeleteRecords(Vec<(TopicPartition, Offset)>),
    /// Deletes topics.
    DeleteTopics(Vec<TopicName>),
    /// The cluster's id and brokers.
    DescribeCluster,
    /// All settings of topics and brokers.
    DescribeConfigs(Vec<ConfigResource>),
    /// Topics with their partitions.
    DescribeTopics(Vec<TopicName>),
    /// The committed offsets of a group.
    GroupOffsets(GroupId),
    /// Offsets by place or time.
    ListOffsets(Vec<(TopicPartition, OffsetSpec)>, IsolationLevel),
    /// All topics, with their partitions.
    ListTopics,
}

/// The result of each thing that a call was about.
pub type Results<K, T> = BTreeMap<K, Result<T, AdminError>>;

/// What a call of an admin client returns, under the call's name.
#[derive(Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the answer to the command of its name")]
pub enum AdminCompletion {
    AlterConfigs(Results<ConfigResource, ()>),
    CreatePartitions(Results<TopicName, ()>),
    CreateTopics(Results<TopicName, CreatedTopic>),
    DeleteRecords(Results<TopicPartition, Offset>),
    DeleteTopics(Results<TopicName, ()>),
    DescribeCluster(Result<Cluster, AdminError>),
    DescribeConfigs(Results<ConfigResource, BTreeMap<String, ConfigEntry>>),
    DescribeTopics(Results<TopicName, Topic>),
    GroupOffsets(Result<BTreeMap<TopicPartition, OffsetAndMetadata>, AdminError>),
    ListOffsets(Results<TopicPartition, ListedOffset>),
    ListTopics(Result<BTreeMap<TopicName, Topic>, AdminError>),
}

/// Runs admin calls.
#[derive(Debug)]
pub struct AdminMachine {
    limits: Limits,
    rng: Rng,
    calls: BTreeMap<CommandId, Box<dyn AnyCall>>,
}

impl AdminMachine {
    /// A machine whose calls take as long as `config` allows.
    #[must_use]
    pub fn new(config: &EngineConfig, rng: Rng) -> Self {
        Self {
            limits: Limits {
                api_timeout: config.api_timeout,
                request_timeout: config.request_timeout,
                backoff: config.retry_backoff,
            },
            rng,
            calls: BTreeMap::new(),
        }
    }

    /// The application called.
    pub fn handle_command(&mut self, id: CommandId, command: AdminCommand, cx: &mut Cx<'_>) {
        let call = self.begin(cx.now, command);
        self.calls.insert(id, call);
    }

    fn begin(&self, now: Instant, command: AdminCommand) -> Box<dyn AnyCall> {
        let limits = self.limits;
        let all = |names: Vec<TopicName>| names.into_iter().map(|name| (name, ()));
        match command {
            AdminCommand::AlterConfigs(changes) => {
                Box::new(Call::new(now, limits, configs::Alter, changes))
            }
            AdminCommand::CreatePartitions(counts) => {
                Box::new(Call::new(now, limits, topics::Extend, counts))
            }
            AdminCommand::CreateTopics(topics) => {
                let topics = topics.into_iter().map(|topic| (topic.name.clone(), topic));
                Box::new(Call::new(now, limits, topics::Create, topics))
            }
            AdminCommand::DeleteRecords(offsets) => {
                Box::new(Call::new(now, limits, offsets::DeleteRecords, offsets))
            }
            AdminCommand::DeleteTopics(names) => {
                Box::new(Call::new(now, limits, topics::Delete, all(names)))
            }
            AdminCommand::DescribeCluster => {
                Box::new(Call::new(now, limits, cluster::Describe, [((), ())]))
            }
            AdminCommand::DescribeConfigs(resources) => {
                let resources = resources.into_iter().map(|resource| (resource, ()));
                Box::new(Call::new(now, limits, configs::Describe, resources))
            }
            AdminCommand::DescribeTopics(names) => {
                Box::new(Call::new(now, limits, topics::Describe, all(names)))
            }
            AdminCommand::GroupOffsets(group) => {
                let handler = offsets::OfGroup { group: group.clone() };
                Box::new(Call::new(now, limits, handler, [(group, ())]))
            }
            AdminCommand::ListOffsets(specs, isolation) => {
                Box::new(Call::new(now, limits, offsets::List { isolation }, specs))
            }
            AdminCommand::ListTopics => Box::new(Call::new(now, limits, topics::List, [((), ())])),
        }
    }

    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let mut result = Some(result);
        for call in self.calls.values_mut() {
            if call.handle_response(id, &mut result, &mut self.rng, cx) {
                return;
            }
        }
    }

    /// Sends what is due and completes what is done.
    pub fn poll(&mut self, cx: &mut Cx<'_>) {
        self.calls.retain(|id, call| match call.poll(cx) {
            None => true,
            Some(completion) => {
                cx.complete(*id, completion);
                false
            }
        });
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let calls = self.calls.values().map(|call| call.next_timeout());
        calls.fold(None, timer::earliest)
    }
}

/// A broker's id as the messages spell it.
fn broker_id(id: millstream_protocol::messages::BrokerId) -> BrokerId {
    BrokerId(id.0)
}
