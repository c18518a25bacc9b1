//! Configuration of an admin client.

use std::time::Duration;

use super::{Admin, AdminError, CallError, ConnectError};
use crate::config::{ClientConfig, ConfigError, Properties, PropertyReader, client_setters};
use crate::error::BuildError;

/// Java closes idle connections of admin clients sooner than others'.
const CONNECTIONS_MAX_IDLE: Duration = Duration::from_secs(300);

/// Configures an [`Admin`] client.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` or `connect` is called"]
pub struct AdminBuilder {
    client: ClientConfig,
    properties: Properties,
}

impl AdminBuilder {
    pub(super) fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut client = ClientConfig::new(bootstrap, "millstream-admin");
        client.engine.connections_max_idle = Some(CONNECTIONS_MAX_IDLE);
        Self { client, properties: Properties::new() }
    }

    pub(super) fn of_controllers(controllers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut builder = Self::new(controllers);
        builder.client.engine.bootstrap_is_of_controllers = true;
        builder
    }

    client_setters!();

    /// Sets a property by Kafka's name. Properties stand above the typed settings.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.set(name, value);
        self
    }

    /// Sets properties by Kafka's names, as from a file. They stand above the typed settings; those
    /// of producers and consumers are passed over.
    pub fn properties(mut self, properties: &Properties) -> Self {
        self.properties.extend(properties.iter());
        self
    }

    /// Makes the client. It begins to connect at once, in the background.
    ///
    /// # Errors
    /// A setting is wrong, or its thread cannot be started.
    pub fn build(mut self) -> Result<Admin, BuildError> {
        self.read_properties()?;
        super::start(&self.client)
    }

    fn read_properties(&mut self) -> Result<(), ConfigError> {
        let mut reader = PropertyReader::new(&self.properties);
        self.client.read(&mut reader)?;
        if let Some(controllers) = reader.text("bootstrap.controllers") {
            if self.properties.get("bootstrap.servers").is_some() {
                return Err(ConfigError::Conflict {
                    first: "bootstrap.servers",
                    second: "bootstrap.controllers",
                    reason: "a client speaks to brokers or to controllers; set one".to_owned(),
                });
            }
            self.client.bootstrap = vec![controllers.to_owned()];
            self.client.engine.bootstrap_is_of_controllers = true;
        }
        reader.finish()
    }

    /// Makes the client and waits for a first answer of the cluster.
    ///
    /// # Errors
    /// It cannot be made, or the cluster gave no answer within `api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Admin, ConnectError> {
        let named = ["bootstrap.servers", "bootstrap.controllers"];
        let named = named.iter().find_map(|name| self.properties.get(name)).map(str::to_owned);
        let bootstrap = named.unwrap_or_else(|| self.client.bootstrap.join(","));
        let admin = self.build()?;
        match admin.describe_cluster().await {
            Ok(_) => Ok(admin),
            Err(AdminError::Call(CallError::TimedOut { waited, last_error, .. })) => {
                let about = format!("the cluster at {bootstrap}");
                let error = CallError::TimedOut { about, waited, last_error };
                Err(AdminError::Call(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
