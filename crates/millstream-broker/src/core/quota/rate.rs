//! Averages over time: a sampled rate, and a bucket of tokens.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// `quota.window.num`, `controller.quota.window.num`.
const SAMPLES: usize = 11;
/// `quota.window.size.seconds`, `controller.quota.window.size.seconds`.
const SAMPLE: Duration = Duration::from_secs(1);

/// What was used in the last seconds (`Rate.java`, `SampledStat.java`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate(VecDeque<(Instant, f64)>);

impl Rate {
    /// Counts an amount and says how long to wait until the rate is at `limit` again.
    pub(crate) fn record(&mut self, amount: f64, limit: f64, now: Instant) -> Duration {
        let oldest = SAMPLE * SAMPLES as u32;
        while self.0.front().is_some_and(|(start, _)| now.duration_since(*start) >= oldest) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some((start, sum)) if now.duration_since(*start) < SAMPLE => *sum += amount,
            _ => self.0.push_back((now, amount)),
        }
        let sum: f64 = self.0.iter().map(|(_, sum)| sum).sum();
        let since = self.0.front().map_or(Duration::ZERO, |(start, _)| now.duration_since(*start));
        // All samples but the current one count as whole even if they never were.
        let window = since.max(SAMPLE * (SAMPLES as u32 - 1)).as_secs_f64();
        let over = sum / window - limit;
        if over <= 0.0 { Duration::ZERO } else { wait(over / limit * window) }
    }

    /// Takes back what was counted last.
    pub(crate) fn unrecord(&mut self, amount: f64) {
        if let Some((_, sum)) = self.0.back_mut() {
            *sum -= amount;
        }
    }
}

/// Tokens that come back at a rate (`TokenBucket.java`); it may be overdrawn once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(limit: f64, now: Instant) -> Self {
        Self { tokens: limit * SAMPLES as f64, at: now }
    }

    /// How long until it is overdrawn no more.
    pub(crate) fn wait(&mut self, limit: f64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * limit).min(limit * SAMPLES as f64);
        self.at = now;
        if self.tokens >= 0.0 { Duration::ZERO } else { wait(-self.tokens / limit) }
    }

    /// Takes tokens out, more than there are if need be.
    pub(crate) fn take(&mut self, count: f64) {
        self.tokens -= count;
    }
}

/// A time in whole milliseconds, as answers tell it.
fn wait(seconds: f64) -> Duration {
    // The cast saturates, also where a limit of 0 makes the wait infinite.
    Duration::from_millis(((seconds * 1000.0).round() as u64).min(i32::MAX as u64))
}
