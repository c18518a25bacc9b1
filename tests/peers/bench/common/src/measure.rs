//! The process's own clock: wall time, user and system time, memory, context switches.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Measures from its beginning to its end.
#[derive(Debug)]
pub struct Meter {
    wall: Instant,
    cpu: Duration,
}

/// What a meter measured.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Time that passed.
    pub wall: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
}

impl Meter {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        Self { cpu: cpu(), wall: Instant::now() }
    }

    /// Ends.
    #[must_use]
    pub fn stop(self) -> Reading {
        Reading { wall: self.wall.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

impl Reading {
    /// The line that a peer prints, but for what only some peers know.
    #[must_use]
    pub fn line(&self, peer: &str, version: &str, warm: u64, records: u64) -> Value {
        json!({
            "peer": peer,
            "version": version,
            "warm": warm,
            "records": records,
            "wall_ns": nanos(self.wall),
            "cpu_ns": nanos(self.cpu),
            "rss_bytes": peak_rss(),
            "allocations": null,
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that was resident.
#[must_use]
pub fn peak_rss() -> u64 {
    status("VmHWM:").unwrap_or(0) * 1024
}

/// Context switches of all threads so far.
#[must_use]
pub fn switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").map(Iterator::collect::<Vec<_>>);
    let texts = tasks
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    texts
        .map(|text| {
            find(&text, "voluntary_ctxt_switches:").unwrap_or(0)
                + find(&text, "nonvoluntary_ctxt_switches:").unwrap_or(0)
        })
        .sum()
}

fn status(name: &str) -> Option<u64> {
    find(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

fn find(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
