//! Any mix of producers, ends, timeouts and moving nodes, beside a model that is a few lines long:
//! readers of committed records, and of offsets, must see what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_protocol::batch::{CheckedBatch, ControlRecord, RawBatches};
use millstream_protocol::compression::Decompressor;
use millstream_protocol::messages as m;
use proptest::prelude::*;

use super::offsets::{add_group, commit, fetched};
use super::{PRODUCE_V1, PRODUCE_V2, Producer, batch, id};
use crate::bench::{Bench, produce_request};

const PARTITIONS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(60);

/// What happens next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Init { id: usize },
    Write { client: usize, partition: usize },
    Offset { client: usize },
    End { client: usize, commit: bool },
    Plain { partition: usize },
    Pass { seconds: u64 },
    Move { id: usize, node: i32 },
    Restart { node: i32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..2_usize).prop_map(|id| Step::Init { id }),
        8 => (any::<usize>(), 0..PARTITIONS)
            .prop_map(|(client, partition)| Step::Write { client, partition }),
        2 => any::<usize>().prop_map(|client| Step::Offset { client }),
        5 => (any::<usize>(), any::<bool>())
            .prop_map(|(client, commit)| Step::End { client, commit }),
        2 => (0..PARTITIONS).prop_map(|partition| Step::Plain { partition }),
        1 => (1..70_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (0..2_usize, 1..=3).prop_map(|(id, node)| Step::Move { id, node }),
        1 => (2..=3).prop_map(|node| Step::Restart { node }),
    ];
    prop::collection::vec(step, 1..60)
}

/// A producer as its application sees it.
struct Client {
    id: usize,
    producer: Producer,
    sequences: [i32; PARTITIONS],
    fenced: bool,
}

/// A record of the model, or a marker (without value).
struct Entry {
    value: Option<String>,
    /// The transaction it is of.
    transaction: Option<usize>,
}

#[derive(Default)]
struct Open {
    number: usize,
    partitions: BTreeSet<usize>,
    offset: Option<i64>,
    age: Duration,
}

/// What is true.
#[derive(Default)]
struct Model {
    logs: [Vec<Entry>; PARTITIONS],
    ended: BTreeMap<usize, bool>,
    open: BTreeMap<usize, Open>,
    transactions: usize,
    offset: i64,
}

impl Model {
    fn open(&mut self, id: usize) -> &mut Open {
        let next = self.transactions;
        let open = self.open.entry(id).or_insert_with(|| Open { number: next, ..Open::default() });
        if open.number == next {
            self.transactions = next + 1;
        }
        open
    }

    fn end(&mut self, id: usize, commit: bool) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        self.ended.insert(open.number, commit);
        for partition in open.partitions {
            self.logs[partition].push(Entry { value: None, transaction: None });
        }
        if let Some(offset) = open.offset.filter(|_| commit) {
            // The one written last stands (offsets grow here with each that is written).
            self.offset = self.offset.max(offset);
        }
    }

    fn stable_end(&self, partition: usize) -> usize {
        let log = &self.logs[partition];
        let ended = |entry: &Entry| entry.transaction.is_none_or(|it| self.ended.contains_key(&it));
        log.iter().position(|entry| !ended(entry)).unwrap_or(log.len())
    }

    fn visible(&self, partition: usize) -> Vec<String> {
        let log = self.logs[partition].iter().take(self.stable_end(partition));
        let committed = |entry: &&Entry| entry.transaction.is_none_or(|it| self.ended[&it]);
        log.filter(committed).filter_map(|entry| entry.value.clone()).collect()
    }
}

struct Play {
    bench: Bench,
    model: Model,
    clients: Vec<Client>,
    version: i16,
    values: usize,
}

const fn name(id: usize) -> &'static str {
    if id == 0 { "first" } else { "second" }
}

impl Play {
    fn new(version: i16) -> Self {
        let bench = Bench::with(3, |config| {
            config.transactions.version = version;
            // Leaders stay where they are.
            config.default_replication_factor = Some(1);
        });
        let bench = bench.topic("t", PARTITIONS as i32);
        Self { bench, model: Model::default(), clients: Vec::new(), version, values: 0 }
    }

    /// Partitions are led in turn, from node 1 on.
    const fn node(&self, partition: usize) -> i32 {
        1 + partition as i32
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Init { id } => self.init(id),
            Step::Write { client, partition } => self.write(client, partition),
            Step::Offset { client } => self.commit_offset(client),
            Step::End { client, commit } => self.end(client, commit),
            Step::Plain { partition } => self.plain(partition),
            Step::Pass { seconds } => self.pass(Duration::from_secs(seconds)),
            Step::Move { id, node } => {
                let now = self.bench.now;
                self.bench
                    .cluster
                    .move_transaction_coordinator(name(id), node.into(), now)
                    .unwrap();
            }
            Step::Restart { node } => {
                let now = self.bench.now;
                self.bench.cluster.crash_node(node.into(), now).unwrap();
                self.bench.cluster.restart_node(node.into(), now).unwrap();
            }
        }
    }

    /// A client that chance chose, unless there is none yet.
    fn chosen(&self, client: usize) -> Option<usize> {
        (!self.clients.is_empty()).then(|| client % self.clients.len())
    }

    fn init(&mut self, id: usize) {
        let first = self.bench.try_init(name(id), (-1, -1));
        let producer = match first {
            Ok(producer) => producer,
            Err(code) => {
                assert_eq!(code, ErrorCode::ConcurrentTransactions);
                assert!(self.model.open.contains_key(&id), "nothing was open");
                self.bench.init(name(id))
            }
        };
        self.model.end(id, false);
        for other in self.clients.iter_mut().filter(|other| other.id == id) {
            other.fenced = true;
        }
        let sequences = [0; PARTITIONS];
        self.clients.push(Client { id, producer, sequences, fenced: false });
    }

    fn new_value(&mut self) -> String {
        self.values += 1;
        format!("value {}", self.values)
    }

    fn produce(&mut self, partition: usize, request: &m::ProduceRequest) -> (ErrorCode, i64) {
        let node = self.node(partition);
        let version = if self.version == 1 { PRODUCE_V1 } else { PRODUCE_V2 };
        let answer = self.bench.ask(node, version, request);
        let answer = &answer.responses[0].partition_responses[0];
        (ErrorCode::from(answer.error_code), answer.base_offset)
    }

    fn write(&mut self, client: usize, partition: usize) {
        let Some(at) = self.chosen(client) else {
            return;
        };
        let value = self.new_value();
        let Client { id: who, producer, sequences, fenced } = &self.clients[at];
        let (who, producer, fenced) = (*who, *producer, *fenced);
        let batch = batch(producer, sequences[partition], &[&value]);
        let request = produce_request("t", partition as i32, batch)
            .with_transactional_id(Some(id(name(who))));
        if self.version == 1 {
            let added = self.bench.add(name(who), producer, "t", partition as i32);
            assert_eq!(added.is_ok(), !fenced, "{added:?}");
            if fenced {
                return;
            }
        }
        let (code, offset) = self.produce(partition, &request);
        if fenced {
            assert_eq!(code, ErrorCode::InvalidProducerEpoch);
            return;
        }
        let expected = self.model.logs[partition].len() as i64;
        let sequence = self.clients[at].sequences[partition];
        assert_eq!((code, offset), (ErrorCode::None, expected), "{producer:?} at {sequence}");
        self.clients[at].sequences[partition] += 1;
        let open = self.model.open(who);
        open.partitions.insert(partition);
        let transaction = Some(open.number);
        self.model.logs[partition].push(Entry { value: Some(value), transaction });
    }

    fn commit_offset(&mut self, client: usize) {
        let Some(at) = self.chosen(client) else {
            return;
        };
        self.values += 1;
        let offset = self.values as i64;
        let Client { id: who, producer, fenced, .. } = self.clients[at];
        if self.version == 1 {
            let added = add_group(&mut self.bench, name(who), 3, producer);
            assert_eq!(added.is_ok(), !fenced, "{added:?}");
            if fenced {
                return;
            }
        }
        let version = if self.version == 1 { 3 } else { 5 };
        let code = commit(&mut self.bench, name(who), version, producer, offset);
        assert_eq!(code.is_ok(), !fenced, "{code:?}");
        if !fenced {
            self.model.open(who).offset = Some(offset);
        }
    }

    fn end(&mut self, client: usize, commit: bool) {
        let Some(at) = self.chosen(client) else {
            return;
        };
        let Client { id: who, producer, fenced, .. } = self.clients[at];
        let version = if self.version == 1 { 4 } else { 5 };
        let ended = self.bench.end(name(who), producer, commit, version);
        if fenced {
            // By version 2 an abort may be taken for a retry of the coordinator's own.
            assert!(ended.is_err() || (self.version == 2 && !commit), "{ended:?}");
            return;
        }
        if self.model.open.contains_key(&who) {
            let next = ended.unwrap();
            self.model.end(who, commit);
            if self.version == 2 {
                let client = &mut self.clients[at];
                client.producer = next;
                client.sequences = [0; PARTITIONS];
            }
        } else if self.version == 2 && !commit {
            let client = &mut self.clients[at];
            client.producer = ended.unwrap();
            client.sequences = [0; PARTITIONS];
        }
    }

    fn plain(&mut self, partition: usize) {
        let value = self.new_value();
        let node = self.node(partition);
        let answer = self.bench.produce(node, "t", partition as i32, &[&value]);
        assert_eq!(answer.error_code, 0);
        self.model.logs[partition].push(Entry { value: Some(value), transaction: None });
    }

    fn pass(&mut self, time: Duration) {
        self.bench.pass(time);
        let mut over = Vec::new();
        for (who, open) in &mut self.model.open {
            open.age += time;
            if open.age >= TIMEOUT {
                over.push(*who);
            }
        }
        for who in over {
            self.model.end(who, false);
            for client in self.clients.iter_mut().filter(|client| client.id == who) {
                client.fenced = true;
            }
        }
    }

    fn check(&mut self) {
        for partition in 0..PARTITIONS {
            let (stable, values) = self.read(partition);
            assert_eq!(stable, self.model.stable_end(partition) as i64, "partition {partition}");
            assert_eq!(values, self.model.visible(partition), "partition {partition}");
        }
        let committed = fetched(&mut self.bench, false).unwrap();
        let model = if self.model.offset == 0 { -1 } else { self.model.offset };
        assert_eq!(committed, model);
        let pending = self.model.open.values().any(|open| open.offset.is_some());
        assert_eq!(fetched(&mut self.bench, true).is_err(), pending);
    }

    /// Reads committed records as a consumer does: by the list of aborted transactions.
    fn read(&mut self, partition: usize) -> (i64, Vec<String>) {
        let wanted = crate::fetch::partition(partition as i32, 0);
        let request = crate::fetch::request("t", vec![wanted]).with_max_wait_ms(0);
        let node = self.node(partition);
        let answer = self.bench.ask(node, crate::fetch::VERSION, &request.with_isolation_level(1));
        let data = &answer.responses[0].partitions[0];
        let mut aborted: Vec<_> = data.aborted_transactions.clone().unwrap_or_default();
        aborted.sort_by_key(|it| it.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut skipped = BTreeSet::new();
        let mut values = Vec::new();
        for raw in RawBatches::new(data.records.clone().unwrap_or_default()) {
            let batch = CheckedBatch::check(raw.unwrap(), &mut Decompressor::new(1 << 20)).unwrap();
            let header = *batch.header();
            let producer = header.producer_id.0;
            while let Some(next) = aborted.next_if(|it| it.first_offset <= header.last_offset().0) {
                skipped.insert(next.producer_id.0);
            }
            if header.attributes.is_control() {
                let record = batch.records().next().unwrap();
                if matches!(ControlRecord::read(&record), ControlRecord::Abort { .. }) {
                    skipped.remove(&producer);
                }
            } else if !(header.attributes.is_transactional() && skipped.contains(&producer)) {
                let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
                values.extend(batch.records().map(|record| text(record.value.unwrap())));
            }
        }
        (data.last_stable_offset, values)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn readers_see_whole_transactions_and_nothing_else(version in 1..=2_i16, steps in steps()) {
        let mut play = Play::new(version);
        for step in steps {
            play.step(step);
            play.check();
        }
    }
}
