//! `bench codec`: runs `tests/peers/codec-bench`, counts its instructions, compares with the budgets.
//!
//! The measuring is a package outside the workspace, because kafka-protocol takes part in it as a peer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

const PACKAGE: &str = "tests/peers/codec-bench/Cargo.toml";
const BUDGET_CASE: &str = "key16+value100";
/// Encoding against memcpy and CRC-32C of the same bytes; checking and decoding against CRC-32C.
const BUDGETS: [(&str, f64); 2] = [("codec-encode", 5.0), ("codec-decode", 7.0)];
/// How many batches make the difference that instructions are counted from.
const COUNTED_BATCHES: u32 = 10;
const RECORDS_PER_BATCH: f64 = 1_000.0;

/// How the suite runs.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds in which all variants run in turn; ratios are taken inside a round.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
    /// Writes one JSON object a line to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the suite and prints it.
pub(super) fn run(arguments: &Args) -> Result<()> {
    let manifest = shell::root().join(PACKAGE);
    let mut build = shell::command("cargo");
    build.args(["build", "--quiet", "--release", "--manifest-path"]).arg(&manifest);
    shell::run(&mut build)?;
    let mut metadata = cargo_metadata::MetadataCommand::new();
    let metadata = metadata.manifest_path(&manifest).no_deps().exec();
    let target = metadata.context("cannot find the benchmark's target folder")?.target_directory;
    let program = target.join("release/codec-bench").into_std_path_buf();

    let output = Command::new(&program).arg("rounds").arg(arguments.rounds.to_string()).output();
    let output = output.context("cannot start the benchmark")?;
    if !output.status.success() {
        bail!("the benchmark failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("the benchmark printed no text")?;
    let mut results: Vec<Value> = Vec::new();
    for line in text.lines() {
        results.push(serde_json::from_str(line).context("the benchmark printed no JSON")?);
    }
    count_all(&program, &mut results)?;

    print(&results, arguments.rounds);
    if let Some(file) = &arguments.json {
        let lines: String = results.iter().map(|result| format!("{result}\n")).collect();
        fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))?;
    }
    compare_with_budgets(&results)
}

/// Adds the instructions per record to each result, where valgrind is there to count them.
fn count_all(program: &Path, results: &mut [Value]) -> Result<()> {
    let advice = "install valgrind to count instructions";
    if let Err(error) = shell::require("valgrind", "--version", advice) {
        println!("instructions are not counted: {error}");
        return Ok(());
    }
    for result in results {
        let word = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        let suite = word("suite").trim_start_matches("codec-").to_owned();
        let work = [suite, word("case"), word("peer")];
        let few = count(program, &work, COUNTED_BATCHES)?;
        let many = count(program, &work, 2 * COUNTED_BATCHES)?;
        let records = f64::from(COUNTED_BATCHES) * RECORDS_PER_BATCH;
        result["instructions_per_record"] = Value::from((many - few) / records);
    }
    Ok(())
}

fn count(program: &Path, work: &[String], batches: u32) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = valgrind.arg(program).arg("work").args(work).arg(batches.to_string()).output();
    let output = output.context("cannot start valgrind")?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => bail!("valgrind counted no instructions of {}: {report}", work.join(" ")),
    }
}

fn print(results: &[Value], rounds: u32) {
    println!(
        "medians of {rounds} rounds; ratio: the floor's or the peer's time is 1.00x of its own"
    );
    println!(
        "{:<13} {:<24} {:<32} {:>9} {:>12} {:>16} {:>12}",
        "suite", "case", "peer", "ns/record", "ours to it", "instr./record", "alloc./record"
    );
    for result in results {
        let text = |name: &str| result[name].as_str().unwrap_or_default();
        let median = |name: &str| result[name]["median"].as_f64().unwrap_or(f64::NAN);
        let instructions = result["instructions_per_record"].as_f64();
        println!(
            "{:<13} {:<24} {:<32} {:>9.1} {:>11.2}x {:>16} {:>12}",
            text("suite"),
            text("case"),
            text("peer"),
            median("cpu_ns_per_record"),
            median("ratio_cpu"),
            instructions.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}")),
            median("allocations_per_record"),
        );
    }
}

fn compare_with_budgets(results: &[Value]) -> Result<()> {
    let find = |suite: &str, case: &str, peer: &str| {
        results.iter().find(|r| r["suite"] == suite && r["case"] == case && r["peer"] == peer)
    };
    let mut missed = 0;
    for (suite, budget) in BUDGETS {
        let floor = find(suite, BUDGET_CASE, "floor").context("the floor was not measured")?;
        let ratio = floor["ratio_cpu"]["median"].as_f64().context("the floor has no ratio")?;
        let verdict = if ratio <= budget { "within" } else { "OVER" };
        missed += usize::from(ratio > budget);
        println!("{suite} {BUDGET_CASE}: {ratio:.2}x its floor, {verdict} the budget of {budget}x");
    }
    let ours = results.iter().filter(|result| result["peer"] == "millstream");
    let allocating = ours.filter(|result| result["allocations_per_record"]["max"] != 0.0).count();
    println!("allocations per record: {allocating} of our variants allocate, the budget is none");
    if missed + allocating > 0 {
        bail!("a budget of the codec is missed");
    }
    Ok(())
}
