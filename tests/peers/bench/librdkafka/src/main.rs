//! librdkafka's producer through rdkafka. The contract of the command line is in `../README.md`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bench_common::{Latencies, Meter, Mode, Pace, Run, Values, switches};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::util::{Timeout, get_rdkafka_version};
use serde_json::{Value, json};

const PEER: &str = "librdkafka";
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// Counts the reports of delivery; in the open loop it also times them.
struct Reports {
    acknowledged: AtomicU64,
    timing: Option<Timing>,
}

struct Timing {
    pace: Pace,
    warm: u64,
    latencies: Mutex<Latencies>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        if let Err((error, _)) = result {
            panic!("record {index} was not written: {error}");
        }
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        if let Some(timing) = &self.timing
            && index as u64 >= timing.warm
        {
            let latency = timing.pace.due(index as u64).elapsed();
            timing.latencies.lock().expect("no one panicked").push(latency);
        }
    }
}

fn main() {
    let mut run = Run::from_args();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &run.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("max.in.flight.requests.per.connection", "5")
        .set("linger.ms", run.linger.as_millis().to_string())
        .set("batch.size", run.batch.to_string())
        .set("compression.type", run.compression.name())
        // As many as the others' 32 MiB hold, and the batches' own limit out of the way.
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", "32768")
        .set("batch.num.messages", "100000");
    let line = match run.mode {
        Mode::Produce => produce(&polled(&config), &mut run),
        Mode::Latency => latency(&config, &mut run),
        Mode::Idle => idle(&config, &mut run),
    };
    println!("{line}");
}

const fn counting() -> Reports {
    Reports { acknowledged: AtomicU64::new(0), timing: None }
}

/// The cheapest form: the sending thread polls for reports itself.
fn polled(config: &ClientConfig) -> BaseProducer<Reports> {
    BaseProducer::from_config_and_context(config, counting()).expect("a producer")
}

fn produce(producer: &BaseProducer<Reports>, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    send(producer, &topic, &mut run.values, run.warm);
    run.values.restart();
    let meter = Meter::start();
    send(producer, &topic, &mut run.values, run.records);
    let reading = meter.stop();
    reading.line(PEER, &get_rdkafka_version().1, run.warm, run.records)
}

fn send(producer: &BaseProducer<Reports>, topic: &str, values: &mut Values, count: u64) {
    let acknowledged = || producer.context().acknowledged.load(Ordering::Relaxed);
    let before = acknowledged();
    for index in 0..count {
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(topic, index as usize)
            .payload(values.next_value());
        while let Err((error, back)) = producer.send(record) {
            assert!(
                matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "{error}"
            );
            producer.poll(Timeout::After(Duration::from_millis(10)));
            record = back;
        }
        if index % 1024 == 0 {
            producer.poll(Timeout::After(Duration::ZERO));
        }
    }
    producer.flush(Timeout::After(FLUSH_MAX)).expect("flushed");
    assert_eq!(acknowledged() - before, count, "not all were acknowledged");
}

fn latency(config: &ClientConfig, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    let (warm, records) = (run.warm, run.records);
    // Connect and learn the topic before the pace begins.
    let pace = Pace::start_in(Duration::from_secs(1), run.rate);
    let latencies = Mutex::new(Latencies::with_capacity(records));
    let timing = Some(Timing { pace, warm, latencies });
    let reports = Reports { acknowledged: AtomicU64::new(0), timing };
    let producer = ThreadedProducer::from_config_and_context(config, reports).expect("a producer");
    let topics = producer.client().fetch_metadata(Some(&topic), FLUSH_MAX);
    topics.expect("the topic is there");
    let mut meter = Meter::start();
    for index in 0..warm + records {
        if index == warm {
            run.values.restart();
            meter = Meter::start();
        }
        pace.wait(index);
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(&topic, index as usize)
            .payload(run.values.next_value());
        if let Err((error, _)) = producer.send(record) {
            panic!("{error}");
        }
    }
    producer.flush(Timeout::After(FLUSH_MAX)).expect("flushed");
    let reading = meter.stop();
    let timing = producer.context().timing.as_ref().expect("it was given");
    let latencies = std::mem::take(&mut *timing.latencies.lock().expect("no one panicked"));
    assert_eq!(latencies.count(), records);
    let mut line = reading.line(PEER, &get_rdkafka_version().1, warm, records);
    latencies.add_to(&mut line);
    line
}

fn idle(config: &ClientConfig, run: &mut Run) -> Value {
    let producer = polled(config);
    let topic = run.topic.clone();
    send(&producer, &topic, &mut run.values, run.warm);
    let before = switches();
    let meter = Meter::start();
    thread::sleep(run.idle);
    let reading = meter.stop();
    let mut line = reading.line(PEER, &get_rdkafka_version().1, run.warm, 0);
    line["switches"] = json!(switches() - before);
    line
}
