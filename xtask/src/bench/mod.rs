//! Benchmarks: ours beside its floor and its peers, in ratios taken side by side.

mod case;
mod codec;
mod idle;
mod peer;
mod produce;
mod program;
mod report;
mod target;

use anyhow::Result;
use clap::Subcommand;

/// The suites.
#[derive(Subcommand)]
pub enum Command {
    /// Encodes and decodes records beside memcpy, CRC-32C and kafka-protocol.
    Codec(codec::Args),
    /// Produces as fast as each peer can: CPU a record, throughput, the broker's CPU a record.
    Produce(produce::Args),
    /// Produces at a fixed rate, linger 0: time from the intended moment to the acknowledgement.
    Latency(produce::Args),
    /// Leaves producers idle: their CPU and their context switches.
    Idle(produce::Args),
    /// Enqueues alone: the caller's time and the allocations a record, ours only.
    Enqueue(produce::Args),
}

/// Runs a suite.
///
/// # Errors
/// If it cannot be run, or a budget is missed.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Codec(arguments) => codec::run(arguments),
        Command::Produce(arguments) => produce::run(produce::Suite::Produce, arguments),
        Command::Latency(arguments) => produce::run(produce::Suite::Latency, arguments),
        Command::Idle(arguments) => idle::run(arguments),
        Command::Enqueue(arguments) => idle::run_enqueue(arguments),
    }
}
