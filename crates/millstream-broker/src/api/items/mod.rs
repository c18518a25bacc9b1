//! What requests name: topics, partitions, groups, transactional ids, and how a request and its
//! answer are taken apart by them, so that some items are refused while the others are served.
//!
//! Faults and the authorizer work on any API through [`Items`]; no API file knows of either.

mod nested;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::ServedRequest;
use uuid::Uuid;

/// One thing that a request names and its answer can refuse by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A topic or, with an index, one of its partitions. A name is empty where an id stands.
    Topic {
        /// Its name.
        name: &'a str,
        /// Its id; nil where the name stands.
        id: Uuid,
        /// The partition.
        partition: Option<i32>,
    },
    /// A group.
    Group(&'a str),
    /// A transactional id.
    Transaction(&'a str),
    /// A resource that has configurations, with its type (`ConfigResource.Type`).
    Resource(i8, &'a str),
    /// A member of a group.
    Member(&'a str),
}

/// Chooses items.
pub(crate) type Choose<'c> = dyn FnMut(Item<'_>) -> bool + 'c;

/// A request that names items.
pub(crate) trait Items: ServedRequest + Clone {
    /// The groups and transactional ids that the request as a whole is about.
    fn keys(&self) -> Vec<Item<'_>> {
        Vec::new()
    }

    /// Takes the chosen items out of the request, into one that names them alone. `None` if none
    /// was chosen, or the answer has no place for an error by item.
    fn split(&mut self, _: &mut Choose<'_>) -> Option<Self> {
        None
    }

    /// Puts the answer to a part beside that to the rest.
    fn join(_: &mut Self::Response, _: Self::Response) {}

    /// The answer that says `code` of each item; `None` where the refusal of the whole does.
    fn refuse_items(&self, _version: i16, _code: ErrorCode) -> Option<Self::Response> {
        None
    }

    /// Whether the client waits for an answer.
    fn is_answered(&self) -> bool {
        true
    }
}

/// A list that may be missing.
trait List<T> {
    fn list(&mut self) -> Option<&mut Vec<T>>;
    fn with(list: Vec<T>) -> Self;
}

impl<T> List<T> for Vec<T> {
    fn list(&mut self) -> Option<&mut Self> {
        Some(self)
    }
    fn with(list: Self) -> Self {
        list
    }
}

impl<T> List<T> for Option<Vec<T>> {
    fn list(&mut self) -> Option<&mut Vec<T>> {
        self.as_mut()
    }
    fn with(list: Vec<T>) -> Self {
        Some(list)
    }
}

/// Takes the chosen elements out of a list.
fn take<T, L: List<T>>(from: &mut L, mut chosen: impl FnMut(&T) -> bool) -> Option<L> {
    let list = from.list()?;
    let (taken, left): (Vec<T>, Vec<T>) =
        std::mem::take(list).into_iter().partition(|element| chosen(element));
    *list = left;
    (!taken.is_empty()).then(|| L::with(taken))
}

/// Takes the chosen parts of elements out of a list; an element left without parts goes too.
fn take_parts<T: Clone, P, L: List<T>>(
    from: &mut L,
    parts: fn(&mut T) -> &mut Vec<P>,
    mut chosen: impl FnMut(&T, &P) -> bool,
) -> Option<L> {
    let list = from.list()?;
    let mut taken = Vec::new();
    list.retain_mut(|element| {
        let all = std::mem::take(parts(element));
        let (gone, left): (Vec<P>, Vec<P>) =
            all.into_iter().partition(|part| chosen(element, part));
        if gone.is_empty() {
            *parts(element) = left;
            return true;
        }
        let mut other = element.clone();
        *parts(&mut other) = gone;
        taken.push(other);
        let stays = !left.is_empty();
        *parts(element) = left;
        stays
    });
    (!taken.is_empty()).then(|| L::with(taken))
}

/// Adds the parts of elements to those of the same elements.
fn join_parts<T, P>(
    into: &mut Vec<T>,
    from: Vec<T>,
    same: fn(&T, &T) -> bool,
    parts: fn(&mut T) -> &mut Vec<P>,
) {
    for mut element in from {
        match into.iter_mut().find(|known| same(known, &element)) {
            Some(known) => parts(known).append(parts(&mut element)),
            None => into.push(element),
        }
    }
}

/// Requests that are refused as a whole, and the keys that they are about.
macro_rules! whole {
    ($($request:ident $(, |$this:ident| $keys:expr)?;)*) => {$(
        impl Items for m::$request {
            $(fn keys(&self) -> Vec<Item<'_>> {
                let $this = self;
                $keys
            })?
        }
    )*};
}

/// Requests that list items one by one; the answer lists as many.
macro_rules! listed {
    ($($request:ident: $list:ident, |$one:ident| $item:expr => $answers:ident
       $(, keys |$this:ident| $keys:expr)? $(, refuse $refuse:path)?;)*) => {$(
        impl Items for m::$request {
            $(fn keys(&self) -> Vec<Item<'_>> {
                let $this = self;
                $keys
            })?

            fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
                let taken = take(&mut self.$list, |$one| choose($item))?;
                let mut other = self.clone();
                other.$list = taken;
                Some(other)
            }

            fn join(response: &mut Self::Response, other: Self::Response) {
                response.$answers.extend(other.$answers);
            }

            $(fn refuse_items(&self, version: i16, code: ErrorCode) -> Option<Self::Response> {
                $refuse(self, version, code)
            })?
        }
    )*};
}

/// Requests that list partitions by topic; the answer does too.
macro_rules! partitioned {
    ($($request:ident: |$topic:ident| $topics:ident, $item:expr, .$partitions:ident,
       |$one:ident| $index:expr => |$a:ident, $b:ident| $answers:ident, $same:expr, .$parts:ident
       $(, keys |$this:ident| $keys:expr)? $(, refuse $refuse:path)?
       $(, answered |$asker:ident| $answered:expr)?;)*) => {$(
        impl Items for m::$request {
            $(fn keys(&self) -> Vec<Item<'_>> {
                let $this = self;
                $keys
            })?

            fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
                let taken = take_parts(
                    &mut self.$topics,
                    |$topic| &mut $topic.$partitions,
                    |$topic, $one| choose($item.partition($index)),
                )?;
                let mut other = self.clone();
                other.$topics = taken;
                Some(other)
            }

            fn join(response: &mut Self::Response, other: Self::Response) {
                join_parts(
                    &mut response.$answers,
                    other.$answers,
                    |$a, $b| $same,
                    |topic| &mut topic.$parts,
                );
            }

            $(fn refuse_items(&self, version: i16, code: ErrorCode) -> Option<Self::Response> {
                $refuse(self, version, code)
            })?

            $(fn is_answered(&self) -> bool {
                let $asker = self;
                $answered
            })?
        }
    )*};
}

impl<'a> Item<'a> {
    /// A topic named by name.
    fn name(name: &'a str) -> Self {
        Self::Topic { name, id: Uuid::nil(), partition: None }
    }

    /// A topic named by name or by id.
    const fn topic(name: &'a str, id: Uuid) -> Self {
        Self::Topic { name, id, partition: None }
    }

    /// The partition of a topic.
    const fn partition(self, index: i32) -> Self {
        match self {
            Self::Topic { name, id, .. } => Self::Topic { name, id, partition: Some(index) },
            other => other,
        }
    }

    /// A transactional id, if there is one.
    fn transaction(id: Option<&'a m::TransactionalId>) -> Vec<Self> {
        id.map(|id| Self::Transaction(id.as_str())).into_iter().collect()
    }
}

whole! {
    ApiVersionsRequest;
    JoinGroupRequest, |this| vec![Item::Group(&this.group_id)];
    HeartbeatRequest, |this| vec![Item::Group(&this.group_id)];
    SyncGroupRequest, |this| vec![Item::Group(&this.group_id)];
    ListGroupsRequest;
    InitProducerIdRequest, |this| Item::transaction(this.transactional_id.as_ref());
    AddOffsetsToTxnRequest, |this| vec![
        Item::Transaction(&this.transactional_id),
        Item::Group(&this.group_id),
    ];
    EndTxnRequest, |this| vec![Item::Transaction(&this.transactional_id)];
    WriteTxnMarkersRequest;
    ListTransactionsRequest;
    DescribeClusterRequest;
    ListConfigResourcesRequest;
    ListPartitionReassignmentsRequest;
    DescribeLogDirsRequest;
    AlterReplicaLogDirsRequest;
    DescribeAclsRequest;
    CreateAclsRequest;
    DeleteAclsRequest;
    DescribeClientQuotasRequest;
    AlterClientQuotasRequest;
    DescribeUserScramCredentialsRequest;
    AlterUserScramCredentialsRequest;
    DescribeQuorumRequest;
    UpdateFeaturesRequest;
    UnregisterBrokerRequest;
    AddRaftVoterRequest;
    RemoveRaftVoterRequest;
    CreateDelegationTokenRequest;
    RenewDelegationTokenRequest;
    ExpireDelegationTokenRequest;
    DescribeDelegationTokenRequest;
}

listed! {
    CreateTopicsRequest: topics, |one| Item::name(&one.name) => topics;
    CreatePartitionsRequest: topics, |one| Item::name(&one.name) => results;
    DescribeTopicPartitionsRequest: topics, |one| Item::name(&one.name) => topics;
    DescribeGroupsRequest: groups, |one| Item::Group(one.as_str()) => groups;
    ConsumerGroupDescribeRequest: group_ids, |one| Item::Group(one.as_str()) => groups;
    DeleteGroupsRequest: groups_names, |one| Item::Group(one.as_str()) => results;
    DescribeTransactionsRequest: transactional_ids, |one| Item::Transaction(one.as_str())
        => transaction_states;
    DescribeConfigsRequest: resources,
        |one| Item::Resource(one.resource_type, &one.resource_name) => results;
    AlterConfigsRequest: resources,
        |one| Item::Resource(one.resource_type, &one.resource_name) => responses;
    IncrementalAlterConfigsRequest: resources,
        |one| Item::Resource(one.resource_type, &one.resource_name) => responses;
    LeaveGroupRequest: members, |one| Item::Member(&one.member_id) => members,
        keys |this| vec![Item::Group(&this.group_id)],
        refuse super::leave_group::refuse_members;
}

partitioned! {
    ProduceRequest: |topic| topic_data, Item::topic(&topic.name, topic.topic_id), .partition_data,
        |one| one.index
        => |a, b| responses, a.name == b.name && a.topic_id == b.topic_id, .partition_responses,
        keys |this| Item::transaction(this.transactional_id.as_ref()),
        answered |this| this.acks != 0;
    FetchRequest: |topic| topics, Item::topic(&topic.topic, topic.topic_id), .partitions,
        |one| one.partition
        => |a, b| responses, a.topic == b.topic && a.topic_id == b.topic_id, .partitions;
    ListOffsetsRequest: |topic| topics, Item::name(&topic.name), .partitions,
        |one| one.partition_index => |a, b| topics, a.name == b.name, .partitions;
    OffsetCommitRequest: |topic| topics, Item::topic(&topic.name, topic.topic_id), .partitions,
        |one| one.partition_index
        => |a, b| topics, a.name == b.name && a.topic_id == b.topic_id, .partitions,
        keys |this| vec![Item::Group(&this.group_id)];
    TxnOffsetCommitRequest: |topic| topics, Item::topic(&topic.name, topic.topic_id), .partitions,
        |one| one.partition_index
        => |a, b| topics, a.name == b.name && a.topic_id == b.topic_id, .partitions,
        keys |this| vec![Item::Transaction(&this.transactional_id), Item::Group(&this.group_id)];
    DeleteRecordsRequest: |topic| topics, Item::name(&topic.name), .partitions,
        |one| one.partition_index => |a, b| topics, a.name == b.name, .partitions;
    OffsetForLeaderEpochRequest: |topic| topics, Item::name(&topic.topic), .partitions,
        |one| one.partition => |a, b| topics, a.topic == b.topic, .partitions;
    OffsetDeleteRequest: |topic| topics, Item::name(&topic.name), .partitions,
        |one| one.partition_index => |a, b| topics, a.name == b.name, .partitions,
        keys |this| vec![Item::Group(&this.group_id)],
        refuse super::offset_delete::refuse_partitions;
    DescribeProducersRequest: |topic| topics, Item::name(&topic.name), .partition_indexes,
        |one| *one => |a, b| topics, a.name == b.name, .partitions;
    ElectLeadersRequest: |topic| topic_partitions, Item::name(&topic.topic), .partitions,
        |one| *one => |a, b| replica_election_results, a.topic == b.topic, .partition_result,
        refuse super::elect_leaders::refuse_partitions;
    AlterPartitionReassignmentsRequest: |topic| topics, Item::name(&topic.name), .partitions,
        |one| one.partition_index => |a, b| responses, a.name == b.name, .partitions,
        refuse super::alter_partition_reassignments::refuse_partitions;
}

impl Items for m::MetadataRequest {
    fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
        let taken = take(&mut self.topics, |one| {
            let name = one.name.as_ref().map_or("", |name| name.as_str());
            choose(Item::topic(name, one.topic_id))
        })?;
        let mut other = self.clone();
        other.topics = taken;
        Some(other)
    }

    fn join(response: &mut m::MetadataResponse, other: m::MetadataResponse) {
        response.topics.extend(other.topics);
    }

    fn refuse_items(&self, version: i16, code: ErrorCode) -> Option<m::MetadataResponse> {
        super::metadata::refuse_topics(self, version, code)
    }
}

impl Items for m::DeleteTopicsRequest {
    fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
        let topics = take(&mut self.topics, |one| {
            let name = one.name.as_ref().map_or("", |name| name.as_str());
            choose(Item::topic(name, one.topic_id))
        });
        let names = take(&mut self.topic_names, |name| choose(Item::name(name)));
        if topics.is_none() && names.is_none() {
            return None;
        }
        let mut other = self.clone();
        other.topics = topics.unwrap_or_default();
        other.topic_names = names.unwrap_or_default();
        Some(other)
    }

    fn join(response: &mut m::DeleteTopicsResponse, other: m::DeleteTopicsResponse) {
        response.responses.extend(other.responses);
    }
}

/// The key type of transactions in FindCoordinator.
const TRANSACTION_KEY: i8 = 1;

fn coordinator_key(key_type: i8, key: &str) -> Item<'_> {
    if key_type == TRANSACTION_KEY { Item::Transaction(key) } else { Item::Group(key) }
}

impl Items for m::FindCoordinatorRequest {
    fn keys(&self) -> Vec<Item<'_>> {
        let is_old = self.coordinator_keys.is_empty();
        is_old.then(|| coordinator_key(self.key_type, &self.key)).into_iter().collect()
    }

    fn split(&mut self, choose: &mut Choose<'_>) -> Option<Self> {
        let key_type = self.key_type;
        let keys = &mut self.coordinator_keys;
        let taken = take(keys, |key| choose(coordinator_key(key_type, key)))?;
        let mut other = self.clone();
        other.coordinator_keys = taken;
        Some(other)
    }

    fn join(response: &mut m::FindCoordinatorResponse, other: m::FindCoordinatorResponse) {
        response.coordinators.extend(other.coordinators);
    }
}
