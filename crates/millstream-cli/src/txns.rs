//! `millstream txns`: transactions, their producers, and how to end those that hang.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use millstream_client::Admin;
use millstream_client::admin::{
    AbortTransaction, ActiveProducer, TransactionFilter, TransactionState,
};
use millstream_types::{BrokerId, Offset, ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use serde_json::{Map, Value, json};

use crate::connection::Target;
use crate::error::Failure;
use crate::{outcome, parse};

/// Lists, describes, fences and aborts transactions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: millstream txns list --open-for 15m -b localhost:9092")]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists transactional ids.
    #[command(after_help = "Example: millstream txns list --state Ongoing")]
    List {
        /// Only those in such a state, such as `Ongoing` or `CompleteCommit`.
        #[arg(long)]
        state: Vec<TransactionState>,
        /// Only those of these producers.
        #[arg(long, value_name = "ID")]
        producer_id: Vec<i64>,
        /// Only those whose transaction has been open for longer.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        open_for: Option<Duration>,
        /// Only those whose id fits a regular expression.
        #[arg(long)]
        pattern: Option<String>,
    },
    /// Shows transactions with what takes part in them.
    #[command(after_help = "Example: millstream txns describe billing-1")]
    Describe {
        /// The transactional ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Shows who writes to partitions.
    #[command(after_help = "Example: millstream txns producers orders:0")]
    Producers {
        /// The partitions.
        #[arg(required = true, value_name = "TOPIC:PARTITION", value_parser = parse::topic_partition)]
        partitions: Vec<TopicPartition>,
        /// As this broker's replicas know it. Default: as the leaders do.
        #[arg(long)]
        broker: Option<i32>,
    },
    /// Aborts a transaction that hangs in a partition and that no coordinator will end.
    #[command(after_help = "Example: millstream txns abort orders:0 --start-offset 1042")]
    Abort {
        /// The partition.
        #[arg(value_name = "TOPIC:PARTITION", value_parser = parse::topic_partition)]
        partition: TopicPartition,
        /// Where the transaction begins, as `producers` shows it.
        #[arg(long, value_name = "OFFSET")]
        start_offset: i64,
    },
    /// Fences the producers of transactional ids: what they have open is aborted.
    #[command(after_help = "Example: millstream txns fence billing-1")]
    Fence {
        /// The transactional ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Ends the transaction of an id for good, one prepared for a two-phase commit too.
    #[command(after_help = "Example: millstream txns terminate billing-1")]
    Terminate {
        /// The transactional id.
        id: String,
    },
}

/// Does it; succeeds if all of it worked.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let target = &args.target;
    let admin = target.admin().await?;
    match &args.what {
        What::List { state, producer_id, open_for, pattern } => {
            let mut filter = TransactionFilter::all();
            filter = state.iter().fold(filter, |filter, state| filter.state(state.clone()));
            filter = producer_id.iter().fold(filter, |filter, id| filter.producer(ProducerId(*id)));
            if let Some(time) = open_for {
                filter = filter.open_for(*time);
            }
            if let Some(pattern) = pattern {
                filter = filter.pattern(pattern);
            }
            list(target, &admin, filter).await
        }
        What::Describe { ids } => describe(target, &admin, ids).await,
        What::Producers { partitions, broker } => {
            producers(target, &admin, partitions, *broker).await
        }
        What::Abort { partition, start_offset } => {
            abort(&admin, partition, Offset(*start_offset)).await
        }
        What::Fence { ids } => {
            let fenced = outcome::sort(admin.fence_producers(ids.iter().cloned()).await)?;
            let rows = fenced.succeeded.iter().map(|(id, producer)| {
                json!({
                    "transactionalId": id,
                    "producerId": producer.producer_id.value(),
                    "epoch": producer.producer_epoch.value(),
                })
            });
            target.show(&rows.collect());
            Ok(fenced.code)
        }
        What::Terminate { id } => {
            admin.force_terminate_transaction(id.clone()).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(
    target: &Target,
    admin: &Admin,
    filter: TransactionFilter,
) -> Result<ExitCode, Failure> {
    let ids = admin.list_transactions(filter).await?;
    let rows = ids.iter().map(|(id, transaction)| {
        json!({
            "transactionalId": id,
            "state": transaction.state.to_string(),
            "producerId": transaction.producer_id.value(),
            "coordinator": transaction.coordinator.map(BrokerId::value),
        })
    });
    target.show(&rows.collect());
    Ok(ExitCode::SUCCESS)
}

async fn describe(target: &Target, admin: &Admin, ids: &[String]) -> Result<ExitCode, Failure> {
    let described = outcome::sort(admin.describe_transactions(ids.iter().cloned()).await)?;
    let objects = described.succeeded.iter().map(|(id, transaction)| {
        let partitions = transaction.partitions.iter();
        let object = json!({
            "state": transaction.state.to_string(),
            "producerId": transaction.producer_id.value(),
            "epoch": transaction.producer_epoch.value(),
            "timeoutMs": u64::try_from(transaction.timeout.as_millis()).unwrap_or(u64::MAX),
            "started": transaction.started.map(Timestamp::value),
            "coordinator": transaction.coordinator.map(BrokerId::value),
            "partitions": partitions
                .map(|p| json!(format!("{}:{}", p.topic, p.partition)))
                .collect::<Value>(),
        });
        (id.clone(), object)
    });
    target.show(&Value::Object(objects.collect::<Map<_, _>>()));
    Ok(described.code)
}

async fn producers(
    target: &Target,
    admin: &Admin,
    partitions: &[TopicPartition],
    broker: Option<i32>,
) -> Result<ExitCode, Failure> {
    let partitions = partitions.iter().cloned();
    let described = outcome::sort(match broker {
        Some(broker) => admin.describe_producers_on(BrokerId(broker), partitions).await,
        None => admin.describe_producers(partitions).await,
    })?;
    let rows = described.succeeded.iter().flat_map(|(partition, producers)| {
        producers.iter().map(move |producer| row(partition, producer))
    });
    target.show(&rows.collect());
    Ok(described.code)
}

fn row(partition: &TopicPartition, producer: &ActiveProducer) -> Value {
    json!({
        "topic": partition.topic.as_str(),
        "partition": partition.partition.value(),
        "producerId": producer.producer_id.value(),
        "epoch": producer.producer_epoch,
        "lastSequence": producer.last_sequence,
        "lastTimestamp": producer.last_timestamp.map(Timestamp::value),
        "coordinatorEpoch": producer.coordinator_epoch,
        "transactionStart": producer.transaction_start.map(Offset::value),
    })
}

/// Aborts the transaction that begins at an offset. Its producer is looked up, as Kafka's own tool
/// does (`TransactionsCommand`): a marker for the wrong one would end another's transaction.
async fn abort(
    admin: &Admin,
    partition: &TopicPartition,
    start: Offset,
) -> Result<ExitCode, Failure> {
    let mut described = admin.describe_producers([partition.clone()]).await?;
    let producers = described.remove(partition).unwrap_or_default();
    let found = producers.into_iter().find(|one| one.transaction_start == Some(start));
    let Some(producer) = found else {
        let text = format!("no transaction is open in {partition} from offset {start} on");
        return Err(Failure::new(text));
    };
    let Ok(epoch) = i16::try_from(producer.producer_epoch) else {
        let text = format!("its producer's epoch {} is none", producer.producer_epoch);
        return Err(Failure::new(text));
    };
    let hanging = AbortTransaction {
        partition: partition.clone(),
        producer_id: producer.producer_id,
        producer_epoch: ProducerEpoch(epoch),
        coordinator_epoch: producer.coordinator_epoch.unwrap_or_default(),
    };
    admin.abort_transaction(hanging).await?;
    Ok(ExitCode::SUCCESS)
}
