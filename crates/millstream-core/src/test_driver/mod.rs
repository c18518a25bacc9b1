//! `TopologyTestDriver`: runs a whole topology in memory, a record at a time.
//!
//! As Java's it runs all sub-topologies as one task on partition 0, commits after every processed
//! record, and feeds what is written to a topic that the topology reads back into it before the call
//! returns. It is the same [`Task`] that the runtime runs.

mod input;
mod output;
mod store;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_state::{CommittedState, Engine, MemoryEngine, StoreError, tree_name};
use millstream_types::{
    DefaultSerde, LeaderEpoch, Offset, Serde, SerdeError, Timestamp, TopicName, TopicPartition,
};

use crate::task::{
    CollectorError, Now, OutputRecord, RawRecord, RecordBatch, RecordCollector, RecordPart, Task,
    TaskConfig, TaskError, TaskIdle, TaskMetrics,
};
use crate::topology::{TaskId, Topology};

pub use input::TestInputTopic;
pub use output::{TestOutputTopic, TestRecord};
pub use store::KeyValueReader;

/// What the driver calls the application, unless it is told.
const APPLICATION_ID: &str = "topology-test-driver";

/// Runs a topology without Kafka, for tests.
///
/// ```
/// use millstream_core::{StreamsBuilder, TopologyTestDriver};
///
/// let builder = StreamsBuilder::new();
/// let words = builder.stream::<String, String>("words");
/// words.group_by_key().count().to_stream().to("counts");
/// let topology = builder.build()?;
///
/// let driver = TopologyTestDriver::new(&topology);
/// let words = driver.input::<String, String>("words");
/// let counts = driver.output::<String, i64>("counts");
/// words.pipe_at("a", "", 1_000);
/// words.pipe_at("b", "", 2_000);
/// words.pipe_at("a", "", 3_000);
/// counts.assert_next([("a", 1), ("b", 1), ("a", 2)]);
/// # Ok::<(), millstream_core::TopologyError>(())
/// ```
///
/// # Panics
/// Its methods and those of its topics panic where a test has gone wrong: a record that cannot be
/// processed, a topic that the topology does not read. [`TestInputTopic::try_pipe_record`] gives the
/// error instead.
pub struct TopologyTestDriver {
    world: Rc<RefCell<World>>,
}

/// A test that went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestDriverError {
    /// The topology does not read the topic.
    #[error("the topology does not read topic {topic}")]
    UnknownTopic {
        /// The topic.
        topic: TopicName,
    },
    /// The topology has no such store.
    #[error("the topology has no store {store}; it has {known:?}")]
    UnknownStore {
        /// The store.
        store: String,
        /// The stores it has.
        known: Vec<Arc<str>>,
    },
    /// A key or value could not be written or read.
    #[error("a {part} of topic {topic} has no such form: {source}")]
    Serde {
        /// The topic.
        topic: TopicName,
        /// What of the record.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// A store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task failed.
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl TopologyTestDriver {
    /// A driver with the defaults of the runtime.
    ///
    /// # Panics
    /// If the topology cannot be run.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        Self::with_config(topology, TaskConfig::new(APPLICATION_ID))
    }

    /// A driver whose task is told this. It never waits for inputs that have nothing.
    ///
    /// # Panics
    /// If the topology cannot be run.
    #[must_use]
    pub fn with_config(topology: &Topology, config: TaskConfig) -> Self {
        let world = checked(World::new(topology, config));
        Self { world: Rc::new(RefCell::new(world)) }
    }

    /// An input topic, written by the default serdes of its types.
    ///
    /// # Panics
    /// If the topology does not read it.
    #[must_use]
    pub fn input<K: DefaultSerde, V: DefaultSerde>(
        &self,
        topic: impl Into<TopicName>,
    ) -> TestInputTopic<K, V> {
        self.input_with(topic, K::default_serde(), V::default_serde())
    }

    /// An input topic.
    ///
    /// # Panics
    /// If the topology does not read it.
    #[must_use]
    pub fn input_with<K, V>(
        &self,
        topic: impl Into<TopicName>,
        key: Serde<K>,
        value: Serde<V>,
    ) -> TestInputTopic<K, V> {
        let topic = topic.into();
        checked(self.world.borrow().check_input(&topic));
        TestInputTopic::new(self.world.clone(), topic, key, value)
    }

    /// A topic that the topology writes, read by the default serdes of its types; also a changelog or
    /// a repartition topic.
    #[must_use]
    pub fn output<K: DefaultSerde, V: DefaultSerde>(
        &self,
        topic: impl Into<TopicName>,
    ) -> TestOutputTopic<K, V> {
        self.output_with(topic, K::default_serde(), V::default_serde())
    }

    /// A topic that the topology writes.
    #[must_use]
    pub fn output_with<K, V>(
        &self,
        topic: impl Into<TopicName>,
        key: Serde<K>,
        value: Serde<V>,
    ) -> TestOutputTopic<K, V> {
        TestOutputTopic::new(self.world.clone(), topic.into(), key, value)
    }

    /// A key-value store, read by the default serdes of its types.
    ///
    /// # Panics
    /// If the topology has no such store.
    #[must_use]
    pub fn key_value_store<K: DefaultSerde, V: DefaultSerde>(
        &self,
        store: &str,
    ) -> KeyValueReader<K, V> {
        self.key_value_store_with(store, K::default_serde(), V::default_serde())
    }

    /// A key-value store.
    ///
    /// # Panics
    /// If the topology has no such store.
    #[must_use]
    pub fn key_value_store_with<K, V>(
        &self,
        store: &str,
        key: Serde<K>,
        value: Serde<V>,
    ) -> KeyValueReader<K, V> {
        let world = self.world.borrow();
        let (spec, committed) = checked(world.store(store));
        KeyValueReader::new(spec, committed, key, value)
    }

    /// Moves the time of day on.
    pub fn advance_wall_clock(&self, by: Duration) {
        self.world.borrow_mut().advance(by);
    }

    /// The topics that anything was written to, with internal ones, by name.
    #[must_use]
    pub fn produced_topic_names(&self) -> Vec<TopicName> {
        self.world.borrow().written.keys().cloned().collect()
    }

    /// What the task counted.
    #[must_use]
    pub fn metrics(&self) -> TaskMetrics {
        let world = self.world.borrow();
        world.task.metrics().cloned().unwrap_or_default()
    }
}

impl fmt::Debug for TopologyTestDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopologyTestDriver").finish_non_exhaustive()
    }
}

/// Ends the test where it went wrong.
#[track_caller]
fn checked<T>(result: Result<T, TestDriverError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// A record as bytes.
type RawTestRecord = TestRecord<Vec<u8>, Vec<u8>>;

/// The task and the topics around it.
struct World {
    task: Task,
    stores: Vec<Arc<CommittedState>>,
    now: Now,
    /// The next offset of each input.
    inputs: BTreeMap<TopicName, Offset>,
    /// What was written and not read yet.
    written: BTreeMap<TopicName, VecDeque<RawTestRecord>>,
}

impl World {
    fn new(topology: &Topology, config: TaskConfig) -> Result<Self, TestDriverError> {
        let config = config.max_task_idle(TaskIdle::Disabled);
        let subtopologies = topology.subtopologies(&config.application_id);
        let topics: BTreeMap<TopicName, Offset> = subtopologies
            .iter()
            .flat_map(|sub| sub.input_topics())
            .map(|topic| (topic, Offset::ZERO))
            .collect();
        let inputs = topics.keys().map(|topic| TopicPartition::new(topic, 0)).collect();
        let id = TaskId::new(0, 0);
        let groups = (0..subtopologies.len()).collect();
        let mut task = Task::of_groups(topology, id, groups, inputs, config);
        let engine = MemoryEngine::new();
        let stores = open_stores(&task, &engine)?;
        task.run(stores.clone())?;
        Ok(Self {
            task,
            stores,
            now: Now { monotonic: epoch(), wall: Timestamp(0) },
            inputs: topics,
            written: BTreeMap::new(),
        })
    }

    fn check_input(&self, topic: &TopicName) -> Result<(), TestDriverError> {
        if self.inputs.contains_key(topic) {
            return Ok(());
        }
        Err(TestDriverError::UnknownTopic { topic: topic.clone() })
    }

    fn store(
        &self,
        name: &str,
    ) -> Result<(crate::StoreSpec, Arc<CommittedState>), TestDriverError> {
        let specs = self.task.stores();
        let mut stores = specs.iter().zip(&self.stores);
        match stores.find(|(spec, _)| &*spec.name == name) {
            Some((spec, committed)) => Ok((spec.clone(), committed.clone())),
            None => Err(TestDriverError::UnknownStore {
                store: name.to_owned(),
                known: specs.iter().map(|spec| spec.name.clone()).collect(),
            }),
        }
    }

    fn advance(&mut self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now.monotonic += by;
        self.now.wall = Timestamp(self.now.wall.value().saturating_add(millis));
    }

    /// Pipes a record in, and processes until nothing is left.
    fn pipe(&mut self, topic: &TopicName, record: RawTestRecord) -> Result<(), TestDriverError> {
        self.enqueue(topic, record)?;
        let mut sent = Sent::default();
        while self.task.process(self.now, &mut sent)? {
            while self.task.flush_caches(&mut sent)? {}
            self.task.freeze(|_| None)?;
            self.task.committed();
            for store in &self.stores {
                store.apply_frozen()?;
            }
            for (topic, record) in sent.0.drain(..) {
                if self.inputs.contains_key(&topic) {
                    self.enqueue(&topic, record.clone())?;
                }
                self.written.entry(topic).or_default().push_back(record);
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, topic: &TopicName, record: RawTestRecord) -> Result<(), TestDriverError> {
        let Some(next) = self.inputs.get_mut(topic) else {
            return Err(TestDriverError::UnknownTopic { topic: topic.clone() });
        };
        let offset = *next;
        *next = offset.plus(1);
        let batch = SingleRecord { offset, record, taken: false };
        let partition = TopicPartition::new(topic, 0);
        self.task.add_batch(&partition, Box::new(batch), self.now)?;
        Ok(())
    }
}

fn open_stores(task: &Task, engine: &dyn Engine) -> Result<Vec<Arc<CommittedState>>, StoreError> {
    let open = |store: &str| {
        let name = tree_name(&task.id().to_string(), store);
        CommittedState::open(engine, &name).map(Arc::new)
    };
    task.stores().iter().map(|spec| open(&spec.name)).collect()
}

/// Some instant for deadlines to be reckoned from: the driver's own clock starts there.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise; only differences to it count"
)]
fn epoch() -> Instant {
    Instant::now()
}

/// What the task sent, in order.
#[derive(Default)]
struct Sent(Vec<(TopicName, RawTestRecord)>);

impl RecordCollector for Sent {
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), CollectorError> {
        let sent = RawTestRecord {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp.unwrap_or(Timestamp::NONE),
            headers: record.headers.clone(),
        };
        self.0.push((record.topic.name.clone(), sent));
        Ok(())
    }
}

/// A batch of one record.
struct SingleRecord {
    offset: Offset,
    record: RawTestRecord,
    taken: bool,
}

impl RecordBatch for SingleRecord {
    fn next(&mut self) -> Option<RawRecord<'_>> {
        if std::mem::replace(&mut self.taken, true) {
            return None;
        }
        Some(RawRecord {
            offset: self.offset,
            timestamp: self.record.timestamp,
            key: self.record.key.as_deref(),
            value: self.record.value.as_deref(),
            headers: self.record.headers.clone(),
        })
    }

    fn remaining(&self) -> usize {
        usize::from(!self.taken)
    }

    fn next_offset(&self) -> Offset {
        self.offset.plus(1)
    }

    fn leader_epoch(&self) -> Option<LeaderEpoch> {
        None
    }
}
