//! `millstream topics`: lists, creates, describes and deletes topics.

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::ConfigSource;
use millstream_client::{ConfigResource, NewTopic};
use millstream_types::TopicName;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::error::Failure;

/// Lists, creates, describes and deletes topics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream topics create orders --partitions 4 -b localhost:9092")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the topics.
    List {
        #[command(flatten)]
        connection: Connection,
        /// Also those that Kafka keeps for itself.
        #[arg(long)]
        internal: bool,
        /// As a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Creates a topic.
    Create {
        /// Its name.
        topic: String,
        #[command(flatten)]
        connection: Connection,
        /// How many partitions. Default: the broker's.
        #[arg(long)]
        partitions: Option<i32>,
        /// How many replicas each has. Default: the broker's.
        #[arg(long)]
        replication: Option<i16>,
        /// A setting of the topic.
        #[arg(long, value_name = "NAME=VALUE")]
        config: Vec<String>,
    },
    /// Shows the partitions and the settings of topics.
    Describe {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
        #[command(flatten)]
        connection: Connection,
        /// As a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Deletes topics with all their records.
    Delete {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List { connection, internal, json } => list(connection, *internal, *json).await?,
        What::Create { topic, connection, partitions, replication, config } => {
            let new = new_topic(topic, *partitions, *replication, config)?;
            connection.admin().await?.create_topics([new]).await?;
        }
        What::Describe { topics, connection, json } => describe(connection, topics, *json).await?,
        What::Delete { topics, connection } => {
            connection.admin().await?.delete_topics(names(topics)).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn names(topics: &[String]) -> impl Iterator<Item = TopicName> {
    topics.iter().map(|name| TopicName::from(name.as_str()))
}

fn new_topic(
    name: &str,
    partitions: Option<i32>,
    replication: Option<i16>,
    configs: &[String],
) -> Result<NewTopic, Failure> {
    let mut topic = match partitions {
        Some(partitions) => NewTopic::new(name, partitions),
        None => NewTopic::with_defaults(name),
    };
    if let Some(replication) = replication {
        topic = topic.replication(replication);
    }
    for config in configs {
        let Some((name, value)) = config.split_once('=') else {
            return Err(Failure::new(format!("`{config}` is no setting: NAME=VALUE is needed")));
        };
        topic = topic.config(name, value);
    }
    Ok(topic)
}

async fn list(connection: &Connection, internal: bool, json: bool) -> Result<(), Failure> {
    let topics = connection.admin().await?.list_topics().await?;
    let shown: Vec<_> = topics
        .values()
        .filter(|topic| internal || !topic.is_internal)
        .map(|topic| topic.name.as_str())
        .collect();
    if json {
        println!("{}", json!(shown));
    } else {
        for name in shown {
            println!("{name}");
        }
    }
    Ok(())
}

async fn describe(connection: &Connection, topics: &[String], json: bool) -> Result<(), Failure> {
    let admin = connection.admin().await?;
    let described = admin.describe_topics(names(topics)).await?;
    let resources = described.keys().cloned().map(ConfigResource::Topic);
    let mut configs = admin.describe_configs(resources).await?;
    let mut objects = serde_json::Map::new();
    for (name, topic) in &described {
        let configs = configs.remove(&ConfigResource::Topic(name.clone())).unwrap_or_default();
        let settings: serde_json::Map<_, _> = configs
            .into_iter()
            .filter(|(_, entry)| entry.source == ConfigSource::Topic)
            .map(|(name, entry)| (name, json!(entry.value)))
            .collect();
        let partitions: Vec<_> = topic
            .partitions
            .values()
            .map(|partition| {
                json!({
                    "partition": partition.id.value(),
                    "leader": partition.leader.map(|leader| leader.value()),
                    "replicas": ids(&partition.replicas),
                    "inSync": ids(&partition.in_sync),
                })
            })
            .collect();
        let id = topic.id.to_string();
        objects.insert(
            name.to_string(),
            json!({"id": id, "configs": settings, "partitions": partitions}),
        );
    }
    if json {
        println!("{}", Value::Object(objects));
    } else {
        objects.iter().for_each(|(name, topic)| print_topic(name, topic));
    }
    Ok(())
}

fn ids(brokers: &[millstream_types::BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.value()).collect()
}

fn print_topic(name: &str, topic: &Value) {
    let empty = Vec::new();
    let partitions = topic["partitions"].as_array().unwrap_or(&empty);
    println!("{name}  id {}  partitions {}", text(&topic["id"]), partitions.len());
    for (name, value) in topic["configs"].as_object().into_iter().flatten() {
        println!("  {name}={}", text(value));
    }
    println!("  {:>9}  {:>6}  {:<12}  in sync", "partition", "leader", "replicas");
    for partition in partitions {
        println!(
            "  {:>9}  {:>6}  {:<12}  {}",
            partition["partition"].to_string(),
            if partition["leader"].is_null() {
                "none".to_owned()
            } else {
                partition["leader"].to_string()
            },
            partition["replicas"].to_string(),
            partition["inSync"],
        );
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
