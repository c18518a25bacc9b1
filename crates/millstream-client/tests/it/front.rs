//! A producer's front: typed topics, partitioners by name, hooks, metrics, abort, dropped futures.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use millstream_broker::{Broker, RunningCluster};
use millstream_client::producer::{
    Acknowledgement, DeliveryCause, EnqueueError, InterceptedRecord, ProducerInterceptor,
};
use millstream_client::{
    Admin, Compression, Consumer, DeliveryError, NewTopic, OffsetReset, Partitioner, Producer,
    Record,
};
use millstream_types::{DefaultSerde, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

const LIMIT: Duration = Duration::from_secs(20);

async fn topic(bootstrap: &str, partitions: i32) -> String {
    let name = unique("front");
    let admin = Admin::connect([bootstrap]).await.unwrap();
    admin.create_topics([NewTopic::new(&*name, partitions)]).await.unwrap();
    eventually("the topic is led", || async {
        let described = admin.describe_topics([&*name]).await;
        described.is_ok_and(|described| {
            described[&*name].partitions.values().all(|partition| partition.leader.is_some())
        })
    })
    .await;
    name
}

/// A record as it was read: partition, key, value, names of headers.
type Read = (i32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<String>);

async fn read(bootstrap: &str, topic: &str, partitions: i32, count: usize) -> Vec<Read> {
    let consumer = Consumer::reader([bootstrap])
        .auto_offset_reset(OffsetReset::Earliest)
        .build()
        .await
        .unwrap();
    consumer.assign((0..partitions).map(|p| TopicPartition::new(topic, p))).unwrap();
    let mut all = Vec::new();
    while all.len() < count {
        let batch = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap().unwrap();
        for record in batch.iter() {
            let headers = record
                .headers()
                .map(|header| String::from_utf8_lossy(header.key).into_owned())
                .collect();
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            all.push((batch.partition().value(), owned(record.key), owned(record.value), headers));
        }
    }
    all
}

/// Polls a future once.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn typed_keys_and_values_reach_the_log() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        let producer = Producer::builder([&bootstrap]).build().await.unwrap();
        let counts = producer.topic(&*topic, String::default_serde(), i64::default_serde());
        let receipt = counts.send(&"apples".to_owned(), &3).await.unwrap();
        assert_eq!(receipt.offset.unwrap().value(), 0);
        let _pears = counts.try_enqueue(&"pears".to_owned(), &-1).unwrap();
        let _deleted = counts.delete(&"apples".to_owned()).await.unwrap();
        let _keyless = counts.enqueue_value(&7).await.unwrap();
        assert_eq!(producer.flush().await.written, 4);
        let all = read(&bootstrap, &topic, 1, 4).await;
        let expected = [
            (Some(&b"apples"[..]), Some(3i64.to_be_bytes())),
            (Some(b"pears"), Some((-1i64).to_be_bytes())),
            (Some(b"apples"), None),
            (None, Some(7i64.to_be_bytes())),
        ];
        for ((_, key, value, _), (expected_key, expected_value)) in all.iter().zip(expected) {
            assert_eq!(key.as_deref(), expected_key);
            assert_eq!(value.as_deref(), expected_value.as_ref().map(|bytes| &bytes[..]));
        }
    })
    .await;
}

/// librdkafka's test 0048, end to end: what its partitioners do with five keys.
#[tokio::test]
async fn librdkafkas_partitioners_by_name() {
    on_every_cluster(|bootstrap| async move {
        let keys = ["", "23456", "this is another string with more length to it perhaps", "hejsan"];
        for (name, hashes) in [
            ("consistent", [0, 0xb1b4_51d7, 0xb015_0df7, 0xd077_037e_u32]),
            ("murmur2", [0x106e_08d9, 0x058d_780f, 0x4f77_03da, 0x5ec1_9395]),
            ("fnv1a", [0x7ee3_623b, 0x27e6_f469, 0x155e_3e5f, 0x17b1_e27a]),
        ] {
            let topic = topic(&bootstrap, 7).await;
            let producer = Producer::builder([&bootstrap])
                .property("partitioner", name)
                .build()
                .await
                .unwrap();
            for (key, hash) in keys.iter().zip(hashes) {
                let record = Record::to(&topic).key(key).value("v");
                let receipt = producer.send(&record).await.unwrap();
                assert_eq!(receipt.partition.value() as u32, hash % 7, "{name} {key}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn topics_have_their_own_codecs_and_rounds() {
    on_every_cluster(|bootstrap| async move {
        let (plain, own) = (topic(&bootstrap, 3).await, topic(&bootstrap, 3).await);
        let producer = Producer::builder([&bootstrap])
            .partitioner(Partitioner::RoundRobin)
            .property(format!("topic.compression.type.{own}"), "zstd")
            .topic_compression(&plain, Compression::None)
            .build()
            .await
            .unwrap();
        let value = [b'a'; 1_000];
        for name in [&plain, &own] {
            for _ in 0..30 {
                let _on_its_way = producer.enqueue(&Record::to(name).value(&value)).await.unwrap();
            }
        }
        assert_eq!(producer.flush().await.written, 60);
        let metrics = producer.metrics();
        let bytes = |name: &String| metrics.topics[name.as_str()].byte_total;
        assert!(bytes(&own) * 5 < bytes(&plain), "{metrics:?}");
        for name in [&plain, &own] {
            let all = read(&bootstrap, name, 3, 30).await;
            for partition in 0..3 {
                assert_eq!(all.iter().filter(|record| record.0 == partition).count(), 10);
            }
        }
    })
    .await;
}

/// Adds a header and counts the records of acknowledgements.
struct Tracer(Arc<AtomicU64>);

impl ProducerInterceptor for Tracer {
    fn on_send(&self, record: &Record<'_>) -> Option<InterceptedRecord> {
        let mut copy = InterceptedRecord::copy_of(record);
        copy.headers.add("trace", Some("id".into()));
        Some(copy)
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        self.0.fetch_add(acknowledgement.records, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn interceptors_see_every_way_in() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        let acknowledged = Arc::new(AtomicU64::new(0));
        let producer = Producer::builder([&bootstrap])
            .interceptor(Tracer(acknowledged.clone()))
            .build()
            .await
            .unwrap();
        let record = Record::to(&topic).value("v");
        producer.send(&record).await.unwrap();
        let _tried = producer.try_enqueue(&record).unwrap();
        let typed = producer.topic(&*topic, String::default_serde(), String::default_serde());
        let _typed = typed.enqueue(&"k".to_owned(), &"v".to_owned()).await.unwrap();
        let producer = tokio::task::spawn_blocking({
            let topic = topic.clone();
            move || {
                let record = Record::to(&topic).value("v");
                let _waited = producer.enqueue_blocking(&record).unwrap();
                producer
            }
        })
        .await
        .unwrap();
        producer.flush().await;
        let all = read(&bootstrap, &topic, 1, 4).await;
        assert!(all.iter().all(|(.., headers)| headers == &["trace"]), "{all:?}");
        assert_eq!(acknowledged.load(Ordering::Relaxed), 4);
    })
    .await;
}

/// A cluster of one node, with a topic of one partition.
async fn small_cluster() -> (RunningCluster, String, String) {
    let cluster = Broker::in_process().nodes(1).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    (cluster, bootstrap, topic)
}

#[tokio::test]
async fn abort_returns_at_once_with_what_was_not_sent() {
    let (cluster, bootstrap, topic) = small_cluster().await;
    let producer = Producer::builder([&bootstrap])
        .linger(Duration::from_secs(60))
        .delivery_timeout(Duration::from_secs(120))
        .build()
        .await
        .unwrap();
    let delivery = producer.enqueue(&Record::to(&topic).value("given up")).await.unwrap();
    let report = tokio::time::timeout(LIMIT, producer.abort()).await.unwrap();
    assert_eq!((report.written, report.not_written), (0, 1), "{report:?}");
    let Err(DeliveryError::NotWritten(end)) = delivery.await else { panic!("it is given up") };
    assert!(matches!(end.cause(), DeliveryCause::Aborted));
    let sent = producer.enqueue(&Record::to(&topic).value("goes on")).await.unwrap();
    assert_eq!(producer.flush().await.written, 1);
    assert_eq!(sent.await.unwrap().offset.unwrap().value(), 0);
    cluster.stop().await;
}

/// Every way in, dropped after each number of polls: accepted records are written once, others not
/// at all.
#[tokio::test]
async fn dropped_futures_lose_nothing_and_double_nothing() {
    let (cluster, bootstrap, topic) = small_cluster().await;
    let producer = Producer::builder([&bootstrap]).build().await.unwrap();
    // Before the topic is known: nothing is accepted, whatever was polled.
    for polls in 0..3 {
        let record = Record::to(&topic).value("never");
        let mut send = pin!(producer.send(&record));
        for _ in 0..polls {
            assert!(poll_once(send.as_mut()).is_pending());
        }
    }
    assert_eq!(producer.flush().await.written, 0);
    producer.send(&Record::to(&topic).value("first")).await.unwrap();
    // A dropped enqueue that was ready, and a send dropped while it waits for its answer.
    let mut accepted = 1;
    for polls in 0..4 {
        let record = Record::to(&topic).value("sent");
        let mut send = pin!(producer.send(&record));
        let mut is_ready = false;
        for _ in 0..polls {
            is_ready = is_ready || poll_once(send.as_mut()).is_ready();
            if is_ready {
                break;
            }
        }
        accepted += u64::from(polls > 0);
        let mut flush = pin!(producer.flush());
        for _ in 0..polls {
            if poll_once(flush.as_mut()).is_ready() {
                break;
            }
        }
    }
    producer.flush().await;
    assert_eq!(producer.metrics().totals.record_send_total, accepted);
    assert_eq!(read(&bootstrap, &topic, 1, accepted as usize).await.len(), accepted as usize);
    // A close that was polled closes; one that was not does not.
    drop(producer.close(LIMIT));
    assert!(producer.try_enqueue(&Record::to(&topic).value("still open")).is_ok());
    let mut close = Box::pin(producer.close(LIMIT));
    let _polled = poll_once(close.as_mut());
    drop(close);
    eventually("the producer is closed", || async {
        let refused = producer.try_enqueue(&Record::to(&topic).value("too late"));
        matches!(refused, Err(EnqueueError::Closed))
    })
    .await;
    eventually("what was accepted is written", || async {
        producer.metrics().totals.record_send_total > accepted && producer.memory_used() == 0
    })
    .await;
    cluster.stop().await;
}

/// Keeps what is told to the facade, by name and labels.
#[derive(Default)]
struct Kept {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
}

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl metrics::HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

fn full_name(key: &Key) -> String {
    let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
    format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","))
}

impl Recorder for &'static Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(full_name(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut counters = self.counters.lock().unwrap();
        Gauge::from_arc(Arc::clone(counters.entry(full_name(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.histograms.lock().unwrap();
        Histogram::from_arc(Arc::clone(histograms.entry(full_name(key)).or_default()))
    }
}

/// The one recorder of this process.
fn kept() -> &'static Kept {
    static KEPT: OnceLock<&'static Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let kept: &'static Kept = Box::leak(Box::default());
        metrics::set_global_recorder(kept).unwrap();
        kept
    })
}

#[tokio::test]
async fn metrics_are_typed_and_told_to_the_facade_under_the_same_names() {
    let kept = kept();
    let cluster = Broker::in_process().nodes(1).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 2).await;
    let producer = Producer::builder([&bootstrap]).client_id("measured").build().await.unwrap();
    for partition in [0, 1, 0] {
        let record = Record::to(&topic).partition(partition).value("v");
        producer.send(&record).await.unwrap();
    }
    // The driver gives a batch's buffer back after it has told its end.
    let given_back = async {
        while producer.metrics().buffer_available_bytes < producer.metrics().buffer_total_bytes {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, given_back).await.unwrap();
    let metrics = producer.metrics();
    assert_eq!(metrics.totals.record_send_total, 3);
    assert_eq!(metrics.topics[topic.as_str()].record_send_total, 3);
    assert_eq!(metrics.nodes.values().map(|node| node.request_total).sum::<u64>(), 3);
    assert_eq!((metrics.requests_in_flight, metrics.waiting_threads), (0, 0));
    assert!(metrics.totals.request_latency_us.count == 3 && metrics.metadata_age.is_some());
    assert!(metrics.network.connection_count() >= 1, "{:?}", metrics.network);
    assert!(metrics.network.outgoing_byte_total > 0 && metrics.network.incoming_byte_total > 0);
    let report = producer.close(LIMIT).await;
    assert_eq!(report.written, 3);
    let node = metrics.nodes.keys().next().unwrap();
    let expected = [
        ("millstream_producer_record_send_total{client_id=measured}".to_owned(), 3),
        (
            format!(
                "millstream_producer_topic_record_send_total{{client_id=measured,topic={topic}}}"
            ),
            3,
        ),
        (format!("millstream_producer_node_request_total{{client_id=measured,node_id={node}}}"), 3),
    ];
    eventually("the facade was told", || async {
        let counters = kept.counters.lock().unwrap();
        expected.iter().all(|(name, value)| {
            counters.get(name).is_some_and(|told| told.load(Ordering::Relaxed) == *value)
        })
    })
    .await;
    let latency = "millstream_producer_request_latency_us{client_id=measured}";
    let latency = Arc::clone(&kept.histograms.lock().unwrap()[latency]);
    assert_eq!(latency.0.lock().unwrap().len(), 3);
    cluster.stop().await;
}
