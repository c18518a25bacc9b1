//! The range assignor: each topic's partitions in contiguous runs over its members.
//!
//! Gives what Java's `RangeAssignor` gives, with rack matching (KIP-881): members ordered by static name,
//! then by member id; the first members take one partition more where the division leaves a rest.

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::{BrokerId, MemberId, PartitionId, TopicName, TopicPartition};

use crate::group::{
    Assignment, ClusterView, GroupAssignment, GroupSubscription, Subscription, TopicView,
};

/// The name of the range assignor on the wire.
pub const RANGE: &str = "range";

/// Assigns every existing subscribed topic's partitions in ranges.
#[must_use]
pub fn assign_range(cluster: &ClusterView, group: &GroupSubscription) -> GroupAssignment {
    let members = ordered_members(group);
    let mut topics: Vec<TopicState<'_>> = cluster
        .topics
        .iter()
        .filter(|(_, view)| !view.partitions.is_empty())
        .map(|(name, view)| TopicState::new(name, view, &members, cluster))
        .filter(|topic| !topic.members.is_empty())
        .collect();
    let mut given: BTreeMap<MemberId, Vec<TopicPartition>> =
        group.members.keys().map(|id| (id.clone(), Vec::new())).collect();
    let rack_aware = topics.iter().any(|topic| topic.rack_aware);
    if rack_aware {
        assign_by_rack(&mut topics, &mut given);
    }
    for topic in &mut topics {
        assign_ranges(topic, &mut given, |_, _, _| true);
    }
    if rack_aware {
        given.values_mut().for_each(|list| list.sort());
    }
    let assignments = given.into_iter().map(|(id, partitions)| {
        let assignment = Assignment { partitions, user_data: None };
        (id, assignment)
    });
    GroupAssignment(assignments.collect())
}

/// A member and its subscription.
type Member<'a> = (&'a MemberId, &'a Subscription);

/// Static members by name first, then the others by member id (`MemberInfo.compareTo`).
fn ordered_members(group: &GroupSubscription) -> Vec<Member<'_>> {
    let mut members: Vec<Member<'_>> = group.members.iter().collect();
    members.sort_by_key(|(id, subscription)| {
        let instance = subscription.group_instance_id.as_ref();
        (instance.is_none(), instance, *id)
    });
    members
}

/// A topic while its partitions are being given out (`TopicAssignmentState`).
struct TopicState<'a> {
    name: &'a TopicName,
    members: Vec<Member<'a>>,
    unassigned: BTreeSet<PartitionId>,
    partition_count: usize,
    racks: BTreeMap<PartitionId, BTreeSet<&'a str>>,
    rack_aware: bool,
    taken: Vec<usize>,
    per_member: usize,
    with_extra: usize,
}

impl<'a> TopicState<'a> {
    fn new(
        name: &'a TopicName,
        view: &'a TopicView,
        members: &[Member<'a>],
        cluster: &'a ClusterView,
    ) -> Self {
        let members: Vec<Member<'a>> = members
            .iter()
            .filter(|(_, subscription)| subscription.topics.contains(name))
            .copied()
            .collect();
        let count = view.partitions.len();
        let share = members.len().max(1);
        let racks = partition_racks(view, &cluster.brokers_racks());
        Self {
            name,
            unassigned: view.partitions.iter().map(|p| p.partition).collect(),
            partition_count: count,
            rack_aware: wants_rack_matching(&members, &racks),
            racks,
            taken: vec![0; members.len()],
            per_member: count / share,
            with_extra: count % share,
            members,
        }
    }

    fn max_assignable(&self, member: usize) -> usize {
        let extra = usize::from(self.with_extra > 0);
        (self.per_member + extra).saturating_sub(self.taken[member])
    }

    fn rack_matches(&self, member: usize, partition: PartitionId) -> bool {
        let Some(rack) = self.members[member].1.rack.as_deref() else {
            return true;
        };
        self.racks.get(&partition).is_some_and(|racks| racks.contains(rack))
    }

    fn give(
        &mut self,
        member: usize,
        partitions: &[PartitionId],
        given: &mut BTreeMap<MemberId, Vec<TopicPartition>>,
    ) {
        let list = given.entry(self.members[member].0.clone()).or_default();
        for &partition in partitions {
            self.unassigned.remove(&partition);
            list.push(TopicPartition::new(self.name, partition));
        }
        self.taken[member] += partitions.len();
        if self.taken[member] > self.per_member {
            self.with_extra = self.with_extra.saturating_sub(1);
        }
    }
}

impl ClusterView {
    fn brokers_racks(&self) -> BTreeMap<BrokerId, &str> {
        self.brokers
            .iter()
            .filter_map(|(id, broker)| Some((*id, broker.rack.as_deref()?)))
            .collect()
    }
}

fn partition_racks<'a>(
    view: &TopicView,
    brokers: &BTreeMap<BrokerId, &'a str>,
) -> BTreeMap<PartitionId, BTreeSet<&'a str>> {
    view.partitions
        .iter()
        .map(|partition| {
            let racks = partition.replicas.iter().filter_map(|broker| brokers.get(broker).copied());
            (partition.partition, racks.collect())
        })
        .collect()
}

/// Matching racks is worth it if members name racks that hold replicas, and not every partition is in
/// every rack anyway (`AbstractPartitionAssignor.useRackAwareAssignment`).
fn wants_rack_matching(
    members: &[Member<'_>],
    racks: &BTreeMap<PartitionId, BTreeSet<&str>>,
) -> bool {
    let all: BTreeSet<&str> = racks.values().flatten().copied().collect();
    let named = members.iter().filter_map(|(_, s)| s.rack.as_deref());
    let overlap = named.into_iter().any(|rack| all.contains(rack));
    overlap && racks.values().any(|of_partition| *of_partition != all)
}

fn assign_ranges(
    topic: &mut TopicState<'_>,
    given: &mut BTreeMap<MemberId, Vec<TopicPartition>>,
    may: impl Fn(&TopicState<'_>, usize, PartitionId) -> bool,
) {
    for member in 0..topic.members.len() {
        if topic.unassigned.is_empty() {
            break;
        }
        let run: Vec<PartitionId> = topic
            .unassigned
            .iter()
            .copied()
            .filter(|&partition| may(topic, member, partition))
            .take(topic.max_assignable(member))
            .collect();
        if !run.is_empty() {
            topic.give(member, &run, given);
        }
    }
}

/// First round with racks: co-partitioned topics (same members, same count) partition by partition,
/// so that one member keeps the same number in each of them; single topics in matching ranges.
fn assign_by_rack(
    topics: &mut [TopicState<'_>],
    given: &mut BTreeMap<MemberId, Vec<TopicPartition>>,
) {
    let mut groups: BTreeMap<(Vec<MemberId>, usize), Vec<usize>> = BTreeMap::new();
    for (index, topic) in topics.iter().enumerate() {
        let members = topic.members.iter().map(|(id, _)| (*id).clone()).collect();
        let key = (members, topic.partition_count);
        groups.entry(key).or_default().push(index);
    }
    for ((members, partitions), indices) in groups {
        if let [only] = indices[..] {
            if topics[only].rack_aware {
                assign_ranges(&mut topics[only], given, |topic, member, partition| {
                    topic.rack_matches(member, partition)
                });
            }
        } else {
            assign_co_partitioned(topics, &indices, members.len(), partitions, given);
        }
    }
}

fn assign_co_partitioned(
    topics: &mut [TopicState<'_>],
    indices: &[usize],
    members: usize,
    partitions: usize,
    given: &mut BTreeMap<MemberId, Vec<TopicPartition>>,
) {
    let mut remaining: Vec<usize> = (0..members).collect();
    for number in 0..partitions {
        let partition = PartitionId(i32::try_from(number).unwrap_or(i32::MAX));
        let found = remaining.iter().position(|&member| {
            indices.iter().all(|&index| {
                let topic = &topics[index];
                topic.rack_matches(member, partition) && topic.max_assignable(member) > 0
            })
        });
        let Some(slot) = found else { continue };
        let member = remaining[slot];
        for &index in indices {
            topics[index].give(member, &[partition], given);
        }
        if indices.iter().all(|&index| topics[index].max_assignable(member) == 0) {
            remaining.remove(slot);
        }
    }
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
