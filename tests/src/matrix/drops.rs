//! Calls whose futures are dropped, at each point where they wait.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use millstream_broker::{ApiKey, Fault as BrokerFault};
use millstream_client::{EnqueueError, NewTopic, Producer, Record};
use millstream_types::PartitionId;

use super::run::{NEXT, RECORD, Seen, judge, logs};
use super::{Cell, End, Mode};
use crate::cluster::{TestCluster, unique};
use crate::deadline::step;

/// How long the broker holds each record back where a call is to wait for it.
const HELD: Duration = Duration::from_millis(200);
/// Room for a few fillers.
const LITTLE_MEMORY: usize = 64 * 1024;

/// Where a call is when its future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// `enqueue` that was never polled.
    EnqueueUnpolled,
    /// `enqueue` that waits for its topic's partitions.
    EnqueueForTopic,
    /// `enqueue` that waits for memory.
    EnqueueForMemory,
    /// `send` that was never polled.
    SendUnpolled,
    /// `send` that waits for its topic's partitions.
    SendForTopic,
    /// `send` that waits for memory.
    SendForMemory,
    /// `send` that waits for the acknowledgement.
    SendForAnswer,
    /// The delivery of an accepted record that was never polled.
    DeliveryUnpolled,
    /// The delivery of an accepted record that waits for the acknowledgement.
    DeliveryForAnswer,
    /// `flush` that was never polled.
    FlushUnpolled,
    /// `flush` that waits for acknowledgements.
    FlushForAnswer,
    /// `close` that was never polled; the producer is dropped behind it.
    CloseUnpolled,
    /// `close` that waits for acknowledgements; the producer is dropped behind it.
    CloseForAnswer,
}

impl Wait {
    /// All of them, each with what becomes of the record.
    pub const ALL: [(Self, End); 13] = [
        (Self::EnqueueUnpolled, End::NotAccepted),
        (Self::EnqueueForTopic, End::NotAccepted),
        (Self::EnqueueForMemory, End::NotAccepted),
        (Self::SendUnpolled, End::NotAccepted),
        (Self::SendForTopic, End::NotAccepted),
        (Self::SendForMemory, End::NotAccepted),
        (Self::SendForAnswer, End::Written),
        (Self::DeliveryUnpolled, End::Written),
        (Self::DeliveryForAnswer, End::Written),
        (Self::FlushUnpolled, End::Written),
        (Self::FlushForAnswer, End::Written),
        (Self::CloseUnpolled, End::Written),
        (Self::CloseForAnswer, End::Written),
    ];

    const fn is_for_topic(self) -> bool {
        matches!(self, Self::EnqueueForTopic | Self::SendForTopic)
    }

    const fn is_for_memory(self) -> bool {
        matches!(self, Self::EnqueueForMemory | Self::SendForMemory)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnqueueUnpolled => "`enqueue` dropped before the first poll",
            Self::EnqueueForTopic => "`enqueue` dropped while it waits for the topic",
            Self::EnqueueForMemory => "`enqueue` dropped while it waits for memory",
            Self::SendUnpolled => "`send` dropped before the first poll",
            Self::SendForTopic => "`send` dropped while it waits for the topic",
            Self::SendForMemory => "`send` dropped while it waits for memory",
            Self::SendForAnswer => "`send` dropped while it waits for the answer",
            Self::DeliveryUnpolled => "delivery dropped before the first poll",
            Self::DeliveryForAnswer => "delivery dropped while it waits for the answer",
            Self::FlushUnpolled => "`flush` dropped before the first poll",
            Self::FlushForAnswer => "`flush` dropped while it waits for the answer",
            Self::CloseUnpolled => "`close` and the producer dropped before the first poll",
            Self::CloseForAnswer => {
                "`close` and the producer dropped while it waits for the answer"
            }
        })
    }
}

/// Polls a future once, expects it to wait, and drops it.
pub(super) async fn drop_waiting<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let first = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    assert!(first.is_pending(), "it has to wait");
}

/// Carries out one cell.
pub(super) async fn run(cell: &Cell, wait: Wait) -> Option<String> {
    let cluster = TestCluster::in_process().await;
    let topic = if wait.is_for_topic() { unique("later") } else { cluster.topic("drops", 1).await };
    step(format!("{}, {}", cell.mode, cell.fault));
    let mut builder = cluster.producer().idempotence(cell.mode != Mode::Plain);
    builder = builder.linger(Duration::from_millis(1));
    if wait.is_for_memory() {
        builder = builder.buffer_memory(LITTLE_MEMORY).batch_size(LITTLE_MEMORY / 8);
    }
    let producer = builder.build().await.expect("a producer");
    if !wait.is_for_topic() {
        producer.send(&Record::to(&topic).value("first")).await.expect("it is written");
    }
    cluster.broker().fault(BrokerFault::on(ApiKey::Produce).delay(HELD));
    drop_call(&producer, &topic, wait).await;
    if wait.is_for_topic() {
        cluster.admin().create_topics([NewTopic::new(&*topic, 1)]).await.expect("it is created");
    }
    let is_closed = matches!(wait, Wait::CloseUnpolled | Wait::CloseForAnswer);
    let next = if is_closed {
        drop(producer);
        None
    } else {
        let next = producer.send(&Record::to(&topic).value(NEXT)).await;
        assert!(producer.close(Duration::from_secs(10)).await.is_complete());
        Some(next)
    };
    // A producer that was dropped tells nobody when it is done: the log does.
    if is_closed {
        crate::deadline::eventually("it is written", || async {
            logs(&cluster, &topic).await.values().flatten().any(|value| value == RECORD)
        })
        .await;
    }
    // The report counted what was accepted; whether the record was among it shows in the log.
    let seen = Seen { end: cell.end, words: String::new(), next };
    let logs = logs(&cluster, &topic).await;
    judge(cell, &seen, logs.get(&PartitionId(0)).map_or(&[], Vec::as_slice))
}

/// Makes the call and drops it where it is to be dropped.
async fn drop_call(producer: &Producer, topic: &str, wait: Wait) {
    let record = Record::to(topic).value(RECORD);
    if wait.is_for_memory() {
        fill(producer, topic);
    }
    match wait {
        Wait::EnqueueUnpolled => drop(producer.enqueue(&record)),
        Wait::EnqueueForTopic | Wait::EnqueueForMemory => {
            drop_waiting(producer.enqueue(&record)).await;
        }
        Wait::SendUnpolled => drop(producer.send(&record)),
        Wait::SendForTopic | Wait::SendForMemory | Wait::SendForAnswer => {
            drop_waiting(producer.send(&record)).await;
        }
        _ => {}
    }
    if !matches!(
        wait,
        Wait::DeliveryUnpolled
            | Wait::DeliveryForAnswer
            | Wait::FlushUnpolled
            | Wait::FlushForAnswer
            | Wait::CloseUnpolled
            | Wait::CloseForAnswer
    ) {
        return;
    }
    let delivery = producer.enqueue(&record).await.expect("it is accepted");
    match wait {
        Wait::DeliveryForAnswer => drop_waiting(delivery).await,
        Wait::FlushUnpolled => drop(producer.flush()),
        Wait::FlushForAnswer => drop_waiting(producer.flush()).await,
        Wait::CloseUnpolled => drop(producer.close(Duration::from_secs(10))),
        Wait::CloseForAnswer => drop_waiting(producer.close(Duration::from_secs(10))).await,
        _ => drop(delivery),
    }
}

/// Spends all memory.
fn fill(producer: &Producer, topic: &str) {
    let filler = "f".repeat(1000);
    let record = Record::to(topic).value(&filler);
    loop {
        match producer.try_enqueue(&record) {
            Ok(delivery) => drop(delivery),
            Err(EnqueueError::Full { .. }) => return,
            Err(error) => panic!("it is refused otherwise: {error}"),
        }
    }
}
