//! Reading: positions, seeks, pauses, large batches, resets, and what goes wrong on the way.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use millstream_broker::{ApiKey, Broker, ErrorCode, Fault};
use millstream_client::{
    Admin, Batch, CommitError, Compression, Consumer, ConsumerEvent, FetchError, NewTopic,
    OffsetReset, Producer, Record, ResetCause,
};
use millstream_types::{Offset, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

/// Longer than anything here takes, shorter than patience.
const LIMIT: Duration = Duration::from_secs(20);

async fn topic(bootstrap: &str, partitions: i32) -> String {
    let topic = unique("consume");
    let admin = Admin::connect([bootstrap]).await.unwrap();
    admin.create_topics([NewTopic::new(&*topic, partitions)]).await.unwrap();
    eventually("the topic is led", || async {
        let described = admin.describe_topics([&*topic]).await;
        described.is_ok_and(|described| {
            described[&*topic].partitions.values().all(|partition| partition.leader.is_some())
        })
    })
    .await;
    topic
}

/// Writes `count` numbered records to each partition.
async fn fill(bootstrap: &str, topic: &str, partitions: i32, count: usize, codec: Compression) {
    let producer = Producer::builder([bootstrap]).compression(codec).build().await.unwrap();
    for number in 0..count {
        for partition in 0..partitions {
            let value = number.to_string();
            let record = Record::to(topic).partition(partition).value(&value);
            drop(producer.enqueue(&record).await.unwrap());
        }
    }
    let report = producer.close(LIMIT).await;
    assert!(report.is_complete(), "{report:?}");
}

async fn next(consumer: &Consumer) -> Batch {
    tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap().unwrap()
}

fn numbers(batch: &Batch) -> Vec<usize> {
    batch
        .iter()
        .map(|record| std::str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap())
        .collect()
}

fn all(topic: &str, partitions: i32) -> Vec<TopicPartition> {
    (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect()
}

/// Reads until every partition has given `count` records, each number once and in order.
async fn read_all(consumer: &Consumer, partitions: i32, count: usize) {
    let mut seen: BTreeMap<i32, usize> = (0..partitions).map(|p| (p, 0)).collect();
    while seen.values().any(|seen| *seen < count) {
        let batch = next(consumer).await;
        let expected = seen.get_mut(&batch.partition().value()).unwrap();
        for number in numbers(&batch) {
            assert_eq!(number, *expected, "partition {}", batch.partition());
            *expected += 1;
        }
    }
}

#[tokio::test]
async fn a_reader_gets_every_record_once_and_in_order() {
    on_every_cluster(|bootstrap| async move {
        for codec in [Compression::None, Compression::Lz4] {
            let topic = topic(&bootstrap, 4).await;
            fill(&bootstrap, &topic, 4, 2_000, codec).await;
            let consumer = Consumer::reader([&*bootstrap])
                .auto_offset_reset(OffsetReset::Earliest)
                .build()
                .await
                .unwrap();
            consumer.assign(all(&topic, 4)).unwrap();
            read_all(&consumer, 4, 2_000).await;
            for partition in all(&topic, 4) {
                assert_eq!(consumer.position(&partition), Some(Offset(2_000)));
                assert_eq!(consumer.lag(&partition), Some(0));
            }
            consumer.close(LIMIT).await.unwrap();
            assert!(consumer.poll().await.unwrap().is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn tiny_limits_still_make_progress() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 3).await;
        fill(&bootstrap, &topic, 3, 500, Compression::None).await;
        // Smaller than any batch; the budget is spent at once.
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .max_partition_fetch_bytes(1)
            .fetch_max_bytes(1)
            .buffer_memory(1)
            .max_poll_records(7)
            .build()
            .await
            .unwrap();
        consumer.assign(all(&topic, 3)).unwrap();
        read_all(&consumer, 3, 500).await;
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn seek_pause_and_resume() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 2).await;
        fill(&bootstrap, &topic, 2, 100, Compression::None).await;
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::None)
            .build()
            .await
            .unwrap();
        let [zero, one] = [0, 1].map(|p| TopicPartition::new(&*topic, p));
        consumer.assign_from([(zero.clone(), Offset(40)), (one.clone(), Offset(0))]).unwrap();
        consumer.pause([one.clone()]).unwrap();
        let batch = next(&consumer).await;
        assert_eq!(batch.topic_partition(), &zero);
        assert_eq!(numbers(&batch)[0], 40, "in the middle of a batch");

        consumer.seek(&zero, Offset(90)).unwrap();
        let batch = next(&consumer).await;
        assert_eq!((batch.topic_partition(), numbers(&batch)[0]), (&zero, 90));
        assert_eq!(consumer.paused(), std::slice::from_ref(&one));
        consumer.resume([one.clone()]).unwrap();
        let batch = next(&consumer).await;
        assert_eq!((batch.topic_partition(), numbers(&batch)[0]), (&one, 0));

        consumer.seek_to_end([zero.clone()]).unwrap();
        eventually("the end is found", || async { consumer.position(&zero) == Some(Offset(100)) })
            .await;
        consumer.seek_to_beginning([zero.clone()]).unwrap();
        loop {
            let batch = next(&consumer).await;
            if batch.topic_partition() == &zero {
                assert_eq!(numbers(&batch)[0], 0);
                break;
            }
        }
        let ends = consumer.end_offsets(all(&topic, 2)).await.unwrap();
        assert_eq!(ends.into_values().collect::<Vec<_>>(), [Offset(100); 2]);
        let begins = consumer.beginning_offsets(all(&topic, 2)).await.unwrap();
        assert_eq!(begins.into_values().collect::<Vec<_>>(), [Offset(0); 2]);
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_position_outside_the_log_is_reset_and_told() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 10, Compression::None).await;
        let tp = TopicPartition::new(&*topic, 0);
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .build()
            .await
            .unwrap();
        consumer.assign_from([(tp.clone(), Offset(5_000))]).unwrap();
        let event = tokio::time::timeout(LIMIT, consumer.next_event()).await.unwrap().unwrap();
        let Some(ConsumerEvent::Reset { partition, from, to, cause }) = event else {
            panic!("{event:?}")
        };
        assert_eq!((partition, from, to), (tp.clone(), Some(Offset(5_000)), Offset(0)));
        assert_eq!(cause, ResetCause::OutOfRange);
        assert_eq!(numbers(&next(&consumer).await)[0], 0);
        consumer.close(LIMIT).await.unwrap();

        let strict = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::None)
            .build()
            .await
            .unwrap();
        strict.assign_from([(tp.clone(), Offset(5_000))]).unwrap();
        let error = tokio::time::timeout(LIMIT, strict.poll()).await.unwrap().unwrap_err();
        assert!(matches!(error, FetchError::OffsetOutOfRange { offset: Offset(5_000), .. }));
        strict.seek(&tp, Offset(9)).unwrap();
        assert_eq!(numbers(&next(&strict).await), [9]);
        strict.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_unknown_topic_is_an_error_and_is_read_once_it_exists() {
    on_every_cluster(|bootstrap| async move {
        let topic = unique("late");
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .auto_create_topics(false)
            .build()
            .await
            .unwrap();
        consumer.assign([TopicPartition::new(&*topic, 0)]).unwrap();
        let error = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap_err();
        assert!(matches!(&error, FetchError::UnknownTopic { topic: t } if *t == *topic), "{error}");
        let admin = Admin::connect([&*bootstrap]).await.unwrap();
        admin.create_topics([NewTopic::new(&*topic, 1)]).await.unwrap();
        fill(&bootstrap, &topic, 1, 3, Compression::None).await;
        read_all(&consumer, 1, 3).await;
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_topic_deleted_while_it_is_read_is_an_error() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 3, Compression::None).await;
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .auto_create_topics(false)
            .build()
            .await
            .unwrap();
        consumer.assign([TopicPartition::new(&*topic, 0)]).unwrap();
        read_all(&consumer, 1, 3).await;
        let admin = Admin::connect([&*bootstrap]).await.unwrap();
        admin.delete_topics([&*topic]).await.unwrap();
        let error = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap_err();
        assert!(matches!(&error, FetchError::TopicDeleted { topic: t } if *t == *topic), "{error}");
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn offsets_are_committed_without_membership_too() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 30, Compression::None).await;
        let tp = TopicPartition::new(&*topic, 0);
        let group = unique("simple");
        let build = || {
            Consumer::builder([&*bootstrap])
                .group(&*group)
                .auto_offset_reset(OffsetReset::Earliest)
                .max_poll_records(10)
                .build()
        };
        let consumer = build().await.unwrap();
        consumer.assign([tp.clone()]).unwrap();
        let batch = next(&consumer).await;
        assert_eq!(numbers(&batch).len(), 10);
        consumer.commit(&batch).await.unwrap();
        consumer.close(LIMIT).await.unwrap();

        let consumer = build().await.unwrap();
        let committed = consumer.committed([tp.clone()]).await.unwrap();
        assert_eq!(committed[&tp].as_ref().unwrap().offset, Offset(10));
        consumer.assign([tp.clone()]).unwrap();
        let batch = next(&consumer).await;
        assert_eq!(numbers(&batch)[0], 10);

        let elsewhere = TopicPartition::new(&*topic, 7);
        let error = consumer.commit_offsets([(elsewhere, Offset(1).into())]).await.unwrap_err();
        assert!(matches!(error, CommitError::NotOwned { .. }));
        consumer.assign([]).unwrap();
        consumer.assign([tp]).unwrap();
        let error = consumer.commit(&batch).await.unwrap_err();
        assert!(matches!(error, CommitError::NotOwned { .. }), "ownership was interrupted");
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn consuming_survives_what_brokers_do() {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 6).await;
    let consumer = Consumer::reader([&*bootstrap])
        .auto_offset_reset(OffsetReset::Earliest)
        .build()
        .await
        .unwrap();
    consumer.assign(all(&topic, 6)).unwrap();
    fill(&bootstrap, &topic, 6, 200, Compression::None).await;
    let faults = [
        Fault::on(ApiKey::Fetch).nth(1).disconnect(),
        Fault::on(ApiKey::Fetch).nth(3).error(ErrorCode::NotLeaderOrFollower),
        Fault::on(ApiKey::Fetch).nth(5).error(ErrorCode::FetchSessionIdNotFound),
        Fault::on(ApiKey::Fetch).nth(7).error(ErrorCode::InvalidFetchSessionEpoch),
        Fault::on(ApiKey::Fetch).nth(9).apply_then_disconnect(),
        Fault::on(ApiKey::Fetch).nth(11).error(ErrorCode::UnknownServerError),
        Fault::on(ApiKey::Metadata).nth(2).disconnect(),
    ];
    for fault in faults {
        cluster.fault(fault);
    }
    read_all(&consumer, 6, 200).await;
    cluster.crash_node(1).await.unwrap();
    cluster.restart_node(1).await.unwrap();
    let producer = Producer::builder([&*bootstrap]).build().await.unwrap();
    for partition in 0..6 {
        let record = Record::to(&topic).partition(partition).value("200");
        drop(producer.enqueue(&record).await.unwrap());
    }
    assert!(producer.close(LIMIT).await.is_complete());
    let mut left = 6;
    while left > 0 {
        let batch = next(&consumer).await;
        assert_eq!(numbers(&batch), [200]);
        left -= 1;
    }
    consumer.close(LIMIT).await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn a_corrupt_batch_is_named_and_can_be_passed() {
    let cluster = Broker::in_process().start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    fill(&bootstrap, &topic, 1, 5, Compression::None).await;
    cluster.fault(Fault::on(ApiKey::Fetch).nth(1).corrupt_records());
    let tp = TopicPartition::new(&*topic, 0);
    let consumer = Consumer::reader([&*bootstrap]).build().await.unwrap();
    consumer.assign_from([(tp.clone(), Offset(0))]).unwrap();
    let error = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap_err();
    let FetchError::Corrupt { partition, offset, .. } = &error else { panic!("{error}") };
    assert_eq!((partition, *offset), (&tp, Offset(0)));
    assert_eq!(consumer.position(&tp), Some(Offset(0)), "only records move the position");
    consumer.seek(&tp, Offset(0)).unwrap();
    read_all(&consumer, 1, 5).await;
    consumer.close(LIMIT).await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn a_dropped_poll_loses_nothing() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 1_000, Compression::None).await;
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .max_poll_records(10)
            .build()
            .await
            .unwrap();
        consumer.assign(all(&topic, 1)).unwrap();
        let mut expected = 0;
        while expected < 1_000 {
            // Polled once, dropped if pending.
            let polled = tokio::time::timeout(Duration::ZERO, consumer.poll()).await;
            let Ok(batch) = polled else {
                tokio::task::yield_now().await;
                continue;
            };
            for number in numbers(&batch.unwrap().unwrap()) {
                assert_eq!(number, expected);
                expected += 1;
            }
        }
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn records_come_one_by_one_and_each_moves_the_position() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 50, Compression::None).await;
        let tp = TopicPartition::new(&*topic, 0);
        let consumer = Consumer::reader([&*bootstrap])
            .auto_offset_reset(OffsetReset::Earliest)
            .build()
            .await
            .unwrap();
        consumer.assign([tp.clone()]).unwrap();
        let mut records = consumer.records();
        let mut expected = 0;
        while expected < 50 {
            let next = poll_fn(|cx| Pin::new(&mut records).poll_next(cx));
            let record = tokio::time::timeout(LIMIT, next).await.unwrap().unwrap().unwrap();
            assert_eq!(record.offset, Offset(expected));
            assert_eq!(consumer.position(&tp), Some(Offset(expected + 1)));
            expected += 1;
            if expected == 20 {
                // In the midst of a batch: the rest of it is void.
                consumer.seek(&tp, Offset(30)).unwrap();
                expected = 30;
            }
        }
        consumer.close(LIMIT).await.unwrap();
        let next = poll_fn(|cx| Pin::new(&mut records).poll_next(cx));
        assert!(next.await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_truncated_log_is_told() {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    let tp = TopicPartition::new(&*topic, 0);
    for number in 0..10 {
        let producer = Producer::builder([&*bootstrap]).build().await.unwrap();
        let value = number.to_string();
        producer.send(&Record::to(&topic).partition(0).value(&value)).await.unwrap();
    }
    let consumer = Consumer::reader([&*bootstrap])
        .auto_offset_reset(OffsetReset::Earliest)
        .build()
        .await
        .unwrap();
    consumer.assign([tp.clone()]).unwrap();
    read_all(&consumer, 1, 10).await;
    cluster.truncate(&tp, Offset(6)).unwrap();
    let told = async {
        loop {
            match consumer.next_event().await.unwrap().unwrap() {
                ConsumerEvent::Truncated { from, to, .. } => return (from, to),
                other => assert!(!matches!(other, ConsumerEvent::Records(_)), "{other:?}"),
            }
        }
    };
    let (from, to) = tokio::time::timeout(LIMIT, told).await.unwrap();
    assert_eq!((from, to), (Offset(10), Offset(6)));
    consumer.close(LIMIT).await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn one_poller_at_a_time() {
    let cluster = Broker::in_process().start().await.unwrap();
    let consumer = Consumer::reader([cluster.bootstrap()]).build().await.unwrap();
    let waiting = consumer.poll();
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err());
    assert!(matches!(consumer.poll().await, Err(FetchError::Busy)));
    consumer.close(LIMIT).await.unwrap();
    assert!(waiting.await.unwrap().is_none());
    cluster.stop().await;
}

#[test]
fn a_plain_thread_can_consume() {
    let cluster = Broker::in_process().start_blocking().unwrap();
    cluster.create_topic("plain", 1).unwrap();
    let consumer = Consumer::reader([cluster.bootstrap()])
        .auto_offset_reset(OffsetReset::Earliest)
        .build_blocking()
        .unwrap();
    let tp = TopicPartition::new("plain", 0);
    consumer.assign([tp.clone()]).unwrap();
    let producer = Producer::builder([cluster.bootstrap()]).build_blocking().unwrap();
    producer.send_blocking(&Record::to("plain").value("0")).unwrap();
    let batch = consumer.poll_blocking(LIMIT).unwrap().unwrap();
    assert_eq!(numbers(&batch), [0]);
    let ends = consumer.end_offsets_blocking([tp.clone()], LIMIT).unwrap();
    assert_eq!(ends[&tp], Offset(1));
    assert!(consumer.poll_blocking(Duration::from_millis(20)).unwrap().is_none());
    consumer.close_blocking(LIMIT).unwrap();
}
