//! Reads orders, writes an invoice for each, and commits both together: each order has exactly one
//! invoice, whoever dies in between.
//!
//! `cargo run --example exactly_once`: it brings a broker along.

use std::error::Error;
use std::time::Duration;

use millstream_broker::Broker;
use millstream_client::{
    Admin, Batch, CommitTransactionError, Consumer, ErrorClass, IsolationLevel, NewTopic,
    OffsetReset, Producer, Record, TransactionError, TransactionalProducer,
};

const ORDERS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the example talks to its user")]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_process().start().await?;
    let bootstrap = broker.bootstrap();
    let admin = Admin::connect([&*bootstrap]).await?;
    admin.create_topics([NewTopic::new("orders", 3), NewTopic::new("invoices", 3)]).await?;
    place_orders(&bootstrap).await?;

    let consumer = Consumer::builder([&*bootstrap])
        .group("billing")
        .auto_offset_reset(OffsetReset::Earliest)
        .isolation_level(IsolationLevel::ReadCommitted)
        .build()
        .await?;
    consumer.subscribe(["orders"]).await?;
    let mut producer = TransactionalProducer::builder([&*bootstrap], "billing-1").build().await?;
    let mut billed = 0;
    while billed < ORDERS {
        let Some(batch) = consumer.poll().await? else { break };
        match bill(&mut producer, &batch).await {
            Ok(count) => billed += count,
            // Nothing of it is visible, and the producer goes on: the same orders again. If they
            // went to another member, that one reads them.
            Err(error) if error.class() == ErrorClass::Abortable => {
                if let Some(first) = batch.iter().next() {
                    consumer.seek(batch.topic_partition(), first.offset).ok();
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("{billed} orders have their invoices");
    consumer.close(Duration::from_secs(5)).await?;
    producer.close(Duration::from_secs(5)).await;
    broker.stop().await;
    Ok(())
}

/// Writes the invoices of a batch of orders, in one transaction with how far the orders are read.
/// Answers how many.
async fn bill(
    producer: &mut TransactionalProducer,
    orders: &Batch,
) -> Result<usize, CommitTransactionError> {
    let transaction = producer.begin().await.map_err(CommitTransactionError::NotCommitted)?;
    for order in orders {
        let invoice = Record::to("invoices").maybe_key(order.key).value("to be paid");
        // What is not accepted fails the transaction; what is not written fails its commit.
        if transaction.enqueue(&invoice).await.is_err() {
            break;
        }
    }
    if let Err(error @ TransactionError::NotOwned(_)) = transaction.commit_offsets(orders).await {
        // Another member has the orders by now. Dropped, the transaction is aborted.
        tracing::info!(%error, "not billed here");
        return Ok(0);
    }
    match transaction.commit().await {
        Err(CommitTransactionError::Unknown(unknown)) => unknown.resolve().await?,
        result => result?,
    }
    Ok(orders.len())
}

async fn place_orders(bootstrap: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder([bootstrap]).build().await?;
    for number in 0..ORDERS {
        let key = number.to_string();
        drop(producer.enqueue(&Record::to("orders").key(&key).value("a book")).await?);
    }
    let report = producer.flush().await;
    assert!(report.is_complete(), "{} orders were not placed", report.not_written);
    Ok(())
}
