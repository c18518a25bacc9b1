//! Transactions: all or nothing, whoever fails, and however late an answer comes.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use millstream_broker::Broker;
use millstream_client::transaction::BeginError;
use millstream_client::{
    Admin, CommitTransactionError, Consumer, ErrorClass, IsolationLevel, NewTopic, OffsetReset,
    Producer, Record, TransactionError, TransactionOutcome, TransactionalProducer,
};
use millstream_types::{PartitionId, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

/// Longer than anything here takes, shorter than patience.
const LIMIT: Duration = Duration::from_secs(30);

/// Three partitions, the transactions of each on a leader of its own.
pub(crate) const PARTITIONS: i32 = 3;

pub(crate) async fn topic(bootstrap: &str) -> String {
    let name = unique("transactions");
    let admin = Admin::connect([bootstrap]).await.unwrap();
    admin.create_topics([NewTopic::new(&*name, PARTITIONS)]).await.unwrap();
    eventually("the topic is led", || async {
        let described = admin.describe_topics([&*name]).await;
        described.is_ok_and(|described| {
            described[&*name].partitions.values().all(|partition| partition.leader.is_some())
        })
    })
    .await;
    name
}

pub(crate) async fn producer(bootstrap: &str, id: &str) -> TransactionalProducer {
    TransactionalProducer::builder([bootstrap], id).build().await.unwrap()
}

/// The values of a topic, sorted, up to its end now.
pub(crate) async fn values(
    bootstrap: &str,
    topic: &str,
    isolation: IsolationLevel,
) -> BTreeSet<String> {
    let consumer = Consumer::reader([bootstrap])
        .auto_offset_reset(OffsetReset::Earliest)
        .isolation_level(isolation)
        .build()
        .await
        .unwrap();
    let partitions: Vec<_> = (0..PARTITIONS).map(|p| TopicPartition::new(topic, p)).collect();
    let ends = consumer.end_offsets(partitions.clone()).await.unwrap();
    consumer.assign(partitions.clone()).unwrap();
    let mut values = BTreeSet::new();
    let is_at_end = || {
        let behind = |tp: &TopicPartition| consumer.position(tp).is_some_and(|at| at >= ends[tp]);
        partitions.iter().all(behind)
    };
    let reading = async {
        while !is_at_end() {
            // Of markers and aborted records nothing is handed out, so a wait may be for nothing.
            let polled = tokio::time::timeout(Duration::from_millis(200), consumer.poll()).await;
            let Ok(batch) = polled else { continue };
            let batch = batch.unwrap().unwrap();
            for record in &batch {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                assert!(values.insert(value.clone()), "{value} is there twice");
            }
        }
    };
    tokio::time::timeout(LIMIT, reading).await.unwrap();
    values
}

pub(crate) async fn committed(bootstrap: &str, topic: &str) -> BTreeSet<String> {
    values(bootstrap, topic, IsolationLevel::ReadCommitted).await
}

pub(crate) fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

/// Runs a test against in-process clusters of both versions of the transaction protocol and against
/// a real one.
async fn everywhere<F: Future<Output = ()>>(test: impl Fn(String) -> F) {
    let cluster = Broker::in_process().nodes(3).transaction_version(1).start().await.unwrap();
    test(cluster.bootstrap()).await;
    cluster.stop().await;
    on_every_cluster(test).await;
}

/// Enqueues a record for each partition, named `name` and the partition.
macro_rules! enqueue_all {
    ($transaction:expr, $topic:expr, $name:expr) => {
        for partition in 0..PARTITIONS {
            let value = format!("{}-{partition}", $name);
            let record = Record::to(&$topic).partition(PartitionId(partition)).value(&value);
            drop($transaction.enqueue(&record).await.unwrap());
        }
    };
}
pub(crate) use enqueue_all;

#[tokio::test]
async fn a_transaction_is_seen_whole_or_not_at_all() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = producer(&bootstrap, &topic).await;
        let transaction = producer.begin().await.unwrap();
        assert_eq!(transaction.previous(), None);
        enqueue_all!(transaction, topic, "a");
        let report = transaction.flush().await;
        assert_eq!((report.written, report.is_complete()), (3, true));
        // Written, and not to be seen by who reads committed records.
        let all = names(&["a-0", "a-1", "a-2"]);
        assert_eq!(values(&bootstrap, &topic, IsolationLevel::ReadUncommitted).await, all);
        assert_eq!(committed(&bootstrap, &topic).await, names(&[]));
        transaction.commit().await.unwrap();
        assert_eq!(committed(&bootstrap, &topic).await, all);

        let transaction = producer.begin().await.unwrap();
        assert_eq!(transaction.previous(), Some(TransactionOutcome::Committed));
        enqueue_all!(transaction, topic, "b");
        transaction.flush().await;
        transaction.abort().await.unwrap();
        assert_eq!(committed(&bootstrap, &topic).await, all);

        let transaction = producer.begin().await.unwrap();
        assert_eq!(transaction.previous(), Some(TransactionOutcome::Aborted));
        enqueue_all!(transaction, topic, "c");
        transaction.commit().await.unwrap();
        let all = names(&["a-0", "a-1", "a-2", "c-0", "c-1", "c-2"]);
        assert_eq!(committed(&bootstrap, &topic).await, all);
        producer.close(LIMIT).await;
    })
    .await;
}

#[tokio::test]
async fn a_hundred_transactions_in_a_row_with_empty_ones_between() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = producer(&bootstrap, &topic).await;
        let mut expected = BTreeSet::new();
        for n in 0..100 {
            let transaction = producer.begin().await.unwrap();
            match n % 4 {
                0 => transaction.commit().await.unwrap(),
                1 => {
                    let value = format!("aborted {n}");
                    drop(transaction.enqueue(&Record::to(&topic).value(&value)).await.unwrap());
                    transaction.abort().await.unwrap();
                }
                _ => {
                    enqueue_all!(transaction, topic, n);
                    expected.extend((0..PARTITIONS).map(|p| format!("{n}-{p}")));
                    transaction.commit().await.unwrap();
                }
            }
        }
        assert_eq!(committed(&bootstrap, &topic).await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_twin_fences_the_older_one_at_every_call() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        for verb in ["enqueue", "commit", "abort", "offsets"] {
            let id = unique(verb);
            let mut older = producer(&bootstrap, &id).await;
            let transaction = older.begin().await.unwrap();
            enqueue_all!(transaction, topic, format!("old {verb}"));
            assert!(transaction.flush().await.is_complete());
            let mut newer = producer(&bootstrap, &id).await;
            let class = match verb {
                "enqueue" => {
                    let record = Record::to(&topic).value("too late");
                    let sent = transaction.send(&record).await;
                    assert!(sent.is_err(), "{verb}");
                    transaction.commit().await.unwrap_err().class()
                }
                "offsets" => {
                    let offsets = [(TopicPartition::new(&topic, 0), 7)];
                    let offsets = offsets.map(|(tp, at)| (tp, millstream_types::Offset(at).into()));
                    let group = millstream_client::GroupMetadata::of_group(id.as_str().into());
                    let added = transaction.commit_offsets_of(offsets, &group).await;
                    assert!(added.is_err(), "{verb}");
                    transaction.commit().await.unwrap_err().class()
                }
                "commit" => {
                    let error = transaction.commit().await.unwrap_err();
                    assert!(matches!(error, CommitTransactionError::NotCommitted(_)), "{error}");
                    error.class()
                }
                _ => transaction.abort().await.unwrap_err().class(),
            };
            let transaction = newer.begin().await.unwrap();
            enqueue_all!(transaction, topic, format!("new {verb}"));
            transaction.commit().await.unwrap();
            // Whether fenced at once or by the abort that follows, the older one is of no more use.
            assert!(matches!(class, ErrorClass::Fenced | ErrorClass::Abortable), "{verb}: {class}");
            let error = older.begin().await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Fenced, "{verb}: {error}");
        }
        let seen = committed(&bootstrap, &topic).await;
        assert!(seen.iter().all(|value| value.starts_with("new ")), "{seen:?}");
        assert_eq!(seen.len(), 12);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_transaction_is_aborted() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = producer(&bootstrap, &topic).await;
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "dropped");
        drop(transaction);
        let transaction = producer.begin().await.unwrap();
        assert_eq!(transaction.previous(), Some(TransactionOutcome::Aborted));
        enqueue_all!(transaction, topic, "kept");
        transaction.commit().await.unwrap();
        let all = names(&["kept-0", "kept-1", "kept-2"]);
        assert_eq!(committed(&bootstrap, &topic).await, all);

        // With its producer, too: whoever comes next is not held up by what was left open.
        let transaction = producer.begin_owned().await.unwrap();
        enqueue_all!(transaction, topic, "dropped again");
        drop(transaction);
        let mut next = self::producer(&bootstrap, &topic).await;
        let transaction = next.begin().await.unwrap();
        transaction.send(&Record::to(&topic).value("after")).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(committed(&bootstrap, &topic).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_future_is_dropped_is_seen_through() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = producer(&bootstrap, &topic).await;
        let mut expected = BTreeSet::new();
        for polls in 0..6 {
            let transaction = producer.begin().await.unwrap();
            enqueue_all!(transaction, topic, polls);
            {
                let mut commit = pin!(transaction.commit());
                for _ in 0..polls {
                    if commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            let transaction = producer.begin().await.unwrap();
            let outcome = transaction.previous().unwrap();
            // Never polled it was no commit.
            let expected_outcome = match polls {
                0 => TransactionOutcome::Aborted,
                _ => TransactionOutcome::Committed,
            };
            assert_eq!(outcome, expected_outcome, "{polls} polls");
            if polls > 0 {
                expected.extend((0..PARTITIONS).map(|p| format!("{polls}-{p}")));
            }
            transaction.abort().await.unwrap();
        }
        assert_eq!(committed(&bootstrap, &topic).await, expected);

        // The owned form takes the producer along; the commit is made all the same.
        let transaction = producer.begin_owned().await.unwrap();
        enqueue_all!(transaction, topic, "owned");
        {
            let mut commit = pin!(transaction.commit());
            let polled = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        eventually("the dropped commit is made", || async {
            committed(&bootstrap, &topic).await.contains("owned-0")
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_failed_in_a_transaction_fails_its_commit() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = TransactionalProducer::builder([&*bootstrap], &*topic)
            // Larger than brokers take: they refuse it, and a single record cannot be split.
            .property("max.request.size", "8000000")
            .build()
            .await
            .unwrap();
        let transaction = producer.begin().await.unwrap();
        let large = vec![b'x'; 2_000_000];
        let sent = transaction.send(&Record::to(&topic).value(&large)).await;
        assert!(sent.is_err());
        let refused = transaction.send(&Record::to(&topic).value("after it")).await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Abortable, "{refused}");
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Abortable);
        let CommitTransactionError::NotCommitted(TransactionError::Record { .. }) = error else {
            panic!("{error}");
        };
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "fine");
        transaction.commit().await.unwrap();
        let all = names(&["fine-0", "fine-1", "fine-2"]);
        assert_eq!(committed(&bootstrap, &topic).await, all);
    })
    .await;
}

#[tokio::test]
async fn records_and_offsets_move_together_from_topic_to_topic() {
    everywhere(|bootstrap| async move {
        let (input, output) = (topic(&bootstrap).await, topic(&bootstrap).await);
        let group = unique("group");
        let source = Producer::builder([&*bootstrap]).build().await.unwrap();
        for n in 0..60 {
            let value = n.to_string();
            let record = Record::to(&input).partition(PartitionId(n % PARTITIONS)).value(&value);
            drop(source.enqueue(&record).await.unwrap());
        }
        assert!(source.flush().await.is_complete());

        let mut producer = producer(&bootstrap, &group).await;
        let mut moved = BTreeSet::new();
        let mut round = 0;
        while moved.len() < 60 {
            // A new member each time: it begins where the group's committed offsets are.
            let consumer = Consumer::builder([&*bootstrap])
                .group(&*group)
                .isolation_level(IsolationLevel::ReadCommitted)
                .auto_offset_reset(OffsetReset::Earliest)
                .property("max.poll.records", "7")
                .build()
                .await
                .unwrap();
            consumer.subscribe([&*input]).await.unwrap();
            let batch = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap();
            let batch = batch.unwrap().unwrap();
            assert!(consumer.group_metadata().is_some_and(|member| member.member.is_some()));
            let transaction = producer.begin().await.unwrap();
            let mut values = Vec::new();
            for record in &batch {
                let value = record.value.unwrap();
                let record = Record::to(&output).partition(PartitionId(0)).value(value);
                drop(transaction.enqueue(&record).await.unwrap());
                values.push(String::from_utf8(value.to_vec()).unwrap());
            }
            transaction.commit_offsets(&batch).await.unwrap();
            round += 1;
            // Each third time all of it is undone, offsets included.
            if round % 3 == 0 {
                transaction.abort().await.unwrap();
            } else {
                transaction.commit().await.unwrap();
                for value in values {
                    assert!(moved.insert(value.clone()), "{value} came again");
                }
            }
            consumer.close(LIMIT).await.unwrap();
        }
        assert_eq!(committed(&bootstrap, &output).await, moved);
    })
    .await;
}

#[tokio::test]
async fn offsets_of_a_partition_that_was_given_up_are_refused_here() {
    everywhere(|bootstrap| async move {
        let input = topic(&bootstrap).await;
        let source = Producer::builder([&*bootstrap]).build().await.unwrap();
        source.send(&Record::to(&input).value("one")).await.unwrap();
        let consumer = Consumer::builder([&*bootstrap])
            .group(&*input)
            .auto_offset_reset(OffsetReset::Earliest)
            .build()
            .await
            .unwrap();
        consumer.subscribe([&*input]).await.unwrap();
        let batch = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap().unwrap();
        consumer.unsubscribe().unwrap();
        eventually("the partitions are given up", || async { consumer.assignment().is_empty() })
            .await;
        let mut producer = producer(&bootstrap, &input).await;
        let transaction = producer.begin().await.unwrap();
        let error = transaction.commit_offsets(&batch).await.unwrap_err();
        assert!(matches!(error, TransactionError::NotOwned(_)), "{error}");
        assert_eq!(error.class(), ErrorClass::Fenced);
        drop(consumer);
        // Nothing was sent, so what else is in the transaction can be committed.
        transaction.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_coordinator_aborts_what_takes_too_long() {
    everywhere(|bootstrap| async move {
        let topic = topic(&bootstrap).await;
        let mut producer = TransactionalProducer::builder([&*bootstrap], &*topic)
            .transaction_timeout(Duration::from_secs(1))
            .build()
            .await
            .unwrap();
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "slow");
        assert!(transaction.flush().await.is_complete());
        // Once it is aborted, readers of committed records get past it: real coordinators look for
        // such transactions every 10 s.
        let reader = Consumer::reader([&*bootstrap])
            .isolation_level(IsolationLevel::ReadCommitted)
            .build()
            .await
            .unwrap();
        let partition = TopicPartition::new(&topic, 0);
        eventually("the transaction is aborted", || async {
            let ends = reader.end_offsets([partition.clone()]).await.unwrap();
            ends[&partition].value() > 1
        })
        .await;
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, CommitTransactionError::NotCommitted(_)), "{error}");
        assert_eq!(committed(&bootstrap, &topic).await, names(&[]));
        match error.class() {
            // With version 2 the coordinator knows the epoch that it ended: the producer goes on.
            ErrorClass::Abortable => {
                let transaction = producer.begin().await.unwrap();
                assert_eq!(transaction.previous(), Some(TransactionOutcome::Aborted));
                drop(transaction);
                producer.close(LIMIT).await;
            }
            // With version 1 it looks as if another producer had taken over.
            ErrorClass::Fenced => {
                assert!(error.to_string().contains("transaction.timeout.ms"), "{error}");
                let error = producer.begin_owned().await.map(drop).unwrap_err();
                assert_eq!(error.class(), ErrorClass::Fenced);
                let BeginError { producer, .. } = *error;
                producer.close(LIMIT).await;
            }
            other => panic!("{other}: {error}"),
        }
        // A new producer of the same name goes on.
        let mut producer = self::producer(&bootstrap, &topic).await;
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "quick");
        transaction.commit().await.unwrap();
        assert_eq!(committed(&bootstrap, &topic).await.len(), 3);
    })
    .await;
}
