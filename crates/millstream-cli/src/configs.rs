//! `millstream configs`: the settings of topics, brokers and other resources.

use std::process::ExitCode;

use clap::Subcommand;
use millstream_client::Admin;
use millstream_client::admin::{
    ConfigChange, ConfigDetail, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym,
};
use serde_json::{Map, Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Shows and changes settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A resource is `topic/NAME`, `broker/ID`, `brokers` (the defaults of all), `broker-logger/ID`, `group/NAME` or `client-metrics/NAME`.\nExample: millstream configs describe topic/orders"
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
        #[arg(required = true)]
        resources: Vec<ConfigResource>,
        /// Also those that have their default value.
        #[arg(long)]
        all: bool,
        /// Also the values that stand behind each, the one in force first.
        #[arg(long)]
        synonyms: bool,
        /// Also what each is for.
        #[arg(long)]
        documentation: bool,
    },
    /// Lists what has settings of its own.
    #[command(after_help = "Example: millstream configs list")]
    List,
    /// Changes settings; the others stay as they are.
    #[command(
        after_help = "Example: millstream configs alter topic/orders --set retention.ms=3600000 --delete cleanup.policy"
    )]
    Alter {
        /// Whose settings.
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
        /// Only check whether it could be done.
        #[arg(long)]
        validate_only: bool,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Describe { resources, all, synonyms, documentation } => {
            let detail = ConfigDetail { synonyms: *synonyms, documentation: *documentation };
            describe(&args.target, resources, *all, detail).await
        }
        What::List => {
            let resources = args.target.admin().await?.list_config_resources([]).await?;
            args.target.show(&resources.iter().map(|one| json!(resource_name(one))).collect());
            Ok(ExitCode::SUCCESS)
        }
        What::Alter { resource, set, delete, append, subtract, validate_only } => {
            let set = set.iter().cloned().map(|(name, value)| ConfigChange::Set { name, value });
            let delete = delete.iter().cloned().map(|name| ConfigChange::Delete { name });
            let append = append.iter().cloned();
            let append = append.map(|(name, value)| ConfigChange::Append { name, value });
            let subtract = subtract.iter().cloned();
            let subtract = subtract.map(|(name, value)| ConfigChange::Subtract { name, value });
            let changes: Vec<_> = set.chain(delete).chain(append).chain(subtract).collect();
            if changes.is_empty() {
                let text = "nothing to change: give --set, --delete, --append or --subtract";
                return Err(Failure::new(text));
            }
            let changes = [(resource.clone(), changes)];
            alter(&args.target.admin().await?, changes, *validate_only).await
        }
    }
}

async fn alter(
    admin: &Admin,
    changes: [(ConfigResource, Vec<ConfigChange>); 1],
    validate_only: bool,
) -> Result<ExitCode, Failure> {
    outcome::done(if validate_only {
        admin.validate_alter_configs(changes).await
    } else {
        admin.alter_configs(changes).await
    })
}

async fn describe(
    target: &Target,
    resources: &[ConfigResource],
    all: bool,
    detail: ConfigDetail,
) -> Result<ExitCode, Failure> {
    let admin = target.admin().await?;
    let resources = resources.iter().cloned();
    let described = outcome::sort(admin.describe_configs_with(resources, detail).await)?;
    let rows = described.succeeded.iter().flat_map(|(resource, entries)| {
        let shown = entries.iter().filter(move |(_, entry)| all || is_set(entry));
        shown.map(move |(name, entry)| row(resource, name, entry, detail))
    });
    target.show(&rows.collect());
    Ok(described.code)
}

const fn is_set(entry: &ConfigEntry) -> bool {
    !matches!(entry.source, ConfigSource::Default)
}

fn row(resource: &ConfigResource, name: &str, entry: &ConfigEntry, detail: ConfigDetail) -> Value {
    let mut row = Map::new();
    let mut add = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
    add("resource", json!(resource_name(resource)));
    add("name", json!(name));
    // Kafka gives no values of secrets; should one come all the same, it is not shown.
    add("value", json!(entry.value.as_ref().filter(|_| !entry.is_sensitive)));
    add("source", json!(entry.source.to_string()));
    add("readOnly", json!(entry.is_read_only));
    add("sensitive", json!(entry.is_sensitive));
    if detail.synonyms {
        let synonym = |one: &ConfigSynonym| json!({"name": one.name, "value": one.value, "source": one.source.to_string()});
        add("synonyms", entry.synonyms.iter().map(synonym).collect());
    }
    if detail.documentation {
        add("documentation", json!(entry.documentation));
    }
    Value::Object(row)
}

/// A resource as the command line takes it.
fn resource_name(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("topic/{name}"),
        ConfigResource::Broker(id) => format!("broker/{id}"),
        ConfigResource::BrokerDefaults => "brokers".to_owned(),
        ConfigResource::BrokerLogger(id) => format!("broker-logger/{id}"),
        ConfigResource::Group(group) => format!("group/{group}"),
        ConfigResource::ClientMetrics(name) => format!("client-metrics/{name}"),
        other => other.to_string(),
    }
}
