//! Workload: readers of whole partitions while producers write, nodes restart and leaders move.
//!
//! Each reader must get what the log holds: every record once, in order, none skipped.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_client_core::Event;
use millstream_client_core::backoff::Rng;
use millstream_client_core::consumer::{Batch, Next, ResetCause};
use millstream_types::TopicPartition;

use super::check::{Logged, Promise, Violation, check_reads, check_writes};
use super::client::ClientId;
use super::consuming::{Consuming, draw_config};
use super::inspect::number;
use super::nemesis::{Nemesis, PRODUCING, READING};
use super::net::{NetProfile, below, happens};
use super::plant::Plant;
use super::produce::{Producing, partitions};
use super::run::Outcome;
use super::world::{Script, World};

const NEMESIS: u64 = 1_000;
const PRODUCER: u64 = 2_000;

/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(20);

/// In what time a healed world brings something more to the readers. All of it may take longer: a
/// small buffer is refilled only once in `fetch.max.wait` where a broker has nothing else to send.
const LIMIT: Duration = Duration::from_secs(15);

/// A reader and what it got.
struct Reader {
    consuming: Consuming,
    rng: Rng,
    seen: BTreeMap<TopicPartition, Vec<Logged>>,
    /// Batches that the application has not dropped yet.
    kept: Vec<Batch>,
    kept_max: usize,
    paused: Vec<TopicPartition>,
    /// Things that it should not have been told.
    wrong: Vec<Violation>,
}

impl Reader {
    fn start(world: &mut World, number: u64, assigned: &[TopicPartition]) -> Self {
        let mut rng = world.fork_rng();
        let consuming = Consuming::start(world, &format!("reader-{number}"), draw_config(&mut rng));
        let assigned = assigned.iter().map(|partition| (partition.clone(), None)).collect();
        if let Err(error) = consuming.shared.assign(assigned) {
            panic!("{error}");
        }
        Self {
            consuming,
            kept_max: below(&mut rng, 4),
            rng,
            seen: BTreeMap::new(),
            kept: Vec::new(),
            paused: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// The application takes what there is, and sometimes dawdles.
    fn turn(&mut self, world: &mut World) {
        while let Some(next) = self.consuming.next(world.now()) {
            match next {
                Next::Records(batch) => self.take(batch, world.plant),
                Next::Reset { cause: ResetCause::NoPosition, .. } => {}
                other => self.wrong.push(Violation::Unfounded(format!("{other:?}"))),
            }
            if happens(&mut self.rng, 100_000) {
                break;
            }
        }
        self.kept.truncate(self.kept_max);
        if happens(&mut self.rng, 10_000) {
            self.pause_or_resume();
        }
    }

    fn take(&mut self, batch: Batch, plant: Plant) {
        let seen = self.seen.entry(batch.topic_partition().clone()).or_default();
        let records = batch.iter().map(|record| Logged {
            offset: record.offset.value(),
            value: number(record.value).unwrap_or(u64::MAX),
        });
        match plant {
            Plant::ReaderDropsBatch(at) if holds(&batch, at) => {}
            Plant::ReaderRepeatsBatch => {
                let records: Vec<_> = records.collect();
                seen.extend(records.iter().chain(&records));
            }
            _ => seen.extend(records),
        }
        self.kept.insert(0, batch);
    }

    fn pause_or_resume(&mut self) {
        let shared = &self.consuming.shared;
        let result = if self.paused.is_empty() {
            let all = shared.assignment();
            self.paused = all.into_iter().filter(|_| happens(&mut self.rng, 500_000)).collect();
            shared.pause(&self.paused)
        } else {
            shared.resume(&std::mem::take(&mut self.paused))
        };
        if let Err(error) = result {
            panic!("{error}");
        }
    }

    /// How many records it has got.
    fn count(&self) -> usize {
        self.seen.values().map(Vec::len).sum()
    }

    /// Whether it has got everything up to these ends.
    fn is_at(&self, logs: &BTreeMap<TopicPartition, Vec<Logged>>) -> bool {
        logs.iter().all(|(partition, log)| {
            let seen = self.seen.get(partition).and_then(|seen| seen.last());
            log.last().is_none_or(|last| seen.is_some_and(|seen| seen.offset >= last.offset))
        })
    }
}

/// Whether a batch has the record at this offset.
fn holds(batch: &Batch, offset: i64) -> bool {
    batch.iter().any(|record| record.offset.value() == offset)
}

/// A run of readers.
struct Run {
    producer: Producing,
    readers: Vec<Reader>,
    nemesis: Nemesis,
    topics: Vec<(&'static str, i32)>,
    is_over: bool,
}

impl Script for Run {
    fn timer(&mut self, world: &mut World, timer: u64) {
        match timer {
            NEMESIS if !self.is_over => {
                self.nemesis.strike(world);
                if let Some(wait) = self.nemesis.draw_wait() {
                    world.set_timer(wait, NEMESIS);
                }
            }
            PRODUCER if !self.is_over => {
                let wait = self.producer.turn(&self.topics);
                world.set_timer(wait, PRODUCER);
            }
            NEMESIS | PRODUCER => {}
            reader => {
                let index = reader as usize;
                self.readers[index].turn(world);
                let wait = 1_000 + self.readers[index].rng.below(20_000);
                world.set_timer(Duration::from_micros(wait), reader);
            }
        }
    }

    fn event(&mut self, _world: &mut World, _client: ClientId, event: Event) {
        self.producer.event(event);
    }
}

/// One seed of readers under faults.
#[must_use]
pub fn run(seed: u64, plant: Plant) -> Outcome {
    let mut rng = Rng::new(seed ^ 0x4ead);
    let profile = NetProfile::drawn(&mut rng);
    let mut world = World::new(seed, 1 + below(&mut rng, 3) as i32, profile);
    world.plant = plant;
    let topics = vec![("one", 1 + below(&mut rng, 4) as i32)];
    for (name, partitions) in &topics {
        world.create_topic(name, *partitions);
    }
    let all = partitions(&topics);
    let nemesis = Nemesis::new(rng.fork(), &[PRODUCING, READING, READING], all.clone());
    let producer = Producing::start(&mut world, 0, Promise::Idempotent);
    let readers = 1 + rng.below(2);
    let readers: Vec<_> =
        (0..readers).map(|number| Reader::start(&mut world, number, &all)).collect();
    for number in 0..readers.len() as u64 {
        world.set_timer(Duration::from_millis(1), number);
    }
    world.set_timer(Duration::from_millis(1), PRODUCER);
    let mut run = Run { producer, readers, nemesis, topics, is_over: false };
    if let Some(wait) = run.nemesis.draw_wait() {
        world.set_timer(wait, NEMESIS);
    }
    world.run(&mut run, CHAOS);
    let found = finish(&mut world, &mut run, &all);
    run.producer.count_seen(&mut world);
    Outcome::of(&world, found)
}

/// Ends the chaos: everything that is in the logs comes to every reader in time.
fn finish(world: &mut World, run: &mut Run, all: &[TopicPartition]) -> Vec<Violation> {
    let mut found = Vec::new();
    run.is_over = true;
    run.nemesis.heal(world);
    let limit = run.producer.timeout() + Duration::from_secs(1);
    if !world.run_until(run, limit, |_, run| run.producer.look() == 0) {
        found.push(Violation::Late("deliveries after all was healed".to_owned()));
    }
    for reader in &mut run.readers {
        if !reader.paused.is_empty() {
            reader.pause_or_resume();
        }
    }
    let logs: BTreeMap<_, _> =
        all.iter().map(|partition| (partition.clone(), world.read_log(partition))).collect();
    found.extend(check_writes(Promise::Idempotent, &run.producer.lanes(), &logs));
    let is_done = |_: &mut World, run: &mut Run| {
        run.readers.iter_mut().all(|reader| {
            if !reader.paused.is_empty() {
                reader.pause_or_resume();
            }
            reader.is_at(&logs)
        })
    };
    let seen = |run: &Run| run.readers.iter().map(Reader::count).sum();
    if !world.run_while_advancing(run, LIMIT, seen, is_done) {
        found.push(Violation::Late("reading after all was healed".to_owned()));
    }
    for reader in &run.readers {
        for (partition, log) in &logs {
            let seen = reader.seen.get(partition).map_or(&[][..], Vec::as_slice);
            found.extend(check_reads(partition, 0, seen, log, true));
            let next = log.last().map_or(0, |last| last.offset + 1);
            let position = reader.consuming.shared.position(partition);
            if position.is_none_or(|position| position.value() != next) {
                let text = format!("position {position:?} of {partition}, which ends at {next}");
                found.push(Violation::Unfounded(text));
            }
        }
        found.extend(reader.wrong.iter().cloned());
    }
    found
}
