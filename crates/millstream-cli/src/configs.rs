//! `millstream configs`: the settings of topics, brokers and other resources.

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::admin::{ConfigChange, ConfigEntry, ConfigSource};
use millstream_client::{Admin, ConfigResource};
use millstream_types::{BrokerId, TopicName};
use serde_json::{Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Shows and changes settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A resource is `topic/NAME` or `broker/ID`.\nExample: millstream configs describe topic/orders"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows settings with where their values come from.
    #[command(after_help = "Example: millstream configs describe topic/orders broker/1 --all")]
    Describe {
        /// Whose settings.
        #[arg(required = true, value_parser = resource)]
        resources: Vec<ConfigResource>,
        /// Also those that have their default value.
        #[arg(long)]
        all: bool,
    },
    /// Changes settings; the others stay as they are.
    #[command(
        after_help = "Example: millstream configs alter topic/orders --set retention.ms=3600000 --delete cleanup.policy"
    )]
    Alter {
        /// Whose settings.
        #[arg(value_parser = resource)]
        resource: ConfigResource,
        /// Sets one.
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
        set: Vec<(String, String)>,
        /// Gives one its default value again.
        #[arg(long, value_name = "NAME")]
        delete: Vec<String>,
        /// Adds a value to one that is a list.
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
        append: Vec<(String, String)>,
        /// Takes a value from one that is a list.
        #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
        subtract: Vec<(String, String)>,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Describe { resources, all } => {
            describe(&args.target, &args.target.admin().await?, resources, *all).await
        }
        What::Alter { resource, set, delete, append, subtract } => {
            let pairs = |pairs: &[(String, String)]| pairs.to_vec().into_iter();
            let changes: Vec<_> = pairs(set)
                .map(|(name, value)| ConfigChange::Set { name, value })
                .chain(delete.iter().map(|name| ConfigChange::Delete { name: name.clone() }))
                .chain(pairs(append).map(|(name, value)| ConfigChange::Append { name, value }))
                .chain(pairs(subtract).map(|(name, value)| ConfigChange::Subtract { name, value }))
                .collect();
            if changes.is_empty() {
                let text = "nothing to change: give --set, --delete, --append or --subtract";
                return Err(Failure::new(text));
            }
            let admin = args.target.admin().await?;
            outcome::done(admin.alter_configs([(resource.clone(), changes)]).await)
        }
    }
}

async fn describe(
    target: &Target,
    admin: &Admin,
    resources: &[ConfigResource],
    all: bool,
) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_configs(resources.iter().cloned()).await)?;
    let rows = described.succeeded.iter().flat_map(|(resource, entries)| {
        let shown = entries.iter().filter(move |(_, entry)| all || is_set(entry));
        shown.map(|(name, entry)| row(resource, name, entry))
    });
    target.show(&rows.collect());
    Ok(described.code)
}

const fn is_set(entry: &ConfigEntry) -> bool {
    !matches!(entry.source, ConfigSource::Default)
}

fn row(resource: &ConfigResource, name: &str, entry: &ConfigEntry) -> Value {
    json!({
        "resource": resource_name(resource),
        "name": name,
        "value": if entry.is_sensitive { &None } else { &entry.value },
        "source": source_name(entry.source),
        "readOnly": entry.is_read_only,
        "sensitive": entry.is_sensitive,
    })
}

fn resource_name(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("topic/{name}"),
        ConfigResource::Broker(id) => format!("broker/{id}"),
        other => format!("{other:?}"),
    }
}

fn source_name(source: ConfigSource) -> String {
    match source {
        ConfigSource::Topic => "topic".to_owned(),
        ConfigSource::DynamicBroker => "dynamic broker".to_owned(),
        ConfigSource::DynamicDefaultBroker => "dynamic default broker".to_owned(),
        ConfigSource::StaticBroker => "static broker".to_owned(),
        ConfigSource::Default => "default".to_owned(),
        other => format!("{other:?}"),
    }
}

fn resource(text: &str) -> Result<ConfigResource, String> {
    match text.split_once('/') {
        Some(("topic", name)) if !name.is_empty() => {
            Ok(ConfigResource::Topic(TopicName::from(name)))
        }
        Some(("broker", id)) => match id.parse() {
            Ok(id) => Ok(ConfigResource::Broker(BrokerId(id))),
            Err(_) => Err(format!("`{id}` is no broker: a number is needed")),
        },
        _ => Err("`topic/NAME` or `broker/ID` is needed".to_owned()),
    }
}
