//! Transactions when coordinators fail: answers lost, refused, late; coordinators that move, load,
//! forget or change their version.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_broker::{ApiKey, Broker, ErrorCode, Fault, RunningCluster};
use millstream_client::{
    CommitTransactionError, ErrorClass, GroupMetadata, Record, TransactionError,
    TransactionOutcome, TransactionalProducer,
};
use millstream_types::{Offset, OffsetAndMetadata, PartitionId, TopicPartition};

use crate::support::unique;
use crate::transactions::{PARTITIONS, committed, enqueue_all, producer, topic};

/// A cluster of each version.
async fn on_both_versions(test: impl AsyncFn(RunningCluster, i16)) {
    for version in [1, 2] {
        let cluster =
            Broker::in_process().nodes(3).transaction_version(version).start().await.unwrap();
        test(cluster, version).await;
    }
}

/// A producer that soon loses patience.
async fn impatient(cluster: &RunningCluster, id: &str) -> TransactionalProducer {
    TransactionalProducer::builder([cluster.bootstrap()], id)
        .request_timeout(Duration::from_millis(150))
        .retry_backoff(Duration::from_millis(10), Duration::from_millis(40))
        .max_block(Duration::from_millis(600))
        .build()
        .await
        .unwrap()
}

/// One that retries quickly and does not give up.
async fn brisk(cluster: &RunningCluster, id: &str) -> TransactionalProducer {
    TransactionalProducer::builder([cluster.bootstrap()], id)
        .request_timeout(Duration::from_millis(300))
        .retry_backoff(Duration::from_millis(10), Duration::from_millis(40))
        .build()
        .await
        .unwrap()
}

fn identity(cluster: &RunningCluster, id: &str) -> (i64, i16) {
    let transactions = cluster.transactions();
    let found = transactions.iter().find(|transaction| transaction.transactional_id == id);
    let found = found.unwrap();
    (found.producer_id.value(), found.producer_epoch.value())
}

fn all_of(name: &str) -> BTreeSet<String> {
    (0..PARTITIONS).map(|partition| format!("{name}-{partition}")).collect()
}

fn offsets(topic: &str) -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(TopicPartition::new(topic, 0), Offset(7).into())]
}

#[tokio::test]
async fn a_lost_answer_to_any_request_is_asked_for_again() {
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        let id = unique("lost");
        let mut producer = brisk(&cluster, &id).await;
        let group = GroupMetadata::of_group(id.as_str().into());
        let mut expected = BTreeSet::new();
        for api in [
            ApiKey::AddPartitionsToTxn,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::Produce,
            ApiKey::EndTxn,
        ] {
            let (_, epoch) = identity(&cluster, &id);
            cluster.fault(Fault::on(api).nth(1).apply_then_disconnect());
            let transaction = producer.begin().await.unwrap();
            enqueue_all!(transaction, topic, api);
            transaction.commit_offsets_of(offsets(&topic), &group).await.unwrap();
            transaction.commit().await.unwrap();
            expected.extend(all_of(&api.to_string()));
            assert_eq!(committed(&cluster.bootstrap(), &topic).await, expected, "{api}");
            // What was sent twice may arrive late: the next transaction has another epoch
            // (KAFKA-17754). With version 2 it has one anyhow.
            let transaction = producer.begin().await.unwrap();
            drop(transaction);
            let (_, next) = identity(&cluster, &id);
            let is_coordinators = api != ApiKey::Produce;
            let is_used = version == 1
                || !matches!(api, ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn);
            if version == 2 || is_coordinators && is_used {
                assert!(next > epoch, "version {version}, {api}: {epoch} then {next}");
            } else {
                assert_eq!(next, epoch, "version {version}, {api}");
            }
            cluster.clear_faults();
        }
    })
    .await;
}

#[tokio::test]
async fn a_commit_without_a_definite_answer_is_unknown_until_resolved() {
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        let mut producer = impatient(&cluster, &unique("unknown")).await;
        for (fault, name) in [
            (Fault::on(ApiKey::EndTxn).always().drop(), "not applied"),
            (Fault::on(ApiKey::EndTxn).always().apply_then_drop(), "applied"),
            (Fault::on(ApiKey::EndTxn).always().error(ErrorCode::UnknownServerError), "an error"),
            (
                Fault::on(ApiKey::EndTxn).always().apply_then_error(ErrorCode::NotCoordinator),
                "a lost log",
            ),
        ] {
            let transaction = producer.begin().await.unwrap();
            enqueue_all!(transaction, topic, name);
            assert!(transaction.flush().await.is_complete());
            cluster.fault(fault);
            let error = transaction.commit().await.unwrap_err();
            let CommitTransactionError::Unknown(unknown) = error else {
                panic!("version {version}, {name}: {error}");
            };
            assert_eq!(unknown.error().class(), ErrorClass::Retriable, "{name}: {unknown}");
            // Still unknown when asked again.
            let error = unknown.resolve().await.unwrap_err();
            let CommitTransactionError::Unknown(unknown) = error else {
                panic!("version {version}, {name}: {error}");
            };
            // Nor does a transaction begin before it is known.
            let error = producer.begin().await.unwrap_err();
            assert!(matches!(error, TransactionError::TimedOut { .. }), "{error}");
            cluster.clear_faults();
            unknown.resolve().await.unwrap();
            let seen = committed(&cluster.bootstrap(), &topic).await;
            assert!(seen.is_superset(&all_of(name)), "version {version}, {name}: {seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_next_begin_tells_what_became_of_an_unknown_commit() {
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        let id = unique("begin");
        let mut producer = impatient(&cluster, &id).await;
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "a");
        assert!(transaction.flush().await.is_complete());
        let (_, epoch) = identity(&cluster, &id);
        cluster.fault(Fault::on(ApiKey::EndTxn).always().apply_then_drop());
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, CommitTransactionError::Unknown(_)), "{error}");
        drop(error);
        cluster.clear_faults();
        let transaction = producer.begin().await.unwrap();
        assert_eq!(transaction.previous(), Some(TransactionOutcome::Committed));
        let (_, next) = identity(&cluster, &id);
        assert!(next > epoch, "version {version}: a late commit must not act on this one");
        enqueue_all!(transaction, topic, "b");
        transaction.abort().await.unwrap();
        assert_eq!(committed(&cluster.bootstrap(), &topic).await, all_of("a"));
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_a_twin_overtook_stays_unknown() {
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        let id = unique("overtaken");
        let mut producer = impatient(&cluster, &id).await;
        let transaction = producer.begin().await.unwrap();
        enqueue_all!(transaction, topic, "a");
        assert!(transaction.flush().await.is_complete());
        cluster.fault(Fault::on(ApiKey::EndTxn).nth(1).apply_then_drop());
        cluster.fault(Fault::on(ApiKey::EndTxn).times(1_000).drop());
        let error = transaction.commit().await.unwrap_err();
        let CommitTransactionError::Unknown(unknown) = error else { panic!("{error}") };
        let twin = self::producer(&cluster.bootstrap(), &id).await;
        drop(twin);
        cluster.clear_faults();
        let error = unknown.resolve().await.unwrap_err();
        // It was made, as the log shows; but of that no coordinator tells the older producer.
        assert!(matches!(error, CommitTransactionError::Unknown(_)), "version {version}: {error}");
        assert_eq!(error.class(), ErrorClass::Fenced, "version {version}: {error}");
        assert_eq!(committed(&cluster.bootstrap(), &topic).await, all_of("a"));
        let error = producer.begin().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Fenced);
    })
    .await;
}

#[tokio::test]
async fn coordinators_may_move_load_and_be_busy_at_any_time() {
    on_both_versions(async |cluster, _| {
        let topic = topic(&cluster.bootstrap()).await;
        let id = unique("busy");
        let mut producer = brisk(&cluster, &id).await;
        let mut expected = BTreeSet::new();
        cluster.set_marker_delay(Duration::from_millis(15));
        for n in 0..12 {
            let transaction = producer.begin().await.unwrap();
            if n % 3 == 0 {
                cluster.move_transaction_coordinator(&id, n % 3 + 1).unwrap();
            }
            enqueue_all!(transaction, topic, n);
            if n % 3 == 1 {
                assert!(transaction.flush().await.is_complete());
                cluster.load_transaction_coordinator(&id, Duration::from_millis(60));
            }
            if n % 3 == 2 {
                assert!(transaction.flush().await.is_complete());
                cluster.move_transaction_coordinator(&id, (n + 1) % 3 + 1).unwrap();
            }
            // Begun at once, the next one meets the markers of this one.
            transaction.commit().await.unwrap();
            expected.extend(all_of(&n.to_string()));
        }
        crate::support::eventually("all markers are written", || async {
            committed(&cluster.bootstrap(), &topic).await == expected
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_producer_outlives_its_epochs() {
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        let id = unique("epochs");
        producer(&cluster.bootstrap(), &id).await.close(Duration::from_secs(5)).await;
        cluster.set_producer_epoch(&id, 32_763).unwrap();
        let mut producer = brisk(&cluster, &id).await;
        let (first, _) = identity(&cluster, &id);
        let mut expected = BTreeSet::new();
        for n in 0..8 {
            // With version 1 it takes a lost answer to raise the epoch.
            cluster.fault(Fault::on(ApiKey::EndTxn).nth(1).apply_then_disconnect());
            let transaction = producer.begin().await.unwrap();
            enqueue_all!(transaction, topic, n);
            transaction.commit().await.unwrap();
            expected.extend(all_of(&n.to_string()));
        }
        let transaction = producer.begin().await.unwrap();
        drop(transaction);
        let (last, epoch) = identity(&cluster, &id);
        assert_ne!(last, first, "version {version}: another producer id");
        assert!(epoch < 100, "version {version}: {epoch}");
        assert_eq!(committed(&cluster.bootstrap(), &topic).await, expected);
    })
    .await;
}

#[tokio::test]
async fn what_a_coordinator_refuses_ends_the_transaction_or_the_producer() {
    use ErrorCode as C;
    on_both_versions(async |cluster, version| {
        let topic = topic(&cluster.bootstrap()).await;
        for (api, code, class) in [
            (ApiKey::AddPartitionsToTxn, C::TopicAuthorizationFailed, ErrorClass::Abortable),
            (ApiKey::AddPartitionsToTxn, C::TransactionAbortable, ErrorClass::Abortable),
            (ApiKey::AddPartitionsToTxn, C::InvalidProducerIdMapping, ErrorClass::Abortable),
            (ApiKey::AddPartitionsToTxn, C::ProducerFenced, ErrorClass::Fenced),
            (ApiKey::AddOffsetsToTxn, C::GroupAuthorizationFailed, ErrorClass::Abortable),
            (ApiKey::AddOffsetsToTxn, C::InvalidProducerEpoch, ErrorClass::Fenced),
            (ApiKey::TxnOffsetCommit, C::UnknownMemberId, ErrorClass::Abortable),
            (ApiKey::TxnOffsetCommit, C::FencedInstanceId, ErrorClass::Abortable),
            (ApiKey::TxnOffsetCommit, C::GroupAuthorizationFailed, ErrorClass::Abortable),
            (ApiKey::TxnOffsetCommit, C::TransactionAbortable, ErrorClass::Abortable),
            (ApiKey::Produce, C::TransactionAbortable, ErrorClass::Abortable),
            (ApiKey::Produce, C::InvalidProducerEpoch, ErrorClass::Abortable),
            (ApiKey::Produce, C::ProducerFenced, ErrorClass::Fenced),
            (ApiKey::EndTxn, C::TransactionAbortable, ErrorClass::Abortable),
            (ApiKey::EndTxn, C::InvalidTxnState, ErrorClass::Abortable),
            (ApiKey::EndTxn, C::ProducerFenced, ErrorClass::Fenced),
            (
                ApiKey::EndTxn,
                C::TransactionalIdAuthorizationFailed,
                ErrorClass::InvalidConfiguration,
            ),
        ] {
            let is_of_v1 = matches!(api, ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn);
            if version == 2 && is_of_v1 {
                continue;
            }
            let what = format!("version {version}, {api}, {code:?}");
            let id = unique("refused");
            let mut producer = brisk(&cluster, &id).await;
            cluster.fault(Fault::on(api).nth(1).error(code));
            let transaction = producer.begin().await.unwrap();
            let value = format!("{api} {code:?}");
            drop(transaction.enqueue(&Record::to(&topic).value(&value)).await.unwrap());
            let group = GroupMetadata::of_group(id.as_str().into());
            let added = transaction.commit_offsets_of(offsets(&topic), &group).await;
            assert!(added.is_ok() || class != ErrorClass::Retriable, "{what}");
            let error = transaction.commit().await.unwrap_err();
            assert!(matches!(error, CommitTransactionError::NotCommitted(_)), "{what}: {error}");
            assert_eq!(error.class(), class, "{what}: {error}");
            cluster.clear_faults();
            let begun = producer.begin().await;
            assert_eq!(begun.is_ok(), class == ErrorClass::Abortable, "{what}");
            if let Ok(transaction) = begun {
                assert_eq!(transaction.previous(), Some(TransactionOutcome::Aborted), "{what}");
                let value = format!("after {value}");
                transaction.send(&Record::to(&topic).value(&value)).await.unwrap();
                transaction.commit().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
        let seen = committed(&cluster.bootstrap(), &topic).await;
        assert!(seen.iter().all(|value| value.starts_with("after ")), "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn a_transactional_id_that_may_not_be_used_is_told_when_built() {
    on_both_versions(async |cluster, _| {
        for api in [ApiKey::FindCoordinator, ApiKey::InitProducerId] {
            let refused = ErrorCode::TransactionalIdAuthorizationFailed;
            cluster.fault(Fault::on(api).nth(1).error(refused));
            let error =
                TransactionalProducer::builder([cluster.bootstrap()], unique("no")).build().await;
            let error = error.map(drop).unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidConfiguration, "{api}: {error}");
            cluster.clear_faults();
        }
    })
    .await;
}

#[tokio::test]
async fn the_version_is_the_clusters_and_changes_between_transactions() {
    let cluster = Broker::in_process().nodes(3).transaction_version(1).start().await.unwrap();
    let topic = topic(&cluster.bootstrap()).await;
    let id = unique("version");
    let mut expected = BTreeSet::new();
    let mut producer = producer(&cluster.bootstrap(), &id).await;
    for version in [1, 2, 2, 1, 2, 1] {
        cluster.set_transaction_version(version);
        // Nodes tell it when they are connected to; the transaction after that goes by it.
        cluster.disconnect_clients("millstream-producer");
        for is_told in [false, true] {
            let transaction = producer.begin().await.unwrap();
            let name = format!("{} {version}", expected.len());
            enqueue_all!(transaction, topic, name);
            assert!(transaction.flush().await.is_complete());
            let (_, epoch) = identity(&cluster, &id);
            transaction.commit().await.unwrap();
            expected.extend(all_of(&name));
            let (_, next) = identity(&cluster, &id);
            if is_told {
                assert_eq!(next > epoch, version == 2, "{name}: {epoch} then {next}");
            }
        }
    }
    assert_eq!(committed(&cluster.bootstrap(), &topic).await, expected);
}

#[tokio::test]
async fn nodes_that_disagree_about_the_version_do_no_harm() {
    let cluster = Broker::in_process().nodes(3).transaction_version(2).start().await.unwrap();
    let topic = topic(&cluster.bootstrap()).await;
    let id = unique("skew");
    let mut producer = brisk(&cluster, &id).await;
    let mut expected = BTreeSet::new();
    for (node, version) in [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (3, 2)] {
        cluster.set_transaction_version_of(node, version);
        cluster.disconnect_clients("millstream-producer");
        for _ in 0..3 {
            let transaction = producer.begin().await.unwrap();
            let name = format!("{} {node} {version}", expected.len());
            enqueue_all!(transaction, topic, name);
            transaction.commit().await.unwrap();
            expected.extend(all_of(&name));
        }
    }
    assert_eq!(committed(&cluster.bootstrap(), &topic).await, expected);
}
