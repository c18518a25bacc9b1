//! krafka's producer. The contract of the command line is in `../README.md`.

use std::collections::VecDeque;
use std::time::Duration;

use bench_common::{Compression, Latencies, Meter, Mode, Pace, Run, switches};
use bytes::Bytes;
use krafka::producer::{Acks, DeliveryHandle, Producer};
use krafka::{Kafka, Record};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PEER: &str = "krafka";
const VERSION: &str = "0.28.1";

fn main() {
    let run = Run::from_args();
    // The scheduler of several threads costs it more than it gains.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let kafka =
            Kafka::builder(run.bootstrap.as_str()).connect().await.expect("the broker answers");
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            .linger(run.linger)
            .batch_size(run.batch)
            .buffer_memory(32 * 1024 * 1024)
            .compression(match run.compression {
                Compression::None => krafka::Compression::None,
                Compression::Lz4 => krafka::Compression::Lz4,
                Compression::Zstd => krafka::Compression::Zstd,
            })
            .build()
            .await
            .expect("a producer");
        let line = match run.mode {
            Mode::Produce => produce(&producer, &run).await,
            Mode::Latency => latency(producer, &run).await,
            Mode::Idle => idle(&producer, &run).await,
        };
        println!("{line}");
    });
}

/// The values as shared buffers, so that a record costs a reference count and no copy.
fn shared(run: &Run) -> Vec<Bytes> {
    run.values.all().map(Bytes::copy_from_slice).collect()
}

async fn produce(producer: &Producer, run: &Run) -> Value {
    let values = shared(run);
    send(producer, &run.topic, &values, run.warm).await;
    let meter = Meter::start();
    send(producer, &run.topic, &values, run.records).await;
    let reading = meter.stop();
    reading.line(PEER, VERSION, run.warm, run.records)
}

/// Sends, and looks at every delivery in the order of the records.
async fn send(producer: &Producer, topic: &str, values: &[Bytes], count: u64) {
    let mut handles: VecDeque<DeliveryHandle> = VecDeque::new();
    let mut acknowledged = 0;
    for (index, value) in (0..count).zip(values.iter().cycle()) {
        let record = Record::new(topic, value.clone());
        handles.push_back(producer.enqueue(record).await.expect("accepted"));
        // Half of what memory holds stays outstanding; the older ones are done or nearly so.
        if index % 1024 == 0 {
            while handles.len() > 160_000 {
                let handle = handles.pop_front().expect("there are many");
                drop(handle.await.expect("written"));
                acknowledged += 1;
            }
        }
    }
    producer.flush().await.expect("flushed");
    for handle in handles {
        drop(handle.await.expect("written"));
        acknowledged += 1;
    }
    assert_eq!(acknowledged, count, "not all were acknowledged");
}

async fn latency(producer: Producer, run: &Run) -> Value {
    let (warm, records) = (run.warm, run.records);
    let (sender, mut receiver) = mpsc::unbounded_channel::<(std::time::Instant, DeliveryHandle)>();
    let waiter = tokio::spawn(async move {
        let mut latencies = Latencies::with_capacity(records);
        let mut index = 0;
        while let Some((due, handle)) = receiver.recv().await {
            drop(handle.await.expect("written"));
            if index >= warm {
                latencies.push(due.elapsed());
            }
            index += 1;
        }
        latencies
    });
    let pace = Pace::start(run.rate);
    let values = shared(run);
    let topic = run.topic.clone();
    let handle = tokio::runtime::Handle::current();
    // The pace is kept by a thread that sleeps: the runtime's own timer counts in milliseconds.
    let sending = std::thread::spawn(move || {
        let mut meter = Meter::start();
        let warming = values.iter().cycle().take(warm as usize);
        for (index, value) in (0..warm + records).zip(warming.chain(values.iter().cycle())) {
            if index == warm {
                meter = Meter::start();
            }
            pace.wait(index);
            let record = Record::new(topic.as_str(), value.clone());
            let delivery = handle.block_on(producer.enqueue(record)).expect("accepted");
            sender.send((pace.due(index), delivery)).expect("the waiter waits");
        }
        meter
    });
    let latencies = waiter.await.expect("the waiter ends");
    let reading = sending.join().expect("the sender ends").stop();
    assert_eq!(latencies.count(), records);
    let mut line = reading.line(PEER, VERSION, warm, records);
    latencies.add_to(&mut line);
    line
}

async fn idle(producer: &Producer, run: &Run) -> Value {
    send(producer, &run.topic, &shared(run), run.warm).await;
    let before = switches();
    let meter = Meter::start();
    tokio::time::sleep(run.idle.max(Duration::from_millis(1))).await;
    let reading = meter.stop();
    let mut line = reading.line(PEER, VERSION, run.warm, 0);
    line["switches"] = json!(switches() - before);
    line
}
