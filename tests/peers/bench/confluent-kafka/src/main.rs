//! confluent-kafka's producer. The contract of the command line is in `../README.md`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bench_common::{Latencies, Meter, Mode, Pace, Run, Values, switches};
use confluent_kafka::common::Error;
use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::producer::{
    Callback, KafkaProducer, Producer as _, ProducerConfig, ProducerRecord, RecordMetadata,
};
use serde_json::{Value, json};

const PEER: &str = "confluent-kafka";
const VERSION: &str = "1.0.0";

type Bytes = Vec<u8>;

fn main() {
    let mut run = Run::from_args();
    // The scheduler of several threads costs it 12 to 33 % more, unless the sender must not wait for it.
    let mut builder = if run.mode == Mode::Latency {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    let line = runtime.block_on(async {
        let producer = build(&run);
        let line = match run.mode {
            Mode::Produce => produce(&producer, &mut run).await,
            Mode::Latency => {
                let producer = Arc::new(producer);
                return latency(&producer, run).await;
            }
            Mode::Idle => idle(&producer, &mut run).await,
        };
        producer.close().await.expect("closed");
        line
    });
    println!("{line}");
}

fn build(run: &Run) -> KafkaProducer<Bytes, Bytes> {
    let settings = [
        ("bootstrap.servers", run.bootstrap.clone()),
        ("acks", "all".to_owned()),
        ("enable.idempotence", "true".to_owned()),
        ("max.in.flight.requests.per.connection", "5".to_owned()),
        ("linger.ms", run.linger.as_millis().to_string()),
        ("batch.size", run.batch.to_string()),
        ("buffer.memory", (32 * 1024 * 1024).to_string()),
        ("compression.type", run.compression.name().to_owned()),
    ];
    let settings: HashMap<String, String> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let config = ProducerConfig::new(&settings).expect("valid settings");
    KafkaProducer::new(config, ByteArraySerializer::default(), ByteArraySerializer::default())
        .expect("a producer")
}

/// Counts an acknowledgement.
struct Count(Arc<AtomicU64>);

impl Callback for Count {
    fn on_completion(self: Box<Self>, _: Option<&RecordMetadata>, error: Option<&Error>) {
        if let Some(error) = error {
            panic!("not written: {error}");
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn produce(producer: &KafkaProducer<Bytes, Bytes>, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    send(producer, &topic, &mut run.values, run.warm).await;
    run.values.restart();
    let meter = Meter::start();
    send(producer, &topic, &mut run.values, run.records).await;
    let reading = meter.stop();
    reading.line(PEER, VERSION, run.warm, run.records)
}

/// Sends borrowed values, which this producer copies straight into its batch.
async fn send(
    producer: &KafkaProducer<Bytes, Bytes>,
    topic: &str,
    values: &mut Values,
    count: u64,
) {
    let acknowledged = Arc::new(AtomicU64::new(0));
    for _ in 0..count {
        let record: ProducerRecord<&[u8], &[u8]> =
            ProducerRecord::new(topic.to_owned(), Some(values.next_value()));
        let callback = Box::new(Count(Arc::clone(&acknowledged)));
        let sent = KafkaProducer::send(producer, record, Some(callback)).await;
        drop(sent.expect("accepted"));
    }
    producer.flush().await.expect("flushed");
    assert_eq!(acknowledged.load(Ordering::Relaxed), count, "not all were acknowledged");
}

/// Times an acknowledgement.
struct Time {
    pace: Pace,
    index: u64,
    latencies: Arc<Mutex<Latencies>>,
}

impl Callback for Time {
    fn on_completion(self: Box<Self>, _: Option<&RecordMetadata>, error: Option<&Error>) {
        if let Some(error) = error {
            panic!("not written: {error}");
        }
        let latency = self.pace.due(self.index).elapsed();
        self.latencies.lock().expect("no one panicked").push(latency);
    }
}

async fn latency(producer: &Arc<KafkaProducer<Bytes, Bytes>>, mut run: Run) -> Value {
    let (warm, records) = (run.warm, run.records);
    let latencies = Arc::new(Mutex::new(Latencies::with_capacity(records)));
    let runtime = tokio::runtime::Handle::current();
    let (sending, noted) = (Arc::clone(producer), Arc::clone(&latencies));
    // The pace is kept by a thread that sleeps: the runtime's own timer counts in milliseconds.
    let sender = tokio::task::spawn_blocking(move || {
        let topic = run.topic.clone();
        send_warm(&runtime, &sending, &mut run);
        let pace = Pace::start(run.rate);
        let meter = Meter::start();
        for index in 0..records {
            pace.wait(index);
            let record: ProducerRecord<&[u8], &[u8]> =
                ProducerRecord::new(topic.clone(), Some(run.values.next_value()));
            let callback = Box::new(Time { pace, index, latencies: Arc::clone(&noted) });
            let sent = runtime.block_on(KafkaProducer::send(&*sending, record, Some(callback)));
            drop(sent.expect("accepted"));
        }
        runtime.block_on(sending.flush()).expect("flushed");
        meter
    });
    let reading = sender.await.expect("the sender ends").stop();
    producer.close().await.expect("closed");
    let latencies = std::mem::take(&mut *latencies.lock().expect("no one panicked"));
    assert_eq!(latencies.count(), records);
    let mut line = reading.line(PEER, VERSION, warm, records);
    latencies.add_to(&mut line);
    line
}

fn send_warm(
    runtime: &tokio::runtime::Handle,
    producer: &KafkaProducer<Bytes, Bytes>,
    run: &mut Run,
) {
    let topic = run.topic.clone();
    runtime.block_on(send(producer, &topic, &mut run.values, run.warm));
    run.values.restart();
}

async fn idle(producer: &KafkaProducer<Bytes, Bytes>, run: &mut Run) -> Value {
    let topic = run.topic.clone();
    send(producer, &topic, &mut run.values, run.warm).await;
    let before = switches();
    let meter = Meter::start();
    tokio::time::sleep(run.idle).await;
    let reading = meter.stop();
    let mut line = reading.line(PEER, VERSION, run.warm, 0);
    line["switches"] = json!(switches() - before);
    line
}
