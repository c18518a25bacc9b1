//! The shell: real sockets and the real clock around the core, on a thread of its own.

mod connection;
mod hub;
mod running;
mod server;
mod transactions;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use thiserror::Error;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::core::ClusterConfig;
pub use running::RunningCluster;

/// The way to a running broker.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use millstream_broker::{ApiKey, Broker, Fault};
///
/// let cluster = Broker::in_process().nodes(3).start().await?;
/// let bootstrap = cluster.bootstrap();
/// cluster.fault(Fault::on(ApiKey::Produce).nth(3).apply_then_disconnect());
/// # cluster.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker;

impl Broker {
    /// A cluster in this process, reached over TCP.
    pub fn in_process() -> BrokerBuilder {
        let config = ClusterConfig {
            // Clusters differ in their ids from run to run; who wants the same ids sets a seed.
            seed: Uuid::new_v4().as_u64_pair().0,
            ..ClusterConfig::default()
        };
        BrokerBuilder {
            config,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            advertise: Vec::new(),
        }
    }
}

/// What a cluster is started with.
#[derive(Clone, Debug)]
#[must_use = "a broker runs only once it is started"]
pub struct BrokerBuilder {
    config: ClusterConfig,
    listen: SocketAddr,
    advertise: Vec<Advertised>,
}

/// What clients are told of the address of a node.
#[derive(Clone, Debug)]
struct Advertised {
    host: String,
    port: Option<u16>,
}

/// Why a cluster did not start, or a node did not start again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A cluster has at least one node, and not more than this one takes.
    #[error("a cluster of {0} nodes cannot be started; choose from 1 to 100")]
    Nodes(i32),
    /// A node cannot listen.
    #[error(
        "node {node} cannot listen on {address}: choose another address, or port 0 for a free one"
    )]
    Listen {
        /// The node.
        node: i32,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The thread or its runtime cannot be started.
    #[error("the broker's thread cannot be started")]
    Thread(#[source] io::Error),
    /// The broker's thread ended.
    #[error("the broker's thread has ended")]
    Stopped,
}

impl BrokerBuilder {
    /// The number of nodes, each on its own port.
    pub const fn nodes(mut self, nodes: i32) -> Self {
        self.config.nodes = nodes;
        self
    }

    /// The address of the first node; the others take the ports behind it. Port 0, the default on
    /// 127.0.0.1, gives every node a free port.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// The host that clients are told, where it is not the address listened on.
    pub fn advertise(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        self.advertise = vec![Advertised { host, port: None }];
        self
    }

    /// The addresses that clients are told, one per node: those of proxies before the nodes, for
    /// example. [`RunningCluster::address`] and [`RunningCluster::bootstrap`] stay the real ones.
    pub fn advertise_addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let addresses = addresses.into_iter();
        self.advertise = addresses
            .map(|address| Advertised {
                host: address.ip().to_string(),
                port: Some(address.port()),
            })
            .collect();
        self
    }

    /// Whether records are acknowledged and thrown away: a broker for measuring producers. Offsets
    /// advance, consumers find nothing, checksums and sequence numbers are not looked at.
    pub const fn discard(mut self, discard: bool) -> Self {
        self.config.discard = discard;
        self
    }

    /// The rules of transactions (the finalised feature `transaction.version`): 2, the default,
    /// raises the producer's epoch with each transaction (KIP-890), 1 does not.
    pub const fn transaction_version(mut self, version: i16) -> Self {
        self.config.transactions.version = version;
        self
    }

    /// Changes any other setting.
    pub fn configure(mut self, change: impl FnOnce(&mut ClusterConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the cluster on a thread of its own; it is ready when this returns. Needs no runtime
    /// of the caller: any executor can await it.
    ///
    /// # Cancel safety
    /// A cluster whose start was not awaited to the end stops again.
    ///
    /// # Errors
    /// A node cannot listen, or the thread cannot be started.
    pub async fn start(self) -> Result<RunningCluster, StartError> {
        let (ready, started) = oneshot::channel();
        self.spawn(move |result| {
            // A caller that went away drops the cluster, which stops it.
            drop(ready.send(result));
        })?;
        started.await.unwrap_or(Err(StartError::Stopped))
    }

    /// [`start`](Self::start) for a caller that may block its thread.
    ///
    /// # Errors
    /// A node cannot listen, or the thread cannot be started.
    pub fn start_blocking(self) -> Result<RunningCluster, StartError> {
        let (ready, started) = mpsc::channel();
        self.spawn(move |result| drop(ready.send(result)))?;
        started.recv().unwrap_or(Err(StartError::Stopped))
    }

    fn spawn(
        self,
        ready: impl FnOnce(Result<RunningCluster, StartError>) + Send + 'static,
    ) -> Result<(), StartError> {
        if !(1..=100).contains(&self.config.nodes) {
            return Err(StartError::Nodes(self.config.nodes));
        }
        let run = move || match runtime() {
            Ok(runtime) => runtime.block_on(server::run(self, ready)),
            Err(error) => ready(Err(StartError::Thread(error))),
        };
        let thread = thread::Builder::new().name("millstream-broker".to_owned());
        thread.spawn(run).map(drop).map_err(StartError::Thread)
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}
