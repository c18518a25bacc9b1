//! `bench produce` and `bench latency`: every peer sends the same records to the same broker, round by round.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::case::Case;
use super::peer::{self, Build, Peer};
use super::program::Program;
use super::report::{self, Series, Spread};
use super::target::Target;

/// What a suite of producers is told.
#[derive(clap::Args)]
pub struct Args {
    /// The peers beside ours; all of them unless some are named.
    #[arg(long, value_delimiter = ',')]
    pub(super) peers: Vec<String>,
    /// Rounds in which all peers run in turn; ratios are taken inside a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
    /// Writes one JSON object a line to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// What takes the records: `kafka` or `null`, our broker that keeps nothing.
    #[arg(long, default_value = "kafka")]
    pub(super) broker: String,
    /// The cases, named like 100B-lz4-6: size of value, codec, partitions.
    #[arg(long, value_delimiter = ',')]
    pub(super) cases: Vec<String>,
    /// Records of a run, where it should not be the case's own number.
    #[arg(long)]
    pub(super) records: Option<u64>,
    /// `linger.ms`: 5 in `produce`, 0 in `latency` unless told otherwise.
    #[arg(long)]
    pub(super) linger: Option<u64>,
    /// `batch.size`.
    #[arg(long, default_value_t = 128 * 1024)]
    pub(super) batch: usize,
    /// Builds nothing: runs the peers as they were built before.
    #[arg(long)]
    pub(super) no_build: bool,
    /// Records a second, in `latency`.
    #[arg(long, default_value_t = 10_000)]
    pub(super) rate: u64,
}

impl Args {
    pub(super) const fn how_to_build(&self) -> Build {
        if self.no_build { Build::Before } else { Build::Now }
    }
}

/// Which suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suite {
    Produce,
    Latency,
}

/// How long `latency` sends at its rate, in seconds, and how long before it counts.
const LATENCY_SECONDS: u64 = 6;
const LATENCY_WARM_SECONDS: u64 = 1;
/// Records before the clock starts, in parts of the run: connections, metadata, and all the memory that a producer
/// may take, touched once.
const WARM_PART: u64 = 4;

/// The figures that a run gives, with the names they have in JSON.
const FIGURES: [&str; 9] = [
    "records_per_s",
    "cpu_ns_per_record",
    "broker_cpu_ns_per_record",
    "rss_bytes",
    "allocations_per_record",
    "p50_ns",
    "p99_ns",
    "p999_ns",
    "max_ns",
];

/// The series of one peer in one case, in the order of [`FIGURES`].
struct Row {
    case: Case,
    peer: Peer,
    version: String,
    records: u64,
    series: [Series; FIGURES.len()],
}

/// Runs the suite and prints it.
pub(super) fn run(suite: Suite, arguments: &Args) -> Result<()> {
    let mut bench = Bench::prepare(suite, arguments)?;
    let mut rows = bench.rows();
    // The broker's own code has to warm up too: a round that does not count.
    println!("# round 0 warms the broker and does not count");
    for round in 0..=arguments.rounds {
        for case in 0..bench.cases.len() {
            for turn in 0..bench.programs.len() {
                // Whoever runs first in a round gains or loses by it: take turns.
                let peer = (turn + round as usize) % bench.programs.len();
                let figures = bench.measure(case, peer, round)?;
                if round == 0 {
                    continue;
                }
                let row = &mut rows[case * bench.programs.len() + peer];
                if let Some((figures, version)) = figures {
                    row.version = version;
                    for (series, figure) in row.series.iter_mut().zip(figures) {
                        series.push(figure);
                    }
                }
            }
        }
        println!("# round {round} of {} done", arguments.rounds);
    }
    print(suite, &bench, &rows);
    report::write(arguments.json.as_deref(), &json_lines(suite, arguments, &bench, &rows))?;
    bench.target.stop()
}

/// All that a suite needs.
pub(super) struct Bench<'a> {
    suite: Suite,
    arguments: &'a Args,
    pub(super) cases: Vec<Case>,
    pub(super) programs: Vec<(Peer, Program)>,
    topic_tool: PathBuf,
    pub(super) target: Target,
    topics: u32,
}

impl<'a> Bench<'a> {
    /// Builds all peers and starts the broker.
    pub(super) fn prepare(suite: Suite, arguments: &'a Args) -> Result<Self> {
        let cases = if !arguments.cases.is_empty() {
            arguments.cases.iter().map(|name| Case::parse(name)).collect::<Result<_>>()?
        } else if suite == Suite::Produce {
            Case::all()
        } else {
            vec![Case { size: 100, compression: "none", partitions: 6 }]
        };
        let mut peers = Peer::parse_all(&arguments.peers)?;
        if suite == Suite::Latency {
            // Neither of these is a producer of its own there.
            peers.retain(|peer| ![Peer::Floor, Peer::MillstreamZstdC].contains(peer));
        }
        let mut programs = Vec::new();
        for peer in peers {
            println!("# preparing {}", peer.name());
            programs.push((peer, peer.build(arguments.how_to_build())?));
        }
        let topic_tool = peer::topic_tool(arguments.how_to_build())?;
        let target = Target::start(&arguments.broker)?;
        println!("# {} at {}", target.title, target.bootstrap);
        Ok(Self { suite, arguments, cases, programs, topic_tool, target, topics: 0 })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in &self.cases {
            for (peer, _) in &self.programs {
                rows.push(Row {
                    case: case.clone(),
                    peer: *peer,
                    version: String::new(),
                    records: self.counts(case).1,
                    series: Default::default(),
                });
            }
        }
        rows
    }

    /// The records before the clock starts and those after.
    fn counts(&self, case: &Case) -> (u64, u64) {
        let rate = self.arguments.rate;
        match self.suite {
            Suite::Produce => {
                let records = self.arguments.records.unwrap_or_else(|| case.records());
                (records / WARM_PART, records)
            }
            Suite::Latency => {
                let records = self.arguments.records.unwrap_or(rate * LATENCY_SECONDS);
                (rate * LATENCY_WARM_SECONDS, records)
            }
        }
    }

    /// One run of one peer on a topic of its own, whose contents are then checked. `None` for a peer that has
    /// nothing to do with the case.
    fn measure(
        &mut self,
        case: usize,
        peer: usize,
        round: u32,
    ) -> Result<Option<([Option<f64>; FIGURES.len()], String)>> {
        let case = self.cases[case].clone();
        if self.programs[peer].0 == Peer::MillstreamZstdC && case.compression != "zstd" {
            return Ok(None);
        }
        let (warm, records) = self.counts(&case);
        let mode = if self.suite == Suite::Produce { "produce" } else { "latency" };
        let (line, broker) = self.run_on_topic(&case, peer, mode, (warm, records), 0)?;
        let number = |name: &str| line[name].as_f64();
        let per_record = |total: f64| total / records as f64;
        let wall = number("wall_ns").context("the peer gave no wall time")?;
        // A server's first run has more before the clock than the others: what it said counts.
        let all = records as f64 + number("warm").unwrap_or(0.0);
        let figures = [
            Some(records as f64 * 1e9 / wall),
            number("cpu_ns").map(per_record),
            Some(broker / all),
            number("rss_bytes"),
            number("allocations").map(per_record),
            number("p50_ns"),
            number("p99_ns"),
            number("p999_ns"),
            number("max_ns"),
        ];
        let peer = self.programs[peer].0;
        println!(
            "# round {round} {:<14} {:<16} {:>8.0} records/ms {:>7.0} ns a record, broker {:>6.0}",
            case.name(),
            peer.name(),
            figures[0].unwrap_or(f64::NAN) / 1e3,
            figures[1].unwrap_or(f64::NAN),
            figures[2].unwrap_or(f64::NAN),
        );
        Ok(Some((figures, line["version"].as_str().unwrap_or_default().to_owned())))
    }

    /// Runs a peer on a new topic; answers its line and the broker's CPU in nanoseconds.
    pub(super) fn run_on_topic(
        &mut self,
        case: &Case,
        peer: usize,
        mode: &str,
        (warm, records): (u64, u64),
        idle_ms: u64,
    ) -> Result<(Value, f64)> {
        self.topics += 1;
        let topic = format!("bench-{}-{}", std::process::id(), self.topics);
        let partitions = case.partitions.to_string();
        let bootstrap = self.target.bootstrap.clone();
        let values = case.values()?.display().to_string();
        self.topic(&["create", &bootstrap, &topic, &partitions])?;
        let linger = self.arguments.linger.unwrap_or(if mode == "latency" { 0 } else { 5 });
        let arguments = [
            mode.to_owned(),
            format!("bootstrap={bootstrap}"),
            format!("topic={topic}"),
            format!("partitions={partitions}"),
            format!("records={records}"),
            format!("warm={warm}"),
            format!("values={values}"),
            format!("size={}", case.size),
            format!("compression={}", case.compression),
            format!("linger_ms={linger}"),
            format!("batch={}", self.arguments.batch),
            format!("rate={}", self.arguments.rate),
            format!("idle_ms={idle_ms}"),
        ];
        let before = self.target.cpu()?;
        let (peer, program) = &mut self.programs[peer];
        let (peer, line) = (*peer, program.run(&case.name(), &arguments)?);
        let broker = self.target.cpu()?.saturating_sub(before).as_nanos() as f64;
        self.check(case, peer, &topic, &values, &line)
            .with_context(|| format!("{} in {}", peer.name(), case.name()))?;
        self.topic(&["delete", &bootstrap, &topic])?;
        Ok((line, broker))
    }

    /// Whether the topic has exactly the records that the peer says it sent.
    fn check(
        &self,
        case: &Case,
        peer: Peer,
        topic: &str,
        values: &str,
        line: &Value,
    ) -> Result<()> {
        let count = |name: &str| line[name].as_u64().context("the peer gave no counts");
        let (warm, records) = (count("warm")?, count("records")?);
        let (bootstrap, partitions) = (&self.target.bootstrap, case.partitions.to_string());
        if self.target.keeps_records && peer.sends_the_values() {
            // A peer that began with the first value more than once says how often it sent how many.
            let bursts = line["bursts"].as_str().map_or_else(|| warm.to_string(), str::to_owned);
            let (size, counts) = (case.size.to_string(), format!("{bursts},{records}"));
            let words = ["verify", bootstrap, topic, &partitions, values, &size, &counts];
            return self.topic(&words).map(drop);
        }
        let end = self.topic(&["ends", bootstrap, topic, &partitions])?;
        if end.trim().parse() != Ok(warm + records) {
            bail!("the logs end at {} in all, not at {}", end.trim(), warm + records);
        }
        Ok(())
    }

    fn topic(&self, words: &[&str]) -> Result<String> {
        let output = Command::new(&self.topic_tool).args(words).output();
        let output = output.context("cannot start the tool of topics")?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("{} of {}: {}", words[0], words[2], error.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn ours<'a>(rows: &'a [Row], case: &Case) -> Option<&'a Row> {
    rows.iter().find(|row| row.case == *case && row.peer == Peer::Millstream)
}

fn print(suite: Suite, bench: &Bench<'_>, rows: &[Row]) {
    println!(
        "medians of {} rounds on {}; ratios are ours to the peer's",
        bench.arguments.rounds, bench.target.title
    );
    println!(
        "{:<14} {:<17} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>18} {:>18} {:>18}",
        "case",
        "peer",
        "krec/s",
        "cpu ns",
        "broker",
        "RSS MB",
        "alloc",
        "p50 us",
        "p99 us",
        "ratio cpu",
        if suite == Suite::Produce { "ratio krec/s" } else { "ratio p50" },
        if suite == Suite::Produce { "ratio broker" } else { "ratio p99" },
    );
    for row in rows.iter().filter(|row| !row.series[0].is_empty()) {
        let [rate, cpu, broker, rss, allocations, p50, p99, ..] = &row.series;
        let to_ours = |figure: usize| {
            let ours = ours(rows, &row.case);
            ours.map_or_else(String::new, |ours| {
                report::ratio(&report::ratios(&ours.series[figure], &row.series[figure]))
            })
        };
        let (second, third) = if suite == Suite::Produce { (0, 2) } else { (5, 6) };
        println!(
            "{:<14} {:<17} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>18} {:>18} {:>18}",
            row.case.name(),
            format!("{} {}", row.peer.name(), row.version),
            report::median(rate, 1e3, 0),
            report::median(cpu, 1.0, 0),
            report::median(broker, 1.0, 0),
            report::median(rss, 1e6, 0),
            report::median(allocations, 1.0, 4),
            report::median(p50, 1e3, 0),
            report::median(p99, 1e3, 0),
            to_ours(1),
            to_ours(second),
            to_ours(third),
        );
    }
    print_growth(rows);
}

/// What more partitions cost, peer by peer, against the fewest of the same size and codec.
fn print_growth(rows: &[Row]) {
    for row in rows {
        let alike = |other: &&Row| {
            other.peer == row.peer
                && other.case.size == row.case.size
                && other.case.compression == row.case.compression
                && other.case.partitions < row.case.partitions
        };
        let fewest = rows.iter().filter(alike).min_by_key(|other| other.case.partitions);
        if let Some(fewest) = fewest {
            let growth = report::ratio(&report::ratios(&row.series[1], &fewest.series[1]));
            let (many, few) = (row.case.name(), fewest.case.partitions);
            println!(
                "{}: CPU a record of {many} to that of {few} partitions: {growth}",
                row.peer.name()
            );
        }
    }
}

fn json_lines(suite: Suite, arguments: &Args, bench: &Bench<'_>, rows: &[Row]) -> Vec<Value> {
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| !row.series[0].is_empty()) {
        let mut line = json!({
            "suite": if suite == Suite::Produce { "produce" } else { "latency" },
            "case": row.case.name(),
            "peer": row.peer.name(),
            "version": row.version,
            "broker": bench.target.title,
            "rounds": arguments.rounds,
            "records": row.records,
        });
        for (name, series) in FIGURES.iter().zip(&row.series) {
            line[name] = Spread::json(Spread::of(series));
        }
        let ours = ours(rows, &row.case);
        for (name, figure) in [
            ("ratio_throughput", 0),
            ("ratio_cpu", 1),
            ("ratio_broker_cpu", 2),
            ("ratio_p50", 5),
            ("ratio_p99", 6),
        ] {
            let ratios = ours.map(|ours| report::ratios(&ours.series[figure], &row.series[figure]));
            line[name] = Spread::json(ratios.as_ref().and_then(Spread::of));
        }
        lines.push(line);
    }
    lines
}
