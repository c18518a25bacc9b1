//! The peers: how each is built, and how it is run.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::program::{Program, Server};
use crate::shell;

/// Where the peers' sources lie.
const FOLDER: &str = "tests/peers/bench";

/// A producer that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Millstream,
    /// Ours with the C library for zstd.
    MillstreamZstdC,
    Floor,
    FranzGo,
    Librdkafka,
    ConfluentKafka,
    Krafka,
    Java,
}

impl Peer {
    pub(super) const ALL: [Self; 8] = [
        Self::Millstream,
        Self::MillstreamZstdC,
        Self::Floor,
        Self::FranzGo,
        Self::Librdkafka,
        Self::ConfluentKafka,
        Self::Krafka,
        Self::Java,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Millstream => "millstream",
            Self::MillstreamZstdC => "millstream-zstd-c",
            Self::Floor => "floor",
            Self::FranzGo => "franz-go",
            Self::Librdkafka => "librdkafka",
            Self::ConfluentKafka => "confluent-kafka",
            Self::Krafka => "krafka",
            Self::Java => "java",
        }
    }

    /// Reads a list of names, ours always first: the ratios are against it.
    pub(super) fn parse_all(names: &[String]) -> Result<Vec<Self>> {
        if names.is_empty() {
            return Ok(Self::ALL.to_vec());
        }
        let mut peers = vec![Self::Millstream];
        for name in names {
            match Self::ALL.into_iter().find(|peer| peer.name() == name) {
                Some(peer) if peers.contains(&peer) => {}
                Some(peer) => peers.push(peer),
                None => {
                    let known: Vec<_> = Self::ALL.iter().map(|peer| peer.name()).collect();
                    bail!("`{name}` is no peer: they are {}", known.join(", "));
                }
            }
        }
        Ok(peers)
    }

    /// Whether records can be compared with the values: the floor sends the same requests again.
    pub(super) fn sends_the_values(self) -> bool {
        self != Self::Floor
    }

    /// Builds it, or only finds what was built before.
    pub(super) fn build(self, how: Build) -> Result<Program> {
        match self {
            Self::Millstream => rust("bench-ours", "bench-millstream", false, how),
            Self::MillstreamZstdC => rust("bench-ours", "bench-millstream", true, how),
            Self::Floor => rust("bench-ours", "bench-floor", false, how),
            Self::Librdkafka => rust("bench-librdkafka", "bench-librdkafka", false, how),
            Self::ConfluentKafka => {
                rust("bench-confluent-kafka", "bench-confluent-kafka", false, how)
            }
            Self::Krafka => rust("bench-krafka", "bench-krafka", false, how),
            Self::FranzGo => go(how),
            Self::Java => java(how),
        }
    }
}

/// Whether programs are built before they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    Now,
    Before,
}

/// The tool that makes topics and reads them back.
pub(super) fn topic_tool(how: Build) -> Result<PathBuf> {
    match rust("bench-ours", "bench-topic", false, how)? {
        Program::Once(path) => Ok(path),
        Program::Server(_) => bail!("the tool of topics is no server"),
    }
}

/// The program that measures `enqueue` alone.
pub(super) fn enqueue_program(how: Build) -> Result<Program> {
    rust("bench-ours", "bench-enqueue", false, how)
}

/// Builds a binary of the peers' workspace, which is not ours.
fn rust(package: &str, binary: &str, zstd_c: bool, how: Build) -> Result<Program> {
    let manifest = shell::root().join(FOLDER).join("Cargo.toml");
    let mut metadata = cargo_metadata::MetadataCommand::new();
    let metadata = metadata.manifest_path(&manifest).no_deps().exec();
    let mut target = metadata.context("cannot find the peers' target folder")?.target_directory;
    let mut build = shell::command("cargo");
    build.args(["build", "--quiet", "--release", "--manifest-path"]).arg(&manifest);
    build.args(["--package", package, "--bin", binary]);
    if zstd_c {
        // A folder of its own, or the two would be built anew by turns.
        target = target.join("zstd-c");
        build.args(["--features", "zstd-c", "--target-dir", target.as_str()]);
    }
    run(&mut build, how)?;
    Ok(Program::Once(target.join("release").join(binary).into_std_path_buf()))
}

fn run(build: &mut Command, how: Build) -> Result<()> {
    if how == Build::Before { Ok(()) } else { shell::run(build) }
}

fn go(how: Build) -> Result<Program> {
    shell::require("go", "version", "install Go 1.26 or leave franz-go out by --peers")?;
    let folder = shell::root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("franz-go");
    let mut build = Command::new("go");
    build.current_dir(shell::root().join(FOLDER).join("franz-go"));
    run(build.arg("build").arg("-o").arg(&program).arg("."), how)?;
    Ok(Program::Once(program))
}

fn java(how: Build) -> Result<Program> {
    shell::require("mvn", "--version", "install Maven or leave java out by --peers")?;
    let folder = shell::root().join(FOLDER).join("java");
    let mut build = Command::new("mvn");
    build.args(["-q", "-B", "package", "dependency:copy-dependencies"]).current_dir(&folder);
    run(&mut build, how)?;
    let mut command = vec!["java".to_owned()];
    // What Kafka's own tools run with, and a heap that does not make the collector the bottleneck.
    command.extend(["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-cp"].map(str::to_owned));
    let target = folder.join("target");
    command.push(format!("{0}/classes:{0}/dependency/*", target.display()));
    command.push("bench.Main".to_owned());
    Ok(Program::Server(Server::new(command)))
}
