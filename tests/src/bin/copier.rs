//! Copies a topic into two others, partition by partition, each batch in one transaction with the
//! group's offsets, until it is killed. Some transactions it aborts and does again. Whatever else
//! fails ends the process: who started it starts another.
//!
//! `copier BOOTSTRAP TRANSACTIONAL_ID GROUP INPUT OUTPUT MIRROR`

use std::env;
use std::error::Error;
use std::time::Duration;

use millstream_client::consumer::IsolationLevel;
use millstream_client::{Consumer, Record, TransactionalProducer};

/// Every so many transactions one is aborted.
const ABORTED: u64 = 7;
/// Killed processes leave transactions open; the coordinator ends them after this time.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bootstrap, id, group, input, output, mirror] = &arguments[..] else {
        return Err("six arguments".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(copy(bootstrap, id, group, input, [output, mirror]))
}

async fn copy(
    bootstrap: &str,
    id: &str,
    group: &str,
    input: &str,
    outputs: [&String; 2],
) -> Outcome {
    let consumer = Consumer::builder([bootstrap])
        .group(group)
        .property("auto.offset.reset", "earliest")
        .isolation_level(IsolationLevel::ReadCommitted)
        .session_timeout(Duration::from_secs(6))
        .heartbeat_interval(Duration::from_millis(500))
        .request_timeout(Duration::from_secs(5))
        .max_poll_records(40)
        .build()
        .await?;
    let mut producer = TransactionalProducer::builder([bootstrap], id)
        .transaction_timeout(TRANSACTION_TIMEOUT)
        .request_timeout(Duration::from_secs(3))
        .build()
        .await?;
    consumer.subscribe([input]).await?;
    let mut number = 0;
    while let Some(batch) = consumer.poll().await? {
        number += 1;
        let transaction = producer.begin().await?;
        for record in &batch {
            for output in outputs {
                let copy =
                    Record::to(output).partition(batch.partition()).maybe_value(record.value);
                drop(transaction.enqueue(&copy).await?);
            }
        }
        transaction.commit_offsets(&batch).await?;
        if number % ABORTED == 0 {
            transaction.flush().await;
            transaction.abort().await?;
            if let Some(first) = batch.iter().next() {
                consumer.seek(batch.topic_partition(), first.offset)?;
            }
        } else {
            transaction.commit().await?;
        }
    }
    Ok(())
}
