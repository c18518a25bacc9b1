//! The command line.

use clap::{Parser, Subcommand};

use crate::{broker, consume, produce, topics};

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
    /// Lists, creates, describes and deletes topics.
    Topics(topics::Args),
    /// Runs a broker for development and tests; what it holds is gone when it ends.
    Broker(broker::Args),
}
