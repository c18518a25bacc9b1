//! `enqueue` alone: what a call costs the thread that makes it, while the driver sends on its own. The allocations
//! are those of the whole process.

use std::alloc::System;
use std::time::Duration;

use bench_common::{Meter, Mode, Run, Values};
use millstream_client::{EnqueueError, Producer, Record};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// So many records go in without a look at the clock; then memory must be free again before the next ones.
const BURST: u64 = 10_000;
const MEMORY: usize = 64 * 1024 * 1024;

fn main() {
    let mut run = Run::from_args();
    assert_eq!(run.mode, Mode::Produce, "enqueue is measured by producing");
    let producer = Producer::builder([run.bootstrap.as_str()])
        .buffer_memory(MEMORY)
        .build_blocking()
        .expect("a producer");
    let topic = run.topic.clone();
    send(&producer, &topic, &mut run.values, run.warm);
    run.values.restart();
    let region = Region::new(ALLOCATOR);
    let meter = Meter::start();
    let caller = send(&producer, &topic, &mut run.values, run.records);
    let reading = meter.stop();
    let change = region.change();
    let mut line = reading.line("millstream", env!("CARGO_PKG_VERSION"), run.warm, run.records);
    line["caller_ns"] = json!(u64::try_from(caller.as_nanos()).expect("a short run"));
    line["allocations"] = json!(change.allocations + change.reallocations);
    println!("{line}");
}

/// The thread's own CPU time in the calls of `try_enqueue`, none of which had to wait.
fn send(producer: &Producer, topic: &str, values: &mut Values, count: u64) -> Duration {
    let mut caller = Duration::ZERO;
    let mut left = count;
    if count > 0 {
        // The first record asks for the topic.
        let record = Record::to(topic).value(values.next_value());
        drop(producer.enqueue_blocking(&record).expect("accepted"));
        left -= 1;
    }
    while left > 0 {
        while producer.memory_used() > MEMORY / 2 {
            std::thread::sleep(Duration::from_micros(200));
        }
        let burst = left.min(BURST);
        let before = thread_cpu();
        for _ in 0..burst {
            let record = Record::to(topic).value(values.next_value());
            match producer.try_enqueue(&record) {
                Ok(delivery) => drop(delivery),
                Err(EnqueueError::Full { .. }) => panic!("half of the memory was free"),
                Err(error) => panic!("{error}"),
            }
        }
        caller += thread_cpu() - before;
        left -= burst;
    }
    let report = producer.flush_blocking();
    assert!(report.is_complete() && report.written == count, "{report:?}");
    caller
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below 1e9"))
}
