//! Java's clients on the other side of our producers, on real Kafka and on the in-process broker:
//! its consumer reads every codec, header and time, and what is committed; its producer agrees on
//! the partition of each key.

use std::time::Duration;

use millstream_client::{Compression, Record, TransactionalProducer};
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{run, step};
use millstream_tests::java::{self, Isolation};
use millstream_tests::reading::read_all;

const DEADLINE: Duration = Duration::from_secs(120);
/// How many keys are compared.
const KEYS: usize = 2000;

/// Runs a story on both clusters.
fn on_both<F: Future<Output = ()> + 'static>(name: &'static str, story: fn(TestCluster) -> F) {
    run(name, DEADLINE, move || async move {
        story(TestCluster::in_process().await).await;
        step("the same on real Kafka");
        story(TestCluster::kafka()).await;
    });
}

#[test]
fn javas_consumer_reads_every_codec_header_and_time() {
    on_both("javas_consumer_reads_every_codec_header_and_time", |cluster| async move {
        let topic = cluster.topic("java-reads", 1).await;
        let appended =
            cluster.topic_with("java-times", 1, &[("message.timestamp.type", "LogAppendTime")]);
        let appended = appended.await;
        let codecs = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ];
        let mut receipts = Vec::new();
        for codec in codecs {
            let producer = cluster.producer().compression(codec).build().await.expect("a producer");
            for n in 0..100_i64 {
                let (value, number) = (format!("{codec:?} {n}").repeat(20), n.to_be_bytes());
                let record = Record::to(&topic)
                    .key(&value[..4])
                    .maybe_value((n % 7 != 0).then_some(value.as_bytes()))
                    .timestamp(1_700_000_000_000 + n)
                    .header("n", &number)
                    .maybe_header("null", None)
                    .header("n", b"");
                drop(producer.enqueue(&record).await.expect("it is accepted"));
            }
            let record = Record::to(&appended).value("now").timestamp(1);
            receipts.push(producer.send(&record).await.expect("it is written"));
            assert!(producer.close(Duration::from_secs(10)).await.is_complete());
        }
        let topics = [topic.as_str(), appended.as_str()];
        let read = java::read(&cluster.bootstrap(), Isolation::ReadUncommitted, &topics).await;
        let (records, times): (Vec<_>, Vec<_>) =
            read.into_iter().partition(|record| record.topic == topic);
        assert_eq!(records.len(), 500);
        for (record, place) in records.iter().zip(0..) {
            let (codec, n) = (codecs[place / 100], i64::try_from(place % 100).unwrap_or(0));
            let value = format!("{codec:?} {n}").repeat(20);
            assert_eq!(record.offset, i64::try_from(place).unwrap_or(-1));
            assert_eq!(record.key.as_deref(), Some(&value.as_bytes()[..4]));
            assert_eq!(record.value, (n % 7 != 0).then(|| value.into_bytes()));
            assert_eq!(record.timestamp, 1_700_000_000_000 + n);
            assert_eq!(record.timestamp_type, "CreateTime");
            let header =
                |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
            let number = n.to_be_bytes();
            let headers =
                [header("n", Some(&number)), header("null", None), header("n", Some(b""))];
            assert_eq!(record.headers, headers);
        }
        assert_eq!(times.len(), receipts.len());
        for (record, receipt) in times.iter().zip(&receipts) {
            assert_eq!(record.timestamp_type, "LogAppendTime");
            assert_eq!(
                record.timestamp, receipt.timestamp.0,
                "the receipt tells the broker's time"
            );
        }
    });
}

#[test]
fn javas_producer_agrees_on_the_partition_of_each_key() {
    on_both("javas_producer_agrees_on_the_partition_of_each_key", |cluster| async move {
        let (ours, javas) = (cluster.topic("ours", 13).await, cluster.topic("javas", 13).await);
        // Any bytes will do, of all small lengths: the remainder by four decides murmur2's tail.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let keys: Vec<Vec<u8>> = (0..KEYS)
            .map(|n| {
                let bytes = std::iter::repeat_with(|| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state.to_be_bytes()[0]
                });
                bytes.take(n % 41).collect()
            })
            .collect();
        let producer = cluster.producer().build().await.expect("a producer");
        let mut deliveries = Vec::new();
        for key in &keys {
            let record = Record::to(&ours).key(key).value("");
            deliveries.push(producer.enqueue(&record).await.expect("it is accepted"));
        }
        let mut partitions = Vec::new();
        for delivery in deliveries {
            partitions.push(delivery.await.expect("it is written").partition.value());
        }
        let expected = java::produce(&cluster.bootstrap(), &javas, &keys).await;
        assert_eq!(partitions, expected);
        assert_eq!(read_all(&cluster, &ours).await.len(), KEYS);
    });
}

#[test]
fn javas_consumer_sees_what_is_committed() {
    on_both("javas_consumer_sees_what_is_committed", |cluster| async move {
        let topic = cluster.topic("committed", 2).await;
        let id = unique("java");
        let builder = TransactionalProducer::builder([cluster.bootstrap()], &*id);
        let mut producer = builder.build().await.expect("a producer");
        for (n, commits) in [true, false, true, false].into_iter().enumerate() {
            let transaction = producer.begin().await.expect("a transaction");
            for partition in 0..2 {
                let value = format!("{n}");
                let record = Record::to(&topic).partition(partition).value(&value);
                drop(transaction.enqueue(&record).await.expect("it is accepted"));
            }
            if commits {
                transaction.commit().await.expect("it is committed");
            } else {
                assert!(transaction.flush().await.is_complete());
                transaction.abort().await.expect("it is aborted");
            }
        }
        let read = async |isolation| {
            let mut texts: Vec<_> = java::read(&cluster.bootstrap(), isolation, &[&topic])
                .await
                .iter()
                .map(|record| (record.partition, record.text()))
                .collect();
            texts.sort();
            texts
        };
        let of = |values: &[&str]| -> Vec<(i32, String)> {
            let of = |partition| values.iter().map(move |value| (partition, (*value).to_owned()));
            of(0).chain(of(1)).collect()
        };
        assert_eq!(read(Isolation::ReadCommitted).await, of(&["0", "2"]));
        assert_eq!(read(Isolation::ReadUncommitted).await, of(&["0", "1", "2", "3"]));
        step("nothing stands open");
        let found = java::transactions(&cluster.bootstrap(), &id, &[&topic]).await;
        assert_eq!(found.open, Vec::<String>::new());
        assert!(found.states.iter().all(|(_, state)| state.starts_with("Complete")), "{found:?}");
    });
}
