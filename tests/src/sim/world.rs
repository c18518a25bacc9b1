//! The world of a simulation: one cluster, its clients, the network between them, and one clock.
//!
//! Everything happens at a moment of virtual time and in one order: what is due first comes first,
//! and what was scheduled first among equals. All chance is drawn from one seed, each part of the
//! world from a generator of its own, so that a draw more here shifts nothing there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_broker::{Cluster, ClusterConfig};
use millstream_client_core::backoff::{Backoff, Rng};
use millstream_client_core::config::Endpoint;
use millstream_client_core::engine::Action;
use millstream_client_core::producer::Clock;
use millstream_client_core::{Command, CommandId, Engine, EngineConfig, Event};
use millstream_types::BrokerId;

use super::client::{Bell, Client, ClientId, Parts, SimClock, SimWorkers};
use super::net::{Arrival, Direction, Link, LinkId, NetProfile};
use super::plant::Plant;
use super::trace::Trace;

/// The port of every node; their hosts are called `node-1`, `node-2` and so on.
const PORT: u16 = 9092;

/// How many things may happen at one moment before time is said to stand still.
const AT_ONE_MOMENT_MAX: u32 = 50_000;

/// How often an engine may be polled at one moment before it is said never to rest.
const ROUNDS_MAX: u32 = 1_000;

/// What a test does in a world, and what it is told of.
pub trait Script {
    /// A timer that the script set has come.
    fn timer(&mut self, world: &mut World, timer: u64);

    /// A client's engine says something.
    fn event(&mut self, world: &mut World, client: ClientId, event: Event);
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// An attempt to connect gets its answer.
    Dialled { link: LinkId, is_refused: bool },
    /// Something arrives at one end of a connection.
    Arrives { link: LinkId, direction: Direction, arrival: Arrival },
    /// A connection breaks: both sides are told, what is under way is lost.
    Breaks { link: LinkId },
    /// A client's socket takes bytes again.
    Writable { link: LinkId },
    /// A client's workers compress a batch.
    Seals { client: usize },
    /// A timer of the script.
    Timer(u64),
}

/// One broker cluster, any number of clients, one clock, and what lies between.
#[derive(Debug)]
pub struct World {
    pub(super) cluster: Cluster,
    pub(super) clock: Arc<SimClock>,
    pub(super) clients: Vec<Client>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) at_node: BTreeMap<millstream_broker::ConnectionId, LinkId>,
    queue: BTreeMap<(Instant, u64), Happening>,
    next_sequence: u64,
    next_link: u64,
    pub(super) profile: NetProfile,
    /// What the network's choices are drawn from.
    pub(super) rng: Rng,
    seeds: Rng,
    pub(super) trace: Trace,
    /// Nodes that take nothing for now.
    pub(super) paused: BTreeSet<BrokerId>,
    /// Clients that do not reach a node for now.
    pub(super) cut: BTreeSet<(usize, BrokerId)>,
    pub(super) plant: Plant,
    events: VecDeque<(ClientId, Event)>,
    moment: (Duration, u32),
}

impl World {
    /// A world of its own for each seed.
    #[must_use]
    pub fn new(seed: u64, nodes: i32, profile: NetProfile) -> Self {
        let mut seeds = Rng::new(seed);
        let clock = SimClock::new();
        let mut config = ClusterConfig::default();
        config.nodes = nodes;
        config.seed = seeds.next();
        config.auto_create_topics = false;
        let mut cluster = Cluster::new(config, clock.now(), clock.wall());
        for node in cluster.nodes() {
            let host = format!("node-{node}");
            if let Err(error) = cluster.set_address(node, host, PORT) {
                panic!("{error}");
            }
        }
        Self {
            cluster,
            clock,
            clients: Vec::new(),
            links: BTreeMap::new(),
            at_node: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_sequence: 0,
            next_link: 0,
            profile,
            rng: seeds.fork(),
            seeds,
            trace: Trace::default(),
            paused: BTreeSet::new(),
            cut: BTreeSet::new(),
            plant: Plant::default(),
            events: VecDeque::new(),
            moment: (Duration::ZERO, 0),
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How much virtual time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// What happened so far.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notes something of the test's own.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let at = self.clock.elapsed();
        self.trace.note(at, what);
    }

    /// Counts something that shall happen in some seed or other.
    pub fn count_seen(&mut self, what: &'static str, times: u64) {
        self.trace.count_seen(what, times);
    }

    /// A generator for one more part of the world.
    pub fn fork_rng(&mut self) -> Rng {
        self.seeds.fork()
    }

    /// The cluster, for controls that need no time.
    pub const fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Creates a topic.
    pub fn create_topic(&mut self, name: &str, partitions: i32) {
        if let Err(error) = self.cluster.create_topic(name, partitions) {
            panic!("{error}");
        }
    }

    /// The settings of an engine that gives up soon what fell silent, so that it does not outlast
    /// the run.
    pub fn engine_config(&mut self, client_id: &str) -> EngineConfig {
        let mut config = self.default_config(client_id);
        config.request_timeout = Duration::from_millis(1_000 + self.seeds.below(4_000));
        config.setup_timeout = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        config
    }

    /// Default settings: the nodes to start from, and a seed of its own.
    pub fn default_config(&mut self, client_id: &str) -> EngineConfig {
        let bootstrap = self.cluster.nodes().into_iter();
        let bootstrap = bootstrap.map(|node| Endpoint { host: format!("node-{node}"), port: PORT });
        let mut config = EngineConfig::new(bootstrap.collect());
        config.client_id = client_id.to_owned();
        config.seed = self.seeds.next();
        config
    }

    /// What the machines of a new client are built with.
    #[must_use]
    pub fn parts(&self) -> Parts {
        Parts {
            clock: Arc::clone(&self.clock),
            bell: Arc::new(Bell::default()),
            workers: Arc::new(SimWorkers::default()),
        }
    }

    /// Starts a client.
    pub fn add_client(&mut self, engine: Engine, parts: Parts) -> ClientId {
        let id = self.clients.len();
        let Parts { bell, workers, .. } = parts;
        self.clients.push(Client {
            engine,
            bell,
            workers,
            next_command: 0,
            is_alive: true,
            is_sealing: false,
            links: BTreeMap::new(),
        });
        self.note(format_args!("c{id} starts"));
        self.pump(id);
        ClientId(id)
    }

    /// Lets the application of a client call its engine.
    pub fn command(&mut self, client: ClientId, command: impl Into<Command>) -> CommandId {
        let now = self.now();
        let state = &mut self.clients[client.0];
        let id = CommandId(state.next_command);
        state.next_command += 1;
        if state.is_alive {
            state.engine.handle_command(now, id, command.into());
            self.pump(client.0);
        }
        id
    }

    /// The requests that a client has sent so far.
    #[must_use]
    pub fn requests_sent(&self, client: ClientId) -> u64 {
        self.clients[client.0].engine.requests_sent()
    }

    /// How many connections a client has open.
    #[must_use]
    pub fn connections(&self, client: ClientId) -> usize {
        self.clients[client.0].links.len()
    }

    /// How many connections were ever tried.
    #[must_use]
    pub const fn dials(&self) -> u64 {
        self.next_link
    }

    /// A timer of the script.
    pub fn set_timer(&mut self, after: Duration, timer: u64) {
        self.schedule(self.now() + after, Happening::Timer(timer));
    }

    pub(super) fn schedule(&mut self, at: Instant, what: Happening) {
        self.queue.insert((at, self.next_sequence), what);
        self.next_sequence += 1;
    }

    /// Lets the world go on for `time`.
    pub fn run(&mut self, script: &mut impl Script, time: Duration) {
        let until = self.now() + time;
        self.settle(script);
        while self.step(until) {
            self.settle(script);
        }
        self.clock.advance_to(until);
    }

    /// Lets the world go on until `done`, for `limit` at most. Answers whether it came to that.
    pub fn run_until<S: Script>(
        &mut self,
        script: &mut S,
        limit: Duration,
        mut done: impl FnMut(&mut Self, &mut S) -> bool,
    ) -> bool {
        let until = self.now() + limit;
        self.settle(script);
        while !done(self, script) {
            if !self.step(until) {
                self.clock.advance_to(until);
                return done(self, script);
            }
            self.settle(script);
        }
        true
    }

    /// As [`run_until`](Self::run_until), where `limit` begins anew with each advance of `progress`:
    /// for work of unknown length.
    pub fn run_while_advancing<S: Script>(
        &mut self,
        script: &mut S,
        limit: Duration,
        mut progress: impl FnMut(&S) -> usize,
        mut done: impl FnMut(&mut Self, &mut S) -> bool,
    ) -> bool {
        loop {
            let before = progress(script);
            if self.run_until(script, limit, &mut done) {
                return true;
            }
            if progress(script) == before {
                return false;
            }
        }
    }

    /// Hands out what engines say, and wakes those whose bell was rung, until all is quiet.
    fn settle(&mut self, script: &mut impl Script) {
        loop {
            while let Some((client, event)) = self.events.pop_front() {
                script.event(self, client, event);
            }
            while let Some(timer) = self.take_due_timer() {
                script.timer(self, timer);
            }
            let rung =
                self.clients.iter().position(|client| client.is_alive && client.bell.is_rung());
            match rung {
                Some(client) => self.pump(client),
                None if self.events.is_empty() => return,
                None => {}
            }
        }
    }

    /// The timer of the script that stands first in the queue, if it is due.
    fn take_due_timer(&mut self) -> Option<u64> {
        let now = self.now();
        let entry = self.queue.first_entry()?;
        if entry.key().0 > now || !matches!(entry.get(), Happening::Timer(_)) {
            return None;
        }
        match entry.remove() {
            Happening::Timer(timer) => Some(timer),
            _ => None,
        }
    }

    /// Lets the next thing happen. Answers whether there was one before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let cluster = self.cluster.next_timeout();
        let timeouts = self.clients.iter().enumerate().filter(|(_, client)| client.is_alive);
        let timeouts =
            timeouts.filter_map(|(id, client)| Some((client.engine.poll_timeout()?, id)));
        let client = timeouts.min();
        let first = [queued, cluster, client.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(first) = first.filter(|first| *first <= until) else {
            return false;
        };
        self.clock.advance_to(first);
        self.watch_time();
        let now = self.now();
        if queued.is_some_and(|at| at <= now) {
            if !matches!(self.queue.first_key_value(), Some((_, Happening::Timer(_))))
                && let Some((_, what)) = self.queue.pop_first()
            {
                self.happen(what);
            }
        } else if cluster.is_some_and(|at| at <= now) {
            self.cluster.handle_timeout(now);
            self.drain_cluster();
        } else if let Some((_, id)) = client.filter(|(at, _)| *at <= now) {
            self.pump(id);
        }
        true
    }

    /// Time must go on: whoever is due at once over and over would burn a processor.
    fn watch_time(&mut self) {
        let at = self.clock.elapsed();
        if self.moment.0 != at {
            self.moment = (at, 0);
        }
        self.moment.1 += 1;
        if self.moment.1 > AT_ONE_MOMENT_MAX {
            let timeouts: Vec<_> =
                self.clients.iter().map(|client| client.engine.poll_timeout()).collect();
            panic!("time stands still; timeouts of clients: {timeouts:?}\n{}", self.trace.tail(40));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Dialled { link, is_refused } => self.dialled(link, is_refused),
            Happening::Arrives { link, direction, arrival } => {
                self.arrive(link, direction, arrival);
            }
            Happening::Breaks { link } => self.break_link(link),
            Happening::Writable { link } => {
                if let Some(Link { client, at_client, is_open_at_client: true, .. }) =
                    self.links.get(&link)
                {
                    let (client, at_client) = (*client, *at_client);
                    self.write(client, at_client);
                }
            }
            Happening::Seals { client } => {
                let state = &mut self.clients[client];
                state.is_sealing = false;
                let is_alive = state.is_alive;
                if is_alive && state.workers.run_one() {
                    self.note(format_args!("c{client} sealed a batch"));
                    self.pump(client);
                }
            }
            Happening::Timer(_) => {}
        }
    }

    /// Polls an engine until it has nothing more to do without waiting.
    pub(super) fn pump(&mut self, id: usize) {
        let now = self.now();
        let mut did = String::new();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "c{id} never rests; {did}\n{}", self.trace.tail(40));
            let client = &mut self.clients[id];
            if !client.is_alive {
                return;
            }
            client.bell.take();
            client.engine.poll(now);
            let mut is_busy = false;
            while let Some(action) = self.clients[id].engine.poll_action() {
                is_busy = true;
                match action {
                    Action::Dial(dial) => self.dial(id, &dial),
                    Action::Close(connection) => self.close_at_client(id, connection),
                }
            }
            while let Some(connection) = self.clients[id].engine.poll_writable() {
                is_busy = true;
                self.write(id, connection);
            }
            while let Some(event) = self.clients[id].engine.poll_event() {
                is_busy = true;
                let is_last = matches!(event, Event::Finished);
                self.events.push_back((ClientId(id), event));
                if is_last {
                    return self.end_client(id);
                }
            }
            if round + 1 == ROUNDS_MAX {
                let engine = &self.clients[id].engine;
                did = format!("its sockets or events: {is_busy}; {engine:#?}");
            }
            if !is_busy && !self.clients[id].bell.is_rung() {
                break;
            }
        }
        self.seal_soon(id);
    }

    /// A client says that its work is done: its driver ends and its connections close.
    fn end_client(&mut self, id: usize) {
        self.note(format_args!("c{id} is finished"));
        self.clients[id].is_alive = false;
        let connections: Vec<_> = self.clients[id].links.keys().copied().collect();
        for connection in connections {
            self.close_at_client(id, connection);
        }
    }

    /// Has the workers of a client compress what waits, a little later.
    fn seal_soon(&mut self, id: usize) {
        let client = &mut self.clients[id];
        if client.is_sealing || client.workers.is_empty() {
            return;
        }
        client.is_sealing = true;
        let at = self.now() + Duration::from_micros(self.rng.below(2_000));
        self.schedule(at, Happening::Seals { client: id });
    }

    /// The next name of a connection.
    pub(super) const fn draw_link(&mut self) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        id
    }
}
