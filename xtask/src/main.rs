//! `cargo xtask`: everything that is done to the workspace, by one command each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{ci, kafka, tidy};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Automation of the workspace")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts, shows, breaks and stops real Kafka clusters on this machine.
    #[command(subcommand)]
    Kafka(kafka::Command),
    /// Checks what the compiler cannot: crate graph, sizes, headers, words.
    Tidy,
    /// Runs every test, bringing real Kafka up and taking it down.
    Test,
    /// Runs all that CI runs: format, clippy, tidy, docs, tests.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Kafka(command) => kafka::run(&command),
        Command::Tidy => tidy::run(),
        Command::Test => ci::test(),
        Command::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
