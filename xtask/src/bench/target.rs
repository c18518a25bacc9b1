//! What the peers produce to: one node of real Kafka, or our broker that keeps nothing, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::kafka::{Cluster, ClusterOptions, DEFAULT_VERSION};
use crate::shell;

/// The cluster's name, so that a killed benchmark's is found again.
const CLUSTER: &str = "bench";

/// A broker under load.
pub(super) struct Target {
    pub(super) bootstrap: String,
    /// What it is, for the report.
    pub(super) title: String,
    /// Whether records can be read back.
    pub(super) keeps_records: bool,
    pid: i32,
    ticks_per_second: u64,
    owner: Owner,
}

enum Owner {
    /// A cluster that was running before and stays, or is taken down.
    Cluster { was_up: bool },
    /// The broker that keeps nothing.
    Child(#[expect(dead_code, reason = "held to be ended")] Broker),
}

impl Target {
    /// Starts `kafka` or `null`.
    pub(super) fn start(kind: &str) -> Result<Self> {
        match kind {
            "kafka" => Self::kafka(),
            "null" => Self::discarding(),
            other => bail!("`{other}` is no broker: kafka or null"),
        }
    }

    fn kafka() -> Result<Self> {
        let options = ClusterOptions {
            version: DEFAULT_VERSION.to_owned(),
            nodes: 1,
            properties: Vec::new(),
        };
        let was_up = Cluster::open(CLUSTER).is_ok();
        let cluster = Cluster::up(CLUSTER, &options)?;
        let pid = *cluster.pids().first().context("the cluster has no process")?;
        Ok(Self {
            bootstrap: cluster.bootstrap(),
            title: format!("Kafka {}, one node", cluster.version()),
            keeps_records: true,
            pid,
            ticks_per_second: ticks_per_second(),
            owner: Owner::Cluster { was_up },
        })
    }

    fn discarding() -> Result<Self> {
        let mut build = shell::command("cargo");
        build.args(["build", "--quiet", "--release", "--package", "millstream-cli"]);
        shell::run(&mut build)?;
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(shell::root())
            .no_deps()
            .exec()
            .context("cannot find the target folder")?;
        let program: PathBuf = metadata.target_directory.join("release/millstream").into();
        let mut child = Command::new(&program)
            .args(["broker", "--discard", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("the broker has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Some(bootstrap) = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"))
        else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the broker printed no address but: {line}");
        };
        Ok(Self {
            bootstrap: bootstrap.trim_end_matches(',').to_owned(),
            title: "our broker, which keeps no record".to_owned(),
            keeps_records: false,
            pid: i32::try_from(child.id())?,
            ticks_per_second: ticks_per_second(),
            owner: Owner::Child(Broker(child)),
        })
    }

    /// The broker's user and system time so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.pid)).context("the broker is gone")?;
        // proc(5): after the name in brackets come the state and more; the 14th and 15th fields are the times.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        match (ticks(11), ticks(12)) {
            (Some(user), Some(system)) => {
                Ok(Duration::from_nanos((user + system) * (1_000_000_000 / self.ticks_per_second)))
            }
            _ => bail!("/proc/{}/stat is not as proc(5) says: {stat}", self.pid),
        }
    }

    /// Takes down what was started here.
    pub(super) fn stop(self) -> Result<()> {
        match self.owner {
            Owner::Cluster { was_up: false } => Cluster::open(CLUSTER)?.down(),
            Owner::Cluster { was_up: true } | Owner::Child(_) => Ok(()),
        }
    }
}

/// A process of ours ends with its benchmark, whatever that came to; a cluster is found again by its name.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}
