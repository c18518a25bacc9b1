//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    acls, broker, cluster, configs, consume, groups, produce, quotas, reassign, tokens, topics,
    txns, users,
};

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
    /// Lists, describes and changes groups.
    Groups(groups::Args),
    /// Lists, describes, fences and aborts transactions.
    Txns(txns::Args),
    /// Moves replicas to other brokers and folders.
    Reassign(reassign::Args),
    /// Lists, creates and deletes rules of access.
    Acls(acls::Args),
    /// Shows and changes quotas.
    Quotas(quotas::Args),
    /// Shows and changes the SCRAM credentials of users.
    Users(users::Args),
    /// Creates, renews, expires and lists delegation tokens.
    Tokens(tokens::Args),
    /// Shows the cluster, its folders, features and controllers, and changes them.
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
