//! `millstream groups describe`: each group in the words of its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::process::ExitCode;

use millstream_client::Admin;
use millstream_client::admin::{
    BatchResult, ClassicGroup, ConsumerGroup, GroupFilter, GroupType, ShareGroup, StreamsGroup,
    StreamsTasks,
};
use millstream_types::{BrokerId, GroupId, TopicName, TopicPartition};
use serde_json::{Map, Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;

/// Describes groups.
pub(super) async fn run(
    target: &Target,
    admin: &Admin,
    groups: &[String],
) -> Result<ExitCode, Failure> {
    let groups: Vec<_> = groups.iter().map(|group| GroupId::from(group.as_str())).collect();
    let listed = admin.list_groups(GroupFilter::all()).await?;
    let kind = |group: &GroupId| listed.get(group).and_then(|listing| listing.group_type.clone());
    let of = |wanted: &dyn Fn(Option<GroupType>) -> bool| -> Vec<GroupId> {
        groups.iter().filter(|group| wanted(kind(group))).cloned().collect()
    };
    let is_consumers = |group: &GroupId| {
        listed.get(group).is_none_or(|group| ["consumer", ""].contains(&group.protocol.as_str()))
    };
    let mut shown = Shown::default();
    let classic = of(&|kind| matches!(kind, None | Some(GroupType::Classic | GroupType::Consumer)));
    let (consumers, others): (Vec<_>, Vec<_>) = classic.into_iter().partition(is_consumers);
    shown.add(consumers.is_empty(), admin.describe_consumer_groups(consumers).await, consumer)?;
    shown.add(others.is_empty(), admin.describe_classic_groups(others).await, classic_group)?;
    let share = of(&|kind| kind == Some(GroupType::Share));
    shown.add(share.is_empty(), admin.describe_share_groups(share).await, share_group)?;
    let streams = of(&|kind| kind == Some(GroupType::Streams));
    shown.add(streams.is_empty(), admin.describe_streams_groups(streams).await, streams_group)?;
    target.show(&Value::Object(shown.groups));
    Ok(shown.code)
}

/// What is to be shown so far.
struct Shown {
    groups: Map<String, Value>,
    code: ExitCode,
}

impl Default for Shown {
    fn default() -> Self {
        Self { groups: Map::new(), code: ExitCode::SUCCESS }
    }
}

impl Shown {
    fn add<T: Debug>(
        &mut self,
        is_empty: bool,
        described: BatchResult<GroupId, T>,
        face: fn(&T) -> Value,
    ) -> Result<(), Failure> {
        if is_empty {
            return Ok(());
        }
        let described = outcome::sort(described)?;
        if described.code != ExitCode::SUCCESS {
            self.code = described.code;
        }
        let groups = described.succeeded.iter();
        self.groups.extend(groups.map(|(id, group)| (id.to_string(), face(group))));
        Ok(())
    }
}

fn consumer(group: &ConsumerGroup) -> Value {
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id.as_str(),
            "instance": member.instance_id.as_ref().map(|id| id.as_str()),
            "client": member.client_id,
            "host": member.host,
            "epoch": member.epoch,
            "assignment": partitions(&member.assignment),
        })
    });
    json!({
        "type": group.group_type.to_string(),
        "state": group.state.to_string(),
        "assignor": group.assignor,
        "epoch": group.epoch,
        "coordinator": group.coordinator.map(BrokerId::value),
        "members": members.collect::<Value>(),
    })
}

fn classic_group(group: &ClassicGroup) -> Value {
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id.as_str(),
            "instance": member.instance_id.as_ref().map(|id| id.as_str()),
            "client": member.client_id,
            "host": member.host,
            "assignment": partitions(&member.assignment),
        })
    });
    json!({
        "type": "Classic",
        "state": group.state.to_string(),
        "protocol": group.protocol,
        "assignor": group.protocol_data,
        "coordinator": group.coordinator.map(BrokerId::value),
        "members": members.collect::<Value>(),
    })
}

fn share_group(group: &ShareGroup) -> Value {
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id.as_str(),
            "client": member.client_id,
            "host": member.host,
            "epoch": member.epoch,
            "assignment": partitions(&member.assignment),
        })
    });
    json!({
        "type": "Share",
        "state": group.state.to_string(),
        "assignor": group.assignor,
        "epoch": group.epoch,
        "coordinator": group.coordinator.map(BrokerId::value),
        "members": members.collect::<Value>(),
    })
}

fn streams_group(group: &StreamsGroup) -> Value {
    let subtopologies = group.subtopologies.iter().map(|(id, part)| {
        json!({
            "subtopology": id,
            "sources": names(&part.source_topics),
            "repartitionSinks": names(&part.repartition_sink_topics),
            "changelogs": part.state_changelog_topics.iter().map(|t| json!(t.name.as_str())).collect::<Value>(),
        })
    });
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id.as_str(),
            "client": member.client_id,
            "host": member.host,
            "epoch": member.epoch,
            "process": member.process_id,
            "active": tasks(&member.assignment, |tasks| &tasks.active),
            "standby": tasks(&member.assignment, |tasks| &tasks.standby),
            "warmup": tasks(&member.assignment, |tasks| &tasks.warmup),
        })
    });
    json!({
        "type": "Streams",
        "state": group.state.to_string(),
        "epoch": group.epoch,
        "coordinator": group.coordinator.map(BrokerId::value),
        "subtopologies": subtopologies.collect::<Value>(),
        "members": members.collect::<Value>(),
    })
}

fn partitions(partitions: &BTreeSet<TopicPartition>) -> Value {
    partitions.iter().map(|p| json!(format!("{}:{}", p.topic, p.partition))).collect()
}

fn names(topics: &[TopicName]) -> Value {
    topics.iter().map(|topic| json!(topic.as_str())).collect()
}

/// Tasks as Kafka Streams names them: `0_3`.
fn tasks(assigned: &StreamsTasks, of: fn(&StreamsTasks) -> &BTreeMap<String, Vec<i32>>) -> Value {
    let ids = of(assigned).iter().flat_map(|(subtopology, partitions)| {
        partitions.iter().map(move |partition| json!(format!("{subtopology}_{partition}")))
    });
    ids.collect()
}
