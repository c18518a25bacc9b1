//! `millstream cluster`: the brokers of a cluster, and what they agree on.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use millstream_client::admin::{
    ClusterScope, FeatureUpdate, LogDir, Quorum, QuorumReplica, UpgradeType, VoterEndpoint,
};
use millstream_types::{BrokerId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::connection::Target;
use crate::error::Failure;
use crate::outcome;

/// Shows the cluster, its folders, features and controllers, and changes them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream cluster describe -b localhost:9092")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the cluster's id, its controller and its brokers.
    #[command(after_help = "Example: millstream cluster describe --json")]
    Describe {
        /// Also the brokers that are registered, but not up.
        #[arg(long)]
        registered: bool,
    },
    /// Shows the folders in which brokers keep records, and how much they hold.
    #[command(after_help = "Example: millstream cluster log-dirs 1 2")]
    LogDirs {
        /// Of these brokers. Default: of all.
        brokers: Vec<i32>,
        /// Each replica, too.
        #[arg(long)]
        replicas: bool,
    },
    /// Shows the features that brokers support and those that the cluster runs.
    #[command(after_help = "Example: millstream cluster features")]
    Features,
    /// Changes the level of a feature.
    #[command(after_help = "Example: millstream cluster set-feature transaction.version 2")]
    SetFeature {
        /// The feature.
        feature: String,
        /// Its level; 0 takes it away.
        level: i16,
        /// Allow the level to go down.
        #[arg(long, value_enum)]
        downgrade: Option<Downgrade>,
        /// Only check whether it could be done.
        #[arg(long)]
        validate_only: bool,
    },
    /// Shows the controllers: who leads, who votes, who follows how closely.
    #[command(after_help = "Example: millstream cluster quorum")]
    Quorum,
    /// Makes a controller a voter.
    #[command(
        after_help = "Example: millstream cluster add-voter 4 --directory oCfAIuJXRWqWfUJbOWZSUA --endpoint CONTROLLER=host:9093"
    )]
    AddVoter {
        #[command(flatten)]
        voter: Voter,
        /// Where it listens.
        #[arg(long, required = true, value_name = "LISTENER=HOST:PORT", value_parser = endpoint)]
        endpoint: Vec<VoterEndpoint>,
    },
    /// Takes a controller's vote away.
    #[command(
        after_help = "Example: millstream cluster remove-voter 4 --directory oCfAIuJXRWqWfUJbOWZSUA"
    )]
    RemoveVoter {
        #[command(flatten)]
        voter: Voter,
    },
    /// Forgets a broker that is gone for good.
    #[command(after_help = "Example: millstream cluster unregister 3")]
    Unregister {
        /// The broker.
        broker: i32,
    },
}

/// A controller.
#[derive(Debug, clap::Args)]
struct Voter {
    /// Its id.
    id: i32,
    /// The id of its folder of metadata, as `quorum` shows it.
    #[arg(long, value_parser = directory)]
    directory: Uuid,
}

/// What may be lost by a lower level.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Downgrade {
    /// Nothing.
    Safe,
    /// Metadata.
    Unsafe,
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let target = &args.target;
    match &args.what {
        What::Describe { registered } => return describe(target, *registered).await,
        What::LogDirs { brokers, replicas } => return log_dirs(target, brokers, *replicas).await,
        What::Features => return features(target).await,
        What::SetFeature { feature, level, downgrade, validate_only } => {
            let upgrade_type = match downgrade {
                None => UpgradeType::Upgrade,
                Some(Downgrade::Safe) => UpgradeType::SafeDowngrade,
                Some(Downgrade::Unsafe) => UpgradeType::UnsafeDowngrade,
            };
            let update = FeatureUpdate { max_level: *level, upgrade_type };
            let admin = target.admin().await?;
            return outcome::done(if *validate_only {
                admin.validate_update_features([(feature.clone(), update)]).await
            } else {
                admin.update_features([(feature.clone(), update)]).await
            });
        }
        What::Quorum => return quorum(target).await,
        What::AddVoter { voter, endpoint } => {
            let admin = target.admin().await?;
            let endpoints = endpoint.iter().cloned();
            admin.add_raft_voter(BrokerId(voter.id), voter.directory, endpoints).await?;
        }
        What::RemoveVoter { voter } => {
            let admin = target.admin().await?;
            admin.remove_raft_voter(BrokerId(voter.id), voter.directory).await?;
        }
        What::Unregister { broker } => {
            target.admin().await?.unregister_broker(BrokerId(*broker)).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn describe(target: &Target, registered: bool) -> Result<ExitCode, Failure> {
    let scope = if registered { ClusterScope::RegisteredBrokers } else { ClusterScope::Brokers };
    let cluster = target.admin().await?.describe_cluster_with(scope).await?;
    let brokers: Value = cluster
        .brokers
        .values()
        .map(|broker| {
            json!({
                "id": broker.id.value(),
                "address": broker.endpoint.to_string(),
                "rack": broker.rack,
                "fenced": cluster.fenced.contains(&broker.id),
            })
        })
        .collect();
    target.show(&json!({
        "id": cluster.id.as_ref().map(ToString::to_string),
        "controller": cluster.controller.map(BrokerId::value),
        "brokers": brokers,
    }));
    Ok(ExitCode::SUCCESS)
}

async fn log_dirs(
    target: &Target,
    brokers: &[i32],
    with_replicas: bool,
) -> Result<ExitCode, Failure> {
    let admin = target.admin().await?;
    let brokers: Vec<_> = if brokers.is_empty() {
        admin.describe_cluster().await?.brokers.into_keys().collect()
    } else {
        brokers.iter().copied().map(BrokerId).collect()
    };
    let described = outcome::sort(admin.describe_log_dirs(brokers).await)?;
    let mut rows = Vec::new();
    let mut code = described.code;
    for (broker, folders) in &described.succeeded {
        for (path, folder) in folders {
            match folder {
                Ok(folder) if with_replicas => rows.extend(replicas(*broker, path, folder)),
                Ok(folder) => rows.push(summary(*broker, path, folder)),
                Err(error) => {
                    Failure::new(format!("broker {broker}, folder {path}: {error}")).print();
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    target.show(&Value::Array(rows));
    Ok(code)
}

fn summary(broker: BrokerId, path: &str, folder: &LogDir) -> Value {
    json!({
        "broker": broker.value(),
        "folder": path,
        "replicas": folder.replicas.len(),
        "bytes": folder.replicas.values().map(|replica| replica.size).sum::<i64>(),
        "totalBytes": folder.total_bytes,
        "usableBytes": folder.usable_bytes,
    })
}

fn replicas(broker: BrokerId, path: &str, folder: &LogDir) -> impl Iterator<Item = Value> {
    folder.replicas.iter().map(move |(partition, replica)| {
        json!({
            "broker": broker.value(),
            "folder": path,
            "topic": partition.topic.as_str(),
            "partition": partition.partition.value(),
            "bytes": replica.size,
            "offsetLag": replica.offset_lag,
            "future": replica.is_future,
        })
    })
}

async fn features(target: &Target) -> Result<ExitCode, Failure> {
    let features = target.admin().await?.describe_features().await?;
    let rows = features.supported.iter().map(|(name, supported)| {
        let finalized = features.finalized.get(name);
        json!({
            "feature": name,
            "level": finalized.map_or(0, |level| level.max_level),
            "lowestSupported": supported.min,
            "highestSupported": supported.max,
        })
    });
    target.show(&rows.collect());
    Ok(ExitCode::SUCCESS)
}

async fn quorum(target: &Target) -> Result<ExitCode, Failure> {
    let quorum = target.admin().await?.describe_metadata_quorum().await?;
    let leader_end = leader_end(&quorum);
    let row = |role, replica: &QuorumReplica| {
        let mut row = controller(role, replica, leader_end);
        // Brokers tell where controllers listen since Kafka 3.9 (KIP-853).
        if let Some(endpoints) = quorum.endpoints.get(&replica.id) {
            row["addresses"] = endpoints.values().map(|one| json!(one.to_string())).collect();
        }
        row
    };
    let voters = quorum.voters.iter().map(|replica| row("voter", replica));
    let rest = quorum.observers.iter().map(|replica| row("observer", replica));
    target.show(&json!({
        "leader": quorum.leader.map(BrokerId::value),
        "leaderEpoch": quorum.leader_epoch.value(),
        "highWatermark": quorum.high_watermark.value(),
        "controllers": voters.chain(rest).collect::<Value>(),
    }));
    Ok(ExitCode::SUCCESS)
}

fn leader_end(quorum: &Quorum) -> Option<i64> {
    let leader = quorum.voters.iter().find(|voter| Some(voter.id) == quorum.leader);
    leader.map(|leader| leader.log_end_offset.value())
}

fn controller(role: &str, replica: &QuorumReplica, leader_end: Option<i64>) -> Value {
    let end = replica.log_end_offset.value();
    let directory: Map<_, _> = replica
        .directory_id
        .map(|id| ("directory".to_owned(), json!(text_of(id))))
        .into_iter()
        .collect();
    let mut row = json!({
        "id": replica.id.value(),
        "role": role,
        "logEndOffset": end,
        "lag": leader_end.map(|leader| leader - end),
        "lastFetch": replica.last_fetch.map(Timestamp::value),
        "lastCaughtUp": replica.last_caught_up.map(Timestamp::value),
    });
    if let Value::Object(fields) = &mut row {
        fields.extend(directory);
    }
    row
}

/// Kafka writes ids in URL-safe base64 without padding.
fn text_of(id: Uuid) -> String {
    millstream_types::TopicId(id).to_string()
}

fn directory(text: &str) -> Result<Uuid, String> {
    let id: Result<millstream_types::TopicId, _> = text.parse();
    id.map(|id| id.0).map_err(|_| format!("`{text}` is no id of a folder"))
}

fn endpoint(text: &str) -> Result<VoterEndpoint, String> {
    let (listener, address) = crate::parse::pair(text)?;
    let endpoint = address.parse().map_err(|error| format!("{error}"))?;
    Ok(VoterEndpoint { listener, endpoint })
}
