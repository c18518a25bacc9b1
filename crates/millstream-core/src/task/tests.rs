//! Tasks as a runtime drives them: batches and time in, records and offsets out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use millstream_state::OffsetRow;
use millstream_state::{ByteBudget, CommittedState, MemoryEngine, RestoreRecord};
use millstream_types::{ClusterId, Headers, LeaderEpoch, Offset, Timestamp, TopicPartition};

use super::*;
use crate::{Consumed, StreamsBuilder};

/// Records of one partition: offset, time, key, value.
struct TestBatch {
    records: Vec<(i64, i64, &'static str, &'static str)>,
    taken: usize,
    next_offset: i64,
}

impl RecordBatch for TestBatch {
    fn next(&mut self) -> Option<RawRecord<'_>> {
        let (offset, time, key, value) = *self.records.get(self.taken)?;
        self.taken += 1;
        Some(RawRecord {
            offset: Offset(offset),
            timestamp: Timestamp(time),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: Headers::new(),
        })
    }

    fn remaining(&self) -> usize {
        self.records.len() - self.taken
    }

    fn next_offset(&self) -> Offset {
        Offset(self.next_offset)
    }

    fn leader_epoch(&self) -> Option<LeaderEpoch> {
        Some(LeaderEpoch(4))
    }
}

/// What was sent, as text; refuses topics whose name contains `refuse`.
#[derive(Default)]
struct Sent {
    lines: String,
    refuse: Option<&'static str>,
}

#[derive(Debug, thiserror::Error)]
#[error("no room")]
struct NoRoom;

impl RecordCollector for Sent {
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), CollectorError> {
        let topic = record.topic.name.as_str();
        if self.refuse.is_some_and(|refused| topic.contains(refused)) {
            return Err(CollectorError::new(NoRoom));
        }
        let text = |bytes: Option<&[u8]>| {
            bytes.map_or_else(|| "null".into(), |b| b.escape_ascii().to_string())
        };
        let partition = record.partition.map_or(-1, |partition| partition.value());
        let time = record.timestamp.unwrap();
        let (key, value) = (text(record.key), text(record.value));
        self.lines.push_str(&format!("{topic} {partition} {time} {key} {value}\n"));
        Ok(())
    }
}

impl Sent {
    #[track_caller]
    fn check(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.lines));
    }
}

fn copy_of(topics: &[&'static str]) -> Topology {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::<String, String>::default();
    builder.stream_of(topics.iter().copied(), consumed).to("out");
    builder.build().unwrap()
}

fn count() -> Topology {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("words");
    words.group_by_key().count().to_stream().to("out");
    builder.build().unwrap()
}

fn words() -> TopicPartition {
    TopicPartition::new("words", 3)
}

fn id() -> TaskId {
    TaskId::new(0, 3)
}

fn now() -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a base for deadlines")]
    let monotonic = *START.get_or_init(Instant::now);
    Now { monotonic, wall: Timestamp(0) }
}

fn batch(
    records: impl IntoIterator<Item = (i64, i64, &'static str, &'static str)>,
) -> Box<TestBatch> {
    let records: Vec<_> = records.into_iter().collect();
    let next_offset = records.last().map_or(0, |record| record.0 + 1);
    Box::new(TestBatch { records, taken: 0, next_offset })
}

fn running(topology: &Topology, inputs: &[TopicPartition], config: TaskConfig) -> Task {
    let mut task = Task::new(topology, id(), inputs.to_vec(), config).unwrap();
    task.run(Vec::new()).unwrap();
    task
}

/// A task over one store, restored from nothing.
fn counting(config: TaskConfig) -> (Task, Arc<CommittedState>) {
    let engine = MemoryEngine::new();
    let store = Arc::new(CommittedState::open(&engine, "0_3/counts").unwrap());
    let mut task = Task::new(&count(), id(), [words()], config).unwrap();
    task.run(vec![store.clone()]).unwrap();
    (task, store)
}

fn config() -> TaskConfig {
    TaskConfig::new("app")
}

fn process_all(task: &mut Task, out: &mut Sent) -> usize {
    task.process_many(now(), usize::MAX, out).unwrap()
}

#[test]
fn the_smallest_time_is_next() {
    let topics = ["a", "b", "c"];
    let inputs = topics.map(|topic| TopicPartition::new(topic, 3));
    let mut task = running(&copy_of(&topics), &inputs, config());
    let mut out = Sent::default();
    task.add_batch(&inputs[0], batch([(0, 10, "a", "0"), (1, 30, "a", "1")]), now()).unwrap();
    task.add_batch(&inputs[1], batch([(7, 20, "b", "7"), (8, 5, "b", "8")]), now()).unwrap();
    let buffered = task.add_batch(&inputs[2], batch([(2, 25, "c", "2")]), now()).unwrap();
    assert_eq!(buffered, 1);
    assert!(task.process(now(), &mut out).unwrap());
    assert_eq!(task.stream_time(), Timestamp(10));
    assert_eq!(task.buffered(&inputs[0]), 1);
    // Once b is empty, nothing is known of it, and the default is to wait.
    assert_eq!(process_all(&mut task, &mut out), 2);
    for input in &inputs {
        task.update_lag(input, Some(0)).unwrap();
    }
    assert_eq!(process_all(&mut task, &mut out), 2);
    out.check(expect![[r#"
        out -1 10 a 0
        out -1 20 b 7
        out -1 5 b 8
        out -1 25 c 2
        out -1 30 a 1
    "#]]);
    assert_eq!(task.stream_time(), Timestamp(30));
}

#[test]
fn empty_inputs_are_waited_for_as_long_as_they_are_worth_it() {
    let inputs = ["a", "b"].map(|topic| TopicPartition::new(topic, 3));
    let idle = TaskIdle::For(Duration::from_secs(2));
    let mut task = running(&copy_of(&["a", "b"]), &inputs, config().max_task_idle(idle));
    let later =
        |seconds| Now { monotonic: now().monotonic + Duration::from_secs(seconds), ..now() };
    let mut out = Sent::default();
    let mut ready = |task: &mut Task, seconds| task.process(later(seconds), &mut out).unwrap();
    task.add_batch(&inputs[0], batch([(0, 1, "a", "0"), (1, 2, "a", "1")]), now()).unwrap();
    assert!(!ready(&mut task, 0), "nothing is known of b");
    task.update_lag(&inputs[1], Some(1)).unwrap();
    assert!(!ready(&mut task, 100), "b has more on the broker");
    task.update_lag(&inputs[1], Some(0)).unwrap();
    assert!(!ready(&mut task, 100), "b is drained: waited for from now on");
    assert!(!ready(&mut task, 101));
    assert!(ready(&mut task, 102));
    assert!(ready(&mut task, 102));
    assert!(!ready(&mut task, 102), "nothing is left");
}

#[test]
fn offsets_are_those_of_the_next_record_with_epoch_and_time() {
    let mut task = running(&copy_of(&["words"]), &[words()], config());
    let mut out = Sent::default();
    assert!(task.offsets_to_commit().is_empty());
    let mut with_gap = batch([(4, 1_000, "a", "x"), (6, 900, "a", "y")]);
    with_gap.next_offset = 9;
    task.add_batch(&words(), with_gap, now()).unwrap();
    assert!(!task.commit_needed());
    task.process(now(), &mut out).unwrap();
    assert!(task.commit_needed());
    let expected = |offset| OffsetAndMetadata {
        offset: Offset(offset),
        leader_epoch: Some(LeaderEpoch(4)),
        metadata: "AgAAAAAAAAPo".to_owned(),
    };
    assert_eq!(task.offsets_to_commit()[&words()], expected(6));
    task.process(now(), &mut out).unwrap();
    assert_eq!(task.offsets_to_commit()[&words()], expected(9));
    // Control records behind the batch: the consumer got further than any record.
    task.update_position(&words(), Offset(11), Some(LeaderEpoch(4))).unwrap();
    assert_eq!(task.offsets_to_commit()[&words()], expected(11));
    task.update_position(&words(), Offset(11), None).unwrap();
    assert_eq!(task.offsets_to_commit()[&words()], expected(11));
    // The consumer was reset: what comes now is what is committed.
    task.add_batch(&words(), batch([(2, 1_000, "a", "z")]), now()).unwrap();
    task.process(now(), &mut out).unwrap();
    assert_eq!(task.offsets_to_commit()[&words()], expected(3));
    task.committed();
    assert!(!task.commit_needed() && task.offsets_to_commit().is_empty());
}

#[test]
fn partition_time_is_taken_over_from_what_was_committed() {
    let mut task = running(&copy_of(&["words"]), &[words()], config());
    let committed = OffsetAndMetadata {
        offset: Offset(5),
        leader_epoch: None,
        metadata: "AgAAAAAAAAPo".to_owned(),
    };
    task.set_committed(&words(), &committed).unwrap();
    task.add_batch(&words(), batch([(5, 10, "a", "x")]), now()).unwrap();
    task.process(now(), &mut Sent::default()).unwrap();
    assert_eq!(task.offsets_to_commit()[&words()].metadata, "AgAAAAAAAAPo");
}

#[test]
fn a_commit_flushes_logs_freezes_and_restores() {
    let (mut task, store) = counting(config());
    let mut out = Sent::default();
    let records = [(0, 10, "a", ""), (1, 20, "b", ""), (2, 5, "a", "")];
    task.add_batch(&words(), batch(records), now()).unwrap();
    process_all(&mut task, &mut out);
    out.check(expect![""]);
    assert!(task.flush_caches(&mut out).unwrap());
    assert!(!task.flush_caches(&mut out).unwrap());
    out.check(expect![[r#"
        app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog 3 20 b \x00\x00\x00\x00\x00\x00\x00\x01
        out -1 20 b \x00\x00\x00\x00\x00\x00\x00\x01
        app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog 3 10 a \x00\x00\x00\x00\x00\x00\x00\x02
        out -1 10 a \x00\x00\x00\x00\x00\x00\x00\x02
    "#]]);
    assert_eq!(store.get(b"a").unwrap(), None, "not committed yet");

    let row = OffsetRow {
        cluster_id: ClusterId::from("c"),
        topic_id: None,
        partition: id().partition,
        next_offset: Offset(2),
        leader_epoch: None,
    };
    let given = row.clone();
    task.freeze(|spec| {
        assert_eq!(&*spec.name, "KSTREAM-AGGREGATE-STATE-STORE-0000000001");
        Some(given.clone())
    })
    .unwrap();
    task.committed();
    assert_eq!(store.offset_row().unwrap(), Some(row));
    assert_eq!(store.get(b"a").unwrap().unwrap()[8..], 2_i64.to_be_bytes());

    // A new task goes on from what is committed, and from what is restored behind it.
    task.suspend().unwrap();
    task.close().unwrap();
    let mut task = Task::new(&count(), id(), [words()], config()).unwrap();
    task.restore().unwrap();
    let two = 2_i64.to_be_bytes();
    let restored = RestoreRecord { key: b"b", value: Some(&two), timestamp: Timestamp(30) };
    let row = store.offset_row().unwrap().unwrap();
    store.restore(task.stores()[0].format, [restored], &row).unwrap();
    task.run(vec![store]).unwrap();
    task.add_batch(&words(), batch([(3, 1, "b", "")]), now()).unwrap();
    process_all(&mut task, &mut out);
    task.flush_caches(&mut out).unwrap();
    out.check(expect![[r#"
        app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog 3 30 b \x00\x00\x00\x00\x00\x00\x00\x03
        out -1 30 b \x00\x00\x00\x00\x00\x00\x00\x03
    "#]]);
}

#[test]
fn a_full_cache_forwards_while_records_are_processed() {
    // Room for about one entry.
    let (mut task, _store) = counting(config().cache(Arc::new(ByteBudget::new(100))));
    let mut out = Sent::default();
    let records = [(0, 1, "a", ""), (1, 2, "a", ""), (2, 3, "b", "")];
    task.add_batch(&words(), batch(records), now()).unwrap();
    process_all(&mut task, &mut out);
    out.check(expect![[r#"
        app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog 3 2 a \x00\x00\x00\x00\x00\x00\x00\x02
        out -1 2 a \x00\x00\x00\x00\x00\x00\x00\x02
        app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog 3 3 b \x00\x00\x00\x00\x00\x00\x00\x01
        out -1 3 b \x00\x00\x00\x00\x00\x00\x00\x01
    "#]]);
}

#[test]
fn what_is_not_committed_is_gone_after_a_dirty_close() {
    let (mut task, store) = counting(config());
    let mut out = Sent::default();
    task.add_batch(&words(), batch([(0, 1, "a", "")]), now()).unwrap();
    process_all(&mut task, &mut out);
    task.flush_caches(&mut out).unwrap();
    task.close_dirty();
    assert_eq!(task.state(), TaskState::Closed);
    assert_eq!(store.get(b"a").unwrap(), None);
    assert!(task.process(now(), &mut out).is_err());
}

#[test]
fn a_failed_task_is_never_resumed() {
    let (mut task, _store) = counting(config());
    let mut out = Sent { refuse: Some("changelog"), ..Sent::default() };
    task.add_batch(&words(), batch([(0, 1, "a", ""), (1, 1, "a", "")]), now()).unwrap();
    process_all(&mut task, &mut out);
    let error = task.flush_caches(&mut out).unwrap_err();
    assert_eq!(error.class(), TaskErrorClass::Collector);
    assert!(error.collector_error().unwrap().downcast_ref::<NoRoom>().is_some());
    expect![
        "the changelog of store KSTREAM-AGGREGATE-STATE-STORE-0000000001 refused a record: no room"
    ]
    .assert_eq(&error.to_string());
    let error = task.process(now(), &mut out).unwrap_err();
    assert_eq!(error.class(), TaskErrorClass::Corrupted);
    expect!["task 0_3 was interrupted in the middle of a record; close it dirty and build it anew"]
        .assert_eq(&error.to_string());
    assert!(task.offsets_to_commit().is_empty());
    task.close_dirty();
}

#[test]
fn a_panic_in_user_code_corrupts_the_task() {
    let builder = StreamsBuilder::new();
    let words_stream = builder.stream::<String, String>("words");
    words_stream.foreach(|_, _| panic!("user code"));
    let topology = builder.build().unwrap();
    let mut task = running(&topology, &[words()], config());
    task.add_batch(&words(), batch([(0, 1, "a", ""), (1, 1, "a", "")]), now()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        task.process(now(), &mut Sent::default())
    }));
    assert!(panicked.is_err());
    let error = task.process(now(), &mut Sent::default()).unwrap_err();
    assert_eq!(error.class(), TaskErrorClass::Corrupted);
    task.close_dirty();
}

#[test]
fn wrong_calls_are_refused() {
    let topology = count();
    let check = |error: TaskError, expected: Expect| expected.assert_eq(&error.to_string());
    let error = Task::new(&topology, TaskId::new(1, 0), [words()], config()).unwrap_err();
    check(
        error,
        expect![
            "there is no sub-topology for task 1_0; was the task assigned by an instance with another topology?"
        ],
    );
    let mut task = Task::new(&topology, id(), [words()], config()).unwrap();
    check(task.run(Vec::new()).unwrap_err(), expect!["task 0_3 has 1 stores, not 0"]);
    let error = task.process(now(), &mut Sent::default()).unwrap_err();
    check(error, expect!["task 0_3 is created: it takes no records and has nothing to commit"]);
    check(task.close().unwrap_err(), expect!["task 0_3 is created and cannot close"]);
    let (mut task, _store) = counting(config());
    let other = TopicPartition::new("words", 4);
    let error = task.add_batch(&other, batch([]), now()).unwrap_err();
    check(error, expect!["task 0_3 does not read words-4"]);
}

#[test]
fn a_commit_is_asked_for_when_uncommitted_rows_take_too_much_room() {
    let config = config().uncommitted(Arc::new(ByteBudget::new(1)));
    let config = config.cache(Arc::new(ByteBudget::new(0)));
    let (mut task, _store) = counting(config);
    let mut out = Sent::default();
    task.add_batch(&words(), batch((0..9).map(|n| (n, n, "a", ""))), now()).unwrap();
    assert!(!task.commit_requested());
    assert_eq!(process_all(&mut task, &mut out), 1);
    assert!(task.commit_requested());
}
