//! Carrying cells out: a producer of its own for each, one reading of the log for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_broker::{ApiKey, Fault as BrokerFault};
use millstream_client::producer::{DeliveryError, Receipt};
use millstream_client::{IoThread, Producer, ProducerBuilder, Record, SendError};
use millstream_types::{BrokerId, Offset, PartitionId, TopicPartition};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Blow, Cell, End, Fault, Mode, Row, Times, drops, transactions};
use crate::cluster::TestCluster;
use crate::deadline::{eventually, step};
use crate::proxy::{Proxy, Rules};
use crate::reading::{ends, read_all};

/// How many cells are on their way at a time.
pub(super) const AT_A_TIME: usize = 32;
/// Longer than anything takes that comes to a good end.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The delivery timeout of records that nothing will save.
pub(super) const NO_PATIENCE: Duration = Duration::from_millis(1500);
/// A request timeout that is meant to pass.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// How long a record waits to be sent where something happens meanwhile.
const LINGER: Duration = Duration::from_millis(500);

/// More than the buffers of a connection take: a request with so much is not through when it is cut.
const LARGE: usize = 44 << 20;

/// The record of a cell, and the one that is sent after it.
pub(super) const RECORD: &str = "record";
pub(super) const NEXT: &str = "next";

/// What one cell came to.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) end: End,
    /// What the producer said.
    pub(super) words: String,
    /// What became of another record afterwards, where one was sent.
    pub(super) next: Option<Result<Receipt, SendError>>,
}

/// Carries out all cells of a row.
///
/// # Panics
/// If some came out otherwise; names them all.
pub async fn run(row: &Row) {
    let (alone, together): (Vec<Cell>, Vec<Cell>) =
        row.cells.iter().partition(|cell| !matches!(cell.fault, Fault::Request { .. }));
    let of_version = |version| {
        let cells = together.iter().filter(move |cell| transactions::version(cell.mode) == version);
        cells.copied().collect::<Vec<_>>()
    };
    let mut wrong = run_together(&of_version(None)).await;
    for version in [1, 2] {
        let cells = of_version(Some(version));
        wrong.extend(transactions::run_together(&cells, version).await);
    }
    for cell in &alone {
        wrong.extend(match (transactions::version(cell.mode), cell.fault) {
            (Some(version), _) => transactions::run_alone(cell, version).await,
            (None, Fault::Dropped(wait)) => drops::run(cell, wait).await.into_iter().collect(),
            (None, _) => run_alone(cell).await.into_iter().collect(),
        });
    }
    let (bad, all) = (wrong.len(), row.cells.len());
    assert!(wrong.is_empty(), "{bad} of {all} cells came out otherwise:\n{}", wrong.join("\n"));
}

/// Cells that share a cluster: each has a partition and a client id of its own.
async fn run_together(cells: &[Cell]) -> Vec<String> {
    if cells.is_empty() {
        return Vec::new();
    }
    let cluster = Arc::new(TestCluster::in_process().await);
    let partitions = i32::try_from(cells.len()).unwrap_or(i32::MAX);
    let topic: Arc<str> = cluster.topic("matrix", partitions).await.into();
    let io = IoThread::start("matrix").expect("a thread");
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut work = JoinSet::new();
    step(format!("{partitions} cells"));
    for (cell, place) in cells.iter().zip(0..) {
        let builder = builder(&cluster, cell).client_id(format!("cell-{place}")).io_thread(&io);
        let (cluster, topic, turns) =
            (Arc::clone(&cluster), Arc::clone(&topic), Arc::clone(&turns));
        let fault = cell.fault;
        work.spawn(async move {
            let _turn = turns.acquire().await;
            let producer = builder.build().await.expect("a producer");
            (place, one_of_many(&cluster, &producer, &topic, PartitionId(place), fault).await)
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(done) = work.join_next().await {
        let (place, outcome) = done.expect("a cell does not panic");
        seen.insert(place, outcome);
    }
    cluster.broker().clear_faults();
    let logs = logs(&cluster, &topic).await;
    let judged = cells.iter().zip(0..).filter_map(|(cell, place)| {
        let log = logs.get(&PartitionId(place)).map_or(&[][..], Vec::as_slice);
        judge(cell, &seen[&place], log)
    });
    judged.collect()
}

/// One cell among many: its producer is known to the broker as `cell-` and the partition.
async fn one_of_many(
    cluster: &TestCluster,
    producer: &Producer,
    topic: &str,
    partition: PartitionId,
    fault: Fault,
) -> Seen {
    let Fault::Request { api, blow, times } = fault else {
        panic!("a cell of its own: {fault}");
    };
    if api == ApiKey::Produce {
        // Metadata, producer id and connection are there when it happens, however busy the machine.
        let first = Record::to(topic).partition(partition).value("first");
        while producer.send(&first).await.is_err() {}
    }
    let client_id = format!("cell-{}", partition.value());
    cluster.broker().fault(broker_fault(api, blow, times, &client_id));
    let mut seen = send(producer, topic, partition).await;
    // What went wrong once does not stay behind.
    if times == Times::Once {
        let next = Record::to(topic).partition(partition).value(NEXT);
        seen.next = Some(producer.send(&next).await);
    }
    drop(producer.close(Duration::ZERO).await);
    seen
}

/// What a reader finds in each partition.
pub(super) async fn logs(cluster: &TestCluster, topic: &str) -> BTreeMap<PartitionId, Vec<String>> {
    let mut logs: BTreeMap<PartitionId, Vec<String>> = BTreeMap::new();
    for record in read_all(cluster, topic).await {
        let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
        logs.entry(record.partition).or_default().push(text.trim_end_matches('.').to_owned());
    }
    logs
}

/// The fault as the broker knows it.
pub(super) fn broker_fault(api: ApiKey, blow: Blow, times: Times, client_id: &str) -> BrokerFault {
    let fault = BrokerFault::on(api).client_id(client_id);
    let fault = if times == Times::Always { fault.always() } else { fault };
    match blow {
        Blow::Answer(code) => fault.error(code),
        Blow::DoneButAnswer(code) => fault.apply_then_error(code),
        Blow::ClosedAfter => fault.disconnect(),
        Blow::AnswerLost => fault.apply_then_disconnect(),
        Blow::Silence => fault.drop(),
        Blow::DoneInSilence => fault.apply_then_drop(),
    }
}

/// The producer of a cell: patient where all ends well, and quick where it does not.
fn builder(cluster: &TestCluster, cell: &Cell) -> ProducerBuilder {
    let millis = Duration::from_millis;
    let builder = cluster.producer().linger(Duration::ZERO).idempotence(cell.mode != Mode::Plain);
    let builder = builder.reconnect_backoff(millis(5), millis(50));
    let builder = match cell.fault {
        // No attempt is on its way when the delivery timeout passes: that would leave it open.
        Fault::Request { times: Times::Always, blow: Blow::Answer(_), .. }
        | Fault::CutDuring(Times::Always)
        | Fault::AllKilled => builder.retry_backoff(2 * NO_PATIENCE, 2 * NO_PATIENCE),
        Fault::Request { times: Times::Always, .. } => {
            builder.retry_backoff(millis(300), millis(300))
        }
        _ => builder.retry_backoff(millis(5), millis(50)),
    };
    let (delivery, request) = match cell.fault {
        Fault::Request { blow: Blow::Silence | Blow::DoneInSilence, times, .. } => {
            (if times == Times::Once { PATIENCE } else { NO_PATIENCE }, SHORT)
        }
        Fault::Request {
            times: Times::Always,
            blow: Blow::Answer(_) | Blow::DoneButAnswer(_),
            ..
        } => (NO_PATIENCE, NO_PATIENCE),
        Fault::Request { times: Times::Always, .. }
        | Fault::AllKilled
        | Fault::CutDuring(Times::Always) => (NO_PATIENCE, SHORT),
        Fault::AllKilledAfterwards => (2 * NO_PATIENCE, NO_PATIENCE),
        _ => (PATIENCE, PATIENCE / 2),
    };
    builder.delivery_timeout(delivery).request_timeout(request)
}

/// Sends the record of a cell, and notes what its producer says.
async fn send(producer: &Producer, topic: &str, partition: PartitionId) -> Seen {
    let record = Record::to(topic).partition(partition).value(RECORD);
    let delivery = match producer.enqueue(&record).await {
        Ok(delivery) => delivery,
        Err(error) => {
            return Seen { end: End::NotAccepted, words: error.to_string(), next: None };
        }
    };
    seen(delivery.await)
}

fn seen(end: Result<Receipt, DeliveryError>) -> Seen {
    let (end, words) = match end {
        Ok(receipt) => (End::Written, format!("{receipt:?}")),
        Err(error) => {
            let words = error.to_string();
            match error {
                DeliveryError::NotWritten(failed) => {
                    let back = failed.into_record().and_then(|record| record.value);
                    let is_back = back.is_some_and(|value| value.starts_with(RECORD.as_bytes()));
                    assert!(is_back, "it is handed back: {words}");
                    (End::NotWritten, words)
                }
                _ => (End::Unknown, words),
            }
        }
    };
    Seen { end, words, next: None }
}

/// What came out otherwise than the cell says.
pub(super) fn judge(cell: &Cell, seen: &Seen, log: &[String]) -> Option<String> {
    let Cell { mode, fault, end, found } = cell;
    let count = |value: &str| log.iter().filter(|logged| *logged == value).count();
    let mut wrong = Vec::new();
    if seen.end != *end {
        wrong.push(format!("the end is `{}`, not `{end}` ({})", seen.end, seen.words));
    }
    if !found.allows(count(RECORD)) {
        wrong.push(format!("the log holds it {} times, not {found}", count(RECORD)));
    }
    match &seen.next {
        Some(Err(error)) => wrong.push(format!("the next record fails: {error}")),
        Some(Ok(_)) if count(NEXT) != 1 => {
            wrong.push(format!("the log holds the next record {} times", count(NEXT)));
        }
        _ => {}
    }
    if wrong.is_empty() {
        return None;
    }
    Some(format!("{mode}, {fault}: {}", wrong.join("; ")))
}

/// A cell that breaks its cluster, or its connections.
async fn run_alone(cell: &Cell) -> Option<String> {
    let (cluster, proxies) = TestCluster::behind_proxies().await;
    let limit = (2 * LARGE).to_string();
    let topic = cluster.topic_with("matrix", 1, &[("max.message.bytes", &limit)]).await;
    let partition = TopicPartition::new(&*topic, 0);
    let leader = cluster.leader(&partition).await;
    step(format!("{}, {}", cell.mode, cell.fault));
    let linger = if cell.fault == Fault::ClosedBefore { Duration::ZERO } else { LINGER };
    let builder = builder(&cluster, cell).linger(linger).client_id("cell");
    let builder = builder.max_request_size(2 * LARGE).buffer_memory(4 * LARGE);
    let producer = builder.build().await.expect("a producer");
    // Metadata, producer id and connection are there when it happens.
    producer.send(&Record::to(&topic).value("first")).await.expect("it is written");
    let is_cut = matches!(cell.fault, Fault::CutDuring(_));
    let value = format!("{RECORD}{}", ".".repeat(if is_cut { LARGE } else { 0 }));
    prepare(&cluster, &proxies, &cell.fault, leader);
    let record = Record::to(&topic).value(&value);
    let delivery = producer.enqueue(&record).await.expect("it is accepted");
    let victims = strike(&cluster, &cell.fault, &partition, leader).await;
    let seen = seen(delivery.await);
    drop(producer.close(Duration::ZERO).await);
    for victim in victims {
        cluster.restart(victim).await;
    }
    let logs = logs(&cluster, &topic).await;
    judge(cell, &seen, logs.get(&PartitionId(0)).map_or(&[], Vec::as_slice))
}

/// What has to be there before the record is.
fn prepare(cluster: &TestCluster, proxies: &[Proxy], fault: &Fault, leader: BrokerId) {
    let on = BrokerFault::on(ApiKey::Produce).node(leader);
    match fault {
        Fault::ClosedBefore => cluster.broker().disconnect_clients("cell"),
        Fault::CutDuring(times) => {
            let cut_produce = if *times == Times::Once { 1 } else { u32::MAX };
            proxies.iter().for_each(|proxy| proxy.set(Rules { cut_produce, ..Rules::default() }));
        }
        Fault::LeaderKilledAfterwards | Fault::AllKilledAfterwards => {
            cluster.broker().fault(on.apply_then_drop());
        }
        _ => {}
    }
}

/// Does what happens while the record waits; gives the nodes that it killed.
async fn strike(
    cluster: &TestCluster,
    fault: &Fault,
    partition: &TopicPartition,
    leader: BrokerId,
) -> Vec<BrokerId> {
    if matches!(fault, Fault::LeaderKilledAfterwards | Fault::AllKilledAfterwards) {
        eventually("it is appended", || async {
            ends(cluster, partition.topic.as_str()).await[partition] == Offset(2)
        })
        .await;
    }
    let victims: Vec<_> = match fault {
        // The leader last: another one would take over.
        Fault::AllKilled | Fault::AllKilledAfterwards => {
            let others = (1..=3).map(BrokerId).filter(|node| *node != leader);
            others.chain([leader]).collect()
        }
        Fault::LeaderKilled | Fault::LeaderKilledAfterwards => vec![leader],
        Fault::LeaderMoved => {
            cluster.move_leader(partition).await;
            Vec::new()
        }
        _ => Vec::new(),
    };
    for victim in &victims {
        cluster.kill(*victim).await;
    }
    victims
}
