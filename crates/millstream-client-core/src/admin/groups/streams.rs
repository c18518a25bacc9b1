//! Describing streams groups (KIP-1071), at their coordinators.

use std::collections::BTreeMap;

use millstream_protocol::messages as m;
use millstream_protocol::messages::streams_group_describe_response::{
    Assignment, DescribedGroup, Member, Subtopology, TaskIds, TopicInfo,
};
use millstream_types::{BrokerId, GroupId, GroupInstanceId, MemberId, TopicName};

use super::super::acls::AclOperations;
use super::super::command::AdminCall;
use super::super::operation::{Refusal, Results};
use super::super::wire::optional;
use super::GroupState;
use super::describe::by_coordinator::{All, Described, describe};
use crate::config::Endpoint;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A streams group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsGroup {
    /// Its name.
    pub id: GroupId,
    /// Its state.
    pub state: GroupState,
    /// Its epoch, raised by each change of members, topics or topology.
    pub epoch: i32,
    /// The epoch of the assignment that members are to take.
    pub target_epoch: i32,
    /// The epoch of its topology, once a member told it.
    pub topology_epoch: Option<i32>,
    /// Its topology, by sub-topology; empty until a member told it.
    pub subtopologies: BTreeMap<String, StreamsSubtopology>,
    /// Its members.
    pub members: Vec<StreamsMember>,
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
    /// What the caller may do to it, if that was asked for.
    pub authorized_operations: Option<AclOperations>,
}

/// A part of a topology whose tasks belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsSubtopology {
    /// The topics it reads.
    pub source_topics: Vec<TopicName>,
    /// The repartition topics it writes.
    pub repartition_sink_topics: Vec<TopicName>,
    /// The changelogs of its stores.
    pub state_changelog_topics: Vec<StreamsTopicInfo>,
    /// The repartition topics it reads.
    pub repartition_source_topics: Vec<StreamsTopicInfo>,
}

/// An internal topic of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsTopicInfo {
    /// Its name.
    pub name: TopicName,
    /// How many partitions it shall have; 0: as many as its sources.
    pub partitions: i32,
    /// How many replicas each; 0: the broker's default.
    pub replication: i16,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
}

/// A member of a streams group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsMember {
    /// Its id.
    pub id: MemberId,
    /// Its name, if it is static.
    pub instance_id: Option<GroupInstanceId>,
    /// Where it runs, if it says so.
    pub rack: Option<String>,
    /// The client's `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of the topology it runs.
    pub topology_epoch: i32,
    /// Names its process: members of one process share its state folder.
    pub process_id: String,
    /// Where it answers queries, if it does.
    pub user_endpoint: Option<Endpoint>,
    /// What it says of itself.
    pub client_tags: BTreeMap<String, String>,
    /// The tasks it has.
    pub assignment: StreamsTasks,
    /// The tasks it is to have.
    pub target_assignment: StreamsTasks,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
}

/// Tasks of a member: the partitions by sub-topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsTasks {
    /// Those it processes.
    pub active: BTreeMap<String, Vec<i32>>,
    /// Those whose state it keeps ready.
    pub standby: BTreeMap<String, Vec<i32>>,
    /// Those whose state it brings up to process them.
    pub warmup: BTreeMap<String, Vec<i32>>,
}

/// Describes streams groups.
pub fn describe_streams_groups(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, StreamsGroup>> {
    describe(groups, authorized_operations)
}

impl Described for StreamsGroup {
    fn request(groups: Vec<m::GroupId>, authorized_operations: bool) -> RequestBody {
        m::StreamsGroupDescribeRequest::default()
            .with_group_ids(groups)
            .with_include_authorized_operations(authorized_operations)
            .into()
    }

    fn read(response: Response) -> Result<All<Self>, WrongResponse> {
        let from = response.from;
        let answer = m::StreamsGroupDescribeResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let check = Refusal::check(group.error_code, group.error_message.as_deref());
            let id = GroupId::from(group.group_id.0.as_str());
            (id, check.map(|()| read(group, from)))
        });
        Ok(said.collect())
    }
}

fn read(group: &DescribedGroup, coordinator: Option<BrokerId>) -> StreamsGroup {
    let topology = group.topology.as_ref();
    let parts = topology.and_then(|topology| topology.subtopologies.as_ref()).into_iter().flatten();
    StreamsGroup {
        id: GroupId::from(group.group_id.0.as_str()),
        state: GroupState::read(&group.group_state),
        epoch: group.group_epoch,
        target_epoch: group.assignment_epoch,
        topology_epoch: topology.map(|topology| topology.epoch),
        subtopologies: parts
            .map(|part| (part.subtopology_id.to_string(), read_part(part)))
            .collect(),
        members: group.members.iter().map(read_member).collect(),
        coordinator,
        authorized_operations: AclOperations::read(group.authorized_operations),
    }
}

fn read_part(part: &Subtopology) -> StreamsSubtopology {
    let names = |topics: &[m::TopicName]| {
        topics.iter().map(|topic| TopicName::from(topic.0.as_str())).collect()
    };
    StreamsSubtopology {
        source_topics: names(&part.source_topics),
        repartition_sink_topics: names(&part.repartition_sink_topics),
        state_changelog_topics: part.state_changelog_topics.iter().map(read_topic).collect(),
        repartition_source_topics: part.repartition_source_topics.iter().map(read_topic).collect(),
    }
}

fn read_topic(topic: &TopicInfo) -> StreamsTopicInfo {
    let configs = topic.topic_configs.iter();
    StreamsTopicInfo {
        name: TopicName::from(topic.name.0.as_str()),
        partitions: topic.partitions,
        replication: topic.replication_factor,
        configs: configs.map(|pair| (pair.key.to_string(), pair.value.to_string())).collect(),
    }
}

fn read_member(member: &Member) -> StreamsMember {
    let tags = member.client_tags.iter();
    StreamsMember {
        id: MemberId::from(member.member_id.as_str()),
        instance_id: member.instance_id.as_ref().map(|name| name.as_str().into()),
        rack: optional(member.rack_id.as_ref()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: member.member_epoch,
        topology_epoch: member.topology_epoch,
        process_id: member.process_id.to_string(),
        user_endpoint: member
            .user_endpoint
            .as_ref()
            .map(|endpoint| Endpoint { host: endpoint.host.to_string(), port: endpoint.port }),
        client_tags: tags.map(|tag| (tag.key.to_string(), tag.value.to_string())).collect(),
        assignment: read_tasks(&member.assignment),
        target_assignment: read_tasks(&member.target_assignment),
        is_classic: member.is_classic,
    }
}

fn read_tasks(assignment: &Assignment) -> StreamsTasks {
    let tasks = |tasks: &[TaskIds]| {
        let part = |task: &TaskIds| (task.subtopology_id.to_string(), task.partitions.clone());
        tasks.iter().map(part).collect()
    };
    StreamsTasks {
        active: tasks(&assignment.active_tasks),
        standby: tasks(&assignment.standby_tasks),
        warmup: tasks(&assignment.warmup_tasks),
    }
}
