//! The settings that all clients share.

use std::sync::Arc;
use std::time::Duration;

use millstream_client_core::{Endpoint, EngineConfig};

use super::error::ConfigError;
use super::reader::PropertyReader;
use crate::driver::IoThread;
use crate::error::BuildError;
use crate::net::{Connector, SocketOptions, TcpConnector};

/// The settings that all clients share. Builders embed it and offer its setters.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) bootstrap: Vec<String>,
    pub(crate) engine: EngineConfig,
    pub(crate) socket: SocketOptions,
    pub(crate) io_thread: Option<IoThread>,
    pub(crate) seed: Option<u64>,
}

impl ClientConfig {
    /// The defaults, for these bootstrap servers (`host:port`; several in one text with commas).
    pub(crate) fn new(
        bootstrap: impl IntoIterator<Item = impl Into<String>>,
        client_id: &str,
    ) -> Self {
        let mut engine = EngineConfig::new(Vec::new());
        client_id.clone_into(&mut engine.client_id);
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            engine,
            socket: SocketOptions::default(),
            io_thread: None,
            seed: None,
        }
    }

    /// Takes over the properties that all clients share.
    pub(crate) fn read(&mut self, properties: &mut PropertyReader<'_>) -> Result<(), ConfigError> {
        if let Some(servers) = properties.text("bootstrap.servers") {
            self.bootstrap = vec![servers.to_owned()];
        }
        if let Some(id) = properties.text("client.id") {
            id.clone_into(&mut self.engine.client_id);
        }
        let mut millis = |name, into: &mut Duration| {
            properties.millis(name).map(|read| *into = read.unwrap_or(*into))
        };
        let engine = &mut self.engine;
        millis("request.timeout.ms", &mut engine.request_timeout)?;
        millis("default.api.timeout.ms", &mut engine.api_timeout)?;
        millis("reconnect.backoff.ms", &mut engine.reconnect_backoff.initial)?;
        millis("reconnect.backoff.max.ms", &mut engine.reconnect_backoff.max)?;
        millis("retry.backoff.ms", &mut engine.retry_backoff.initial)?;
        millis("retry.backoff.max.ms", &mut engine.retry_backoff.max)?;
        millis("socket.connection.setup.timeout.ms", &mut engine.setup_timeout.initial)?;
        millis("socket.connection.setup.timeout.max.ms", &mut engine.setup_timeout.max)?;
        millis("metadata.max.age.ms", &mut engine.metadata_max_age)?;
        if let Some(idle) = properties.millis_or_never("connections.max.idle.ms")? {
            engine.connections_max_idle = idle;
        }
        if let Some(after) = properties.millis("metadata.recovery.rebootstrap.trigger.ms")? {
            engine.rebootstrap_after = Some(after);
        }
        let strategies = [("rebootstrap", true), ("none", false)];
        if properties.one_of("metadata.recovery.strategy", &strategies)? == Some(false) {
            engine.rebootstrap_after = None;
        }
        let sizes = 1000..=i32::MAX as usize;
        if let Some(bytes) = properties.number("receive.message.max.bytes", sizes)? {
            engine.receive_max_bytes = bytes;
        }
        let buffer = -1..=i32::MAX;
        if let Some(bytes) = properties.number("send.buffer.bytes", buffer.clone())? {
            self.socket.send_buffer = usize::try_from(bytes).ok();
        }
        if let Some(bytes) = properties.number("receive.buffer.bytes", buffer)? {
            self.socket.receive_buffer = usize::try_from(bytes).ok();
        }
        properties.one_of("security.protocol", &[("PLAINTEXT", ())])?;
        properties.one_of("client.dns.lookup", &[("use_all_dns_ips", ())])?;
        Ok(())
    }

    /// The engine's settings: checks what can be wrong and draws the seed.
    pub(crate) fn engine(&self) -> Result<EngineConfig, ConfigError> {
        let mut engine = self.engine.clone();
        engine.bootstrap = parse_bootstrap(&self.bootstrap)?;
        engine.seed = self.seed.unwrap_or_else(random_seed);
        Ok(engine)
    }

    /// What makes the client's connections.
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(TcpConnector { options: self.socket.clone() })
    }

    /// The thread to run on: the one given, or one of the client's own.
    pub(crate) fn thread(&self) -> Result<IoThread, BuildError> {
        match &self.io_thread {
            Some(thread) => Ok(thread.clone()),
            None => IoThread::start(&self.engine.client_id).map_err(BuildError::Thread),
        }
    }
}

/// A seed that differs from process to process and from call to call.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Reads `host:port` texts, as `ClientUtils.parseAndValidateAddresses` does but without looking
/// the names up.
fn parse_bootstrap(servers: &[String]) -> Result<Vec<Endpoint>, ConfigError> {
    let name = "bootstrap.servers";
    let parts = servers.iter().flat_map(|servers| servers.split(','));
    let parts = parts.map(str::trim).filter(|server| !server.is_empty());
    let endpoints = parts.map(|server| {
        // A listener is often pasted whole: PLAINTEXT://host:9092.
        let address = server.strip_prefix("PLAINTEXT://").unwrap_or(server);
        address.parse().map_err(|_| ConfigError::Invalid {
            name,
            value: server.to_owned(),
            expected: "an address of the form host:port".to_owned(),
        })
    });
    let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
    if endpoints.is_empty() {
        return Err(ConfigError::Missing { name });
    }
    Ok(endpoints)
}

/// The setters of [`ClientConfig`], for a builder that holds it in the field `client`.
macro_rules! client_setters {
    () => {
        /// The name by which brokers log and meter this client.
        #[doc(alias = "client.id")]
        pub fn client_id(mut self, id: impl Into<String>) -> Self {
            self.client.engine.client_id = id.into();
            self
        }

        /// How long one request may take. Default: 30 s.
        #[doc(alias = "request.timeout.ms")]
        pub const fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.client.engine.request_timeout = timeout;
            self
        }

        /// How long a call may take, its retries included. Default: 60 s.
        #[doc(alias = "default.api.timeout.ms")]
        pub const fn api_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.client.engine.api_timeout = timeout;
            self
        }

        /// The waits between two tries of a request: from `initial`, doubling, to `max`. Default:
        /// 100 ms to 1 s.
        #[doc(alias = "retry.backoff.ms")]
        pub const fn retry_backoff(
            mut self,
            initial: std::time::Duration,
            max: std::time::Duration,
        ) -> Self {
            self.client.engine.retry_backoff =
                millstream_client_core::backoff::Backoff::new(initial, max);
            self
        }

        /// The waits between two attempts to connect to a broker: from `initial`, doubling, to
        /// `max`. Default: 50 ms to 1 s.
        #[doc(alias = "reconnect.backoff.ms")]
        pub const fn reconnect_backoff(
            mut self,
            initial: std::time::Duration,
            max: std::time::Duration,
        ) -> Self {
            self.client.engine.reconnect_backoff =
                millstream_client_core::backoff::Backoff::new(initial, max);
            self
        }

        /// When metadata is fetched again though nothing happened. Default: 5 min.
        #[doc(alias = "metadata.max.age.ms")]
        pub const fn metadata_max_age(mut self, age: std::time::Duration) -> Self {
            self.client.engine.metadata_max_age = age;
            self
        }

        /// How long making a connection may take: from `initial`, doubling with each failure, to
        /// `max`. Default: 10 s to 30 s.
        #[doc(alias = "socket.connection.setup.timeout.ms")]
        pub const fn connection_setup_timeout(
            mut self,
            initial: std::time::Duration,
            max: std::time::Duration,
        ) -> Self {
            self.client.engine.setup_timeout =
                millstream_client_core::backoff::Backoff::new(initial, max);
            self
        }

        /// When a connection that nobody uses is closed; `None`: never. Default: 9 min, for an
        /// admin client 5 min.
        #[doc(alias = "connections.max.idle.ms")]
        pub const fn connections_max_idle(mut self, idle: Option<std::time::Duration>) -> Self {
            self.client.engine.connections_max_idle = idle;
            self
        }

        /// The longest answer a broker may give; a longer one ends the connection. Default: 100 MiB.
        #[doc(alias = "receive.message.max.bytes")]
        pub const fn receive_max_bytes(mut self, bytes: usize) -> Self {
            self.client.engine.receive_max_bytes = bytes;
            self
        }

        /// Runs the client on this thread, which several clients can share, instead of one of
        /// its own.
        pub fn io_thread(mut self, thread: &$crate::IoThread) -> Self {
            self.client.io_thread = Some(thread.clone());
            self
        }

        /// What random choices (jitter, the broker to ask first) are drawn from, so that a run can
        /// be repeated. Default: random.
        pub const fn seed(mut self, seed: u64) -> Self {
            self.client.seed = Some(seed);
            self
        }
    };
}
pub(crate) use client_setters;

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::*;

    fn read(text: &str) -> Result<ClientConfig, ConfigError> {
        let properties = Properties::parse(text).unwrap();
        let mut reader = PropertyReader::new(&properties);
        let mut config = ClientConfig::new(["localhost:9092"], "test");
        config.read(&mut reader)?;
        reader.finish()?;
        Ok(config)
    }

    #[test]
    fn properties_reach_the_engine() {
        let config = read(
            "bootstrap.servers=a:1,[::1]:2\nclient.id=me\nrequest.timeout.ms=7\n\
             connections.max.idle.ms=-1\nmetadata.recovery.strategy=none\nsend.buffer.bytes=-1",
        )
        .unwrap();
        let engine = config.engine().unwrap();
        let endpoints: Vec<_> = engine.bootstrap.iter().map(ToString::to_string).collect();
        assert_eq!(endpoints, ["a:1", "[::1]:2"]);
        assert_eq!(engine.client_id, "me");
        assert_eq!(engine.request_timeout, Duration::from_millis(7));
        assert_eq!(engine.connections_max_idle, None);
        assert_eq!(engine.rebootstrap_after, None);
        assert_eq!(config.socket.send_buffer, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "request.timeout.ms=soon",
                "request.timeout.ms = \"soon\" is not a number of milliseconds, 0 or more",
            ),
            (
                "security.protocol=SASL_SSL",
                "security.protocol = \"SASL_SSL\" is not one of PLAINTEXT",
            ),
            (
                "reqest.timeout.ms=1",
                "there is no property \"reqest.timeout.ms\"; is request.timeout.ms meant?",
            ),
            (
                "ssl.keystore.location=x",
                "ssl.keystore.location = \"x\" is not supported: TLS is not built in; \
                 use a PLAINTEXT listener",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn bootstrap_servers_are_checked() {
        for server in ["localhost", "localhost:", ":9092", "localhost:0", "http://h:1"] {
            let config = ClientConfig::new([server], "test");
            let error = config.engine().unwrap_err().to_string();
            assert!(error.starts_with("bootstrap.servers = "), "{server}: {error}");
        }
        let none = ClientConfig::new([" , "], "test").engine().unwrap_err();
        assert_eq!(none.to_string(), "bootstrap.servers is not set");
    }
}
