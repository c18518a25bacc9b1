//! Counting against a plain map: random words and times, caches of all sizes, commits, restarts,
//! and crashes that restore from the changelog.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use millstream_core::{
    CollectorError, Now, OutputKind, OutputRecord, RawRecord, RecordBatch, RecordCollector,
    StreamsBuilder, Task, TaskConfig, TaskId, Topology,
};
use millstream_state::{
    ByteBudget, CommittedState, MemoryEngine, OffsetRow, RestoreRecord, ValueFormat,
};
use millstream_types::{
    ClusterId, Headers, LeaderEpoch, Offset, PartitionId, Timestamp, TopicPartition,
};
use proptest::prelude::*;

/// A key's count and time.
type Counts = BTreeMap<u8, (i64, i64)>;

/// What happens to the task.
#[derive(Clone, Debug)]
enum Step {
    /// A batch of keys and times arrives.
    Batch(Vec<(u8, i64)>),
    /// It processes up to this many records.
    Process(usize),
    /// Everything processed is committed.
    Commit,
    /// It is closed and starts anew on another store, restored from the changelog.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..6_u8, 0..50_i64);
    prop_oneof![
        3 => prop::collection::vec(record, 1..8).prop_map(Step::Batch),
        4 => (1..12_usize).prop_map(Step::Process),
        2 => Just(Step::Commit),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn counts_are_those_of_a_map(
        steps in prop::collection::vec(step(), 1..40),
        cache in prop_oneof![Just(0_u64), 1..300_u64, Just(10 << 20)],
    ) {
        let mut world = World::new(cache);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::Process(usize::MAX));
        world.step(&Step::Commit);
        prop_assert_eq!(world.stored(), world.model.clone());
        prop_assert_eq!(&world.changelog.latest(), &world.model);
        prop_assert_eq!(&world.output.latest(), &world.model);
    }
}

/// A topic that is written, kept whole.
#[derive(Default)]
struct Log(Vec<(u8, i64, i64)>);

impl Log {
    fn latest(&self) -> Counts {
        self.0.iter().map(|&(key, count, time)| (key, (count, time))).collect()
    }
}

struct Sent<'a> {
    changelog: &'a mut Log,
    output: &'a mut Log,
}

impl RecordCollector for Sent<'_> {
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), CollectorError> {
        let count = i64::from_be_bytes(record.value.unwrap().try_into().unwrap());
        let sent = (record.key.unwrap()[0], count, record.timestamp.unwrap().value());
        match record.topic.kind {
            OutputKind::Changelog => self.changelog.0.push(sent),
            _ => self.output.0.push(sent),
        }
        Ok(())
    }
}

struct World {
    topology: Topology,
    task: Task,
    store: Arc<CommittedState>,
    cache: u64,
    /// Every record of the input, by offset.
    input: Vec<(u8, i64)>,
    /// Records processed by the task, and of them those that are committed.
    processed: usize,
    committed: usize,
    /// Counts of what is committed, and of what is processed.
    committed_model: Counts,
    model: Counts,
    changelog: Log,
    output: Log,
    /// What of the changelog and the output is committed.
    committed_logs: (usize, usize),
}

fn words() -> TopicPartition {
    TopicPartition::new("words", 0)
}

fn new_store() -> Arc<CommittedState> {
    Arc::new(CommittedState::open(&MemoryEngine::new(), "0_0/counts").unwrap())
}

fn now() -> Now {
    #[allow(clippy::disallowed_methods, reason = "no deadline is looked at")]
    let monotonic = Instant::now();
    Now { monotonic, wall: Timestamp(0) }
}

fn run(topology: &Topology, store: &Arc<CommittedState>, cache: u64) -> Task {
    let config = TaskConfig::new("app").cache(Arc::new(ByteBudget::new(cache)));
    let mut task = Task::new(topology, TaskId::new(0, 0), [words()], config).unwrap();
    task.run(vec![store.clone()]).unwrap();
    task
}

impl World {
    fn new(cache: u64) -> Self {
        let builder = StreamsBuilder::new();
        let words = builder.stream::<Vec<u8>, Vec<u8>>("words");
        words.group_by_key().count().to_stream().to("counts");
        let topology = builder.build().unwrap();
        let store = new_store();
        Self {
            task: run(&topology, &store, cache),
            topology,
            store,
            cache,
            input: Vec::new(),
            processed: 0,
            committed: 0,
            committed_model: Counts::new(),
            model: Counts::new(),
            changelog: Log::default(),
            output: Log::default(),
            committed_logs: (0, 0),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Batch(records) => {
                let first = self.input.len();
                self.input.extend(records);
                self.add(first);
            }
            Step::Process(max) => self.process(*max),
            Step::Commit => self.commit(),
            Step::Crash => self.crash(),
        }
    }

    /// Gives the task all input records from this offset on.
    fn add(&mut self, first: usize) {
        let records = self.input[first..].iter().copied().collect();
        let batch = Batch { records, next: Offset(first as i64), key: [0] };
        self.task.add_batch(&words(), Box::new(batch), now()).unwrap();
    }

    fn process(&mut self, max: usize) {
        let mut sent = Sent { changelog: &mut self.changelog, output: &mut self.output };
        let done = self.task.process_many(now(), max, &mut sent).unwrap();
        for &(key, time) in &self.input[self.processed..self.processed + done] {
            let (count, latest) = self.model.entry(key).or_insert((0, time));
            *count += 1;
            *latest = time.max(*latest);
        }
        self.processed += done;
    }

    fn commit(&mut self) {
        let mut sent = Sent { changelog: &mut self.changelog, output: &mut self.output };
        while self.task.flush_caches(&mut sent).unwrap() {}
        let offsets = self.task.offsets_to_commit();
        if let Some(offset) = offsets.get(&words()) {
            assert_eq!(offset.offset.value(), self.processed as i64);
        }
        let row = row(self.changelog.0.len());
        self.task.freeze(|_| Some(row.clone())).unwrap();
        self.task.committed();
        self.committed = self.processed;
        self.committed_model = self.model.clone();
        self.committed_logs = (self.changelog.0.len(), self.output.0.len());
    }

    /// As exactly-once has it: what was not committed is not in the topics.
    fn crash(&mut self) {
        self.task.close_dirty();
        self.changelog.0.truncate(self.committed_logs.0);
        self.output.0.truncate(self.committed_logs.1);
        self.processed = self.committed;
        self.model = self.committed_model.clone();
        self.store = new_store();
        let values: Vec<_> = self
            .changelog
            .0
            .iter()
            .map(|&(key, count, time)| ([key], count.to_be_bytes(), time))
            .collect();
        let records = values.iter().map(|(key, count, time)| RestoreRecord {
            key,
            value: Some(count),
            timestamp: Timestamp(*time),
        });
        self.store.restore(ValueFormat::Timestamped, records, &row(values.len())).unwrap();
        self.task = run(&self.topology, &self.store, self.cache);
        self.add(self.committed);
    }

    fn stored(&self) -> Counts {
        let all = millstream_state::KeyRange::all();
        let rows = self.store.range(&all, millstream_state::Direction::Forward).unwrap();
        rows.map(|row| {
            let (key, stored) = row.unwrap();
            let (time, count) = millstream_state::timestamped::split(&stored);
            let count = i64::from_be_bytes(count.try_into().unwrap());
            (key[0], (count, time.value()))
        })
        .collect()
    }
}

fn row(next_offset: usize) -> OffsetRow {
    OffsetRow {
        cluster_id: ClusterId::from("cluster"),
        topic_id: None,
        partition: PartitionId(0),
        next_offset: Offset(next_offset as i64),
        leader_epoch: None,
    }
}

struct Batch {
    records: VecDeque<(u8, i64)>,
    next: Offset,
    key: [u8; 1],
}

impl RecordBatch for Batch {
    fn next(&mut self) -> Option<RawRecord<'_>> {
        let (key, time) = self.records.pop_front()?;
        let offset = self.next;
        self.next = offset.plus(1);
        self.key = [key];
        Some(RawRecord {
            offset,
            timestamp: Timestamp(time),
            key: Some(&self.key),
            value: Some(b""),
            headers: Headers::new(),
        })
    }

    fn remaining(&self) -> usize {
        self.records.len()
    }

    fn next_offset(&self) -> Offset {
        self.next.plus(self.records.len() as i64)
    }

    fn leader_epoch(&self) -> Option<LeaderEpoch> {
        None
    }
}
