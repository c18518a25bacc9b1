//! One node: its configuration, its data, its process.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use super::Distribution;
use super::cluster::State;

/// A node as its cluster's state file keeps it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Node {
    pub(super) id: u32,
    /// Where clients connect.
    pub(super) port: u16,
    /// Where the controllers speak to each other.
    pub(super) controller_port: u16,
    /// The process, while it runs.
    pub(super) pid: Option<i32>,
}

impl Node {
    /// Writes the configuration and formats the data folder.
    pub(super) fn format(&self, dist: &Distribution, folder: &Path, cluster: &State) -> Result<()> {
        let folder = self.folder(folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("server.properties"), self.properties(&folder, cluster))?;
        let output = dist
            .java("256m")
            .args(["kafka.tools.StorageTool", "format", "-t", &cluster.cluster_id, "-c"])
            .arg(folder.join("server.properties"))
            .output()
            .context("cannot start java")?;
        if !output.status.success() {
            bail!(
                "node {} was not formatted: {}",
                self.id,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// Starts the process, detached from this one.
    pub(super) fn start(&mut self, dist: &Distribution, folder: &Path) -> Result<()> {
        let folder = self.folder(folder);
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let child = dist
            .java("512m")
            .args(["-Xms256m", "-XX:+UseSerialGC", "kafka.Kafka"])
            .arg(folder.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start java")?;
        self.pid = Some(i32::try_from(child.id())?);
        Ok(())
    }

    /// Sends a signal to the process; a node that does not run is left alone.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(pid) = self.process()
            && self.is_running()
        {
            kill_process(pid, signal).with_context(|| format!("cannot signal node {}", self.id))?;
        }
        Ok(())
    }

    /// Whether the process is there.
    pub(super) fn is_running(&self) -> bool {
        let Some(pid) = self.process() else {
            return false;
        };
        // A killed child of this very process stays as a zombie until it is waited for.
        let zombie = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")));
        !zombie && test_kill_process(pid).is_ok()
    }

    /// The end of the node's log, for error messages.
    pub(super) fn log_tail(&self, folder: &Path) -> String {
        let text = fs::read_to_string(self.folder(folder).join("server.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn process(&self) -> Option<Pid> {
        Pid::from_raw(self.pid?)
    }

    fn folder(&self, cluster: &Path) -> std::path::PathBuf {
        cluster.join(format!("node-{}", self.id))
    }

    fn properties(&self, folder: &Path, cluster: &State) -> String {
        let all = &cluster.nodes;
        let voters: Vec<_> = all
            .iter()
            .map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller_port))
            .collect();
        let replicas = all.len().min(3);
        let in_sync = replicas.saturating_sub(1).max(1);
        let lines = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", self.id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            (
                "listeners",
                format!(
                    "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
                    self.port, self.controller_port
                ),
            ),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{}", self.port)),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            ),
            // Two, so that a replica has somewhere to move to.
            (
                "log.dirs",
                format!("{},{}", folder.join("data").display(), folder.join("more").display()),
            ),
            ("num.partitions", "1".to_owned()),
            ("default.replication.factor", replicas.to_string()),
            ("min.insync.replicas", in_sync.to_string()),
            ("offsets.topic.replication.factor", replicas.to_string()),
            // Few partitions of the internal topics: the cluster is ready much sooner.
            ("offsets.topic.num.partitions", "8".to_owned()),
            ("transaction.state.log.replication.factor", replicas.to_string()),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("transaction.state.log.num.partitions", "8".to_owned()),
            ("share.coordinator.state.topic.replication.factor", replicas.to_string()),
            ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
            ("share.coordinator.state.topic.num.partitions", "8".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("auto.create.topics.enable", "false".to_owned()),
            // The tests wait for transactions to time out.
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500".to_owned()),
            // Access rules can be kept and shown; the one user there is stands above them.
            (
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            ),
            ("super.users", "User:ANONYMOUS".to_owned()),
        ];
        let mut text = Vec::new();
        for (name, value) in lines {
            let _ = writeln!(text, "{name}={value}");
        }
        // Of two lines with a name, Java reads the later one.
        for (name, value) in &cluster.properties {
            let _ = writeln!(text, "{name}={value}");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
