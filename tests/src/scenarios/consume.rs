//! Consuming: where reading starts, stops and goes on, and what it says when it cannot.

use std::time::Duration;

use millstream_client::consumer::{Consumer, ConsumerEvent, FetchError};
use millstream_client::{ErrorClass, NewTopic, Record};
use millstream_types::{Offset, Timestamp, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};
use crate::reading::{partitions, read_to_ends, texts};

/// Writes `count` records `0`, `1`, … to each partition, each in a batch of its own, one
/// millisecond apart.
pub(super) async fn fill(cluster: &TestCluster, topic: &str, partitions: i32, count: i64) {
    step(format!("write {count} records to each of {partitions} partitions"));
    let producer = cluster.producer().linger(Duration::ZERO).build().await.expect("a producer");
    for n in 0..count {
        let value = n.to_string();
        for partition in 0..partitions {
            let time = 1_700_000_000_000 + n;
            let record = Record::to(topic).partition(partition).timestamp(time).value(&value);
            drop(producer.enqueue(&record).await.expect("it is accepted"));
        }
        if count < 100 {
            producer.flush().await;
        }
    }
    assert!(producer.close(Duration::from_secs(20)).await.is_complete());
}

/// The values of the next records, at least `count` of them.
async fn take(consumer: &Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let batch = consumer.poll().await.expect("records").expect("it is open");
        values.extend(texts(&batch.detach()));
    }
    values
}

/// A reader that starts at the end sees only what comes after.
pub async fn reading_starts_at_the_end(cluster: &TestCluster) {
    let topic = cluster.topic("end", 1).await;
    fill(cluster, &topic, 1, 3).await;
    let builder = cluster.reader().property("auto.offset.reset", "latest");
    let consumer = builder.build().await.expect("a reader");
    let partition = TopicPartition::new(&*topic, 0);
    consumer.assign([partition.clone()]).expect("it is assigned");
    let event = consumer.next_event().await.expect("an event");
    let Some(ConsumerEvent::Reset { to, .. }) = event else {
        panic!("a position is found first: {event:?}");
    };
    assert_eq!(to, Offset(3));
    let producer = cluster.producer().build().await.expect("a producer");
    producer.send(&Record::to(&topic).value("new")).await.expect("it is written");
    assert_eq!(take(&consumer, 1).await, ["new"]);
    assert_eq!(consumer.position(&partition), Some(Offset(4)));
}

/// Seeking moves the position at once, records fetched before do not come any more.
pub async fn seeking_moves_the_position(cluster: &TestCluster) {
    let topic = cluster.topic("seek", 1).await;
    fill(cluster, &topic, 1, 10).await;
    let consumer = cluster.reader().build().await.expect("a reader");
    let partition = TopicPartition::new(&*topic, 0);
    consumer.assign([partition.clone()]).expect("it is assigned");
    assert_eq!(take(&consumer, 1).await[0], "0");
    consumer.seek(&partition, Offset(7)).expect("it seeks");
    assert_eq!(consumer.position(&partition), Some(Offset(7)));
    assert_eq!(take(&consumer, 3).await, ["7", "8", "9"]);
    eventually("the lag is known to be nothing", || async { consumer.lag(&partition) == Some(0) })
        .await;
    consumer.seek_to_beginning([partition.clone()]).expect("it seeks");
    assert_eq!(take(&consumer, 10).await.len(), 10);
    let error = consumer.seek(&partition, Offset(-1)).unwrap_err();
    assert!(error.to_string().contains(&format!("{topic}-0")), "{error}");
    let times = [(partition.clone(), Timestamp(1_700_000_000_004))];
    let found = consumer.offsets_for_times(times).await.expect("an offset");
    assert_eq!(found[&partition], Offset(4));
    let begins = consumer.beginning_offsets([partition.clone()]).await.expect("a beginning");
    let ends = consumer.end_offsets([partition.clone()]).await.expect("an end");
    assert_eq!((begins[&partition], ends[&partition]), (Offset(0), Offset(10)));
}

/// A paused partition gives nothing, the others go on; resumed, it gives all.
pub async fn paused_partitions_wait(cluster: &TestCluster) {
    let topic = cluster.topic("pause", 2).await;
    let consumer = cluster.reader().build().await.expect("a reader");
    let [first, second] = [0, 1].map(|id| TopicPartition::new(&*topic, id));
    consumer.assign([first.clone(), second.clone()]).expect("they are assigned");
    consumer.pause([first.clone()]).expect("it pauses");
    fill(cluster, &topic, 2, 5).await;
    for _ in 0..5 {
        let batch = consumer.poll().await.expect("records").expect("it is open");
        assert_eq!(*batch.topic_partition(), second);
        if batch.next_offset() == Offset(5) {
            break;
        }
    }
    assert_eq!(consumer.paused(), std::slice::from_ref(&first));
    consumer.resume([first.clone()]).expect("it resumes");
    assert_eq!(take(&consumer, 5).await, ["0", "1", "2", "3", "4"]);
}

/// Without a committed offset and with nowhere to start, the error names the partition and says
/// what to do.
pub async fn nowhere_to_start_is_an_error(cluster: &TestCluster) {
    let topic = cluster.topic("none", 1).await;
    fill(cluster, &topic, 1, 2).await;
    let builder = cluster.reader().property("auto.offset.reset", "none");
    let consumer = builder.build().await.expect("a reader");
    let partition = TopicPartition::new(&*topic, 0);
    consumer.assign([partition.clone()]).expect("it is assigned");
    let error = consumer.poll().await.unwrap_err();
    assert_eq!(error.partition(), Some(&partition));
    assert!(error.to_string().contains("seek to start"), "{error}");
    step("seek to start");
    consumer.seek(&partition, Offset(1)).expect("it seeks");
    assert_eq!(take(&consumer, 1).await, ["1"]);

    step("a position outside of the log");
    consumer.seek(&partition, Offset(77)).expect("it seeks");
    let error = consumer.poll().await.unwrap_err();
    assert!(matches!(error, FetchError::OffsetOutOfRange { offset: Offset(77), .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}

/// A position that the log has left behind is reset, and the application is told.
pub async fn a_position_left_behind_is_reset(cluster: &TestCluster) {
    let topic = cluster.topic("behind", 1).await;
    fill(cluster, &topic, 1, 5).await;
    let partition = TopicPartition::new(&*topic, 0);
    let purged = cluster.admin().delete_records([(partition.clone(), Offset(3))]).await;
    purged.expect("records are deleted");
    let consumer = cluster.reader().build().await.expect("a reader");
    consumer.assign([partition.clone()]).expect("it is assigned");
    consumer.seek(&partition, Offset(1)).expect("it seeks");
    let event = consumer.next_event().await.expect("an event");
    let Some(ConsumerEvent::Reset { from, to, .. }) = event else {
        panic!("the reset comes first: {event:?}");
    };
    assert_eq!((from, to), (Some(Offset(1)), Offset(3)));
    assert_eq!(take(&consumer, 2).await, ["3", "4"]);
}

/// A topic that is not there is named; once it is created, it is read.
pub async fn an_unknown_topic_is_named(cluster: &TestCluster) {
    let topic = unique("absent");
    let builder = cluster.reader().property("metadata.max.age.ms", "200");
    let consumer = builder.build().await.expect("a reader");
    consumer.assign([TopicPartition::new(&*topic, 0)]).expect("it is assigned");
    let error = consumer.poll().await.unwrap_err();
    assert!(matches!(error, FetchError::UnknownTopic { .. }), "{error:?}");
    assert!(error.to_string().contains(&topic), "{error}");
    step("create it after all");
    cluster.admin().create_topics([NewTopic::new(&*topic, 1)]).await.expect("it is created");
    cluster.wait_for_leaders(&topic).await;
    fill(cluster, &topic, 1, 1).await;
    assert_eq!(take(&consumer, 1).await, ["0"]);
}

/// Little memory and small fetches slow a consumer down, and lose nothing.
pub async fn small_buffers_lose_nothing(cluster: &TestCluster) {
    let topic = cluster.topic("buffers", 8).await;
    fill(cluster, &topic, 8, 400).await;
    let consumer = cluster
        .reader()
        .buffer_memory(4096)
        .fetch_max_bytes(1000)
        .max_partition_fetch_bytes(300)
        .max_poll_records(3)
        .build()
        .await
        .expect("a reader");
    let records = read_to_ends(cluster, &consumer, &topic).await;
    assert_eq!(records.len(), 8 * 400);
    for partition in partitions(cluster, &topic).await {
        let own: Vec<_> = records.iter().filter(|r| r.partition == partition.partition).collect();
        assert!(own.iter().zip(0..).all(|(record, n)| record.offset == Offset(n)));
    }
}

/// A consumer that is closed while it waits stops waiting.
pub async fn closing_ends_a_wait(cluster: &TestCluster) {
    let topic = cluster.topic("close", 1).await;
    let consumer = cluster.reader().build().await.expect("a reader");
    consumer.assign([TopicPartition::new(&*topic, 0)]).expect("it is assigned");
    let handle = consumer.handle();
    let close = async {
        tokio::task::yield_now().await;
        handle.close(Duration::from_secs(5)).await
    };
    let (polled, closed) = tokio::join!(consumer.poll(), close);
    assert!(polled.expect("no error").is_none());
    closed.expect("it closes");
    assert!(consumer.is_closed());
}
