//! What happened in a simulation: a running hash of every event, and the last of them in words.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// How many events are kept in words.
const KEPT: usize = 4_000;

/// The events of one run. Two runs of one seed must end with the same hash.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<String>,
    seen: BTreeMap<&'static str, u64>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, count: 0, last: VecDeque::new(), seen: BTreeMap::new() }
    }
}

impl Trace {
    /// Notes that `what` happened `at` this virtual time.
    pub fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} ms  {what}", at.as_secs_f64() * 1000.0);
        self.mix(line.as_bytes());
        self.count += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Counts something that shall happen in some seed or other.
    pub fn count_seen(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.seen.entry(what).or_default() += times;
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn seen(&self) -> &BTreeMap<&'static str, u64> {
        &self.seen
    }

    /// Mixes bytes that went over the wire into the hash.
    pub fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of all that happened.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events were noted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The last `count` events, one a line.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let skip = self.last.len().saturating_sub(count);
        self.last.iter().skip(skip).map(|line| format!("{line}\n")).collect()
    }
}
