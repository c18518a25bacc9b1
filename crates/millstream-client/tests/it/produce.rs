//! Writing: codecs, order, acknowledgements, limits, and every way a broker can lose an answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use millstream_broker::{ApiKey, Broker, ErrorCode, Fault};
use millstream_client::producer::{DeliveryCause, EnqueueError};
use millstream_client::{
    Acks, Admin, Compression, Consumer, DeliveryError, NewTopic, OffsetReset, Producer,
    ProducerBuilder, Record, SendError,
};
use millstream_types::{Offset, PartitionId, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

/// Longer than anything here takes, shorter than patience.
const LIMIT: Duration = Duration::from_secs(20);

async fn create(bootstrap: &str, name: String, topic: NewTopic) -> String {
    let admin = Admin::connect([bootstrap]).await.unwrap();
    admin.create_topics([topic]).await.unwrap();
    eventually("the topic is led", || async {
        let described = admin.describe_topics([&*name]).await;
        described.is_ok_and(|described| {
            described[&*name].partitions.values().all(|partition| partition.leader.is_some())
        })
    })
    .await;
    name
}

async fn topic(bootstrap: &str, partitions: i32) -> String {
    let name = unique("produce");
    let new = NewTopic::new(&*name, partitions);
    create(bootstrap, name, new).await
}

fn builder(bootstrap: &str) -> ProducerBuilder {
    Producer::builder([bootstrap])
}

/// All values of a topic, by partition, in order.
async fn read(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Vec<String>> {
    let consumer = Consumer::reader([bootstrap])
        .auto_offset_reset(OffsetReset::Earliest)
        .build()
        .await
        .unwrap();
    let all: Vec<_> = (0..partitions).map(|p| TopicPartition::new(topic, p)).collect();
    let ends = consumer.end_offsets(all.clone()).await.unwrap();
    consumer.assign(all.clone()).unwrap();
    let mut values = vec![Vec::new(); all.len()];
    let mut left: i64 = ends.values().map(|end| end.value()).sum();
    while left > 0 {
        let batch = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap().unwrap();
        let into = &mut values[batch.partition().value() as usize];
        for record in batch.iter() {
            assert_eq!(record.offset, Offset(into.len() as i64));
            into.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            left -= 1;
        }
    }
    values
}

/// Writes `count` numbered values to each partition, and reads them back: each once, in order.
async fn round_trip(
    bootstrap: &str,
    producer: &Producer,
    topic: &str,
    partitions: i32,
    count: usize,
) {
    for number in 0..count {
        for partition in 0..partitions {
            let value = format!("{number}");
            let record = Record::to(topic).partition(partition).key("k").value(&value);
            drop(producer.enqueue(&record).await.unwrap());
        }
    }
    let report = tokio::time::timeout(LIMIT, producer.flush()).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.written, (count * partitions as usize) as u64);
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    for values in read(bootstrap, topic, partitions).await {
        assert_eq!(values, expected);
    }
}

#[tokio::test]
async fn every_codec_arrives_whole_and_in_order() {
    on_every_cluster(|bootstrap| async move {
        for codec in Compression::ALL {
            let topic = topic(&bootstrap, 3).await;
            let producer =
                builder(&bootstrap).compression(codec).batch_size(1000).build().await.unwrap();
            round_trip(&bootstrap, &producer, &topic, 3, 500).await;
            let last = producer.acknowledged_offset(&TopicPartition::new(&*topic, 0));
            assert_eq!(last, Some(Offset(499)));
            assert!(producer.close(LIMIT).await.is_complete());
        }
    })
    .await;
}

#[tokio::test]
async fn receipts_tell_where_records_are() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 4).await;
        for acks in [Acks::All, Acks::Leader] {
            let producer = builder(&bootstrap).acks(acks).build().await.unwrap();
            let record = Record::to(&topic).key("hello").value("x").timestamp(1234);
            let first = producer.send(&record).await.unwrap();
            let second = producer.send(&record).await.unwrap();
            // murmur2("hello") & 0x7fffffff = 2132663229.
            assert_eq!(first.partition, PartitionId(1));
            assert_eq!(second.partition, first.partition);
            let offset = first.offset.unwrap();
            assert_eq!(second.offset, Some(offset.plus(1)));
            assert_eq!(first.timestamp.value(), 1234);
        }
        let producer = builder(&bootstrap).acks(Acks::None).build().await.unwrap();
        let receipt = producer.send(&Record::to(&topic).partition(0).value("z")).await.unwrap();
        assert_eq!(receipt.offset, None);
        eventually("acks=0 arrives", || async { read(&bootstrap, &topic, 4).await[0] == ["z"] })
            .await;
    })
    .await;
}

#[tokio::test]
async fn records_without_keys_reach_all_partitions() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 4).await;
        let producer = builder(&bootstrap).batch_size(1000).build().await.unwrap();
        let value = "v".repeat(100);
        for _ in 0..2000 {
            drop(producer.enqueue(&Record::to(&topic).value(&value)).await.unwrap());
        }
        assert!(producer.close(LIMIT).await.is_complete());
        let counts: Vec<_> = read(&bootstrap, &topic, 4).await.iter().map(Vec::len).collect();
        assert_eq!(counts.iter().sum::<usize>(), 2000);
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    })
    .await;
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named() {
    on_every_cluster(|bootstrap| async move {
        let topic = unique("missing");
        let producer = builder(&bootstrap)
            .auto_create_topics(false)
            .max_block(Duration::from_millis(500))
            .build()
            .await
            .unwrap();
        let error = producer.send(&Record::to(&topic).value("x")).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, SendError::Enqueue(EnqueueError::TopicTimedOut { .. }))
                && text.contains(&topic)
                && text.contains("UNKNOWN_TOPIC_OR_PARTITION"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_batch_above_the_topics_limit_is_split() {
    on_every_cluster(|bootstrap| async move {
        let name = unique("small");
        let new = NewTopic::new(&*name, 1).config("max.message.bytes", "1000");
        let topic = create(&bootstrap, name, new).await;
        let producer = builder(&bootstrap).build().await.unwrap();
        let value = "x".repeat(2000);
        let record = Record::to(&topic).key("large").value(&value);
        let large = producer.enqueue(&record).await.unwrap();
        for number in 0..300 {
            let value = number.to_string();
            drop(producer.enqueue(&Record::to(&topic).value(&value)).await.unwrap());
        }
        let report = producer.close(LIMIT).await;
        assert_eq!((report.written, report.not_written), (300, 1), "{report:?}");
        let Err(DeliveryError::NotWritten(failed)) = large.await else {
            panic!("it is larger than the topic takes");
        };
        let returned = failed.into_record().unwrap();
        assert_eq!(returned.to_record().key_bytes(), record.key_bytes());
        assert_eq!(returned.to_record().value_bytes(), record.value_bytes());
        let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        assert_eq!(read(&bootstrap, &topic, 1).await[0], expected);
    })
    .await;
}

#[tokio::test]
async fn lost_answers_neither_lose_nor_double() {
    type Make = fn() -> Fault;
    let faults: [Make; 8] = [
        || Fault::on(ApiKey::Produce).nth(2).times(3).apply_then_disconnect(),
        || Fault::on(ApiKey::Produce).nth(2).times(3).disconnect(),
        || Fault::on(ApiKey::Produce).nth(3).apply_then_drop(),
        || Fault::on(ApiKey::Produce).nth(3).drop(),
        || Fault::on(ApiKey::Produce).nth(2).times(2).error(ErrorCode::NotLeaderOrFollower),
        || Fault::on(ApiKey::Produce).nth(2).times(2).error(ErrorCode::NotEnoughReplicas),
        || Fault::on(ApiKey::Produce).nth(2).delay(Duration::from_millis(300)),
        || Fault::on(ApiKey::InitProducerId).times(2).error(ErrorCode::CoordinatorLoadInProgress),
    ];
    let cluster = Broker::in_process().nodes(2).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    for fault in faults {
        let topic = topic(&bootstrap, 2).await;
        let producer = builder(&bootstrap)
            .batch_size(500)
            .request_timeout(Duration::from_millis(400))
            .build()
            .await
            .unwrap();
        cluster.fault(fault());
        round_trip(&bootstrap, &producer, &topic, 2, 400).await;
        cluster.clear_faults();
        producer.close(LIMIT).await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_moving_leader_is_followed() {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let producer = builder(&bootstrap).linger(Duration::ZERO).build().await.unwrap();
    let mut last = Offset(-1);
    for round in 0..30 {
        let node = cluster.nodes()[round % 3];
        cluster.move_leader(&partition, node).unwrap();
        let receipt = producer.send(&Record::to(&topic).value("x")).await.unwrap();
        assert_eq!(receipt.offset, Some(last.plus(1)));
        last = last.plus(1);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn many_threads_share_a_small_memory() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 3).await;
        let producer =
            builder(&bootstrap).buffer_memory(64 * 1024).batch_size(4096).build().await.unwrap();
        let producer = Arc::new(producer);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (producer, topic) = (Arc::clone(&producer), topic.clone());
                std::thread::spawn(move || {
                    for number in 0..2500 {
                        let value = format!("{thread}-{number:05}-{}", "x".repeat(100));
                        let record = Record::to(&topic).value(&value);
                        drop(producer.enqueue_blocking(&record).unwrap());
                    }
                })
            })
            .collect();
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        assert!(joined.await.unwrap());
        let report = producer.close(LIMIT).await;
        assert_eq!((report.written, report.is_complete()), (10_000, true), "{report:?}");
        assert_eq!(producer.memory_used(), 0);
        let total: usize = read(&bootstrap, &topic, 3).await.iter().map(Vec::len).sum();
        assert_eq!(total, 10_000);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_call_accepts_nothing_and_a_dropped_producer_delivers() {
    let cluster = Broker::in_process().start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    let producer = builder(&bootstrap).linger(Duration::from_secs(5)).build().await.unwrap();
    let record = Record::to(&topic).value("dropped");
    {
        // The topic is not known yet, so this waits.
        let mut enqueue = pin!(producer.enqueue(&record));
        assert!(enqueue.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(producer.enqueue(&Record::to(&topic).value("kept")).await.unwrap());
    drop(producer);
    eventually("the record arrives", || async { read(&bootstrap, &topic, 1).await[0] == ["kept"] })
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn without_brokers_everything_ends_in_time() {
    // A port on which nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let producer = builder(&format!("127.0.0.1:{port}"))
        .max_block(Duration::from_millis(300))
        .build()
        .await
        .unwrap();
    let error = producer.send(&Record::to("t").value("x")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("topic t was not found within"), "{text}");
    assert!(text.contains(&format!("127.0.0.1:{port}")), "it says where it tried: {text}");
    assert!(producer.flush().await.is_complete());
    assert!(producer.close(Duration::from_secs(1)).await.is_complete());
    let closed = producer.send(&Record::to("t").value("x")).await.unwrap_err();
    assert!(matches!(closed, SendError::Enqueue(EnqueueError::Closed)));
}

#[tokio::test]
async fn close_gives_up_at_its_deadline_what_a_dead_broker_holds() {
    let cluster = Broker::in_process().start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 1).await;
    let producer = builder(&bootstrap).linger(Duration::ZERO).build().await.unwrap();
    producer.send(&Record::to(&topic).value("first")).await.unwrap();
    cluster.fault(Fault::on(ApiKey::Produce).always().apply_then_drop());
    let delivery = producer.enqueue(&Record::to(&topic).value("second")).await.unwrap();
    let report = producer.close(Duration::from_millis(300)).await;
    // The first one's epoch is reported too.
    assert_eq!((report.written, report.unknown), (1, 1));
    let error = delivery.await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unknown(_)), "{error}");
    assert!(matches!(error.cause(), DeliveryCause::Closed { .. }), "{error}");
    cluster.stop().await;
}
