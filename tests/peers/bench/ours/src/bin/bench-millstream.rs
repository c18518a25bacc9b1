//! Our producer at its default settings, but for what the command line asks.

use std::alloc::System;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bench_common::{Compression, Latencies, Meter, Mode, Pace, Run, Values, switches};
use millstream_client::{Delivery, DeliveryStatus, Producer, Record};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PEER: &str = if cfg!(feature = "zstd-c") { "millstream-zstd-c" } else { "millstream" };
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() {
    let mut run = Run::from_args();
    let compression = match run.compression {
        Compression::None => millstream_client::Compression::None,
        Compression::Lz4 => millstream_client::Compression::Lz4,
        Compression::Zstd => millstream_client::Compression::Zstd,
    };
    let producer = Producer::builder([run.bootstrap.as_str()])
        .linger(run.linger)
        .batch_size(run.batch)
        .compression(compression)
        .build_blocking()
        .expect("a producer");
    let line = match run.mode {
        Mode::Produce => produce(&producer, &mut run),
        Mode::Latency => latency(&producer, &mut run),
        Mode::Idle => idle(&producer, &mut run),
    };
    let report = producer.close_blocking(Duration::from_secs(10));
    assert!(report.is_complete(), "{report:?}");
    println!("{line}");
}

fn produce(producer: &Producer, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    // What the application itself keeps: the outcomes it still waits for.
    let mut deliveries = VecDeque::new();
    send(producer, &topic, &mut run.values, run.warm, &mut deliveries);
    run.values.restart();
    let region = Region::new(ALLOCATOR);
    let meter = Meter::start();
    send(producer, &topic, &mut run.values, run.records, &mut deliveries);
    let reading = meter.stop();
    let change = region.change();
    let mut line = reading.line(PEER, VERSION, run.warm, run.records);
    line["allocations"] = json!(change.allocations + change.reallocations);
    line
}

/// Sends, and looks at every delivery in the order of the records.
fn send(
    producer: &Producer,
    topic: &str,
    values: &mut Values,
    count: u64,
    deliveries: &mut VecDeque<Delivery>,
) {
    let mut acknowledged = 0;
    for index in 0..count {
        let record = Record::to(topic).value(values.next_value());
        deliveries.push_back(producer.enqueue_blocking(&record).expect("accepted"));
        if index % 1024 == 0 {
            acknowledged += take_done(deliveries);
        }
    }
    let report = producer.flush_blocking();
    assert!(report.is_complete(), "{report:?}");
    acknowledged += take_done(deliveries);
    assert_eq!((acknowledged, report.written), (count, count), "not all were acknowledged");
}

/// Takes the deliveries at the front that have ended.
fn take_done(deliveries: &mut VecDeque<Delivery>) -> u64 {
    let mut count = 0;
    while let Some(delivery) = deliveries.front() {
        match delivery.status() {
            None => break,
            Some(DeliveryStatus::Written(_)) => drop(deliveries.pop_front()),
            failed => panic!("{failed:?}: {:?}", delivery.peek()),
        }
        count += 1;
    }
    count
}

fn latency(producer: &Producer, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    let (warm, records) = (run.warm, run.records);
    let (sender, receiver) = mpsc::channel::<(Instant, Delivery)>();
    let waiter = thread::spawn(move || {
        let mut latencies = Latencies::with_capacity(records);
        for (index, (due, delivery)) in (0..).zip(receiver) {
            block_on(delivery).expect("written");
            if index >= warm {
                latencies.push(due.elapsed());
            }
        }
        latencies
    });
    let pace = Pace::start(run.rate);
    let mut meter = Meter::start();
    for index in 0..warm + records {
        if index == warm {
            run.values.restart();
            meter = Meter::start();
        }
        pace.wait(index);
        let record = Record::to(topic.as_str()).value(run.values.next_value());
        let delivery = producer.enqueue_blocking(&record).expect("accepted");
        sender.send((pace.due(index), delivery)).expect("the waiter waits");
    }
    drop(sender);
    let latencies = waiter.join().expect("the waiter ends");
    let reading = meter.stop();
    assert_eq!(latencies.count(), records);
    let mut line = reading.line(PEER, VERSION, warm, records);
    latencies.add_to(&mut line);
    line
}

fn idle(producer: &Producer, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    send(producer, &topic, &mut run.values, run.warm, &mut VecDeque::new());
    let before = switches();
    let meter = Meter::start();
    thread::sleep(run.idle);
    let reading = meter.stop();
    let mut line = reading.line(PEER, VERSION, run.warm, 0);
    line["switches"] = json!(switches() - before);
    line
}

/// Waits on this thread for a future.
fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match std::pin::Pin::new(&mut future).poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
