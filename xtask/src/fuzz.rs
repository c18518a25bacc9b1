//! `cargo xtask fuzz`: runs each fuzz target for a while, from the committed seeds.

use std::fs;

use anyhow::{Context, Result};

use crate::shell;

/// The targets, and where the inputs lie that each starts from.
const TARGETS: [(&str, &str); 2] =
    [("frame", "fuzz/seeds/frame"), ("record_batch", "crates/millstream-protocol/tests/vectors")];

/// How the targets run.
#[derive(clap::Args)]
pub struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs this target alone.
    #[arg(long, value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
}

/// Runs the targets one after the other.
///
/// # Errors
/// If cargo-fuzz or the nightly toolchain is missing, or a target finds a crash; the input that led to it lies
/// under `fuzz/artifacts` then.
pub fn run(arguments: &Args) -> Result<()> {
    shell::require("cargo-fuzz", "--version", "cargo install cargo-fuzz --locked")?;
    let mut nightly = shell::command("rustup");
    shell::run(nightly.args(["run", "nightly", "rustc", "--version"]))
        .context("fuzzing needs the nightly toolchain: rustup toolchain install nightly")?;
    for (target, seeds) in TARGETS {
        if arguments.target.as_deref().is_none_or(|wanted| wanted == target) {
            run_target(target, seeds, arguments.seconds)?;
        }
    }
    Ok(())
}

fn run_target(target: &str, seeds: &str, seconds: u64) -> Result<()> {
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(shell::root().join(&corpus))
        .with_context(|| format!("cannot create {corpus}"))?;
    let mut fuzz = shell::command("cargo");
    fuzz.args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", target, &corpus, seeds, "--"]);
    fuzz.arg(format!("-max_total_time={seconds}"));
    // A bomb that passes a limit shows as memory, an endless loop as time.
    fuzz.args(["-rss_limit_mb=1024", "-timeout=10", "-max_len=65536", "-print_final_stats=1"]);
    shell::run(&mut fuzz)
}
