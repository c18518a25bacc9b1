//! `millstream cluster`: the brokers of a cluster, and what they agree on.

use std::process::ExitCode;

use clap::Subcommand;
use millstream_types::BrokerId;
use serde_json::{Value, json};

use crate::connection::Target;
use crate::error::Failure;

/// Shows the cluster.
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
    Describe,
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Describe => describe(&args.target).await,
    }
}

async fn describe(target: &Target) -> Result<ExitCode, Failure> {
    let cluster = target.admin().await?.describe_cluster().await?;
    let brokers: Value = cluster
        .brokers
        .values()
        .map(|broker| {
            json!({
                "id": broker.id.value(),
                "address": broker.endpoint.to_string(),
                "rack": broker.rack,
            })
        })
        .collect();
    target.show(&json!({
        "id": cluster.id.map(|id| id.to_string()),
        "controller": cluster.controller.map(BrokerId::value),
        "brokers": brokers,
    }));
    Ok(ExitCode::SUCCESS)
}
