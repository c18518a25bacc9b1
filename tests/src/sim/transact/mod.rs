//! Workload: applications with transactional ids begin, write, commit and abort under faults; their
//! hosts die, twins fence each other, coordinators move and load.
//!
//! Each application has an id, a group whose offsets go with its transactions, and any number of
//! producers one after another, or beside each other for as long as the coordinator lets them.

mod session;

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_client_core::Event;
use millstream_client_core::backoff::Rng;
use millstream_types::{ProducerEpoch, TopicPartition};

use super::atomicity::{Career, Transaction, check_transactions};
use super::check::Violation;
use super::client::ClientId;
use super::nemesis::{Nemesis, PRODUCING, TRANSACTING};
use super::net::{NetProfile, below, happens, one_of};
use super::produce::partitions;
use super::run::Outcome;
use super::world::{Script, World};
use session::Session;

/// The timers that are no application's.
const NEMESIS: u64 = 1_000;
const COORDINATORS: u64 = 1_001;

/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(40);

/// How long a transaction may stay open.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// When a healed world must have committed again: what is left open is aborted by its timeout first.
const CALM_LIMIT: Duration = Duration::from_secs(90);

/// How many transactions must be committed in calm.
const CALM_COMMITS: usize = 3;

/// The most producers that one application ever starts while things go wrong.
const SESSIONS_MAX: usize = 6;

/// One application: a transactional id and those that used it.
struct Application {
    id: String,
    sessions: Vec<Session>,
    rng: Rng,
    /// Counts the transactions of all its producers; committed as its group's offset.
    serial: i64,
    next_value: u64,
}

impl Application {
    fn new(world: &mut World, number: u64) -> Self {
        let mut application = Self {
            id: format!("id-{number}"),
            sessions: Vec::new(),
            rng: world.fork_rng(),
            serial: 0,
            next_value: number << 32,
        };
        application.start(world);
        application
    }

    /// Starts a producer; the ones before are fenced once it is initialised.
    fn start(&mut self, world: &mut World) {
        let session = Session::start(world, &self.id, self.rng.fork(), TRANSACTION_TIMEOUT);
        self.sessions.push(session);
    }

    /// One turn of all its producers; answers how long it pauses then.
    fn turn(&mut self, world: &mut World, topics: &[(&str, i32)], is_calm: bool) -> Duration {
        let latest = self.sessions.len() - 1;
        for (index, session) in self.sessions.iter_mut().enumerate() {
            let may_begin = index == latest || !is_calm;
            session.turn(world, topics, may_begin, &mut self.serial, &mut self.next_value);
        }
        let is_gone = self.sessions[latest].is_gone();
        if is_calm {
            if is_gone {
                self.start(world);
            }
        } else if self.sessions.len() < SESSIONS_MAX {
            if happens(&mut self.rng, 4_000) {
                self.sessions[latest].kill(world);
            } else if is_gone || happens(&mut self.rng, 3_000) {
                self.start(world);
            }
        }
        Duration::from_micros(self.rng.below(200_000))
    }

    /// Its transactions in the order in which they took effect. A producer that was started first
    /// may be initialised last, so the epochs in the logs tell the order of producers.
    fn career(&self, epochs: &BTreeMap<u64, ProducerEpoch>, committed: Option<i64>) -> Career {
        let mut producers: Vec<Vec<_>> =
            self.sessions.iter().map(|session| session.transactions().collect()).collect();
        producers.sort_by_key(|transactions| {
            let records = transactions.iter().flat_map(|one: &Transaction| &one.records);
            records.filter_map(|(_, value)| epochs.get(value)).min().copied()
        });
        Career { transactions: producers.concat(), committed }
    }
}

/// A run of applications.
struct Run {
    applications: Vec<Application>,
    nemesis: Nemesis,
    rng: Rng,
    topics: Vec<(&'static str, i32)>,
    is_calm: bool,
    is_over: bool,
}

impl Run {
    /// Something becomes of coordinators: one moves, or loads for a while.
    fn strike_coordinators(&mut self, world: &mut World) {
        let now = world.now();
        let nodes = world.cluster().nodes();
        let id = format!("id-{}", self.rng.below(self.applications.len() as u64));
        let node = nodes[below(&mut self.rng, nodes.len())];
        match self.rng.below(4) {
            0 => {
                let time = Duration::from_millis(self.rng.below(3_000));
                world.note(format_args!("the coordinator of {id} loads for {time:?}"));
                world.count_seen("loading coordinators", 1);
                world.cluster().load_transaction_coordinator(&id, time, now);
            }
            1 if happens(&mut self.rng, 200_000) => {
                let version = 1 + self.rng.below(2) as i16;
                world.note(format_args!("transaction.version is {version}"));
                world.count_seen("changes of version", 1);
                world.cluster().set_transaction_version(None, version);
            }
            _ => {
                if world.cluster().move_transaction_coordinator(&id, node, now).is_ok() {
                    world.note(format_args!("node {node} coordinates {id}"));
                    world.count_seen("coordinator moves", 1);
                }
            }
        }
        world.drain_cluster();
    }
}

impl Script for Run {
    fn timer(&mut self, world: &mut World, timer: u64) {
        match timer {
            NEMESIS => {
                if let Some(wait) = self.nemesis.draw_wait() {
                    self.nemesis.strike(world);
                    world.set_timer(wait, NEMESIS);
                }
            }
            COORDINATORS => {
                if let Some(wait) = self.nemesis.draw_wait() {
                    self.strike_coordinators(world);
                    world.set_timer(wait * 3, COORDINATORS);
                }
            }
            _ if self.is_over => {}
            number => {
                let application = &mut self.applications[number as usize];
                let wait = application.turn(world, &self.topics, self.is_calm);
                world.set_timer(wait, number);
            }
        }
    }

    fn event(&mut self, world: &mut World, client: ClientId, event: Event) {
        let mut sessions = self.applications.iter_mut().flat_map(|one| &mut one.sessions);
        if let Some(session) = sessions.find(|session| session.client() == client) {
            session.event(world, event);
        }
    }
}

/// One seed of transactional applications under faults.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let mut rng = Rng::new(seed ^ 0x7a45);
    let profile = NetProfile::drawn(&mut rng);
    let mut world = World::new(seed, 1 + below(&mut rng, 3) as i32, profile);
    prepare(&mut world, &mut rng);
    let topics = vec![("one", 1 + below(&mut rng, 3) as i32), ("two", 1)];
    for (name, partitions) in &topics {
        world.create_topic(name, *partitions);
    }
    world.create_topic(session::INPUT, 1);
    let all = partitions(&topics);
    let nemesis = Nemesis::new(rng.fork(), &[PRODUCING, TRANSACTING, TRANSACTING], all.clone());
    let count = 1 + rng.below(3);
    let applications = (0..count).map(|number| Application::new(&mut world, number)).collect();
    let mut run = Run { applications, nemesis, rng, topics, is_calm: false, is_over: false };
    for timer in (0..count).chain([NEMESIS, COORDINATORS]) {
        world.set_timer(Duration::from_millis(1), timer);
    }
    world.run(&mut run, CHAOS);
    let mut found = finish(&mut world, &mut run);
    found.extend(judge(&mut world, &run, &all));
    Outcome::of(&world, found)
}

fn judge(world: &mut World, run: &Run, all: &[TopicPartition]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut logs = BTreeMap::new();
    let mut epochs = BTreeMap::new();
    for partition in all {
        let log = world.read_committed_log(partition);
        if log.undecided > 0 {
            let text = format!("{} records of {partition} are undecided", log.undecided);
            found.push(Violation::Late(text));
        }
        logs.insert(partition.clone(), log.records);
        epochs.extend(log.epochs);
    }
    let careers: Vec<_> = run
        .applications
        .iter()
        .map(|one| one.career(&epochs, world.committed_serial(&one.id)))
        .collect();
    found.extend(check_transactions(&careers, &logs));
    found
}

/// The version of transactions, perhaps not the same on all nodes, and how long markers take.
fn prepare(world: &mut World, rng: &mut Rng) {
    let version = one_of(rng, &[1, 2, 2]);
    let nodes = world.cluster().nodes();
    let apart = happens(rng, 200_000).then(|| nodes[below(rng, nodes.len())]);
    let delay = Duration::from_millis(one_of(rng, &[0, 0, 20, 400]));
    world.note(format_args!("transaction.version {version}, not on {apart:?}, markers {delay:?}"));
    world.cluster().set_transaction_version(None, version);
    if let Some(node) = apart {
        world.cluster().set_transaction_version(Some(node), 3 - version);
    }
    world.cluster().set_marker_delay(delay);
}

/// Ends the chaos: all can commit again, every record has its end, and nothing is left open.
fn finish(world: &mut World, run: &mut Run) -> Vec<Violation> {
    let mut found = Vec::new();
    run.is_calm = true;
    run.nemesis.heal(world);
    let commits = |run: &Run| -> Vec<usize> {
        let of = |one: &Application| one.sessions.iter().map(Session::commits).sum();
        run.applications.iter().map(of).collect()
    };
    let before = commits(run);
    let enough = |_: &mut World, run: &mut Run| {
        commits(run).iter().zip(&before).all(|(now, before)| *now >= before + CALM_COMMITS)
    };
    if !world.run_until(run, CALM_LIMIT, enough) {
        let text = format!("commits in calm: {before:?}, then {:?}", commits(run));
        found.push(Violation::Late(text));
    }
    run.is_over = true;
    for application in &mut run.applications {
        application.sessions.iter_mut().for_each(|session| session.close(world));
    }
    let closed = |_: &mut World, run: &mut Run| {
        run.applications.iter().flat_map(|one| &one.sessions).all(Session::is_gone)
    };
    if !world.run_until(run, CALM_LIMIT, closed) {
        found.push(Violation::Late("closing".to_owned()));
    }
    // What killed producers left open is aborted by its timeout.
    world.run(run, TRANSACTION_TIMEOUT + Duration::from_secs(5));
    for session in run.applications.iter_mut().flat_map(|one| &mut one.sessions) {
        found.extend(session.check_deliveries());
        session.count_seen(world);
    }
    found
}

impl World {
    /// The offset that the group of an application has committed.
    fn committed_serial(&mut self, id: &str) -> Option<i64> {
        self.committed(&session::group(id)).into_values().next()
    }
}
