//! `cargo xtask`: everything that is done to the workspace, by one command each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, ci, codegen, fuzz, kafka, tidy};

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
    /// Writes the generated files of the protocol crate from Kafka's schemas.
    Codegen {
        /// Writes nothing; fails where a committed file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Measures us beside our floor and our peers.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Runs the fuzz targets.
    Fuzz(fuzz::Args),
    /// Runs every test, bringing real Kafka up and taking it down.
    Test,
    /// Runs all that CI runs: format, clippy, tidy, docs, tests.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Kafka(command) => kafka::run(&command),
        Command::Tidy => tidy::run(),
        Command::Codegen { check } => codegen::run(check),
        Command::Bench(command) => bench::run(&command),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
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
