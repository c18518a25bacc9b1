//! What every verb that talks to Kafka takes: where it is, and any of its properties.

use std::path::PathBuf;
use std::time::Duration;

use millstream_client::{Admin, Properties};
use serde_json::Value;

use crate::error::Failure;
use crate::parse;
use crate::show;

/// How long an operator waits for a cluster that does not answer; `default.api.timeout.ms` and
/// `max.block.ms` change it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Where Kafka is, and how to talk to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Brokers to start from.
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT[,…]",
        env = "MILLSTREAM_BOOTSTRAP",
        global = true
    )]
    pub(crate) bootstrap: Option<String>,

    /// A file of Kafka's properties, as Java's tools read it.
    #[arg(short = 'F', value_name = "FILE", global = true)]
    properties_file: Option<PathBuf>,

    /// One of Kafka's properties; wins over the file.
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = parse::pair, global = true)]
    properties: Vec<(String, String)>,
}

impl Connection {
    /// The brokers to start from: the option's, else the properties'.
    pub(crate) fn bootstrap(&self) -> Result<Vec<String>, Failure> {
        let properties = self.properties()?;
        let servers = self.bootstrap.as_deref().or_else(|| properties.get("bootstrap.servers"));
        let Some(servers) = servers else {
            return Err(Failure::new(
                "no brokers to start from: give --bootstrap HOST:PORT, or set MILLSTREAM_BOOTSTRAP",
            ));
        };
        Ok(servers.split(',').map(|server| server.trim().to_owned()).collect())
    }

    /// An admin client that has reached the cluster, or its controllers if those are named.
    pub(crate) async fn admin(&self, controllers: Option<&str>) -> Result<Admin, Failure> {
        let properties = self.properties()?;
        let builder = match controllers.or_else(|| properties.get("bootstrap.controllers")) {
            Some(controllers) => {
                Admin::builder_for_controllers(controllers.split(',').map(str::trim))
            }
            None => Admin::builder(self.bootstrap()?),
        };
        Ok(builder.api_timeout(PATIENCE).properties(&properties).connect().await?)
    }

    /// The file's properties and the command line's over them.
    pub(crate) fn properties(&self) -> Result<Properties, Failure> {
        let mut properties = match &self.properties_file {
            Some(file) => Properties::load(file)?,
            None => Properties::new(),
        };
        for (name, value) in &self.properties {
            properties.set(name, value);
        }
        Ok(properties)
    }
}

/// What every verb about the cluster's affairs takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Controllers to speak to in place of brokers, where a verb can (KIP-919).
    #[arg(long, value_name = "HOST:PORT[,…]", global = true)]
    controllers: Option<String>,

    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Target {
    /// An admin client that has reached the cluster.
    pub(crate) async fn admin(&self) -> Result<Admin, Failure> {
        self.connection.admin(self.controllers.as_deref()).await
    }

    /// Prints what was found.
    pub(crate) fn show(&self, value: &Value) {
        show::show(value, self.json);
    }
}
