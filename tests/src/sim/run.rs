//! Running a workload over seeds: twice each, with one command to replay a failure.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::check::Violation;
use super::world::World;

/// The variable that names the one seed to run.
const SEED_VARIABLE: &str = "MILLSTREAM_SEED";

/// The variable that names other seeds than the default ones: `100..200`.
const SEEDS_VARIABLE: &str = "MILLSTREAM_SEEDS";

/// How many events a failure shows.
const TAIL: usize = 60;

/// What came of one run of one seed.
#[derive(Debug)]
pub struct Outcome {
    /// The hash of all events.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// The last events, in words.
    pub tail: String,
    /// How often what happened.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// The outcome of a world that has come to its end.
    #[must_use]
    pub fn of(world: &World, violations: Vec<Violation>) -> Self {
        let trace = world.trace();
        let lines = std::env::var("MILLSTREAM_TRACE").ok().and_then(|lines| lines.parse().ok());
        Self {
            hash: trace.hash(),
            events: trace.count(),
            violations,
            tail: trace.tail(lines.unwrap_or(TAIL)),
            seen: trace.seen().clone(),
        }
    }
}

/// The seeds to run: `count` of them, or those that the environment names.
#[must_use]
pub fn seeds(count: u64) -> Range<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| number(&seed)) {
        return seed..seed + 1;
    }
    let range = std::env::var(SEEDS_VARIABLE).ok();
    let range = range.as_deref().and_then(|range| range.split_once(".."));
    let range = range.and_then(|(from, to)| Some(number(from)?..number(to)?));
    range.unwrap_or(0..count)
}

/// Runs a workload twice for each seed.
///
/// # Panics
/// On the first seed that goes wrong, with how to replay it; and if something of `wanted` happened
/// in none of the default seeds, since a test in which nothing goes wrong shows nothing.
pub fn check_seeds(name: &str, count: u64, wanted: &[&str], run: impl Fn(u64) -> Outcome) {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds(count) {
        let replay = format!("MILLSTREAM_SEED={seed} cargo test -p millstream-tests {name}");
        let watch = SeedOnPanic(&replay);
        let first = run(seed);
        if !first.violations.is_empty() {
            let mut text = format!("seed {seed} of {name} went wrong; replay: {replay}\n");
            for violation in first.violations.iter().take(20) {
                let _ = writeln!(text, "  {violation}");
            }
            let _ = write!(text, "the last events:\n{}", first.tail);
            panic!("{text}");
        }
        let again = run(seed);
        if first.hash != again.hash {
            panic!(
                "seed {seed} of {name} is not deterministic: {} events, then {}\n{}\n{}",
                first.events, again.events, first.tail, again.tail
            );
        }
        drop(watch);
        for (what, times) in first.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    if seeds(count) == (0..count) {
        for what in wanted {
            assert!(seen.contains_key(what), "{name}: no seed had any {what}; there were {seen:?}");
        }
    }
}

/// Names the seed when a panic ends its run.
struct SeedOnPanic<'a>(&'a str);

impl Drop for SeedOnPanic<'_> {
    #[expect(clippy::print_stderr, reason = "a panic on its way up has no other place for it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

/// Whether one of the first `count` seeds shows what is `wanted`: for defects that are planted.
pub fn finds(
    count: u64,
    run: impl Fn(u64) -> Outcome,
    wanted: impl Fn(&Violation) -> bool,
) -> bool {
    (0..count).any(|seed| run(seed).violations.iter().any(&wanted))
}
