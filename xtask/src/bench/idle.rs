//! `bench idle` and `bench enqueue`: what a producer costs that has nothing to do, and what the caller alone pays.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::case::Case;
use super::peer::{self, Peer};
use super::produce::{Args, Bench, Suite};
use super::report::{self, Series, Spread};

/// How long a producer stays idle.
const IDLE_MS: u64 = 10_000;
/// Records that an idle producer has sent before.
const IDLE_WARM: u64 = 10_000;
/// The budget: nanoseconds a call and allocations a record.
const ENQUEUE_NS_MAX: f64 = 60.0;
const ENQUEUE_ALLOCATIONS_MAX: f64 = 0.01;

/// Runs the suite of idle producers and prints it.
pub(super) fn run(arguments: &Args) -> Result<()> {
    let mut bench = Bench::prepare(Suite::Latency, arguments)?;
    let case = bench.cases.first().context("there is no case")?.clone();
    let mut lines = Vec::new();
    println!("idle for {} s after {IDLE_WARM} records, on {}", IDLE_MS / 1_000, bench.target.title);
    println!("{:<17} {:>10} {:>18}", "peer", "CPU ms", "context switches");
    for peer in 0..bench.programs.len() {
        let name = bench.programs[peer].0.name();
        let (mut cpu, mut switches) = (Series::new(), Series::new());
        let mut version = Value::Null;
        for _ in 0..arguments.rounds {
            let (line, _) = bench.run_on_topic(&case, peer, "idle", (IDLE_WARM, 0), IDLE_MS)?;
            cpu.push(line["cpu_ns"].as_f64());
            switches.push(line["switches"].as_f64());
            version = line["version"].clone();
        }
        println!(
            "{name:<17} {:>10} {:>18}",
            report::median(&cpu, 1e6, 2),
            report::median(&switches, 1.0, 0)
        );
        lines.push(json!({
            "suite": "idle", "case": case.name(), "peer": name, "version": version,
            "rounds": arguments.rounds, "idle_ms": IDLE_MS,
            "cpu_ns": Spread::json(Spread::of(&cpu)),
            "context_switches": Spread::json(Spread::of(&switches)),
        }));
    }
    report::write(arguments.json.as_deref(), &lines)?;
    bench.target.stop()
}

/// Runs the suite of `enqueue` alone and prints it.
pub(super) fn run_enqueue(arguments: &Args) -> Result<()> {
    let only_ours = Args {
        peers: vec![Peer::Millstream.name().to_owned()],
        json: None,
        cases: if arguments.cases.is_empty() {
            ["100B-none-6", "1KiB-none-6"].map(str::to_owned).to_vec()
        } else {
            arguments.cases.clone()
        },
        broker: arguments.broker.clone(),
        ..*arguments
    };
    let mut bench = Bench::prepare(Suite::Produce, &only_ours)?;
    bench.programs = vec![(Peer::Millstream, peer::enqueue_program(arguments.how_to_build())?)];
    let mut lines = Vec::new();
    let cases: Vec<Case> = bench.cases.clone();
    println!("enqueue alone, the caller's thread, medians of {} rounds", arguments.rounds);
    println!("{:<14} {:>24} {:>22}", "case", "ns a call", "allocations a record");
    for case in cases {
        let (mut cost, mut allocations) = (Series::new(), Series::new());
        let records = arguments.records.unwrap_or_else(|| case.records());
        for _ in 0..arguments.rounds {
            let counts = (records / 10, records);
            let (line, _) = bench.run_on_topic(&case, 0, "produce", counts, 0)?;
            cost.push(line["caller_ns"].as_f64().map(|total| total / records as f64));
            allocations.push(line["allocations"].as_f64().map(|total| total / records as f64));
        }
        println!(
            "{:<14} {:>24} {:>22}",
            case.name(),
            report::ratio(&cost),
            report::median(&allocations, 1.0, 4)
        );
        if case.name() == "100B-none-6" {
            verdict("ns a call", &cost, ENQUEUE_NS_MAX);
            verdict("allocations a record", &allocations, ENQUEUE_ALLOCATIONS_MAX);
        }
        lines.push(json!({
            "suite": "enqueue", "case": case.name(), "peer": "millstream",
            "rounds": arguments.rounds, "records": records,
            "caller_ns_per_record": Spread::json(Spread::of(&cost)),
            "allocations_per_record": Spread::json(Spread::of(&allocations)),
        }));
    }
    report::write(arguments.json.as_deref(), &lines)?;
    bench.target.stop()
}

fn verdict(what: &str, series: &Series, budget: f64) {
    if let Some(spread) = Spread::of(series) {
        let verdict = if spread.median <= budget { "within" } else { "OVER" };
        println!("{what}: {:.4}, {verdict} the budget of {budget}", spread.median);
    }
}
