//! The broker's thread: listeners, the timer, and the commands that need sockets.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use millstream_types::{BrokerId, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tracing::warn;

use super::connection;
use super::hub::SharedHub;
use super::running::RunningCluster;
use super::{BrokerBuilder, StartError};
use crate::core::Cluster;

/// Free ports are sought here: below the range from which the system takes the ports of outgoing
/// connections, so that a client that dials a dead node cannot meet itself.
const FREE_PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How many ports are tried.
const PORT_TRIES: u16 = 200;

/// A command that opens or closes sockets.
pub(super) enum Command {
    Crash(BrokerId, oneshot::Sender<()>),
    Restart(BrokerId, oneshot::Sender<Result<(), StartError>>),
    Stop(Option<oneshot::Sender<()>>),
}

struct Server {
    hub: Arc<SharedHub>,
    addresses: BTreeMap<BrokerId, SocketAddr>,
    listeners: BTreeMap<BrokerId, JoinHandle<()>>,
    limit: usize,
}

/// Runs a cluster until it is told to stop; tells `ready` how starting went.
pub(super) async fn run(
    builder: BrokerBuilder,
    ready: impl FnOnce(Result<RunningCluster, StartError>) + Send,
) {
    let (sender, mut commands) = mpsc::unbounded_channel();
    let mut server = match Server::start(builder).await {
        Ok(server) => server,
        Err(error) => return ready(Err(error)),
    };
    let timer = tokio::spawn(run_timer(Arc::clone(&server.hub)));
    let addresses = server.addresses.clone();
    ready(Ok(RunningCluster::new(Arc::clone(&server.hub), addresses, sender)));
    let mut stopped = None;
    while let Some(command) = commands.recv().await {
        match command {
            Command::Crash(node, done) => {
                server.close_listener(node).await;
                let _ = done.send(());
            }
            Command::Restart(node, done) => {
                let opened = server.open_listener(node).await;
                drop(done.send(opened));
            }
            Command::Stop(done) => {
                stopped = done;
                break;
            }
        }
    }
    timer.abort();
    for node in server.addresses.keys().copied().collect::<Vec<_>>() {
        server.close_listener(node).await;
    }
    if let Some(done) = stopped {
        let _ = done.send(());
    }
}

async fn run_timer(hub: Arc<SharedHub>) {
    loop {
        let Some(at) = hub.next_timeout() else {
            hub.rearm.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {
                hub.with(|cluster| cluster.handle_timeout(Instant::now()));
            }
            () = hub.rearm.notified() => {}
        }
    }
}

impl Server {
    async fn start(builder: BrokerBuilder) -> Result<Self, StartError> {
        let BrokerBuilder { config, listen, advertise } = builder;
        let limit = config.limits.request_bytes;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX));
        let seed = config.seed;
        let mut cluster = Cluster::new(config, Instant::now(), wall);
        let mut listeners = Vec::new();
        for (node, index) in cluster.nodes().into_iter().zip(0_u16..) {
            let mut address = listen;
            if listen.port() != 0 {
                address.set_port(listen.port().saturating_add(index));
            }
            let listener = bind(address, seed.wrapping_add(u64::from(index))).await;
            let listener =
                listener.map_err(|source| StartError::Listen { node: node.0, address, source })?;
            let bound = listener.local_addr().unwrap_or(address);
            // Nodes beyond the last address told share it.
            let told = advertise.get(usize::from(index)).or_else(|| advertise.last());
            let host = told.map_or_else(|| bound.ip().to_string(), |told| told.host.clone());
            let port = told.and_then(|told| told.port).unwrap_or_else(|| bound.port());
            // The node is one that the cluster just named.
            let _ = cluster.set_address(node, host, port);
            listeners.push((node, bound, listener));
        }
        let mut server = Self {
            hub: Arc::new(SharedHub::new(cluster)),
            addresses: BTreeMap::new(),
            listeners: BTreeMap::new(),
            limit,
        };
        for (node, bound, listener) in listeners {
            server.addresses.insert(node, bound);
            server.accept(node, listener);
        }
        Ok(server)
    }

    fn accept(&mut self, node: BrokerId, listener: TcpListener) {
        let accepting = accept(listener, node, Arc::clone(&self.hub), self.limit);
        self.listeners.insert(node, tokio::spawn(accepting));
    }

    /// Stops to listen; the port is closed when this returns.
    async fn close_listener(&mut self, node: BrokerId) {
        if let Some(task) = self.listeners.remove(&node) {
            task.abort();
            // Aborted, as asked.
            let _ = task.await;
        }
    }

    async fn open_listener(&mut self, node: BrokerId) -> Result<(), StartError> {
        let Some(address) = self.addresses.get(&node).copied() else {
            return Ok(());
        };
        if self.listeners.contains_key(&node) {
            return Ok(());
        }
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.map_err(|source| StartError::Listen { node: node.0, address, source })?;
        self.accept(node, listener);
        Ok(())
    }
}

/// Listens on an address; for port 0 on a free port that clients' own connections cannot take.
async fn bind(address: SocketAddr, seed: u64) -> io::Result<TcpListener> {
    if address.port() != 0 {
        return TcpListener::bind(address).await;
    }
    let count = u64::from(FREE_PORTS.end - FREE_PORTS.start);
    for attempt in 0..u64::from(PORT_TRIES) {
        let place = seed.wrapping_mul(31).wrapping_add(attempt.wrapping_mul(7919)) % count;
        let port = FREE_PORTS.start + u16::try_from(place).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind(SocketAddr::new(address.ip(), port)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind(address).await
}

/// Accepts connections; when aborted, their tasks end too.
async fn accept(listener: TcpListener, node: BrokerId, hub: Arc<SharedHub>, limit: usize) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve(&mut tasks, stream, node, &hub, limit),
                Err(error) => {
                    // Out of file descriptors, most likely: others may close some meanwhile.
                    warn!(%node, %error, "a connection cannot be accepted");
                    tokio::task::yield_now().await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

fn serve(
    tasks: &mut JoinSet<()>,
    stream: TcpStream,
    node: BrokerId,
    hub: &Arc<SharedHub>,
    limit: usize,
) {
    tasks.spawn(connection::serve(stream, node, Arc::clone(hub), limit));
}
