//! `millstream quotas`: how much users and clients may use.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::{QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch};
use serde_json::{Map, Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Shows and changes quotas.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whom a quota is for: `user/NAME`, `client-id/NAME`, `ip/ADDRESS`, or without a name the default of all; a user and a client id together are one entity.\nExample: millstream quotas alter user/alice client-id/app --set producer_byte_rate=1048576"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists quotas.
    #[command(after_help = "Example: millstream quotas list user/alice")]
    List {
        /// Only those of these parts of an entity.
        #[arg(value_name = "ENTITY", value_parser = part)]
        entity: Vec<Part>,
        /// Only those of exactly these parts.
        #[arg(long)]
        strict: bool,
    },
    /// Changes the quotas of one entity.
    #[command(after_help = "Example: millstream quotas alter user --set request_percentage=50")]
    Alter {
        /// The parts of the entity.
        #[arg(required = true, value_name = "ENTITY", value_parser = part)]
        entity: Vec<Part>,
        /// Sets a quota.
        #[arg(long, value_name = "NAME=NUMBER", value_parser = quota)]
        set: Vec<(String, f64)>,
        /// Removes a quota.
        #[arg(long, value_name = "NAME")]
        remove: Vec<String>,
        /// Only check whether it could be done.
        #[arg(long)]
        validate_only: bool,
    },
}

/// A kind and a name; no name for the default.
type Part = (String, Option<String>);

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::List { entity, strict } => list(&args.target, entity, *strict).await,
        What::Alter { entity, set, remove, validate_only } => {
            let changes: Vec<_> = set
                .iter()
                .map(|(key, value)| QuotaChange::Set { key: key.clone(), value: *value })
                .chain(remove.iter().map(|key| QuotaChange::Remove { key: key.clone() }))
                .collect();
            if changes.is_empty() {
                return Err(Failure::new("nothing to change: give --set or --remove"));
            }
            let entity = entity.iter().cloned();
            let entity =
                entity.fold(QuotaEntity::default(), |entity, (kind, name)| entity.and(kind, name));
            let admin = args.target.admin().await?;
            outcome::done(if *validate_only {
                admin.validate_alter_client_quotas([(entity, changes)]).await
            } else {
                admin.alter_client_quotas([(entity, changes)]).await
            })
        }
    }
}

async fn list(target: &Target, entity: &[Part], strict: bool) -> Result<ExitCode, Failure> {
    let mut filter = QuotaFilter::all();
    for (kind, name) in entity {
        let matching = name.clone().map_or(QuotaMatch::Default, QuotaMatch::Exactly);
        filter = filter.with(kind, matching);
    }
    if strict {
        filter = filter.strict();
    }
    let quotas = target.admin().await?.describe_client_quotas(filter).await?;
    let rows = quotas.iter().map(|(entity, values)| row(entity, values));
    target.show(&rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn row(entity: &QuotaEntity, values: &BTreeMap<String, f64>) -> Value {
    let values: Map<String, Value> =
        values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({"entity": entity.to_string(), "quotas": values})
}

fn part(text: &str) -> Result<Part, String> {
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) => (kind, Some(name.to_owned())),
        None => (text, None),
    };
    if !["user", "client-id", "ip"].contains(&kind) {
        return Err(format!("`{kind}` is none of user, client-id, ip"));
    }
    Ok((kind.to_owned(), name))
}

fn quota(text: &str) -> Result<(String, f64), String> {
    let (name, value) = parse::pair(text)?;
    match value.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok((name, value)),
        _ => Err(format!("`{value}` is no quota: a number above 0 is needed")),
    }
}
