//! The verbs of the stories: requests by hand, and what is told of their answers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millstream_protocol::batch::{BatchBuilder, HeaderView};
use millstream_protocol::messages::{self as m, Request};
use millstream_types::{ProducerEpoch, ProducerId, Timestamp};

use crate::peer::{Peer, Wire, base_time, name, text, topic_name};
use crate::{fetch, produce};

const PATIENCE: Duration = Duration::from_secs(20);

/// A producer id and its epoch.
pub(super) type Producer = (i64, i16);

pub(super) fn id(name: &str) -> m::TransactionalId {
    m::TransactionalId(text(name))
}

/// One transactional id at one of the two, and the first partition of a topic.
pub(super) struct Story<'p> {
    pub(super) peer: &'p mut Peer,
    pub(super) id: String,
    pub(super) topic: String,
    /// The first producer id, from which the others are counted.
    first: Option<i64>,
}

pub(super) fn batch(producer: Producer, sequence: i32, transactional: bool, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    let none: [HeaderView<'_>; 0] = [];
    builder.append(Timestamp(base_time()), None, Some(value.as_bytes()), none).unwrap();
    let mut sealed = builder.seal();
    sealed.set_producer(ProducerId(producer.0), ProducerEpoch(producer.1), sequence);
    sealed.set_transactional(transactional);
    sealed.into_bytes().into()
}

impl<'p> Story<'p> {
    pub(super) fn begin(peer: &'p mut Peer, name: &str) -> Self {
        let topic = peer.topic(name, 2, &[]);
        let id = peer.unique(name);
        Self { peer, id, topic, first: None }
    }

    /// A connection to the coordinator.
    pub(super) fn coordinator(&self) -> Wire {
        self.coordinator_of(&self.id).0
    }

    pub(super) fn coordinator_of(&self, id: &str) -> (Wire, i32) {
        let request = m::FindCoordinatorRequest::default().with_key(text(id)).with_key_type(1);
        let begun = SystemTime::now();
        while begun.elapsed().unwrap() < PATIENCE {
            let answer = self.peer.any().ask(3, &request);
            if answer.error_code == 0 {
                return (self.peer.node(answer.node_id.0), answer.node_id.0);
            }
        }
        panic!("{id} has no coordinator");
    }

    /// Asks the coordinator until it is ready and no marker is outstanding.
    pub(super) fn settled<R: Request>(
        &self,
        version: i16,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
    ) -> R::Response {
        let begun = SystemTime::now();
        loop {
            let answer = self.coordinator().ask(version, request);
            let name = name(code(&answer));
            let busy = name.starts_with("COORDINATOR") || name == "NOT_COORDINATOR";
            if (!busy && name != "CONCURRENT_TRANSACTIONS") || begun.elapsed().unwrap() > PATIENCE {
                return answer;
            }
        }
    }

    /// Waits until every marker is written, and gives the state.
    pub(super) fn state(&self) -> String {
        let request =
            m::DescribeTransactionsRequest::default().with_transactional_ids(vec![id(&self.id)]);
        let begun = SystemTime::now();
        loop {
            let answer = self.coordinator().ask(0, &request);
            let found = &answer.transaction_states[0];
            let prepared = found.transaction_state.starts_with("Prepare");
            if !prepared || begun.elapsed().unwrap() > PATIENCE {
                let code = name(found.error_code);
                return format!(
                    "{} {code}, epoch {}",
                    &*found.transaction_state, found.producer_epoch
                );
            }
        }
    }

    pub(super) fn tell_state(&mut self, what: &str) {
        let state = self.state();
        self.peer.tell(what, state);
    }

    /// How a producer is told: ids differ between the two, so they are counted.
    fn producer(&mut self, producer: Producer) -> String {
        let first = *self.first.get_or_insert(producer.0);
        let who = match producer.0 {
            -1 => "none",
            id if id == first => "the first id",
            _ => "another id",
        };
        format!("{who}, epoch {}", producer.1)
    }

    /// InitProducerId; the transaction before it may still be ending.
    pub(super) fn init(&mut self, what: &str, version: i16, expected: Producer) -> Producer {
        let request = m::InitProducerIdRequest::default()
            .with_transactional_id(Some(id(&self.id)))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(m::ProducerId(expected.0))
            .with_producer_epoch(expected.1);
        let answer = self.settled(version, &request, |answer| answer.error_code);
        let producer = (answer.producer_id.0, answer.producer_epoch);
        let said = format!("{} {}", name(answer.error_code), self.producer(producer));
        self.peer.tell(what, said);
        producer
    }

    pub(super) fn new_producer(&mut self) -> Producer {
        self.init("a producer", 4, (-1, -1))
    }

    pub(super) fn add(&mut self, what: &str, version: i16, producer: Producer, partitions: &[i32]) {
        let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
            .with_name(topic_name(&self.topic))
            .with_partitions(partitions.to_vec());
        let request = m::AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(&self.id))
            .with_v3_and_below_producer_id(m::ProducerId(producer.0))
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(vec![topic]);
        let answer = self.settled(version, &request, |answer| {
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        });
        let results = answer.results_by_topic_v3_and_below.iter();
        let results = results.flat_map(|topic| &topic.results_by_partition);
        let mut codes: Vec<_> =
            results.map(|it| (it.partition_index, name(it.partition_error_code))).collect();
        codes.sort_unstable();
        self.peer.tell(what, format!("{codes:?}"));
    }

    /// Produces one record to the first partition.
    pub(super) fn write(&mut self, what: &str, version: i16, producer: Producer, sequence: i32) {
        let batch = batch(producer, sequence, true, "v");
        self.write_batch(what, version, batch, true);
    }

    pub(super) fn write_batch(&mut self, what: &str, version: i16, batch: Bytes, named: bool) {
        let request = produce::request(&self.topic, 0, batch)
            .with_transactional_id(named.then(|| id(&self.id)));
        let begun = SystemTime::now();
        loop {
            let (mut wire, _) = self.peer.leader(&self.topic);
            let answer = wire.ask(version, &request);
            let partition = &answer.responses[0].partition_responses[0];
            let code = name(partition.error_code);
            // Markers are outstanding, or the coordinator was not found yet.
            let busy = matches!(code, "CONCURRENT_TRANSACTIONS" | "NOT_ENOUGH_REPLICAS");
            if !busy || begun.elapsed().unwrap() > PATIENCE {
                return self.peer.tell(what, format!("{code} at {}", partition.base_offset));
            }
        }
    }

    pub(super) fn end(
        &mut self,
        what: &str,
        version: i16,
        producer: Producer,
        commit: bool,
    ) -> Producer {
        let request = m::EndTxnRequest::default()
            .with_transactional_id(id(&self.id))
            .with_producer_id(m::ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        let answer = self.settled(version, &request, |answer| answer.error_code);
        let next = (answer.producer_id.0, answer.producer_epoch);
        let how = if commit { "commit" } else { "abort" };
        let code = name(answer.error_code);
        let said = match version {
            5 => format!("{code} {}", self.producer(next)),
            _ => code.to_owned(),
        };
        self.peer.tell(&format!("{what}, {how} in version {version}"), said);
        next
    }

    /// Tells what a reader of committed records finds from `offset` on.
    pub(super) fn read(&mut self, what: &str, offset: i64) {
        self.state();
        let request = fetch::from(&self.topic, offset).with_isolation_level(1);
        let (mut wire, _) = self.peer.leader(&self.topic);
        let answer = wire.ask(12, &request);
        let data = &answer.responses[0].partitions[0];
        let aborted = data.aborted_transactions.as_ref().map(|all| {
            let all = all.iter().map(|it| (Some(it.producer_id.0) == self.first, it.first_offset));
            all.collect::<Vec<_>>()
        });
        let said = format!("{}, aborted {aborted:?}", fetch::said(&answer));
        self.peer.tell(what, said);
        let list = crate::offsets::list(&self.topic, -1);
        for isolation in [0, 1] {
            let answer = wire.ask(7, &list.clone().with_isolation_level(isolation));
            let end = answer.topics[0].partitions[0].offset;
            self.peer.tell(&format!("the end by isolation {isolation}"), end);
        }
    }
}
