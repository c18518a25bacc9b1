//! `millstream topics`: topics, their partitions and their records.

mod show;

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::{BatchResult, Election, ElectionType, NewPartitions};
use millstream_client::{Admin, NewTopic};
use millstream_types::{BrokerId, Offset, TopicId, TopicName, TopicPartition};
use serde_json::json;

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
    Create(New),
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
        #[arg(required_unless_present = "id")]
        topics: Vec<String>,
        /// The id of one, safe where a topic of that name may have been made anew.
        #[arg(long)]
        id: Vec<TopicId>,
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
        /// Only check whether it could be done.
        #[arg(long)]
        validate_only: bool,
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
    /// Elects leaders: of each partition the first of its replicas that is in sync.
    #[command(after_help = "Example: millstream topics elect-leaders orders:0 orders:1")]
    ElectLeaders {
        /// Of these partitions.
        #[arg(
            value_name = "TOPIC:PARTITION",
            value_parser = parse::topic_partition,
            required_unless_present = "all"
        )]
        partitions: Vec<TopicPartition>,
        /// Of all partitions.
        #[arg(long, conflicts_with = "partitions")]
        all: bool,
        /// Take a replica that is not in sync where no other is left: what it lacks is lost.
        #[arg(long)]
        unclean: bool,
    },
}

/// The topics to create.
#[derive(Debug, clap::Args)]
struct New {
    /// Their names.
    #[arg(required = true)]
    topics: Vec<String>,
    /// How many partitions each has. Default: the broker's.
    #[arg(long)]
    partitions: Option<i32>,
    /// How many replicas each partition has. Default: the broker's.
    #[arg(long)]
    replication: Option<i16>,
    /// The brokers of a partition, the preferred leader first; once for each partition.
    #[arg(
        long,
        value_name = "BROKER,…",
        value_parser = parse::brokers,
        conflicts_with_all = ["partitions", "replication"]
    )]
    replicas: Vec<parse::Brokers>,
    /// A setting of the topics.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
    config: Vec<(String, String)>,
    /// Only check whether it could be done.
    #[arg(long)]
    validate_only: bool,
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let target = &args.target;
    let admin = target.admin().await?;
    match &args.what {
        What::List { internal } => show::list(target, &admin, *internal).await,
        What::Create(new) => {
            let topics = new.topics.iter().map(|name| new.topic(name));
            outcome::done(if new.validate_only {
                admin.validate_create_topics(topics).await
            } else {
                admin.create_topics(topics).await
            })
        }
        What::Describe { topics } => show::describe(target, &admin, names(topics)).await,
        What::Delete { topics, id } => delete(&admin, topics, id).await,
        What::AddPartitions { topics, to, validate_only } => {
            let counts = names(topics).map(|topic| (topic, NewPartitions::to(*to)));
            outcome::done(if *validate_only {
                admin.validate_create_partitions(counts).await
            } else {
                admin.create_partitions(counts).await
            })
        }
        What::Offsets { topics } => show::offsets(target, &admin, names(topics)).await,
        What::DeleteRecords { before } => delete_records(target, &admin, before).await,
        What::ElectLeaders { partitions, unclean, .. } => {
            let kind = if *unclean { ElectionType::Unclean } else { ElectionType::Preferred };
            let elected = if partitions.is_empty() {
                admin.elect_all_leaders(kind).await
            } else {
                admin.elect_leaders(kind, partitions.iter().cloned()).await
            };
            elections(target, elected)
        }
    }
}

impl New {
    fn topic(&self, name: &str) -> NewTopic {
        let mut topic = match self.partitions {
            Some(partitions) => NewTopic::new(name, partitions),
            None => NewTopic::with_defaults(name),
        };
        if let Some(replication) = self.replication {
            topic = topic.replication(replication);
        }
        if !self.replicas.is_empty() {
            topic = topic.assignment(self.replicas.iter().map(|brokers| brokers.0.clone()));
        }
        self.config.iter().fold(topic, |topic, (name, value)| topic.config(name, value))
    }
}

fn names(topics: &[String]) -> impl Iterator<Item = TopicName> {
    topics.iter().map(|name| TopicName::from(name.as_str()))
}

async fn delete(admin: &Admin, topics: &[String], ids: &[TopicId]) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    if !topics.is_empty() {
        code = outcome::done(admin.delete_topics(names(topics)).await)?;
    }
    if !ids.is_empty() {
        let by_id = outcome::done(admin.delete_topics_by_id(ids.iter().copied()).await)?;
        code = if code == ExitCode::SUCCESS { by_id } else { code };
    }
    Ok(code)
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

fn elections(
    target: &Target,
    elected: BatchResult<TopicPartition, Election>,
) -> Result<ExitCode, Failure> {
    let elected = outcome::sort(elected)?;
    let rows = elected.succeeded.iter().map(|(partition, election)| {
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "elected": *election == Election::Elected,
        })
    });
    target.show(&rows.collect());
    Ok(elected.code)
}

/// The ids of brokers.
fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.value()).collect()
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
