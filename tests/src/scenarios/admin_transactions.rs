//! Admin calls about transactions.

use std::time::Duration;

use millstream_client::admin::{
    AbortTransaction, AdminError, IsolationLevel, TransactionFilter, TransactionState,
};
use millstream_client::{ErrorCode, OffsetSpec, Record, TransactionalProducer};
use millstream_types::{Offset, ProducerEpoch, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};

/// An open transaction is listed and described; fencing its producer aborts it.
pub async fn open_transactions_are_found_and_ended(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("open", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let id = unique("open");
    let builder = TransactionalProducer::builder([cluster.bootstrap()], &*id);
    let producer = builder.build().await.expect("a producer");
    let transaction = producer.begin_owned().await.expect("a transaction");
    transaction.send(&Record::to(&topic).value("v")).await.expect("it is written");

    step("the transaction is listed, by what is known of it");
    let pattern = if cluster.version().is_some() { format!("{id}.*") } else { id.clone() };
    let ongoing = TransactionFilter::all().state(TransactionState::Ongoing);
    let listed = admin.list_transactions(ongoing.clone().pattern(pattern)).await;
    let listed = if cluster.is_before(4, 1) {
        assert!(matches!(listed, Err(AdminError::Call(error)) if error.is_unsupported()));
        admin.list_transactions(ongoing).await.expect("a list")
    } else {
        let listed = listed.expect("a list");
        assert_eq!(listed.keys().collect::<Vec<_>>(), [&id]);
        listed
    };
    let producer_id = listed[&id].producer_id;
    let young = TransactionFilter::all().producer(producer_id).open_for(Duration::from_secs(900));
    assert!(admin.list_transactions(young).await.expect("a list").is_empty());
    let described = admin.describe_transactions([&*id]).await.expect("a description");
    let open = &described[&id];
    assert_eq!(open.state, TransactionState::Ongoing);
    assert!(open.started.is_some());
    assert_eq!(open.partitions.iter().collect::<Vec<_>>(), [&partition]);
    let producers = admin.describe_producers([partition.clone()]).await.expect("producers");
    let writing = &producers[&partition][0];
    assert_eq!(writing.producer_id, producer_id);
    assert_eq!(writing.transaction_start, Some(Offset(0)));

    step("its producer is fenced");
    let fenced = admin.fence_producers([&*id]).await.expect("it is fenced");
    assert_eq!(fenced.len(), 1);
    let stable = || async {
        let asked = [(partition.clone(), OffsetSpec::Latest)];
        let listed = admin.list_offsets_at(IsolationLevel::ReadCommitted, asked).await;
        listed.expect("an end")[&partition].offset
    };
    eventually("the transaction is ended", || async { stable().await == Some(Offset(2)) }).await;
    let (_, result) = transaction.commit().await;
    assert!(result.is_err(), "a fenced producer commits nothing");
    admin.force_terminate_transaction(&*id).await.expect("there is nothing to end any more");
    let error = admin.describe_transactions([unique("absent")]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::TransactionalIdNotFound), "{error}");
}

/// A marker written by hand ends a transaction in one partition; one of an old epoch is refused.
pub async fn a_hanging_transaction_is_ended_by_hand(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("hanging", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let builder = TransactionalProducer::builder([cluster.bootstrap()], unique("hanging"));
    let producer = builder.build().await.expect("a producer");
    let transaction = producer.begin_owned().await.expect("a transaction");
    transaction.send(&Record::to(&topic).value("v")).await.expect("it is written");
    let producers = admin.describe_producers([partition.clone()]).await.expect("producers");
    let writing = producers[&partition][0];
    let epoch = i16::try_from(writing.producer_epoch).expect("an epoch");
    let hanging = |epoch: i16| AbortTransaction {
        partition: partition.clone(),
        producer_id: writing.producer_id,
        producer_epoch: ProducerEpoch(epoch),
        coordinator_epoch: writing.coordinator_epoch.unwrap_or(0),
    };
    if epoch > 0 {
        let error = admin.abort_transaction(hanging(epoch - 1)).await.unwrap_err();
        let AdminError::Call(error) = error else { panic!("{error}") };
        assert_eq!(error.code(), Some(ErrorCode::InvalidProducerEpoch), "{error}");
    }
    admin.abort_transaction(hanging(epoch)).await.expect("it is ended");
    let asked = [(partition.clone(), OffsetSpec::Latest)];
    let listed = admin.list_offsets_at(IsolationLevel::ReadCommitted, asked).await;
    assert_eq!(listed.expect("an end")[&partition].offset, Some(Offset(2)));
    drop(transaction);
}
