//! Real Kafka from its Maven jars: clusters of KRaft nodes on loopback ports.
//!
//! A cluster has a name; its state lies in a folder of that name, so that a later command finds
//! and stops what an earlier one started.

mod cluster;
mod dist;
mod node;
mod probe;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

pub use cluster::{Cluster, ClusterOptions};
pub use dist::Distribution;

/// The version that the suites use unless they say otherwise.
pub const DEFAULT_VERSION: &str = "4.3.1";

/// What `cargo xtask kafka` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts a cluster and prints its bootstrap addresses.
    Up {
        /// The version of Kafka.
        #[arg(long, default_value = DEFAULT_VERSION)]
        version: String,
        /// How many nodes, each broker and controller.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
        /// The cluster's name.
        #[arg(long, default_value = "default")]
        name: String,
        /// A setting of every node.
        #[arg(long = "property", value_name = "NAME=VALUE", value_parser = parse_property)]
        properties: Vec<(String, String)>,
    },
    /// Shows the nodes of a cluster.
    Status {
        /// The cluster's name.
        #[arg(long, default_value = "default")]
        name: String,
    },
    /// Stops a cluster and deletes its data.
    Down {
        /// The cluster's name.
        #[arg(long, default_value = "default")]
        name: String,
    },
    /// Breaks or mends one node.
    Node {
        /// The node's id, from 1.
        id: u32,
        /// What to do to it.
        action: NodeAction,
        /// The cluster's name.
        #[arg(long, default_value = "default")]
        name: String,
    },
}

/// What can be done to one node.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NodeAction {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: the node holds its sockets and answers nothing.
    Pause,
    /// SIGCONT.
    Resume,
    /// Kills it if it runs, starts it on the same data and port, waits until it answers.
    Restart,
}

/// Runs one command.
///
/// # Errors
/// If Java or Maven is missing, or the cluster does not do as it is told.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up { version, nodes, name, properties } => {
            let options = ClusterOptions {
                version: version.clone(),
                nodes: *nodes,
                properties: properties.clone(),
            };
            let cluster = Cluster::up(name, &options)?;
            println!("{}", cluster.bootstrap());
        }
        Command::Status { name } => println!("{}", Cluster::open(name)?.status()),
        Command::Down { name } => Cluster::open(name)?.down()?,
        Command::Node { id, action, name } => Cluster::open(name)?.node(*id, *action)?,
    }
    Ok(())
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}
