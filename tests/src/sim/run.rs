//! Running a workload over seeds: twice each, with one command to replay a failure.

use std::fmt::Write;

use super::check::Violation;
use super::world::World;

/// The variable that names the one seed to run.
const SEED_VARIABLE: &str = "MILLSTREAM_SEED";

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
        }
    }
}

/// The seeds to run: `count` of them, or the one that the environment names.
#[must_use]
pub fn seeds(count: u64) -> Vec<u64> {
    let named = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    named.map_or_else(|| (0..count).collect(), |seed| vec![seed])
}

/// Runs a workload twice for each seed.
///
/// # Panics
/// On the first seed that goes wrong, with how to replay it.
pub fn check_seeds(name: &str, count: u64, run: impl Fn(u64) -> Outcome) {
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
