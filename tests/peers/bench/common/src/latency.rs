//! The open loop: records at fixed moments, each timed from the moment at which it was due.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The moments at which records are due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval: Duration,
}

impl Pace {
    /// A pace of `rate` records a second that begins now.
    #[must_use]
    pub fn start(rate: u64) -> Self {
        Self { start: Instant::now(), interval: Duration::from_secs(1) / rate as u32 }
    }

    /// A pace that begins after `pause`.
    #[must_use]
    pub fn start_in(pause: Duration, rate: u64) -> Self {
        let begun = Self::start(rate);
        Self { start: begun.start + pause, ..begun }
    }

    /// When record `index` is due.
    #[must_use]
    pub fn due(&self, index: u64) -> Instant {
        self.start + self.interval * index as u32
    }

    /// Sleeps until record `index` is due; not at all if that is past.
    pub fn wait(&self, index: u64) {
        let due = self.due(index);
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
    }
}

/// The latencies of a run.
#[derive(Debug, Default)]
pub struct Latencies {
    nanos: Vec<u64>,
}

impl Latencies {
    /// Room for `count`.
    #[must_use]
    pub fn with_capacity(count: u64) -> Self {
        Self { nanos: Vec::with_capacity(count as usize) }
    }

    /// Notes one.
    pub fn push(&mut self, latency: Duration) {
        self.nanos.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.nanos.len() as u64
    }

    /// Adds the quantiles to a peer's line.
    pub fn add_to(mut self, line: &mut Value) {
        self.nanos.sort_unstable();
        let at = |quantile: f64| {
            let last = self.nanos.len().saturating_sub(1);
            self.nanos.get((last as f64 * quantile).round() as usize).copied()
        };
        line["p50_ns"] = json!(at(0.5));
        line["p99_ns"] = json!(at(0.99));
        line["p999_ns"] = json!(at(0.999));
        line["max_ns"] = json!(at(1.0));
    }
}
