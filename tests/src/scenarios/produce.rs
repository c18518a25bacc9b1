//! Producing: what goes in comes out, and what cannot go in says why.

use std::time::Duration;

use bytes::Bytes;
use millstream_client::producer::{DeliveryCause, DeliveryError, partition_for_key};
use millstream_client::{Acks, Compression, EnqueueError, ErrorCode, Record};
use millstream_types::{Header, Headers, Offset, PartitionId, Timestamp, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::step;
use crate::reading::{read_all, texts};

/// What a record is made of, beside its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    partition: PartitionId,
    timestamp: Timestamp,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Headers,
}

/// Null and empty keys and values, headers that repeat, old times, for three partitions.
fn contents() -> Vec<Content> {
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let keys = [None, bytes(""), bytes("k"), bytes("schl\u{fc}ssel")];
    let values = [None, bytes(""), bytes("v"), Some(Bytes::from(vec![7; 3000]))];
    let header = |key: &str, value: Option<Bytes>| Header { key: key.to_owned(), value };
    let headers = [
        vec![],
        vec![header("a", bytes("1")), header("a", None), header("", bytes(""))],
        (0..9).map(|n| header(&format!("h{n}"), bytes("x"))).collect(),
    ];
    let mut all = Vec::new();
    for (n, key) in (0_i64..).zip(keys.iter().cycle().take(240)) {
        let place = usize::try_from(n).unwrap_or(0);
        all.push(Content {
            partition: PartitionId(i32::try_from(n % 3).unwrap_or(0)),
            timestamp: Timestamp(1_600_000_000_000 + (n * 7919) % 100_000),
            key: key.clone(),
            value: values[place / 4 % 4].clone(),
            headers: headers[place / 16 % 3].iter().cloned().collect(),
        });
    }
    all
}

async fn round_trip(cluster: &TestCluster, codec: Compression) {
    let topic = cluster.topic("codec", 3).await;
    let producer = cluster.producer().compression(codec).build().await.expect("a producer");
    let contents = contents();
    step(format!("produce with {codec:?}"));
    let mut deliveries = Vec::new();
    for content in &contents {
        let mut record = Record::to(&topic)
            .partition(content.partition)
            .timestamp(content.timestamp)
            .maybe_key(content.key.as_deref())
            .maybe_value(content.value.as_deref());
        for header in &content.headers {
            record = record.maybe_header(&header.key, header.value.as_deref());
        }
        deliveries.push(producer.enqueue(&record).await.expect("it is accepted"));
    }
    let mut next = [Offset::ZERO; 3];
    for (content, delivery) in contents.iter().zip(deliveries) {
        let receipt = delivery.await.expect("it is acknowledged");
        let next = &mut next[usize::try_from(content.partition.value()).unwrap_or(9)];
        assert_eq!(receipt.topic, topic.as_str());
        assert_eq!(receipt.partition, content.partition);
        assert_eq!(receipt.offset, Some(*next));
        assert_eq!(receipt.timestamp, content.timestamp);
        *next = next.plus(1);
    }
    let report = producer.flush().await;
    assert!(report.is_complete());
    assert_eq!(report.written, 240);
    let records = read_all(cluster, &topic).await;
    for partition in (0..3).map(PartitionId) {
        let sent = contents.iter().filter(|content| content.partition == partition).cloned();
        let read = records.iter().filter(|record| record.partition == partition);
        let read = read.zip(0..).map(|(record, offset)| {
            assert_eq!(record.offset, Offset(offset));
            Content {
                partition: record.partition,
                timestamp: record.timestamp,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: record.headers.clone(),
            }
        });
        assert!(sent.eq(read), "partition {partition} differs from what was sent");
    }
}

/// Uncompressed batches come back as they were sent.
pub async fn records_round_trip_uncompressed(cluster: &TestCluster) {
    round_trip(cluster, Compression::None).await;
}

/// So do those of every codec.
pub async fn records_round_trip_with_every_codec(cluster: &TestCluster) {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        round_trip(cluster, codec).await;
    }
}

/// A record larger than a fetch asks for comes whole (KIP-74).
pub async fn a_record_larger_than_a_fetch_is_read(cluster: &TestCluster) {
    let topic = cluster.topic_with("big", 1, &[("max.message.bytes", "8000000")]).await;
    let builder = cluster.producer().max_request_size(6_000_000);
    let producer = builder.build().await.expect("a producer");
    let value: Vec<u8> =
        (0_u32..1_250_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    step("produce 5 MB in one record");
    producer.send(&Record::to(&topic).value(&value)).await.expect("it is written");
    producer.send(&Record::to(&topic).value("small")).await.expect("it is written");
    let records = read_all(cluster, &topic).await;
    assert_eq!(records.len(), 2);
    assert!(records[0].value.as_deref() == Some(&*value), "the big record differs");
    assert_eq!(records[1].value.as_deref(), Some(&b"small"[..]));
}

/// What is too large is refused: here by the producer, there by the broker, and the next record
/// passes.
pub async fn a_record_that_is_too_large_is_refused(cluster: &TestCluster) {
    let topic = cluster.topic_with("limit", 1, &[("max.message.bytes", "20000")]).await;
    let producer = cluster.producer().build().await.expect("a producer");
    let value = vec![1; 2_000_000];
    let error = producer.enqueue(&Record::to(&topic).value(&value)).await.unwrap_err();
    assert!(matches!(error, EnqueueError::RecordTooLarge { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&topic) && text.contains("max.request.size"), "{text}");

    step("a record that the producer takes and the broker refuses");
    let delivery = producer.enqueue(&Record::to(&topic).value(&value[..40_000])).await;
    let error = delivery.expect("it is accepted").await.unwrap_err();
    assert!(
        matches!(error.cause(), DeliveryCause::Broker { code: ErrorCode::MessageTooLarge, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("{topic}-0")), "{error}");
    let DeliveryError::NotWritten(refused) = error else {
        panic!("the broker said no: {error}");
    };
    let record = refused.into_record().expect("it can be had back");
    assert_eq!(record.value.as_deref(), Some(&value[..40_000]));

    let receipt = producer.send(&Record::to(&topic).value("fits")).await.expect("it is written");
    assert_eq!(receipt.offset, Some(Offset::ZERO));
}

/// Where topics are not created by naming them, the error names the topic.
pub async fn an_unknown_topic_is_named(cluster: &TestCluster) {
    let topic = unique("absent");
    let builder = cluster.producer().max_block(Duration::from_millis(500));
    let producer = builder.build().await.expect("a producer");
    let error = producer.send(&Record::to(&topic).value("v")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&topic) && text.contains("create it"), "{text}");

    let topic = cluster.topic("two", 2).await;
    let error = producer.send(&Record::to(&topic).partition(2).value("v")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("topic {topic} has partitions 0 to 1, not 2")), "{text}");
}

/// A topic that turns up while a producer waits for it is written to.
pub async fn a_topic_created_later_is_found(cluster: &TestCluster) {
    let topic = unique("later");
    let producer = cluster.producer().build().await.expect("a producer");
    let record = Record::to(&topic).value("waited");
    let send = producer.send(&record);
    let create = async {
        // The producer has asked at least once when another topic's metadata has come.
        cluster.topic("sooner", 1).await;
        step("create the topic that is waited for");
        let new = millstream_client::NewTopic::new(&*topic, 1);
        cluster.admin().create_topics([new]).await.expect("it is created");
    };
    let (sent, ()) = tokio::join!(send, create);
    assert_eq!(sent.expect("it is written").offset, Some(Offset::ZERO));
}

/// Records of a key go where Java's partitioner sends them; the rest is spread.
pub async fn keys_choose_partitions_as_in_java(cluster: &TestCluster) {
    let topic = cluster.topic("keys", 7).await;
    let producer = cluster.producer().build().await.expect("a producer");
    for key in (0..50).map(|n| format!("key-{n}")) {
        let record = Record::to(&topic).key(&key).value(&key);
        drop(producer.enqueue(&record).await.expect("it is accepted"));
    }
    assert!(producer.flush().await.is_complete());
    assert_eq!(producer.partition_count(&topic), Some(7));
    let records = read_all(cluster, &topic).await;
    assert_eq!(records.len(), 50);
    for record in records {
        let key = record.key.expect("a key");
        let expected = i32::try_from(partition_for_key(&key, 7)).expect("a small number");
        assert_eq!(record.partition, PartitionId(expected), "key {key:?}");
    }
}

/// Every level of acknowledgement; only `acks=0` gives no offset.
pub async fn every_level_of_acks_is_written(cluster: &TestCluster) {
    let topic = cluster.topic("acks", 1).await;
    for (acks, offset) in [(Acks::None, None), (Acks::Leader, Some(1)), (Acks::All, Some(2))] {
        step(format!("produce with {acks:?}"));
        let producer = cluster.producer().acks(acks).build().await.expect("a producer");
        let value = format!("{acks:?}");
        let receipt = producer.send(&Record::to(&topic).value(&value)).await;
        let receipt = receipt.expect("it is sent");
        // What was only put on the wire may be overtaken by what comes on another connection.
        if offset.is_none() {
            let at = TopicPartition::new(&*topic, 0);
            crate::deadline::eventually("the record has arrived", || async {
                crate::reading::ends(cluster, &topic).await[&at] == Offset(1)
            })
            .await;
        }
        assert_eq!(receipt.offset, offset.map(Offset));
        assert!(producer.close(Duration::from_secs(5)).await.is_complete());
    }
    assert_eq!(texts(&read_all(cluster, &topic).await), ["None", "Leader", "All"]);
}

/// Several tasks share a producer: each one's records keep their order, and each is written once.
pub async fn tasks_share_a_producer(cluster: &TestCluster) {
    let topic = cluster.topic("shared", 3).await;
    let builder = cluster.producer().batch_size(600).linger(Duration::ZERO);
    let producer = builder.build().await.expect("a producer");
    let task = |task: i32| {
        let (producer, topic) = (&producer, &topic);
        async move {
            let mut deliveries = Vec::new();
            for n in 0..500 {
                let value = format!("{task}:{n:03}");
                let record = Record::to(topic).partition(task % 3).value(&value);
                deliveries.push(producer.enqueue(&record).await.expect("it is accepted"));
            }
            for delivery in deliveries {
                delivery.await.expect("it is acknowledged");
            }
        }
    };
    step("produce from four tasks");
    tokio::join!(task(0), task(1), task(2), task(3));
    let report = producer.close(Duration::from_secs(5)).await;
    assert_eq!((report.written, report.is_complete()), (2000, true));
    let error = producer.try_enqueue(&Record::to(&topic).value("late")).unwrap_err();
    assert!(matches!(error, EnqueueError::Closed), "{error:?}");

    let values = texts(&read_all(cluster, &topic).await);
    assert_eq!(values.len(), 2000);
    for task in 0..4 {
        let own: Vec<_> = values.iter().filter(|v| v.starts_with(&format!("{task}:"))).collect();
        assert!(own.is_sorted(), "the order of task {task} is lost");
        assert_eq!(own.len(), 500);
    }
}
