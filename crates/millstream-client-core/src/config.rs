//! What an engine is configured with: Java's defaults.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::backoff::Backoff;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `host:port`; an IPv6 address stands in brackets.
impl FromStr for Endpoint {
    type Err = MalformedEndpoint;

    fn from_str(text: &str) -> Result<Self, MalformedEndpoint> {
        parse(text).ok_or_else(|| MalformedEndpoint(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let is_host = !host.is_empty() && !host.contains(['/', '[', ']', ' ']);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host.then(|| Endpoint { host: host.to_owned(), port })
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of the form host:port")]
pub struct MalformedEndpoint(String);

/// The settings every client has.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The brokers to start from (`bootstrap.servers`).
    pub bootstrap: Vec<Endpoint>,
    /// Whether these are controllers (`bootstrap.controllers`, KIP-919): then the client speaks to
    /// controllers alone, for the few calls that they serve.
    pub bootstrap_is_of_controllers: bool,
    /// The name that brokers log and meter (`client.id`).
    pub client_id: String,
    /// How long a request may take (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long an admin call may take, retries included (`default.api.timeout.ms`).
    pub api_timeout: Duration,
    /// The waits between connection attempts to a broker (`reconnect.backoff.ms`, `….max.ms`).
    pub reconnect_backoff: Backoff,
    /// The waits between tries of a request (`retry.backoff.ms`, `….max.ms`).
    pub retry_backoff: Backoff,
    /// How long making a connection may take; doubles with each failure
    /// (`socket.connection.setup.timeout.ms`, `….max.ms`, KIP-601).
    pub setup_timeout: Backoff,
    /// When an unused connection is closed (`connections.max.idle.ms`); `None`: never.
    pub connections_max_idle: Option<Duration>,
    /// When metadata is asked for again though nothing happened (`metadata.max.age.ms`).
    pub metadata_max_age: Duration,
    /// When a topic that nobody asks for is forgotten (`metadata.max.idle.ms`).
    pub metadata_max_idle: Duration,
    /// Whether to start again from the bootstrap servers when no known broker answers for this long
    /// (`metadata.recovery.strategy`, `metadata.recovery.rebootstrap.trigger.ms`; KIP-899,
    /// KIP-1102); `None`: never.
    pub rebootstrap_after: Option<Duration>,
    /// Whether asking for a topic may create it (`allow.auto.create.topics`).
    pub allow_auto_create_topics: bool,
    /// The longest answer a broker may give.
    pub receive_max_bytes: usize,
    /// How many requests of a connection may be unanswered, by default.
    pub max_in_flight: usize,
    /// What all random choices are drawn from.
    pub seed: u64,
}

impl EngineConfig {
    /// The defaults, for these bootstrap servers.
    #[must_use]
    pub fn new(bootstrap: Vec<Endpoint>) -> Self {
        let millis = Duration::from_millis;
        Self {
            bootstrap,
            bootstrap_is_of_controllers: false,
            client_id: "millstream".to_owned(),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            reconnect_backoff: Backoff::new(millis(50), Duration::from_secs(1)),
            retry_backoff: Backoff::new(millis(100), Duration::from_secs(1)),
            setup_timeout: Backoff::new(Duration::from_secs(10), Duration::from_secs(30)),
            connections_max_idle: Some(Duration::from_secs(540)),
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            rebootstrap_after: Some(Duration::from_secs(300)),
            allow_auto_create_topics: false,
            receive_max_bytes: 100 * 1024 * 1024,
            max_in_flight: 100,
            seed: 0,
        }
    }
}
