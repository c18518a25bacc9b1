//! Record codecs side by side in one process, round by round.
//!
//! `codec-bench rounds N` prints one JSON object a line for each (suite, case, peer); each figure is `{min, median,
//! max}` over the rounds, ratios are taken inside a round. `codec-bench work SUITE CASE PEER BATCHES` does that much
//! work and nothing else, so that a caller can count instructions.

mod shape;
mod variant;

use std::alloc::System;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::shape::BATCH;
use crate::variant::Variant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How long a variant runs in a round.
const SLICE: Duration = Duration::from_millis(25);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["rounds", rounds] => measure(rounds.parse().expect("a number of rounds")),
        ["work", suite, case, peer, batches] => {
            work(suite, case, peer, batches.parse().expect("a number of batches"));
        }
        _ => {
            eprintln!("usage: codec-bench rounds N | work SUITE CASE PEER BATCHES");
            std::process::exit(2);
        }
    }
}

fn work(suite: &str, case: &str, peer: &str, batches: usize) {
    let shape = shape::all().into_iter().find(|shape| shape.name == case);
    let variants = variant::all(shape.expect("a known case"));
    let found = variants.into_iter().find(|variant| (variant.suite, variant.peer) == (suite, peer));
    let mut variant = found.expect("a known suite and peer");
    for _ in 0..batches {
        variant.batch();
    }
}

fn measure(rounds: usize) {
    for shape in shape::all() {
        let case = shape.name;
        let mut variants = variant::all(shape);
        let mut times = vec![Vec::new(); variants.len()];
        for _ in 0..rounds {
            for (variant, times) in variants.iter_mut().zip(&mut times) {
                times.push(time(variant));
            }
        }
        let allocations: Vec<_> = variants.iter_mut().map(allocations).collect();
        for (index, variant) in variants.iter().enumerate() {
            let ours = variants
                .iter()
                .position(|other| (other.suite, other.peer) == (variant.suite, "millstream"))
                .expect("ours is measured in every suite");
            let own = &times[index];
            let ratios: Vec<_> =
                times[ours].iter().zip(own).map(|(ours, own)| ours / own).collect();
            let rate = own.iter().map(|time| 1e9 / time).collect();
            println!(
                "{}",
                json!({
                    "suite": format!("codec-{}", variant.suite),
                    "case": case,
                    "peer": variant.peer,
                    "version": version(variant.peer),
                    "rounds": rounds,
                    "records": BATCH,
                    "records_per_s": spread(rate),
                    "cpu_ns_per_record": spread(own.clone()),
                    "rss_bytes": null,
                    "allocations_per_record": spread(vec![allocations[index]]),
                    "ratio_cpu": spread(ratios.clone()),
                    "ratio_throughput": spread(ratios.iter().map(|ratio| 1.0 / ratio).collect()),
                })
            );
        }
    }
}

/// Nanoseconds of this thread's CPU time per record over one slice.
fn time(variant: &mut Variant) -> f64 {
    variant.batch();
    let start = cpu_time();
    let mut batches = 0_u32;
    loop {
        for _ in 0..8 {
            variant.batch();
        }
        batches += 8;
        let spent = cpu_time() - start;
        if spent >= SLICE {
            return spent.as_nanos() as f64 / (f64::from(batches) * BATCH as f64);
        }
    }
}

/// The CPU time of this thread: other work on the machine does not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Allocations and reallocations per record, once buffers have their size.
fn allocations(variant: &mut Variant) -> f64 {
    variant.batch();
    let region = Region::new(ALLOCATOR);
    variant.batch();
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / BATCH as f64
}

fn spread(mut figures: Vec<f64>) -> Value {
    figures.sort_by(f64::total_cmp);
    let (first, last) = (figures.first().copied(), figures.last().copied());
    json!({"min": first, "median": figures[figures.len() / 2], "max": last})
}

fn version(peer: &str) -> &'static str {
    match peer {
        "floor" => "memcpy and crc32c 0.6",
        "millstream" => env!("CARGO_PKG_VERSION"),
        _ => "0.18",
    }
}
