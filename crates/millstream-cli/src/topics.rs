//! `millstream topics`: topics, their partitions and their records.

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::ConfigSource;
use millstream_client::{Admin, ConfigResource, NewTopic, OffsetSpec};
use millstream_types::{BrokerId, Offset, TopicName, TopicPartition};
use serde_json::{Map, Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Lists, creates, changes, describes and deletes topics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream topics create orders --partitions 4 -b localhost:9092")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the topics.
    #[command(after_help = "Example: millstream topics list --json")]
    List {
        /// Also those that Kafka keeps for itself.
        #[arg(long)]
        internal: bool,
    },
    /// Creates topics.
    #[command(
        after_help = "Example: millstream topics create orders --partitions 4 --config cleanup.policy=compact"
    )]
    Create {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
        /// How many partitions each has. Default: the broker's.
        #[arg(long)]
        partitions: Option<i32>,
        /// How many replicas each partition has. Default: the broker's.
        #[arg(long)]
        replication: Option<i16>,
        /// A setting of the topics.
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
        config: Vec<(String, String)>,
    },
    /// Shows the partitions and the settings of topics.
    #[command(after_help = "Example: millstream topics describe orders")]
    Describe {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
    },
    /// Deletes topics with all their records.
    #[command(after_help = "Example: millstream topics delete orders payments")]
    Delete {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
    },
    /// Raises the number of partitions of topics.
    #[command(after_help = "Example: millstream topics add-partitions orders --to 12")]
    AddPartitions {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
        /// How many partitions each has afterwards.
        #[arg(long, value_name = "N")]
        to: i32,
    },
    /// Shows the first and the last offset of each partition.
    #[command(after_help = "Example: millstream topics offsets orders")]
    Offsets {
        /// The topics.
        #[arg(required = true)]
        topics: Vec<String>,
    },
    /// Deletes the records before an offset; `end` means all there are.
    #[command(after_help = "Example: millstream topics delete-records orders:0=1000 orders:1=end")]
    DeleteRecords {
        /// Before which offset of which partition.
        #[arg(required = true, value_name = "TOPIC:PARTITION=OFFSET", value_parser = before)]
        before: Vec<(TopicPartition, Option<i64>)>,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let admin = args.target.admin().await?;
    let target = &args.target;
    match &args.what {
        What::List { internal } => list(target, &admin, *internal).await,
        What::Create { topics, partitions, replication, config } => {
            let new = topics.iter().map(|name| new_topic(name, *partitions, *replication, config));
            outcome::done(admin.create_topics(new).await)
        }
        What::Describe { topics } => describe(target, &admin, topics).await,
        What::Delete { topics } => outcome::done(admin.delete_topics(names(topics)).await),
        What::AddPartitions { topics, to } => {
            let counts = names(topics).map(|topic| (topic, *to));
            outcome::done(admin.create_partitions(counts).await)
        }
        What::Offsets { topics } => offsets(target, &admin, topics).await,
        What::DeleteRecords { before } => delete_records(target, &admin, before).await,
    }
}

fn names(topics: &[String]) -> impl Iterator<Item = TopicName> {
    topics.iter().map(|name| TopicName::from(name.as_str()))
}

fn new_topic(
    name: &str,
    partitions: Option<i32>,
    replication: Option<i16>,
    configs: &[(String, String)],
) -> NewTopic {
    let mut topic = match partitions {
        Some(partitions) => NewTopic::new(name, partitions),
        None => NewTopic::with_defaults(name),
    };
    if let Some(replication) = replication {
        topic = topic.replication(replication);
    }
    configs.iter().fold(topic, |topic, (name, value)| topic.config(name, value))
}

async fn list(target: &Target, admin: &Admin, internal: bool) -> Result<ExitCode, Failure> {
    let topics = admin.list_topics().await?;
    let shown = topics.values().filter(|topic| internal || !topic.is_internal);
    target.show(&shown.map(|topic| json!(topic.name.as_str())).collect());
    Ok(ExitCode::SUCCESS)
}

async fn describe(target: &Target, admin: &Admin, topics: &[String]) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_topics(names(topics)).await)?;
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
        let partitions: Value = partitions.collect();
        let object =
            json!({"id": topic.id.to_string(), "configs": settings, "partitions": partitions});
        objects.insert(name.to_string(), object);
    }
    target.show(&Value::Object(objects));
    Ok(described.code)
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.value()).collect()
}

async fn offsets(target: &Target, admin: &Admin, topics: &[String]) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_topics(names(topics)).await)?;
    let partitions: Vec<TopicPartition> = described
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

async fn delete_records(
    target: &Target,
    admin: &Admin,
    before: &[(TopicPartition, Option<i64>)],
) -> Result<ExitCode, Failure> {
    // Kafka's word for "all that is there now" is offset -1.
    let before = before.iter().map(|(p, offset)| (p.clone(), Offset(offset.unwrap_or(-1))));
    let deleted = outcome::sort(admin.delete_records(before).await)?;
    let rows = deleted.succeeded.iter().map(|(partition, first)| {
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "first": first.value(),
        })
    });
    target.show(&rows.collect());
    Ok(deleted.code)
}

/// Reads `TOPIC:PARTITION=OFFSET`; no offset for `end`.
fn before(text: &str) -> Result<(TopicPartition, Option<i64>), String> {
    let (partition, offset) = parse::partition_pair(text)?;
    match offset.parse() {
        _ if offset == "end" => Ok((partition, None)),
        Ok(offset) if offset >= 0 => Ok((partition, Some(offset))),
        _ => Err(format!("`{offset}` is no offset: a number from 0, or `end`, is needed")),
    }
}
