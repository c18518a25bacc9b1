//! The transactional cells: a transaction of one record and one group offset each, another
//! transaction behind it, and a reader of committed records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_broker::{ApiKey, Broker, Fault as BrokerFault};
use millstream_client::consumer::IsolationLevel;
use millstream_client::{
    CommitTransactionError, GroupMetadata, IoThread, OpenTransaction, Record, TransactionOutcome,
    TransactionalProducer,
};
use millstream_types::{BrokerId, Offset, OffsetAndMetadata, PartitionId, TopicPartition};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::drops::drop_waiting;
use super::run::{AT_A_TIME, NEXT, NO_PATIENCE, PATIENCE, RECORD, SHORT, broker_fault};
use super::{Blow, Cell, CoordinatorFault, End, Fault, Found, Mode, Times, TransactionCall};
use crate::cluster::TestCluster;
use crate::deadline::{eventually, step};
use crate::reading::texts;

/// The offset that each cell's transaction commits for its group.
const OFFSET: Offset = Offset(7);

/// The longest that a cell may take: more than `PATIENCE`.
const LONGEST: Duration = Duration::from_secs(40);

/// What a cell came to, before and after what went wrong was over.
#[derive(Debug, Default)]
struct Seen {
    end: Option<End>,
    /// What the commit, or the producer, said.
    words: String,
    /// What the next begin told of it.
    previous: Option<TransactionOutcome>,
}

/// Where a cell writes to.
#[derive(Clone, Debug)]
struct Place {
    topic: Arc<str>,
    number: i32,
}

impl Place {
    /// The transactional id, the client id and the group.
    fn id(&self) -> String {
        format!("cell-{}", self.number)
    }

    fn record<'a>(&'a self, value: &'a str) -> Record<'a> {
        Record::to(&self.topic).partition(PartitionId(self.number)).value(value)
    }

    fn offsets(&self) -> [(TopicPartition, OffsetAndMetadata); 1] {
        [(TopicPartition::new(&*self.topic, self.number), OFFSET.into())]
    }
}

/// Carries out cells of one version of the transaction protocol, all in one cluster.
pub(super) async fn run_together(cells: &[Cell], version: i16) -> Vec<String> {
    if cells.is_empty() {
        return Vec::new();
    }
    let cluster = Arc::new(cluster(version).await);
    let partitions = i32::try_from(cells.len()).unwrap_or(i32::MAX);
    let topic: Arc<str> = cluster.topic("matrix", partitions).await.into();
    let io = IoThread::start("matrix").expect("a thread");
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut work = JoinSet::new();
    step(format!("{partitions} cells"));
    for (cell, number) in cells.iter().copied().zip(0..) {
        let place = Place { topic: Arc::clone(&topic), number };
        let (cluster, turns, io) = (Arc::clone(&cluster), Arc::clone(&turns), io.clone());
        work.spawn(async move {
            let _turn = turns.acquire().await;
            let ended = timeout(LONGEST, before(&cluster, &cell, &place, &io)).await;
            let words = "it has no end".to_owned();
            (number, ended.unwrap_or((None, Seen { words, ..Seen::default() })))
        });
    }
    let mut ended = BTreeMap::new();
    while let Some(done) = work.join_next().await {
        let (number, end) = done.expect("a cell does not panic");
        ended.insert(number, end);
    }
    cluster.broker().clear_faults();
    step("what went wrong is over");
    let mut work = JoinSet::new();
    for (number, (producer, mut seen)) in ended {
        let place = Place { topic: Arc::clone(&topic), number };
        let (cluster, turns, io) = (Arc::clone(&cluster), Arc::clone(&turns), io.clone());
        work.spawn(async move {
            let _turn = turns.acquire().await;
            match timeout(LONGEST, after(&cluster, producer, &place, &io)).await {
                Ok(previous) => seen.previous = previous,
                Err(_) => seen.words += "; the next transaction has no end",
            }
            (number, seen)
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(done) = work.join_next().await {
        let (number, told) = done.expect("a cell does not panic");
        seen.insert(number, told);
    }
    let logs = logs(&cluster, &topic, partitions).await;
    let mut wrong = Vec::new();
    for (cell, number) in cells.iter().zip(0..) {
        let place = Place { topic: Arc::clone(&topic), number };
        wrong.extend(judge(&cluster, cell, &place, &seen[&number], &logs).await);
    }
    wrong
}

async fn cluster(version: i16) -> TestCluster {
    let broker = Broker::in_process().nodes(3).transaction_version(version);
    TestCluster::of_broker(broker).await
}

/// The producer of a cell, once there is one; `Err` with what was said if the fault prevents it.
async fn producer(
    cluster: &TestCluster,
    place: &Place,
    io: &IoThread,
    fault: Option<&Fault>,
) -> Result<TransactionalProducer, String> {
    let millis = Duration::from_millis;
    let builder = cluster.producer().linger(Duration::ZERO).client_id(place.id()).io_thread(io);
    let builder = builder.reconnect_backoff(millis(5), millis(50));
    let (patience, request, backoff) = match fault {
        Some(Fault::Request { blow: Blow::Silence | Blow::DoneInSilence, times, .. }) => {
            (if *times == Times::Once { PATIENCE } else { NO_PATIENCE }, SHORT, 50)
        }
        Some(Fault::Request { times: Times::Always, .. }) => (NO_PATIENCE, NO_PATIENCE, 200),
        _ => (PATIENCE, PATIENCE / 2, 20),
    };
    let builder = builder.retry_backoff(millis(5), millis(backoff)).max_block(patience);
    let builder = builder.delivery_timeout(patience).request_timeout(request);
    builder.transactional(place.id()).build().await.map_err(|error| error.to_string())
}

/// The transaction that something happens to.
async fn before(
    cluster: &TestCluster,
    cell: &Cell,
    place: &Place,
    io: &IoThread,
) -> (Option<TransactionalProducer>, Seen) {
    let set = || {
        if let Fault::Request { api, blow, times } = cell.fault {
            cluster.broker().fault(broker_fault(api, blow, times, &place.id()));
        }
    };
    if matches!(cell.fault, Fault::Request { api: ApiKey::InitProducerId, .. }) {
        set();
        return match producer(cluster, place, io, Some(&cell.fault)).await {
            Ok(producer) => one(producer, place).await,
            Err(words) => (None, Seen { end: Some(End::NoProducer), words, ..Seen::default() }),
        };
    }
    let is_lasting = matches!(cell.fault, Fault::Request { times: Times::Always, .. });
    let producer = loop {
        if !is_lasting {
            break producer_again(cluster, place, io).await;
        }
        // Metadata, coordinators and connections are there when it happens, however busy the machine.
        if let Ok(producer) = producer(cluster, place, io, Some(&cell.fault)).await
            && let (Some(producer), _) = commit_once(producer, place, "first").await
        {
            break producer;
        }
    };
    set();
    one(producer, place).await
}

async fn producer_again(
    cluster: &TestCluster,
    place: &Place,
    io: &IoThread,
) -> TransactionalProducer {
    loop {
        if let Ok(producer) = producer(cluster, place, io, None).await {
            return producer;
        }
    }
}

/// The transaction of a cell, from begin to commit.
async fn one(
    producer: TransactionalProducer,
    place: &Place,
) -> (Option<TransactionalProducer>, Seen) {
    let transaction = match producer.begin_owned().await {
        Ok(transaction) => transaction,
        Err(error) => {
            let words = error.to_string();
            let seen = Seen { end: Some(End::NotCommitted), words, previous: None };
            return (Some(error.producer), seen);
        }
    };
    // What fails is for the commit to say.
    drop(fill(&transaction, place).await);
    let (producer, result) = transaction.commit().await;
    (Some(producer), seen(result))
}

/// Puts the record and the offset of a cell into a transaction. What fails is for the commit to say.
async fn fill(transaction: &OpenTransaction, place: &Place) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let delivery = transaction.enqueue(&place.record(RECORD)).await;
    drop(delivery.map_err(|error| text(&error))?);
    let group = GroupMetadata::of_group(place.id().into());
    let committed = transaction.commit_offsets_of(place.offsets(), &group).await;
    committed.map_err(|error| text(&error))
}

fn seen(result: Result<(), CommitTransactionError>) -> Seen {
    let (end, words) = match result {
        Ok(()) => (End::Committed, String::new()),
        Err(error) => {
            let words = error.to_string();
            match error {
                CommitTransactionError::NotCommitted(_) => (End::NotCommitted, words),
                _ => (End::Unknown, words),
            }
        }
    };
    Seen { end: Some(end), words, previous: None }
}

/// Commits a record of this value, however often it has to try; gives what the first begin told of
/// the transaction before. Without a producer at the end if that one is of no more use.
async fn commit_once(
    mut producer: TransactionalProducer,
    place: &Place,
    value: &str,
) -> (Option<TransactionalProducer>, Option<TransactionOutcome>) {
    let mut previous = None;
    loop {
        // What is refused at once does not keep the others from their turns.
        tokio::task::yield_now().await;
        let transaction = match producer.begin_owned().await {
            Ok(transaction) => transaction,
            Err(error) if error.error.is_final() => return (None, previous),
            Err(error) => {
                producer = error.producer;
                continue;
            }
        };
        previous = previous.or_else(|| transaction.previous());
        if let Ok(delivery) = transaction.enqueue(&place.record(value)).await {
            drop(delivery);
        }
        let (returned, result) = transaction.commit().await;
        producer = returned;
        match result {
            Ok(()) => return (Some(producer), previous),
            Err(CommitTransactionError::Unknown(mut unknown)) => loop {
                match unknown.resolve().await {
                    Ok(()) => return (Some(producer), previous),
                    Err(CommitTransactionError::Unknown(again)) if !again.error().is_final() => {
                        unknown = again;
                    }
                    Err(_) => break,
                }
            },
            Err(_) => {}
        }
    }
}

/// The transaction behind it, by the same producer or, if that one is of no more use, by another one
/// of the same id.
async fn after(
    cluster: &TestCluster,
    producer: Option<TransactionalProducer>,
    place: &Place,
    io: &IoThread,
) -> Option<TransactionOutcome> {
    let mut previous = None;
    let mut producer = producer;
    loop {
        let current = match producer.take() {
            Some(producer) => producer,
            None => producer_again(cluster, place, io).await,
        };
        let (returned, told) = commit_once(current, place, NEXT).await;
        previous = previous.or(told);
        if let Some(producer) = returned {
            drop(producer.close(Duration::ZERO).await);
            return previous;
        }
    }
}

/// What a reader of committed records finds in each partition, up to the record that stands behind
/// all that its cell wrote. (The end of a log is a marker, which no reader is told of.)
async fn logs(
    cluster: &TestCluster,
    topic: &str,
    partitions: i32,
) -> BTreeMap<PartitionId, Vec<String>> {
    let reader = cluster.reader().isolation_level(IsolationLevel::ReadCommitted);
    let reader = reader.build().await.expect("a reader");
    let ids = (0..partitions).map(|id| TopicPartition::new(topic, id));
    reader.assign(ids).expect("partitions can be assigned");
    let mut logs: BTreeMap<PartitionId, Vec<String>> = BTreeMap::new();
    let mut missing = partitions;
    let reading = async {
        while missing > 0 {
            let batch = reader.poll().await.expect("records").expect("it is open");
            for text in texts(&batch.detach()) {
                missing -= i32::from(text == NEXT);
                logs.entry(batch.topic_partition().partition).or_default().push(text);
            }
        }
    };
    // Where it does not come, the cell says so.
    drop(timeout(PATIENCE, reading).await);
    logs
}

async fn judge(
    cluster: &TestCluster,
    cell: &Cell,
    place: &Place,
    seen: &Seen,
    logs: &BTreeMap<PartitionId, Vec<String>>,
) -> Option<String> {
    let log = logs.get(&PartitionId(place.number)).map_or(&[][..], Vec::as_slice);
    let count = |value: &str| log.iter().filter(|logged| *logged == value).count();
    let offsets = cluster.admin().group_offsets(place.id()).await.expect("offsets");
    let is_committed = offsets.values().any(|committed| committed.offset == OFFSET);
    let mut wrong = Vec::new();
    if seen.end != Some(cell.end) {
        wrong.push(format!("the end is {:?}, not `{}` ({})", seen.end, cell.end, seen.words));
    }
    if !cell.found.allows(count(RECORD)) {
        wrong.push(format!("{} such records are visible, not {}", count(RECORD), cell.found));
    }
    if is_committed != (count(RECORD) == 1) {
        wrong.push(format!("torn: the offset is committed: {is_committed}"));
    }
    if count(NEXT) != 1 {
        wrong.push(format!("the next record is visible {} times", count(NEXT)));
    }
    let told = match seen.previous {
        Some(TransactionOutcome::Committed) => Some(true),
        Some(TransactionOutcome::Aborted) => Some(false),
        _ => None,
    };
    if seen.end == Some(End::Unknown) && told != Some(count(RECORD) == 1) {
        wrong.push(format!("the next begin tells {:?}", seen.previous));
    }
    if wrong.is_empty() {
        return None;
    }
    Some(format!("{}, {}: {}", cell.mode, cell.fault, wrong.join("; ")))
}

/// A cell that breaks its cluster, or drops its calls.
pub(super) async fn run_alone(cell: &Cell, version: i16) -> Vec<String> {
    let cluster = cluster(version).await;
    let place = Place { topic: cluster.topic("matrix", 1).await.into(), number: 0 };
    let partition = TopicPartition::new(&*place.topic, 0);
    let io = IoThread::start("matrix").expect("a thread");
    step(format!("{}, {}", cell.mode, cell.fault));
    let producer = producer_again(&cluster, &place, &io).await;
    let (producer, _) = commit_once(producer, &place, "first").await;
    let producer = producer.expect("it is good for more");
    let (producer, seen) = match cell.fault {
        Fault::CallDropped(call) => {
            drop_call(&cluster, producer, &place, call).await;
            // The driver sees it through: another producer of the id would end it otherwise.
            eventually("no transaction is open", || async {
                cluster.broker().transactions().iter().all(|known| known.state != "Ongoing")
            })
            .await;
            (None, Seen { end: Some(cell.end), ..Seen::default() })
        }
        fault => {
            let transaction = producer.begin_owned().await.expect("a transaction");
            fill(&transaction, &place).await.expect("it is taken");
            transaction.flush().await;
            let victims = strike(&cluster, fault, &partition, &place.id()).await;
            let (producer, result) = transaction.commit().await;
            for victim in victims {
                cluster.restart(victim).await;
            }
            (Some(producer), seen(result))
        }
    };
    let previous = after(&cluster, producer, &place, &io).await;
    let logs = logs(&cluster, &place.topic, 1).await;
    let seen = Seen { previous, ..seen };
    judge(&cluster, cell, &place, &seen, &logs).await.into_iter().collect()
}

/// Does what happens between the record and the commit; gives the nodes that it killed.
async fn strike(
    cluster: &TestCluster,
    fault: Fault,
    partition: &TopicPartition,
    id: &str,
) -> Vec<BrokerId> {
    let coordinator = || {
        let all = cluster.broker().transactions();
        let known = all.iter().find(|known| known.transactional_id == id).expect("it is known");
        known.coordinator.expect("a coordinator")
    };
    match fault {
        Fault::LeaderMoved => {
            cluster.move_leader(partition).await;
            Vec::new()
        }
        Fault::LeaderKilled => {
            let leader = cluster.leader(partition).await;
            cluster.kill(leader).await;
            vec![leader]
        }
        Fault::Coordinator(CoordinatorFault::Moved) => {
            let next = BrokerId(coordinator().value() % 3 + 1);
            cluster.broker().move_transaction_coordinator(id, next).expect("it moves");
            Vec::new()
        }
        Fault::Coordinator(CoordinatorFault::Loading) => {
            cluster.broker().load_transaction_coordinator(id, SHORT);
            Vec::new()
        }
        Fault::Coordinator(CoordinatorFault::Killed) => {
            let victim = coordinator();
            cluster.kill(victim).await;
            vec![victim]
        }
        Fault::Coordinator(CoordinatorFault::KilledAfterwards) => {
            let fault = BrokerFault::on(ApiKey::EndTxn).client_id(id).apply_then_disconnect();
            cluster.broker().fault(fault);
            Vec::new()
        }
        Fault::Coordinator(CoordinatorFault::Fenced) => {
            cluster.broker().fence_producer(id).expect("it is fenced");
            Vec::new()
        }
        other => panic!("no cell of this kind: {other}"),
    }
}

/// Makes a call and drops it where it is to be dropped; the producer is dropped behind it.
async fn drop_call(
    cluster: &TestCluster,
    producer: TransactionalProducer,
    place: &Place,
    call: TransactionCall,
) {
    if call == TransactionCall::Begin {
        return drop_waiting(producer.begin_owned()).await;
    }
    let transaction = producer.begin_owned().await.expect("a transaction");
    if call == TransactionCall::Offsets {
        drop(transaction.enqueue(&place.record(RECORD)).await.expect("it is accepted"));
        let group = GroupMetadata::of_group(place.id().into());
        transaction.flush().await;
        drop_waiting(transaction.commit_offsets_of(place.offsets(), &group)).await;
        return;
    }
    if call == TransactionCall::Flush {
        let held = BrokerFault::on(ApiKey::Produce).client_id(place.id()).delay(SHORT);
        cluster.broker().fault(held);
        drop(transaction.enqueue(&place.record(RECORD)).await.expect("it is accepted"));
        return drop_waiting(transaction.flush()).await;
    }
    fill(&transaction, place).await.expect("it is taken");
    transaction.flush().await;
    match call {
        TransactionCall::CommitUnpolled => drop(transaction.commit()),
        TransactionCall::Commit => drop_waiting(transaction.commit()).await,
        TransactionCall::AbortUnpolled => drop(transaction.abort()),
        TransactionCall::Abort => drop_waiting(transaction.abort()).await,
        _ => drop(transaction),
    }
}

/// The version of the transaction protocol that a mode speaks.
pub(super) const fn version(mode: Mode) -> Option<i16> {
    match mode {
        Mode::Transactional1 => Some(1),
        Mode::Transactional2 => Some(2),
        Mode::Plain | Mode::Idempotent => None,
    }
}

/// What readers find when told so, where nothing was done behind the producer's back.
#[must_use]
pub const fn found(end: End) -> Found {
    match end {
        End::Committed => Found::Once,
        _ => Found::Nothing,
    }
}
