//! What CI runs, step by step, and the tests with the clusters they need.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::kafka::{Cluster, ClusterOptions, DEFAULT_VERSION};
use crate::{shell, tidy};

/// The oldest and the newest broker that a pass of the suites runs against.
/// The oldest one knows transactions of version 1 only.
const OTHER_VERSIONS: [&str; 2] = ["3.9.2", "4.4.0"];
/// The suites of such a pass.
const OTHER_SUITES: [&[&str]; 2] = [
    &["test", "--package", "millstream-tests", "--test", "kafka"],
    &["test", "--package", "millstream-client", "--test", "it", "--", "transactions"],
];
/// The cluster that the suite uses; its state folder carries the name.
const SUITE: &str = "suite";

/// Runs all that CI runs: format, clippy, tidy, licences and sources, docs, tests.
///
/// # Errors
/// At the first step that fails.
pub fn run() -> Result<()> {
    step("format", || shell::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("clippy", || {
        let workspace = ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet"];
        shell::run(cargo(&workspace).args(["--", "-D", "warnings"]))
    })?;
    step("tidy", tidy::run)?;
    step("deny", || {
        shell::require("cargo-deny", "--version", "cargo install cargo-deny --locked")?;
        // Advisories need a database from the network: version floors in the manifests stand in.
        shell::run(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]))
    })?;
    step("docs", || {
        let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
        shell::run(docs.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("test", test)
}

/// Runs every test, bringing real Kafka up and taking it down.
///
/// # Errors
/// If real Kafka cannot be started, or a test fails. Nothing is skipped.
pub fn test() -> Result<()> {
    shell::require("kcat", "-V", "it stands on the other side of a test (Debian: kcat)")?;
    step("build", || {
        shell::run(&mut cargo(&["build", "--workspace", "--examples", "--bins", "--quiet"]))
    })?;
    step(&format!("tests, with Kafka {DEFAULT_VERSION} on three nodes"), || {
        with_kafka(DEFAULT_VERSION, 3, &[&["test", "--workspace", "--no-fail-fast"]])
    })?;
    for version in OTHER_VERSIONS {
        step(&format!("one pass with Kafka {version}"), || with_kafka(version, 3, &OTHER_SUITES))?;
    }
    Ok(())
}

/// Runs cargo's commands with a real cluster beside them, which is taken down whatever happens.
fn with_kafka(version: &str, nodes: usize, commands: &[&[&str]]) -> Result<()> {
    let options = ClusterOptions { version: version.to_owned(), nodes, properties: Vec::new() };
    let cluster = Cluster::up(SUITE, &options)
        .with_context(|| format!("real Kafka {version} could not be started"))?;
    let outcome = commands.iter().try_for_each(|arguments| {
        shell::run(
            cargo(arguments)
                .env("MILLSTREAM_KAFKA", cluster.bootstrap())
                .env("MILLSTREAM_KAFKA_VERSION", version)
                .env("MILLSTREAM_KAFKA_NAME", SUITE),
        )
    });
    cluster.down()?;
    outcome
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = shell::command("cargo");
    command.args(arguments);
    command
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    work().with_context(|| format!("step `{name}` failed"))?;
    println!("== {name}: {:.0} s", start.elapsed().as_secs_f32());
    Ok(())
}
