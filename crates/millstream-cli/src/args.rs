//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::{broker, cluster, configs, consume, produce, topics};

/// Kafka without librdkafka and without a JVM.
#[derive(Debug, Parser)]
#[command(name = "millstream", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Produces a record per line of a file or of standard input.
    Produce(produce::Args),
    /// Prints the records of topics.
    Consume(consume::Args),
    /// Lists, creates, changes, describes and deletes topics.
    Topics(topics::Args),
    /// Shows and changes settings.
    Configs(configs::Args),
    /// Shows the cluster.
    Cluster(cluster::Args),
    /// Runs a broker for development and tests; what it holds is gone when it ends.
    Broker(broker::Args),
    /// Prints the completions for a shell.
    #[command(
        after_help = "Example: millstream completions bash > ~/.bash_completion.d/millstream"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}
