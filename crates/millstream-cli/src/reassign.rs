//! `millstream reassign`: moves replicas to other brokers and folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::TopicPartitionReplica;
use millstream_types::{BrokerId, TopicPartition};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;
use crate::parse::{self, Brokers};

/// Moves replicas to other brokers and folders.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream reassign start orders:0=1,2,3 -b localhost:9092")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the moves under way.
    #[command(after_help = "Example: millstream reassign list")]
    List {
        /// Only of these partitions.
        #[arg(value_name = "TOPIC:PARTITION", value_parser = parse::topic_partition)]
        partitions: Vec<TopicPartition>,
    },
    /// Begins to move partitions to brokers.
    #[command(after_help = "Example: millstream reassign start orders:0=1,2,3 orders:1=2,3,1")]
    Start {
        /// The brokers of each partition, the preferred leader first.
        #[arg(value_name = "TOPIC:PARTITION=BROKER,…", value_parser = replicas)]
        partitions: Vec<(TopicPartition, Brokers)>,
        /// A file in the form of Kafka's own tool: {"partitions": [{"topic", "partition", "replicas"}]}.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Gives up moves under way; what was there before stays.
    #[command(after_help = "Example: millstream reassign cancel orders:0")]
    Cancel {
        /// Of these partitions.
        #[arg(required = true, value_name = "TOPIC:PARTITION", value_parser = parse::topic_partition)]
        partitions: Vec<TopicPartition>,
    },
    /// Moves replicas to another folder of their brokers.
    #[command(after_help = "Example: millstream reassign to-dir orders:0=/data/2 --broker 1")]
    ToDir {
        /// The folder of each partition.
        #[arg(required = true, value_name = "TOPIC:PARTITION=FOLDER", value_parser = parse::partition_pair)]
        partitions: Vec<(TopicPartition, String)>,
        /// The broker whose replicas move.
        #[arg(long)]
        broker: i32,
    },
}

/// A file as Kafka's tool reads it.
#[derive(Deserialize)]
struct Plan {
    partitions: Vec<Move>,
}

/// A partition of such a file.
#[derive(Deserialize)]
struct Move {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List { partitions } => list(&args.target, partitions).await,
        What::Start { partitions, file } => {
            let mut plan = file.as_deref().map(read_plan).transpose()?.unwrap_or_default();
            for (partition, brokers) in partitions {
                plan.insert(partition.clone(), brokers.0.clone());
            }
            if plan.is_empty() {
                return Err(Failure::new(
                    "nothing to move: give TOPIC:PARTITION=BROKER,… or --file",
                ));
            }
            let moves = plan.into_iter().map(|(partition, brokers)| (partition, Some(brokers)));
            let admin = args.target.admin().await?;
            outcome::done(admin.alter_partition_reassignments(moves).await)
        }
        What::Cancel { partitions } => {
            let moves = partitions.iter().map(|partition| (partition.clone(), None));
            let admin = args.target.admin().await?;
            outcome::done(admin.alter_partition_reassignments(moves).await)
        }
        What::ToDir { partitions, broker } => {
            let moves = partitions.iter().map(|(partition, folder)| {
                let partition = partition.clone();
                (TopicPartitionReplica { partition, broker: BrokerId(*broker) }, folder.clone())
            });
            outcome::done(args.target.admin().await?.alter_replica_log_dirs(moves).await)
        }
    }
}

async fn list(target: &Target, partitions: &[TopicPartition]) -> Result<ExitCode, Failure> {
    let admin = target.admin().await?;
    let moves = if partitions.is_empty() {
        admin.list_all_partition_reassignments().await?
    } else {
        admin.list_partition_reassignments(partitions.iter().cloned()).await?
    };
    let rows = moves.iter().map(|(partition, change)| {
        json!({
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "replicas": ids(&change.replicas),
            "adding": ids(&change.adding),
            "removing": ids(&change.removing),
        })
    });
    target.show(&rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn ids(brokers: &[BrokerId]) -> Value {
    brokers.iter().map(|broker| broker.value()).collect()
}

fn read_plan(file: &Path) -> Result<BTreeMap<TopicPartition, Vec<BrokerId>>, Failure> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::during(format!("cannot read {name}"), &error))?;
    let plan: Plan = serde_json::from_str(&text)
        .map_err(|error| Failure::during(format!("{name} is no plan"), &error))?;
    let moves = plan.partitions.into_iter().map(|one| {
        let brokers = one.replicas.into_iter().map(BrokerId).collect();
        (TopicPartition::new(one.topic.as_str(), one.partition), brokers)
    });
    Ok(moves.collect())
}

fn replicas(text: &str) -> Result<(TopicPartition, Brokers), String> {
    let (partition, brokers) = parse::partition_pair(text)?;
    Ok((partition, parse::brokers(&brokers)?))
}
