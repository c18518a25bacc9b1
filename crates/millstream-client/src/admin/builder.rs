//! Configuration of an admin client.

use std::time::Duration;

use super::{Admin, AdminError, CallError, ConnectError};
use crate::config::{ClientConfig, ConfigError, Properties, PropertyReader, client_setters};
use crate::error::BuildError;

/// Java closes idle connections of admin clients sooner than others'.
const CONNECTIONS_MAX_IDLE: Duration = Duration::from_secs(300);

/// Configures an [`Admin`] client.
#[derive(Clone, Debug)]
pub struct AdminBuilder {
    pub(super) client: ClientConfig,
}

impl AdminBuilder {
    pub(super) fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut client = ClientConfig::new(bootstrap, "millstream-admin");
        client.engine.connections_max_idle = Some(CONNECTIONS_MAX_IDLE);
        Self { client }
    }

    client_setters!();

    /// Takes settings by Kafka's property names. Names of producers and consumers are passed over.
    ///
    /// # Errors
    /// A value does not fit, a name is unknown, or it asks for what is not built in.
    pub fn properties(mut self, properties: &Properties) -> Result<Self, ConfigError> {
        let mut reader = PropertyReader::new(properties);
        self.client.read(&mut reader)?;
        reader.finish()?;
        Ok(self)
    }

    /// Makes the client. It connects when it is first called.
    ///
    /// # Errors
    /// A setting is wrong, or its thread cannot be started.
    pub fn build(self) -> Result<Admin, BuildError> {
        super::start(&self)
    }

    /// Makes the client and waits for a first answer of the cluster.
    ///
    /// # Errors
    /// It cannot be made, or the cluster gave no answer within `api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Admin, ConnectError> {
        let bootstrap = self.client.bootstrap.join(",");
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
