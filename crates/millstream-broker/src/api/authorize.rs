//! Who may send which request: the table of `KafkaApis.scala` and `ControllerApis.scala`.
//!
//! Works on the items that requests name, so that no API file knows of it. Two APIs look for
//! themselves: Metadata and ListGroups leave out what the client may not see.

use millstream_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use super::Call;
use super::items::Item;
use crate::core::acl::{Asker, operation as op, resource};
use crate::core::state::State;
use crate::core::topic::TopicRef;

/// Where all connections seem to come from.
const HOST: &str = "127.0.0.1";

/// What a request needs on the items that it names.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    /// On the cluster, for the whole request.
    cluster: Option<i8>,
    topic: Option<i8>,
    group: Option<i8>,
    transaction: Option<i8>,
}

impl Needs {
    const fn cluster(operation: i8) -> Self {
        Self { cluster: Some(operation), topic: None, group: None, transaction: None }
    }

    const fn topic(operation: i8) -> Self {
        Self { cluster: None, topic: Some(operation), group: None, transaction: None }
    }

    const fn group(operation: i8) -> Self {
        Self { cluster: None, topic: None, group: Some(operation), transaction: None }
    }

    const fn transaction(operation: i8) -> Self {
        Self { cluster: None, topic: None, group: None, transaction: Some(operation) }
    }

    const fn and_group(self, operation: i8) -> Self {
        Self { group: Some(operation), ..self }
    }

    const fn and_transaction(self, operation: i8) -> Self {
        Self { transaction: Some(operation), ..self }
    }
}

const fn needs(api: ApiKey) -> Needs {
    match api {
        ApiKey::Produce => Needs::topic(op::WRITE).and_transaction(op::WRITE),
        ApiKey::Fetch | ApiKey::DescribeProducers => Needs::topic(op::READ),
        ApiKey::ListOffsets
        | ApiKey::Metadata
        | ApiKey::OffsetForLeaderEpoch
        | ApiKey::DescribeTopicPartitions => Needs::topic(op::DESCRIBE),
        ApiKey::OffsetCommit => Needs::topic(op::READ).and_group(op::READ),
        ApiKey::OffsetFetch => Needs::topic(op::DESCRIBE).and_group(op::DESCRIBE),
        ApiKey::OffsetDelete => Needs::topic(op::READ).and_group(op::DELETE),
        ApiKey::FindCoordinator => Needs::group(op::DESCRIBE).and_transaction(op::DESCRIBE),
        ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::Heartbeat | ApiKey::LeaveGroup => {
            Needs::group(op::READ)
        }
        ApiKey::DescribeGroups | ApiKey::ConsumerGroupDescribe => Needs::group(op::DESCRIBE),
        ApiKey::DeleteGroups => Needs::group(op::DELETE),
        ApiKey::CreateTopics => Needs::topic(op::CREATE),
        ApiKey::DeleteTopics | ApiKey::DeleteRecords => Needs::topic(op::DELETE),
        ApiKey::CreatePartitions => Needs::topic(op::ALTER),
        ApiKey::InitProducerId | ApiKey::EndTxn => Needs::transaction(op::WRITE),
        ApiKey::AddPartitionsToTxn => Needs::topic(op::WRITE).and_transaction(op::WRITE),
        ApiKey::AddOffsetsToTxn => Needs::group(op::READ).and_transaction(op::WRITE),
        ApiKey::TxnOffsetCommit => {
            Needs::topic(op::READ).and_group(op::READ).and_transaction(op::WRITE)
        }
        ApiKey::DescribeTransactions => Needs::transaction(op::DESCRIBE),
        ApiKey::WriteTxnMarkers => Needs::cluster(op::CLUSTER_ACTION),
        ApiKey::DescribeAcls
        | ApiKey::DescribeLogDirs
        | ApiKey::ListPartitionReassignments
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::DescribeQuorum => Needs::cluster(op::DESCRIBE),
        ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::AlterReplicaLogDirs
        | ApiKey::ElectLeaders
        | ApiKey::AlterPartitionReassignments
        | ApiKey::AlterUserScramCredentials
        | ApiKey::UpdateFeatures
        | ApiKey::UnregisterBroker
        | ApiKey::AddRaftVoter
        | ApiKey::RemoveRaftVoter => Needs::cluster(op::ALTER),
        ApiKey::DescribeClientQuotas | ApiKey::ListConfigResources => {
            Needs::cluster(op::DESCRIBE_CONFIGS)
        }
        ApiKey::AlterClientQuotas => Needs::cluster(op::ALTER_CONFIGS),
        _ => Needs { cluster: None, topic: None, group: None, transaction: None },
    }
}

/// `ConfigResource.Type` of topics.
const TOPIC_RESOURCE: i8 = 2;
/// `ConfigResource.Type` of groups.
const GROUP_RESOURCE: i8 = 32;

impl State {
    /// The name of the client's user, without its type.
    pub(crate) fn user_of(&self, client_id: &str) -> &str {
        let principal = self.principal_of(client_id);
        principal.strip_prefix("User:").unwrap_or(principal)
    }

    fn principal_of(&self, client_id: &str) -> &str {
        let named = self.config.security.principals.get(client_id);
        named.map_or("User:ANONYMOUS", String::as_str)
    }

    /// Whether a client may do something to a resource; always, where there is no authorizer.
    pub(crate) fn permits(&self, client_id: &str, operation: i8, kind: i8, name: &str) -> bool {
        let security = &self.config.security;
        if !security.authorizer {
            return true;
        }
        let asker = Asker { principal: self.principal_of(client_id), host: HOST };
        self.acls.permits(security, asker, operation, kind, name)
    }

    fn permits_any_topic(&self, client_id: &str, operation: i8) -> bool {
        let asker = Asker { principal: self.principal_of(client_id), host: HOST };
        self.acls.permits_any_topic(&self.config.security, asker, operation)
    }

    /// Those of some operations, a bit each, that a client may do to a resource.
    pub(crate) fn permitted(&self, client_id: &str, bits: i32, kind: i8, name: &str) -> i32 {
        let operations = (op::READ..=op::LAST).filter(|operation| bits >> operation & 1 == 1);
        let permitted = operations.filter(|one| self.permits(client_id, *one, kind, name));
        permitted.fold(0, |sum, operation| sum | 1 << operation)
    }

    /// Whether a client may see a topic.
    pub(crate) fn may_describe(&self, client_id: &str, topic: &str) -> bool {
        self.permits(client_id, op::DESCRIBE, resource::TOPIC, topic)
    }

    /// Whether a client may fetch from a topic.
    pub(crate) fn may_read(&self, client_id: &str, topic: &TopicRef) -> bool {
        let name = match topic {
            TopicRef::Name(name) => Some(name.as_str()),
            TopicRef::Id(id) => self.topics.by_id(*id).map(|topic| topic.name.as_str()),
        };
        name.is_none_or(|name| self.permits(client_id, op::READ, resource::TOPIC, name))
    }
}

/// Why a request is refused as a whole.
pub(super) fn refuse_whole(
    state: &State,
    call: &Call,
    api: ApiKey,
    keys: &[Item<'_>],
) -> Option<ErrorCode> {
    if let Some(operation) = needs(api).cluster
        && !state.permits(&call.client_id, operation, resource::CLUSTER, resource::CLUSTER_NAME)
    {
        return Some(ErrorCode::ClusterAuthorizationFailed);
    }
    // An idempotent producer needs one topic to write to, or the right of old (KIP-679).
    if api == ApiKey::InitProducerId
        && keys.is_empty()
        && !state.permits_any_topic(&call.client_id, op::WRITE)
        && !state.permits(
            &call.client_id,
            op::IDEMPOTENT_WRITE,
            resource::CLUSTER,
            resource::CLUSTER_NAME,
        )
    {
        return Some(ErrorCode::ClusterAuthorizationFailed);
    }
    keys.iter().find_map(|key| refuse_item(state, call, api, *key))
}

/// Why an item of a request is refused.
pub(super) fn refuse_item(
    state: &State,
    call: &Call,
    api: ApiKey,
    item: Item<'_>,
) -> Option<ErrorCode> {
    let needs = needs(api);
    let denied = |operation: Option<i8>, kind, name: &str| {
        operation.is_some_and(|operation| !state.permits(&call.client_id, operation, kind, name))
    };
    let configs = match api {
        ApiKey::DescribeConfigs => op::DESCRIBE_CONFIGS,
        _ => op::ALTER_CONFIGS,
    };
    match item {
        Item::Topic { name, id, .. } => {
            let name = topic_name(state, name, id)?;
            let denied = denied(needs.topic, resource::TOPIC, name)
                && !(api == ApiKey::CreateTopics
                    && state.permits(
                        &call.client_id,
                        op::CREATE,
                        resource::CLUSTER,
                        resource::CLUSTER_NAME,
                    ));
            denied.then_some(ErrorCode::TopicAuthorizationFailed)
        }
        Item::Group(name) => denied(needs.group, resource::GROUP, name)
            .then_some(ErrorCode::GroupAuthorizationFailed),
        Item::Transaction(name) => denied(needs.transaction, resource::TRANSACTIONAL_ID, name)
            .then_some(ErrorCode::TransactionalIdAuthorizationFailed),
        Item::Resource(TOPIC_RESOURCE, name) => denied(Some(configs), resource::TOPIC, name)
            .then_some(ErrorCode::TopicAuthorizationFailed),
        Item::Resource(GROUP_RESOURCE, name) => denied(Some(configs), resource::GROUP, name)
            .then_some(ErrorCode::GroupAuthorizationFailed),
        Item::Resource(..) => denied(Some(configs), resource::CLUSTER, resource::CLUSTER_NAME)
            .then_some(ErrorCode::ClusterAuthorizationFailed),
        Item::Member(_) => None,
    }
}

/// The name of the topic that an item means; a topic that is not there is left to the handler.
fn topic_name<'a>(state: &'a State, name: &'a str, id: Uuid) -> Option<&'a str> {
    if id.is_nil() {
        return Some(name);
    }
    state.topics.by_id(id).map(|topic| topic.name.as_str())
}
