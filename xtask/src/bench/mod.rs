//! Benchmarks: ours beside its floor and its peers, in ratios taken side by side.

mod codec;

use anyhow::Result;
use clap::Subcommand;

/// The suites.
#[derive(Subcommand)]
pub enum Command {
    /// Encodes and decodes records beside memcpy, CRC-32C and kafka-protocol.
    Codec(codec::Args),
}

/// Runs a suite.
///
/// # Errors
/// If it cannot be run, or a budget is missed.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Codec(arguments) => codec::run(arguments),
    }
}
