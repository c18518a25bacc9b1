//! The assignor that streams members name `stream`: it reports this member's state, and on the
//! group's leader it makes internal topics ready and places the tasks
//! (`StreamsPartitionAssignor.java`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use millstream_client::consumer::BoxFuture;
use millstream_client::{
    Assignment, AssignorError, ClusterView, GroupAssignment, GroupAssignor, GroupSubscription,
    RebalanceProtocol, Subscription,
};
use millstream_core::{Subtopology, TaskId, partition_counts};
use millstream_types::{MemberId, PartitionId, TopicName, TopicPartition};
use uuid::Uuid;

use super::assignment_info::{AssignmentErrorCode, NO_REBALANCE, REBALANCE_NOW};
use super::placement::{Candidate, TaskSet, place};
use super::subscription_info::SubscriptionInfo;
use super::{AssignmentInfo, LATEST_VERSION};
use crate::internal_topics::{InternalTopic, InternalTopics};
use crate::sync::lock;

/// Java's `SHUTDOWN_REQUESTED` in a subscription.
const SHUTDOWN_CODE: i32 = 4;

/// What the members of one instance report: which tasks run here, and what lies on disk.
#[derive(Debug, Default)]
pub(crate) struct TaskReport {
    running: Mutex<BTreeMap<TaskId, usize>>,
    on_disk: Mutex<BTreeMap<TaskId, i64>>,
    shutdown_requested: AtomicBool,
}

impl TaskReport {
    /// A thread runs these stateful tasks from now on, and no others.
    pub(crate) fn set_running(&self, thread: usize, tasks: impl IntoIterator<Item = TaskId>) {
        let mut running = lock(&self.running);
        running.retain(|_, owner| *owner != thread);
        running.extend(tasks.into_iter().map(|task| (task, thread)));
    }

    /// State of a task lies on disk, up to this sum of changelog offsets.
    pub(crate) fn set_on_disk(&self, task: TaskId, offset_sum: i64) {
        lock(&self.on_disk).insert(task, offset_sum);
    }

    /// The application is to close, on every instance (`SHUTDOWN_APPLICATION`).
    pub(crate) fn request_shutdown(&self) {
        self.shutdown_requested.store(true, Ordering::Relaxed);
    }

    /// What the member of `thread` says: its own tasks run; of the rest, what no thread runs.
    fn offset_sums(&self, thread: usize) -> BTreeMap<TaskId, i64> {
        let running = lock(&self.running);
        let mut sums: BTreeMap<_, _> = lock(&self.on_disk)
            .iter()
            .filter(|(task, _)| !running.contains_key(task))
            .map(|(task, sum)| (*task, *sum))
            .collect();
        let own = running.iter().filter(|(_, owner)| **owner == thread);
        sums.extend(own.map(|(task, _)| (*task, super::subscription_info::ACTIVE_OFFSET_SUM)));
        sums
    }
}

/// The assignor of one member.
pub(crate) struct StreamsAssignor {
    pub(crate) subtopologies: Arc<Vec<Subtopology>>,
    pub(crate) process_id: Uuid,
    pub(crate) thread: usize,
    pub(crate) report: Arc<TaskReport>,
    pub(crate) internal_topics: InternalTopics,
    pub(crate) joins: AtomicU8,
}

impl fmt::Debug for StreamsAssignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsAssignor").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl GroupAssignor for StreamsAssignor {
    fn name(&self) -> &str {
        "stream"
    }

    fn supported_protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative]
    }

    fn subscription_user_data(&self, _topics: &[TopicName]) -> Option<Bytes> {
        let sums = self.report.offset_sums(self.thread);
        let mut info = SubscriptionInfo::new(self.process_id, sums);
        info.unique_field = self.joins.fetch_add(1, Ordering::Relaxed);
        if self.report.shutdown_requested.load(Ordering::Relaxed) {
            info.error_code = SHUTDOWN_CODE;
        }
        Some(info.encode().into())
    }

    fn assign<'a>(
        &'a self,
        cluster: ClusterView,
        group: GroupSubscription,
    ) -> BoxFuture<'a, Result<GroupAssignment, AssignorError>> {
        Box::pin(async move { self.assign_group(&cluster, group.members).await })
    }
}

/// A member's subscription with what its user data says.
struct Member {
    info: SubscriptionInfo,
    owned: BTreeSet<TopicPartition>,
}

impl StreamsAssignor {
    async fn assign_group(
        &self,
        cluster: &ClusterView,
        members: BTreeMap<MemberId, Subscription>,
    ) -> Result<GroupAssignment, AssignorError> {
        let members = decode_members(members).map_err(|error| self.failure(&error))?;
        if members.values().any(|member| member.info.error_code == SHUTDOWN_CODE) {
            return Ok(all_failed(&members, AssignmentErrorCode::ShutdownRequested));
        }
        let unseen = self.missing_sources(|topic| partitions_of(cluster, topic));
        let found = match &unseen[..] {
            [] => BTreeMap::new(),
            // The consumer's view may be older than the topic.
            unseen => self.internal_topics.find(unseen).await,
        };
        let source_partitions =
            |topic: &TopicName| partitions_of(cluster, topic).or_else(|| found.get(topic).copied());
        if let Some(missing) = self.missing_sources(source_partitions).first() {
            tracing::error!(topic = %missing, "a source topic does not exist");
            return Ok(all_failed(&members, AssignmentErrorCode::IncompleteSourceTopicMetadata));
        }
        let counts = partition_counts(&self.subtopologies, source_partitions)
            .map_err(|error| self.failure(&error))?;
        let wanted = internal_topics(&self.subtopologies, &counts.topics);
        if let Err(error) = self.internal_topics.ensure(&wanted).await {
            tracing::error!(%error, "internal topics cannot be made ready");
            return Ok(all_failed(&members, AssignmentErrorCode::AssignmentError));
        }
        let known = |topic: &TopicName| {
            counts.topics.get(topic).copied().or_else(|| source_partitions(topic))
        };
        let tasks = tasks(&self.subtopologies, &counts.tasks, known);
        Ok(assign_tasks(&tasks, &members))
    }

    fn failure(&self, error: &dyn std::error::Error) -> AssignorError {
        AssignorError { assignor: self.name().to_owned(), reason: error.to_string() }
    }

    fn missing_sources(&self, partitions: impl Fn(&TopicName) -> Option<i32>) -> Vec<TopicName> {
        let sources = self.subtopologies.iter().flat_map(|subtopology| &subtopology.sources);
        let missing = sources.filter(|source| partitions(&source.name).is_none());
        missing.map(|source| source.name.clone()).collect()
    }
}

fn decode_members(
    members: BTreeMap<MemberId, Subscription>,
) -> Result<BTreeMap<MemberId, Member>, super::AssignmentDataError> {
    members
        .into_iter()
        .map(|(id, subscription)| {
            let info = SubscriptionInfo::decode(&subscription.user_data.unwrap_or_default())?;
            Ok((id, Member { info, owned: subscription.owned_partitions.into_iter().collect() }))
        })
        .collect()
}

fn all_failed(
    members: &BTreeMap<MemberId, Member>,
    error_code: AssignmentErrorCode,
) -> GroupAssignment {
    let assign = |id: &MemberId| {
        let info = AssignmentInfo::failed(error_code);
        let user_data = Some(info.encode().into());
        (id.clone(), Assignment { partitions: Vec::new(), user_data })
    };
    GroupAssignment(members.keys().map(assign).collect())
}

fn partitions_of(cluster: &ClusterView, topic: &TopicName) -> Option<i32> {
    let count = cluster.topics.get(topic)?.partitions.len();
    i32::try_from(count).ok().filter(|count| *count > 0)
}

/// The repartition and changelog topics with the partitions that they need.
fn internal_topics(
    subtopologies: &[Subtopology],
    counts: &BTreeMap<TopicName, i32>,
) -> Vec<InternalTopic> {
    let mut topics = Vec::new();
    for subtopology in subtopologies {
        let repartition = subtopology.repartition_sources.iter().map(|t| (&t.name, &t.configs));
        let changelogs = subtopology.changelogs.iter().map(|t| (&t.name, &t.configs));
        for (name, configs) in repartition.chain(changelogs) {
            if let Some(partitions) = counts.get(name) {
                let configs = configs.clone();
                topics.push(InternalTopic { name: name.clone(), partitions: *partitions, configs });
            }
        }
    }
    topics
}

/// Every task: the partitions that it reads, and whether it keeps state.
struct Tasks {
    partitions: BTreeMap<TaskId, BTreeSet<TopicPartition>>,
    kinds: TaskSet,
}

fn tasks(
    subtopologies: &[Subtopology],
    counts: &BTreeMap<millstream_core::SubtopologyId, i32>,
    partitions_of: impl Fn(&TopicName) -> Option<i32>,
) -> Tasks {
    let mut tasks = Tasks { partitions: BTreeMap::new(), kinds: TaskSet::default() };
    for subtopology in subtopologies {
        let count = counts.get(&subtopology.id).copied().unwrap_or_default();
        for number in 0..count {
            let task = TaskId { subtopology: subtopology.id, partition: PartitionId(number) };
            let inputs = subtopology.input_topics().into_iter();
            let partitions = inputs
                .filter(|topic| partitions_of(topic).is_some_and(|partitions| number < partitions))
                .map(|topic| TopicPartition::new(topic, number))
                .collect();
            tasks.partitions.insert(task, partitions);
            let stateful = !subtopology.stores.is_empty();
            let kind =
                if stateful { &mut tasks.kinds.stateful } else { &mut tasks.kinds.stateless };
            kind.insert(task);
        }
    }
    tasks
}

/// Places the tasks; one whose partitions another member still owns waits for the next round
/// (KIP-429: partitions are given up before they are given away).
fn assign_tasks(tasks: &Tasks, members: &BTreeMap<MemberId, Member>) -> GroupAssignment {
    let (future, usable): (BTreeMap<_, _>, BTreeMap<_, _>) =
        members.iter().partition(|(_, member)| member.info.version > LATEST_VERSION);
    let candidates =
        usable.iter().map(|(id, member)| ((*id).clone(), candidate(tasks, member))).collect();
    let owner_of = |partition: &TopicPartition| {
        members.iter().find(|(_, member)| member.owned.contains(partition)).map(|(id, _)| id)
    };
    let version = usable.values().map(|member| member.info.version).min();
    let common = members.values().map(|member| member.info.latest_supported).min();
    let mut assignment = BTreeMap::new();
    for (id, placed) in place(&tasks.kinds, &candidates) {
        let mut given = Vec::new();
        let mut next_rebalance_ms = NO_REBALANCE;
        for task in placed {
            let partitions = &tasks.partitions[&task];
            if partitions.iter().any(|p| owner_of(p).is_some_and(|owner| *owner != id)) {
                next_rebalance_ms = REBALANCE_NOW;
                continue;
            }
            given.extend(partitions.iter().map(|partition| (partition.clone(), task)));
        }
        given.sort();
        let (partitions, active_tasks): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        let mut info = AssignmentInfo::of(active_tasks, next_rebalance_ms);
        info.version = version.unwrap_or(LATEST_VERSION);
        info.commonly_supported = common.unwrap_or(LATEST_VERSION).min(LATEST_VERSION);
        let user_data = Some(info.encode().into());
        assignment.insert(id, Assignment { partitions, user_data });
    }
    for id in future.into_keys() {
        let info = AssignmentInfo::failed(AssignmentErrorCode::VersionProbing);
        let user_data = Some(info.encode().into());
        assignment.insert(id.clone(), Assignment { partitions: Vec::new(), user_data });
    }
    GroupAssignment(assignment)
}

fn candidate(tasks: &Tasks, member: &Member) -> Candidate {
    let runs = |partitions: &BTreeSet<TopicPartition>| {
        !partitions.is_empty() && partitions.is_subset(&member.owned)
    };
    let running = tasks.partitions.iter().filter(|(_, partitions)| runs(partitions));
    Candidate {
        process_id: member.info.process_id,
        running: running.map(|(task, _)| *task).collect(),
        state: member.info.task_offset_sums.clone(),
    }
}

#[cfg(test)]
#[path = "assignor_tests.rs"]
mod tests;
