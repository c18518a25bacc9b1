//! Workload: a group whose members join, leave and die while everything goes wrong.
//!
//! Every record is processed at least once, no partition belongs to two members of a generation, no
//! commit covers what nobody processed, and after the last fault the group comes to rest in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_client_core::Event;
use millstream_client_core::backoff::Rng;
use millstream_client_core::group::RebalanceProtocol;
use millstream_types::{TopicName, TopicPartition};

use super::check::{Logged, Promise, Violation, check_writes};
use super::client::ClientId;
use super::history::{
    History, Step, check_at_least_once, check_commits, check_order, check_ownership,
    check_processing,
};
use super::member::{GROUP, Member};
use super::nemesis::{MEMBERSHIP, Nemesis, PRODUCING, READING};
use super::net::{NetProfile, below, one_of};
use super::plant::Plant;
use super::produce::{Producing, partitions};
use super::run::Outcome;
use super::world::{Script, World};

const NEMESIS: u64 = 1_000;
const PRODUCER: u64 = 2_000;
const CHANGES: u64 = 3_000;

/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(40);

/// In what time a healed group has its partitions and has read all: requests that hang run into
/// their timeouts (at most 5 s), the session of a dead member ends (6 s), a member that waits for
/// the others rejoins (8 s), each perhaps after the other, and perhaps in two rebalances.
const LIMIT: Duration = Duration::from_secs(45);

/// How long a group at rest is watched.
const REST: Duration = Duration::from_secs(10);

/// How often it may turn out not to be at rest yet.
const RESTS: usize = 4;

/// The most members that take part at a time, and the most in all.
const MEMBERS_MAX: usize = 3;
const EVER_MAX: usize = 7;

/// A run of a group.
struct Run {
    producer: Producing,
    members: Vec<Member>,
    history: History,
    processed: BTreeSet<(TopicPartition, i64)>,
    counted_to: usize,
    nemesis: Nemesis,
    topics: Vec<(&'static str, i32)>,
    protocol: RebalanceProtocol,
    rng: Rng,
    is_over: bool,
}

impl Run {
    fn join(&mut self, world: &mut World) {
        let number = self.members.len();
        let topics = self.topics.iter().map(|(name, _)| TopicName::from(*name)).collect();
        let member = Member::start(world, number, self.protocol, topics);
        self.members.push(member);
        world.set_timer(Duration::from_millis(1), number as u64);
    }

    /// Somebody joins, leaves or dies.
    fn change(&mut self, world: &mut World) {
        let active: Vec<_> =
            self.members.iter().filter(|one| one.is_active).map(|one| one.number).collect();
        let can_join = active.len() < MEMBERS_MAX && self.members.len() < EVER_MAX;
        if can_join && (active.len() < 2 || self.rng.below(2) == 0) {
            self.join(world);
        } else if active.len() > 1 {
            let member = &mut self.members[active[below(&mut self.rng, active.len())]];
            match self.rng.below(2) {
                0 => member.close(world, &mut self.history),
                _ => member.kill(world, &mut self.history),
            }
        }
    }

    /// Whether the active members have all partitions, each one of them.
    fn is_settled(&self, all: &[TopicPartition]) -> bool {
        let owned: Vec<_> = self.members.iter().flat_map(|member| &member.owned).collect();
        owned.len() == all.len() && owned.into_iter().collect::<BTreeSet<_>>().len() == all.len()
    }

    /// Counts what happened for the table.
    fn count_seen(&self, world: &mut World) {
        let count = |wanted: fn(&Step) -> bool| {
            self.history.iter().filter(|(_, step)| wanted(step)).count() as u64
        };
        let assigned = count(|step| matches!(step, Step::Assigned { .. }));
        let gave_up = count(|step| matches!(step, Step::GaveUp(_)));
        let lost = count(|step| matches!(step, Step::Lost(_)));
        let processed = count(|step| matches!(step, Step::Processed(..)));
        let committed = count(|step| matches!(step, Step::Committed(..)));
        world.count_seen("assignments", assigned);
        world.count_seen("revocations", gave_up);
        world.count_seen("losses", lost);
        world.count_seen("commits", committed);
        world.count_seen("records processed again", processed - self.processed.len() as u64);
    }

    /// How many different records were processed.
    fn count_processed(&mut self) -> usize {
        for (_, step) in &self.history[self.counted_to..] {
            if let Step::Processed(partition, offset) = step {
                self.processed.insert((partition.clone(), *offset));
            }
        }
        self.counted_to = self.history.len();
        self.processed.len()
    }
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
            CHANGES if !self.is_over => {
                self.change(world);
                let wait = Duration::from_millis(200 + self.rng.below(8_000));
                world.set_timer(wait, CHANGES);
            }
            NEMESIS | PRODUCER | CHANGES => {}
            number => {
                let member = &mut self.members[number as usize];
                let wait = member.turn(world, &mut self.history);
                if member.is_active {
                    world.set_timer(wait, number);
                }
            }
        }
    }

    fn event(&mut self, _world: &mut World, client: ClientId, event: Event) {
        let member = self.members.iter_mut().find(|member| member.consuming.client == client);
        match member {
            Some(member) => member.event(event, &mut self.history),
            None => self.producer.event(event),
        }
    }
}

/// One seed of a group under faults.
#[must_use]
pub fn run(seed: u64, protocol: RebalanceProtocol, plant: Plant) -> Outcome {
    let mut rng = Rng::new(seed ^ 0x6409);
    let profile = NetProfile::drawn(&mut rng);
    let mut world = World::new(seed, 1 + below(&mut rng, 3) as i32, profile);
    world.plant = plant;
    let count = one_of(&mut rng, &[1, 2]);
    let topics: Vec<_> =
        ["one", "two"][..count].iter().map(|name| (*name, 1 + below(&mut rng, 4) as i32)).collect();
    for (name, partitions) in &topics {
        world.create_topic(name, *partitions);
    }
    let all = partitions(&topics);
    let nemesis =
        Nemesis::new(rng.fork(), &[PRODUCING, READING, MEMBERSHIP, MEMBERSHIP], all.clone());
    let producer = Producing::start(&mut world, 0, Promise::Idempotent);
    let mut run = Run {
        producer,
        members: Vec::new(),
        history: History::new(),
        processed: BTreeSet::new(),
        counted_to: 0,
        nemesis,
        topics,
        protocol,
        rng,
        is_over: false,
    };
    run.join(&mut world);
    world.set_timer(Duration::from_millis(1), PRODUCER);
    world.set_timer(Duration::from_millis(10), CHANGES);
    if let Some(wait) = run.nemesis.draw_wait() {
        world.set_timer(wait, NEMESIS);
    }
    world.run(&mut run, CHAOS);
    let found = finish(&mut world, &mut run, &all);
    run.producer.count_seen(&mut world);
    run.count_seen(&mut world);
    Outcome::of(&world, found)
}

/// Ends the chaos: the group comes to rest and catches up, then everybody leaves.
fn finish(world: &mut World, run: &mut Run, all: &[TopicPartition]) -> Vec<Violation> {
    let mut found = Vec::new();
    run.is_over = true;
    run.nemesis.heal(world);
    run.members.iter_mut().for_each(Member::hurry);
    let limit = run.producer.timeout() + Duration::from_secs(1);
    if !world.run_until(run, limit, |_, run| run.producer.look() == 0) {
        found.push(Violation::Late("deliveries after all was healed".to_owned()));
    }
    let logs: BTreeMap<_, _> =
        all.iter().map(|partition| (partition.clone(), world.read_log(partition))).collect();
    found.extend(check_writes(Promise::Idempotent, &run.producer.lanes(), &logs));
    let settled = |_: &mut World, run: &mut Run| run.is_settled(all);
    if !world.run_until(run, LIMIT, settled) {
        let owned: Vec<_> =
            run.members.iter().map(|member| (member.number, &member.owned)).collect();
        found.push(Violation::Late(format!("a stable group; owned are {owned:?}")));
    }
    let total: usize = logs.values().map(Vec::len).sum();
    let caught_up = |_: &mut World, run: &mut Run| run.count_processed() >= total;
    let progress = |run: &Run| run.history.len();
    if !world.run_while_advancing(run, LIMIT, progress, caught_up) {
        found.push(Violation::Late("processing after all was healed".to_owned()));
    }
    found.extend(rest(world, run));
    found.extend(leave(world, run, &logs));
    found.extend(check_ownership(&run.history));
    found.extend(check_processing(&run.history));
    found.extend(check_order(&run.history, &logs));
    found.extend(check_at_least_once(&run.history, &logs, true));
    found.extend(run.members.iter_mut().flat_map(|member| std::mem::take(&mut member.wrong)));
    found
}

/// The group comes to rest: after the last member that died or joined there is no rebalance more.
fn rest(world: &mut World, run: &mut Run) -> Option<Violation> {
    for _ in 0..RESTS {
        let before = run.history.len();
        world.run(run, REST);
        let restless = run.history[before..].iter().any(|(_, step)| {
            matches!(step, Step::Assigned { .. } | Step::GaveUp(_) | Step::Lost(_))
        });
        if !restless {
            return None;
        }
    }
    Some(Violation::Late("rest: the group goes on rebalancing".to_owned()))
}

/// Everybody leaves in peace: all that was processed is committed then.
fn leave(
    world: &mut World,
    run: &mut Run,
    logs: &BTreeMap<TopicPartition, Vec<Logged>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for index in 0..run.members.len() {
        if run.members[index].is_active {
            run.members[index].commit_positions();
            run.members[index].close(world, &mut run.history);
        }
    }
    let closed = |_: &mut World, run: &mut Run| run.members.iter().all(|member| member.is_closed);
    if !world.run_until(run, Duration::from_secs(12), closed) {
        found.push(Violation::Late("closing".to_owned()));
    }
    let committed = world.committed(GROUP);
    found.extend(check_commits(&run.history, &committed));
    for (partition, log) in logs {
        let end = log.last().map_or(0, |last| last.offset + 1);
        let at = committed.get(partition).copied().unwrap_or_default();
        run.history.push((usize::MAX, Step::Committed(partition.clone(), at)));
        if at != end {
            let text = format!("{at} is committed of {partition}, which ends at {end}");
            found.push(Violation::Unfounded(text));
        }
    }
    found
}
