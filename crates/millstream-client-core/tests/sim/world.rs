//! A world in virtual time: client engines and a broker cluster, with a network between them.
//!
//! The network delivers in order within a connection, after a random delay, in pieces of random
//! size. It can lose connections at random, with whatever is under way on them: so requests are
//! lost before they are applied, and answers after. Everything follows from the seed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_broker::{Cluster, ClusterConfig, ConnectionId as ServerId, Output};
use millstream_client_core::backoff::Rng;
use millstream_client_core::connection::{ConnectionId, Dial};
use millstream_client_core::consumer::ConsumerMachine;
use millstream_client_core::engine::Action;
use millstream_client_core::producer::ProducerMachine;
use millstream_client_core::{
    Command, CommandId, Completion, Endpoint, Engine, EngineConfig, Event,
};
use millstream_protocol::frame::FrameDecoder;
use millstream_types::{BrokerId, Timestamp};

/// How the network behaves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// How long bytes are under way.
    pub(crate) latency: Range<Duration>,
    /// How often, of a thousand deliveries, the connection breaks instead.
    pub(crate) cut_per_mille: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { latency: Duration::from_micros(50)..Duration::from_millis(2), cut_per_mille: 0 }
    }
}

/// Names a client of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(usize);

/// Engines, brokers and the network between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    start: Instant,
    rng: Rng,
    clients: Vec<Client>,
    wires: BTreeMap<Wire, Ends>,
    queue: BTreeMap<(Instant, u64), (Wire, Delivery)>,
    next_delivery: u64,
    next_wire: u64,
    next_command: u64,
    /// Steps since time last went on.
    spins: u32,
}

/// How much may happen at one moment.
const SPINS_MAX: u32 = 10_000;

struct Client {
    engine: Engine,
    wires: BTreeMap<ConnectionId, Wire>,
    completions: BTreeMap<CommandId, Completion>,
    events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wire(u64);

/// The two ends of a connection.
struct Ends {
    client: ClientId,
    connection: ConnectionId,
    node: BrokerId,
    server: Option<ServerId>,
    decoder: FrameDecoder,
    /// What was sent later must not arrive earlier, in each direction.
    last_up: Instant,
    last_down: Instant,
}

enum Delivery {
    Accept,
    Up(Bytes),
    Down(Bytes),
    Close,
}

/// Where the virtual brokers listen: `node-1:9092`.
pub(crate) fn bootstrap(nodes: i32) -> Vec<Endpoint> {
    (1..=nodes).map(|node| Endpoint { host: format!("node-{node}"), port: 9092 }).collect()
}

impl World {
    /// A cluster of `nodes` and no clients yet.
    pub(crate) fn new(seed: u64, nodes: i32) -> Self {
        println!("seed {seed}");
        let mut config = ClusterConfig::default();
        config.nodes = nodes;
        config.seed = seed;
        config.auto_create_topics = false;
        Self::with_cluster(seed, config)
    }

    #[expect(clippy::disallowed_methods, reason = "the start of virtual time")]
    pub(crate) fn with_cluster(seed: u64, config: ClusterConfig) -> Self {
        let now = Instant::now();
        let mut cluster = Cluster::new(config, now, Timestamp(1_700_000_000_000));
        for node in cluster.nodes() {
            cluster.set_address(node, format!("node-{node}"), 9092).unwrap();
        }
        Self {
            now,
            cluster,
            network: Network::default(),
            start: now,
            rng: Rng::new(seed),
            clients: Vec::new(),
            wires: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_delivery: 0,
            next_wire: 0,
            next_command: 0,
            spins: 0,
        }
    }

    /// The defaults of a client of this world.
    pub(crate) fn config(&mut self) -> EngineConfig {
        let nodes = self.cluster.config().nodes;
        let mut config = EngineConfig::new(bootstrap(nodes));
        config.seed = self.rng.next();
        config
    }

    /// Adds a client.
    pub(crate) fn client(
        &mut self,
        config: &EngineConfig,
        producer: Option<ProducerMachine>,
        consumer: Option<ConsumerMachine>,
    ) -> ClientId {
        self.clients.push(Client {
            engine: Engine::new(config, producer, consumer),
            wires: BTreeMap::new(),
            completions: BTreeMap::new(),
            events: Vec::new(),
        });
        ClientId(self.clients.len() - 1)
    }

    /// Kills a client without a word: its connections break.
    pub(crate) fn kill(&mut self, id: ClientId) {
        let wires: Vec<_> = self.clients[id.0].wires.values().copied().collect();
        for wire in wires {
            self.drop_wire(wire);
        }
        let config = EngineConfig::new(Vec::new());
        self.clients[id.0].engine = Engine::new(&config, None, None);
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A number below `bound`, from the world's seed.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.wires.len()
    }

    /// How many connections were ever tried.
    pub(crate) fn connections_made(&self) -> u64 {
        self.next_wire
    }

    pub(crate) fn engine(&self, id: ClientId) -> &Engine {
        &self.clients[id.0].engine
    }

    /// Calls a client.
    pub(crate) fn post(&mut self, id: ClientId, command: impl Into<Command>) -> CommandId {
        let command_id = CommandId(self.next_command);
        self.next_command += 1;
        self.clients[id.0].engine.handle_command(self.now, command_id, command.into());
        self.settle();
        command_id
    }

    /// Calls a client and lets the world run until it answers.
    pub(crate) fn call(&mut self, id: ClientId, command: impl Into<Command>) -> Completion {
        let command_id = self.post(id, command);
        self.run_until("the call returns", |world| world.is_complete(id, command_id));
        self.take(id, command_id).unwrap()
    }

    /// Whether a call has returned.
    pub(crate) fn is_complete(&self, id: ClientId, command: CommandId) -> bool {
        self.clients[id.0].completions.contains_key(&command)
    }

    /// What a call returned, if it did.
    pub(crate) fn take(&mut self, id: ClientId, command: CommandId) -> Option<Completion> {
        self.clients[id.0].completions.remove(&command)
    }

    /// What a client said unasked since the last call.
    pub(crate) fn events(&mut self, id: ClientId) -> Vec<Event> {
        std::mem::take(&mut self.clients[id.0].events)
    }

    /// Lets the world run until `condition` holds; fails after an hour of its time.
    pub(crate) fn run_until(&mut self, what: &str, condition: impl Fn(&mut Self) -> bool) {
        let limit = self.now + Duration::from_secs(3600);
        self.settle();
        while !condition(self) {
            assert!(self.step(limit), "not within an hour: {what}");
        }
    }

    /// Lets this much time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        self.settle();
        while self.step(limit) {}
        self.now = limit;
    }

    /// Goes to the next thing that happens, not past `limit`. Returns whether there was one.
    fn step(&mut self, limit: Instant) -> bool {
        let delivery = self.queue.keys().next().map(|(at, _)| *at);
        let timers = self.clients.iter().map(|client| client.engine.poll_timeout());
        let all = timers.chain([delivery, self.cluster.next_timeout()]);
        let Some(next) = all.flatten().min().filter(|next| *next <= limit) else {
            return false;
        };
        self.spins = if next > self.now { 0 } else { self.spins + 1 };
        assert!(self.spins < SPINS_MAX, "time stands still: somebody is due for ever");
        self.now = self.now.max(next);
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= self.now
        {
            let (wire, delivery) = entry.remove();
            self.deliver(wire, delivery);
        }
        self.cluster.handle_timeout(self.now);
        self.settle();
        true
    }

    /// Lets everyone act until nobody has anything to do at this moment.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut busy = false;
            for at in 0..self.clients.len() {
                self.clients[at].engine.poll(self.now);
                busy |= self.serve_client(ClientId(at));
            }
            while let Some((server, output)) = self.cluster.poll_output() {
                busy = true;
                self.serve_output(server, output);
            }
            if !busy {
                return;
            }
        }
    }

    fn serve_client(&mut self, id: ClientId) -> bool {
        let mut busy = false;
        while let Some(action) = self.clients[id.0].engine.poll_action() {
            busy = true;
            match action {
                Action::Dial(dial) => self.dial(id, &dial),
                Action::Close(connection) => {
                    if let Some(wire) = self.clients[id.0].wires.get(&connection).copied() {
                        self.drop_wire(wire);
                    }
                }
            }
        }
        while let Some(connection) = self.clients[id.0].engine.poll_writable() {
            busy = true;
            self.transmit(id, connection);
        }
        let client = &mut self.clients[id.0];
        while let Some(event) = client.engine.poll_event() {
            busy = true;
            match event {
                Event::Completed(command, completion) => {
                    client.completions.insert(command, completion);
                }
                event => client.events.push(event),
            }
        }
        busy
    }

    fn dial(&mut self, client: ClientId, dial: &Dial) {
        let node = dial.endpoint.host.strip_prefix("node-").unwrap().parse().unwrap();
        let wire = Wire(self.next_wire);
        self.next_wire += 1;
        let ends = Ends {
            client,
            connection: dial.connection,
            node: BrokerId(node),
            server: None,
            decoder: FrameDecoder::new(100 << 20),
            last_up: self.now,
            last_down: self.now,
        };
        self.wires.insert(wire, ends);
        self.clients[client.0].wires.insert(dial.connection, wire);
        self.send(wire, Delivery::Accept);
    }

    fn transmit(&mut self, id: ClientId, connection: ConnectionId) {
        let engine = &mut self.clients[id.0].engine;
        let Some(transmit) = engine.transmit(connection) else {
            return;
        };
        let mut slices = [std::io::IoSlice::new(&[]); 64];
        let count = transmit.slices(&mut slices);
        let mut bytes = Vec::new();
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        if bytes.is_empty() {
            return;
        }
        engine.handle_written(connection, bytes.len());
        let more = engine.transmit(connection).is_some_and(|left| !left.is_empty());
        if let Some(wire) = self.clients[id.0].wires.get(&connection).copied() {
            self.send_in_pieces(wire, bytes.into(), Delivery::Up);
        }
        if more {
            self.transmit(id, connection);
        }
    }

    fn serve_output(&mut self, server: ServerId, output: Output) {
        let mut wires = self.wires.iter();
        let Some((wire, _)) = wires.find(|(_, ends)| ends.server == Some(server)) else {
            return;
        };
        let wire = *wire;
        match output {
            Output::Frame(frame) => self.send_in_pieces(wire, frame.into_bytes(), Delivery::Down),
            Output::Close => self.send(wire, Delivery::Close),
        }
    }

    fn send_in_pieces(&mut self, wire: Wire, mut bytes: Bytes, piece: impl Fn(Bytes) -> Delivery) {
        while !bytes.is_empty() {
            let whole = self.rng.below(4) > 0;
            let length = bytes.len();
            let cut = self.rng.below(length as u64);
            let cut = if whole { length } else { usize::try_from(cut).unwrap() + 1 };
            self.send(wire, piece(bytes.split_to(cut)));
        }
    }

    fn send(&mut self, wire: Wire, delivery: Delivery) {
        let Range { start, end } = self.network.latency;
        let spread = u64::try_from((end - start).as_micros()).unwrap();
        let latency = start + Duration::from_micros(self.rng.below(spread));
        let Some(ends) = self.wires.get_mut(&wire) else {
            return;
        };
        let last = match delivery {
            Delivery::Accept | Delivery::Up(_) => &mut ends.last_up,
            Delivery::Down(_) | Delivery::Close => &mut ends.last_down,
        };
        *last = (*last).max(self.now + latency);
        self.queue.insert((*last, self.next_delivery), (wire, delivery));
        self.next_delivery += 1;
    }

    fn deliver(&mut self, wire: Wire, delivery: Delivery) {
        if self.rng.below(1000) < self.network.cut_per_mille {
            return self.break_wire(wire, "the network broke the connection");
        }
        let Some(ends) = self.wires.get_mut(&wire) else {
            return;
        };
        let (client, connection) = (ends.client.0, ends.connection);
        match delivery {
            Delivery::Accept => {
                ends.server = Some(self.cluster.connect(ends.node));
                self.clients[client].engine.handle_connected(self.now, connection);
            }
            Delivery::Up(bytes) => {
                let Some(server) = ends.server else { return };
                ends.decoder.extend(&bytes);
                while let Some(frame) = ends.decoder.next_frame().unwrap() {
                    self.cluster.handle_frame(server, self.now, frame);
                }
            }
            Delivery::Down(bytes) => {
                self.clients[client].engine.handle_bytes(self.now, connection, &bytes);
            }
            Delivery::Close => self.break_wire(wire, "the broker closed the connection"),
        }
    }

    /// A connection breaks; both ends notice.
    fn break_wire(&mut self, wire: Wire, reason: &str) {
        if let Some(ends) = self.drop_wire(wire) {
            let engine = &mut self.clients[ends.client.0].engine;
            engine.handle_disconnected(self.now, ends.connection, reason);
        }
    }

    fn drop_wire(&mut self, wire: Wire) -> Option<Ends> {
        let ends = self.wires.remove(&wire)?;
        self.clients[ends.client.0].wires.remove(&ends.connection);
        if let Some(server) = ends.server {
            self.cluster.disconnect(server);
        }
        Some(ends)
    }
}
