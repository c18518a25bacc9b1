//! What is shown of topics.

use std::process::ExitCode;

use millstream_client::Admin;
use millstream_client::admin::{ConfigResource, ConfigSource, OffsetSpec};
use millstream_types::{BrokerId, Offset, TopicName, TopicPartition};
use serde_json::{Map, Value, json};

use super::ids;
use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;

/// The names of all topics.
pub(super) async fn list(
    target: &Target,
    admin: &Admin,
    internal: bool,
) -> Result<ExitCode, Failure> {
    let topics = admin.list_topics().await?;
    let shown = topics.values().filter(|topic| internal || !topic.is_internal);
    target.show(&shown.map(|topic| json!(topic.name.as_str())).collect());
    Ok(ExitCode::SUCCESS)
}

/// Partitions, and the settings that are the topic's own.
pub(super) async fn describe(
    target: &Target,
    admin: &Admin,
    topics: impl Iterator<Item = TopicName>,
) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_topics(topics).await)?;
    let resources = described.succeeded.keys().cloned().map(ConfigResource::Topic);
    let mut configs = admin.describe_configs(resources).await?;
    let mut objects = Map::new();
    for (name, topic) in &described.succeeded {
        let configs = configs.remove(&ConfigResource::Topic(name.clone())).unwrap_or_default();
        let own = configs.into_iter().filter(|(_, entry)| entry.source == ConfigSource::Topic);
        let settings: Map<_, _> = own.map(|(name, entry)| (name, json!(entry.value))).collect();
        let partitions = topic.partitions.values().map(|partition| {
            json!({
                "partition": partition.id.value(),
                "leader": partition.leader.map(BrokerId::value),
                "replicas": ids(&partition.replicas),
                "inSync": ids(&partition.in_sync),
            })
        });
        let object = json!({
            "id": topic.id.to_string(),
            "configs": settings,
            "partitions": partitions.collect::<Value>(),
        });
        objects.insert(name.to_string(), object);
    }
    target.show(&Value::Object(objects));
    Ok(described.code)
}

/// The first and the last offset of each partition.
pub(super) async fn offsets(
    target: &Target,
    admin: &Admin,
    topics: impl Iterator<Item = TopicName>,
) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_topics(topics).await)?;
    let partitions: Vec<_> = described
        .succeeded
        .values()
        .flat_map(|topic| {
            topic.partitions.keys().map(|id| TopicPartition::new(topic.name.clone(), *id))
        })
        .collect();
    let at = |spec: OffsetSpec| partitions.iter().map(move |p| (p.clone(), spec));
    let first = admin.list_offsets(at(OffsetSpec::Earliest)).await?;
    let last = admin.list_offsets(at(OffsetSpec::Latest)).await?;
    let number = |offset: Option<Offset>| offset.map(Offset::value);
    let rows = partitions.iter().map(|partition| {
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "first": first.get(partition).and_then(|listed| number(listed.offset)),
            "end": last.get(partition).and_then(|listed| number(listed.offset)),
        })
    });
    target.show(&rows.collect());
    Ok(described.code)
}
