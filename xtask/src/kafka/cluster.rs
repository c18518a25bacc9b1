//! A cluster of nodes, and the state file by which later commands find it.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::node::Node;
use super::{Distribution, NodeAction, dist, probe};

/// A cold start of three nodes takes about 9 s on two cores; a loaded machine takes longer.
const START_TIMEOUT: Duration = Duration::from_secs(180);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The version of Kafka.
    pub version: String,
    /// How many nodes, each broker and controller.
    pub nodes: usize,
    /// Settings of every node, over those that a cluster has anyway.
    pub properties: Vec<(String, String)>,
}

/// A cluster of real Kafka on this machine.
///
/// Dropping the value leaves the cluster running: [`Cluster::down`] stops it.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    state: State,
}

/// What the state file keeps.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct State {
    version: String,
    pub(super) cluster_id: String,
    #[serde(default)]
    pub(super) properties: Vec<(String, String)>,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// Starts the cluster `name`, or finds it running with these options.
    ///
    /// # Errors
    /// If Java or Maven is missing, another cluster has the name, or the nodes do not come up;
    /// the end of their logs is then part of the message.
    pub fn up(name: &str, options: &ClusterOptions) -> Result<Self> {
        if let Ok(running) = Self::open(name) {
            if running.state.version == options.version
                && running.state.nodes.len() == options.nodes
                && running.state.properties == options.properties
                && running.state.nodes.iter().all(Node::is_running)
            {
                return Ok(running);
            }
            running.down()?;
        }
        let dist = Distribution::get(&options.version)?;
        let folder = dist::cluster_folder(name);
        fs::create_dir_all(&folder)?;
        let nodes = allot_nodes(options.nodes)?;
        // Any 16 bytes in URL-safe base64 will do: Kafka only compares it.
        let cluster_id = format!("{:0>22}", format!("ms{}", std::process::id()));
        let properties = options.properties.clone();
        let state = State { version: options.version.clone(), cluster_id, properties, nodes };
        format_all(&dist, &folder, &state)?;
        let mut cluster = Self { folder, state };
        for index in 0..cluster.state.nodes.len() {
            cluster.state.nodes[index].start(&dist, &cluster.folder)?;
        }
        cluster.save()?;
        cluster.wait_until_complete()?;
        Ok(cluster)
    }

    /// Finds the cluster `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(name: &str) -> Result<Self> {
        let folder = dist::cluster_folder(name);
        let text = fs::read_to_string(folder.join("cluster.json"))
            .with_context(|| format!("there is no cluster `{name}`: `cargo xtask kafka up`"))?;
        Ok(Self { folder, state: serde_json::from_str(&text)? })
    }

    /// The addresses that clients start from.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let all: Vec<_> =
            self.state.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        all.join(",")
    }

    /// The version of Kafka that the cluster runs.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.state.version
    }

    /// The address of one node.
    #[must_use]
    pub fn address(&self, id: u32) -> Option<String> {
        let node = self.state.nodes.iter().find(|node| node.id == id)?;
        Some(format!("127.0.0.1:{}", node.port))
    }

    /// The processes of the nodes that were started.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.state.nodes.iter().filter_map(|node| node.pid).collect()
    }

    /// A line for each node.
    #[must_use]
    pub fn status(&self) -> String {
        let mut text = format!("Kafka {}, bootstrap {}\n", self.state.version, self.bootstrap());
        for node in &self.state.nodes {
            let state = match (node.is_running(), probe::brokers_known(node.port)) {
                (false, _) => "down".to_owned(),
                (true, None) => "does not answer".to_owned(),
                (true, Some(known)) => format!("up, knows {known} brokers"),
            };
            let _ = writeln!(text, "node {} at 127.0.0.1:{}: {state}", node.id, node.port);
        }
        text.trim_end().to_owned()
    }

    /// Breaks or mends one node.
    ///
    /// # Errors
    /// If there is no such node, or a restarted one does not come up.
    pub fn node(&mut self, id: u32, action: NodeAction) -> Result<()> {
        let Some(index) = self.state.nodes.iter().position(|node| node.id == id) else {
            bail!("the cluster has no node {id}");
        };
        match action {
            NodeAction::Kill => self.kill(index),
            NodeAction::Pause => self.state.nodes[index].signal(Signal::STOP),
            NodeAction::Resume => self.state.nodes[index].signal(Signal::CONT),
            NodeAction::Restart => self.restart(index),
        }
    }

    /// Stops all nodes at once and deletes their data.
    ///
    /// # Errors
    /// If a node survives SIGKILL or the folder cannot be deleted.
    pub fn down(mut self) -> Result<()> {
        for index in 0..self.state.nodes.len() {
            self.kill(index)?;
        }
        fs::remove_dir_all(&self.folder).context("cannot delete the cluster's data")
    }

    fn kill(&mut self, index: usize) -> Result<()> {
        let node = &self.state.nodes[index];
        node.signal(Signal::KILL)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while node.is_running() {
            if Instant::now() > deadline {
                bail!("node {} survives SIGKILL", node.id);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn restart(&mut self, index: usize) -> Result<()> {
        self.kill(index)?;
        let dist = Distribution::get(&self.state.version)?;
        self.state.nodes[index].start(&dist, &self.folder)?;
        self.save()?;
        self.wait_until_complete()
    }

    /// Waits until every running node knows every running node.
    fn wait_until_complete(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let started: Vec<_> = self.state.nodes.iter().filter(|node| node.is_running()).collect();
        for node in &started {
            while probe::brokers_known(node.port).is_none_or(|known| known < started.len()) {
                if !node.is_running() || Instant::now() > deadline {
                    let tail = node.log_tail(&self.folder);
                    bail!("Kafka {} node {} did not come up:\n{tail}", self.state.version, node.id);
                }
                thread::sleep(POLL_INTERVAL);
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.state)?;
        fs::write(self.folder.join("cluster.json"), text).context("cannot write the state file")
    }
}

/// Gives each node two free ports, all held until every one is known.
fn allot_nodes(count: usize) -> Result<Vec<Node>> {
    let listeners: Vec<_> = (0..2 * count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()
        .context("no free ports")?;
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()?;
    let pairs = ports.chunks_exact(2).zip(1..);
    Ok(pairs
        .map(|(pair, id)| Node { id, port: pair[0], controller_port: pair[1], pid: None })
        .collect())
}

fn format_all(dist: &Distribution, folder: &std::path::Path, state: &State) -> Result<()> {
    thread::scope(|scope| {
        let formats: Vec<_> = state
            .nodes
            .iter()
            .map(|node| scope.spawn(move || node.format(dist, folder, state)))
            .collect();
        for format in formats {
            match format.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("formatting a node panicked"),
            }
        }
        Ok(())
    })
}
