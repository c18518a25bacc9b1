//! What goes wrong and when: nodes die and return, leaders move, requests fail, networks part.

use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client_core::backoff::Rng;
use millstream_types::{BrokerId, TopicPartition};

use super::net::{NetProfile, below, happens, one_of};
use super::world::World;

/// Faults of requests that a nemesis may set, and the errors that fit each.
type Menu = &'static [(ApiKey, &'static [ErrorCode])];

/// What every client asks for.
pub const COMMON: Menu = &[(ApiKey::Metadata, &[]), (ApiKey::ApiVersions, &[])];

/// What a producer asks for.
pub const PRODUCING: Menu = &[
    (
        ApiKey::Produce,
        &[
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::NotEnoughReplicas,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::KafkaStorageError,
            ErrorCode::LeaderNotAvailable,
        ],
    ),
    (ApiKey::InitProducerId, &[ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotController]),
];

/// What a transactional producer asks for beside.
pub const TRANSACTING: Menu = &[
    (ApiKey::FindCoordinator, &[ErrorCode::CoordinatorNotAvailable]),
    (ApiKey::InitProducerId, TRANSACTION_ERRORS),
    (ApiKey::AddPartitionsToTxn, TRANSACTION_ERRORS),
    (ApiKey::AddOffsetsToTxn, TRANSACTION_ERRORS),
    (ApiKey::EndTxn, TRANSACTION_ERRORS),
    (
        ApiKey::TxnOffsetCommit,
        &[
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::RequestTimedOut,
        ],
    ),
];

const TRANSACTION_ERRORS: &[ErrorCode] = &[
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::NotCoordinator,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::ConcurrentTransactions,
];

/// What a reader asks for.
pub const READING: Menu = &[
    (
        ApiKey::Fetch,
        &[
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::OffsetNotAvailable,
            ErrorCode::KafkaStorageError,
            ErrorCode::UnknownTopicOrPartition,
        ],
    ),
    (
        ApiKey::ListOffsets,
        &[
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::LeaderNotAvailable,
            ErrorCode::OffsetNotAvailable,
            ErrorCode::UnknownTopicOrPartition,
        ],
    ),
    (
        ApiKey::OffsetForLeaderEpoch,
        &[ErrorCode::NotLeaderOrFollower, ErrorCode::UnknownLeaderEpoch],
    ),
];

/// What a member of a group asks for.
pub const MEMBERSHIP: Menu = &[
    (ApiKey::FindCoordinator, &[ErrorCode::CoordinatorNotAvailable]),
    (
        ApiKey::JoinGroup,
        &[
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::UnknownMemberId,
        ],
    ),
    (
        ApiKey::SyncGroup,
        &[
            ErrorCode::RebalanceInProgress,
            ErrorCode::NotCoordinator,
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::UnknownMemberId,
        ],
    ),
    (
        ApiKey::Heartbeat,
        &[
            ErrorCode::CoordinatorNotAvailable,
            ErrorCode::NotCoordinator,
            ErrorCode::RebalanceInProgress,
            ErrorCode::UnknownMemberId,
            ErrorCode::IllegalGeneration,
        ],
    ),
    (
        ApiKey::OffsetCommit,
        &[
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
            ErrorCode::RebalanceInProgress,
            ErrorCode::RequestTimedOut,
        ],
    ),
    (ApiKey::OffsetFetch, &[ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator]),
    (ApiKey::LeaveGroup, &[ErrorCode::NotCoordinator]),
];

/// What goes wrong in a run.
#[derive(Debug)]
pub struct Nemesis {
    rng: Rng,
    menu: Vec<(ApiKey, &'static [ErrorCode])>,
    partitions: Vec<TopicPartition>,
    dead: Vec<BrokerId>,
    /// Whether the network parts and nodes pause.
    cuts: bool,
    /// The mean time between two blows; `None`: nothing goes wrong.
    pace: Option<Duration>,
}

impl Nemesis {
    /// One that strikes requests of these menus and moves the leaders of these partitions.
    #[must_use]
    pub fn new(mut rng: Rng, menus: &[Menu], partitions: Vec<TopicPartition>) -> Self {
        let menu = COMMON.iter().chain(menus.iter().copied().flatten()).copied().collect();
        let pace = one_of(&mut rng, &[None, Some(5_000), Some(1_000), Some(300)]);
        Self {
            rng,
            menu,
            partitions,
            dead: Vec::new(),
            cuts: true,
            pace: pace.map(Duration::from_millis),
        }
    }

    /// One that holds nothing up.
    #[must_use]
    pub const fn without_cuts(mut self) -> Self {
        self.cuts = false;
        self
    }

    /// How long until the next blow.
    pub fn draw_wait(&mut self) -> Option<Duration> {
        let micros = self.pace?.as_micros() as u64;
        Some(Duration::from_micros(1 + self.rng.below(2 * micros)))
    }

    /// Something goes wrong, or is repaired.
    pub fn strike(&mut self, world: &mut World) {
        match self.rng.below(10) {
            0 => self.crash(world),
            1 | 2 => self.restart(world),
            3 => self.move_leader(world),
            4 if self.cuts => self.part(world),
            5 => world.heal_network(),
            _ => self.fail_request(world),
        }
    }

    fn crash(&mut self, world: &mut World) {
        let nodes = world.cluster().nodes();
        if self.dead.len() + 1 >= nodes.len() {
            return;
        }
        let node = nodes[below(&mut self.rng, nodes.len())];
        if !self.dead.contains(&node) {
            self.dead.push(node);
            world.crash_node(node);
        }
    }

    fn restart(&mut self, world: &mut World) {
        if !self.dead.is_empty() {
            let at = below(&mut self.rng, self.dead.len());
            world.restart_node(self.dead.remove(at));
        }
    }

    fn move_leader(&mut self, world: &mut World) {
        let nodes = world.cluster().nodes();
        let node = nodes[below(&mut self.rng, nodes.len())];
        let partition = self.partitions.get(below(&mut self.rng, self.partitions.len()));
        if let Some(partition) = partition.cloned() {
            world.move_leader(&partition, node);
        }
    }

    /// The network parts: a node takes nothing for a while, or does not reach one client.
    fn part(&mut self, world: &mut World) {
        let nodes = world.cluster().nodes();
        let node = nodes[below(&mut self.rng, nodes.len())];
        if happens(&mut self.rng, 300_000) {
            world.pause(node);
        } else if world.client_count() > 0 {
            let client = below(&mut self.rng, world.client_count());
            world.cut(client, node);
        }
    }

    fn fail_request(&mut self, world: &mut World) {
        let (api, errors) = self.menu[below(&mut self.rng, self.menu.len())];
        let fault = Fault::on(api).nth(1 + self.rng.below(4)).times(1 + self.rng.below(3));
        let (kind, fault) = match self.rng.below(8) {
            0 => ("delays", fault.delay(Duration::from_millis(self.rng.below(3_000)))),
            1 => ("drops", fault.drop()),
            2 => ("disconnects", fault.disconnect()),
            3 => ("disconnects after the deed", fault.apply_then_disconnect()),
            4 => ("silence after the deed", fault.apply_then_drop()),
            _ if errors.is_empty() => ("disconnects", fault.disconnect()),
            _ => ("errors", fault.error(errors[below(&mut self.rng, errors.len())])),
        };
        world.count_seen(kind, 1);
        world.fault(fault);
    }

    /// Everything is repaired, and nothing goes wrong any more.
    pub fn heal(&mut self, world: &mut World) {
        self.pace = None;
        for node in std::mem::take(&mut self.dead) {
            world.restart_node(node);
        }
        world.cluster().clear_faults();
        world.heal_network();
        world.profile = NetProfile::calm();
        world.note(format_args!("all is healed"));
    }
}

impl World {
    /// Kills a node; clients may not hear of it.
    pub fn crash_node(&mut self, node: BrokerId) {
        self.note(format_args!("node {node} crashes"));
        self.count_seen("node crashes", 1);
        let is_silent = happens(&mut self.rng, self.profile.dies_silently);
        for link in self.links.values_mut().filter(|link| link.node == node) {
            link.to_client.is_silent |= is_silent;
        }
        let now = self.now();
        if let Err(error) = self.cluster.crash_node(node, now) {
            panic!("{error}");
        }
        self.drain_cluster();
    }

    /// Starts a node again.
    pub fn restart_node(&mut self, node: BrokerId) {
        self.note(format_args!("node {node} restarts"));
        let now = self.now();
        if let Err(error) = self.cluster.restart_node(node, now) {
            panic!("{error}");
        }
        self.drain_cluster();
    }

    /// Makes a node lead a partition, if it can.
    pub fn move_leader(&mut self, partition: &TopicPartition, node: BrokerId) {
        let now = self.now();
        if self.cluster.move_leader(partition, node, now).is_ok() {
            self.note(format_args!("node {node} leads {partition}"));
            self.count_seen("leader moves", 1);
        }
        self.drain_cluster();
    }

    /// Lets something go wrong with requests.
    pub fn fault(&mut self, fault: Fault) {
        self.note(format_args!("set {fault:?}"));
        self.cluster.fault(fault);
    }

    /// A node takes nothing until the network heals; what is sent to it piles up.
    pub fn pause(&mut self, node: BrokerId) {
        self.note(format_args!("node {node} pauses"));
        self.count_seen("node pauses", 1);
        self.paused.insert(node);
    }

    /// A client and a node do not reach each other until the network heals.
    pub fn cut(&mut self, client: usize, node: BrokerId) {
        self.note(format_args!("c{client} and node {node} are cut off"));
        self.count_seen("cuts", 1);
        self.cut.insert((client, node));
    }

    /// Everybody reaches everybody; what was held up arrives.
    pub fn heal_network(&mut self) {
        if !self.paused.is_empty() || !self.cut.is_empty() {
            self.note(format_args!("the network heals"));
            self.paused.clear();
            self.cut.clear();
            self.release();
        }
    }

    /// How many clients were ever started.
    #[must_use]
    pub const fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// A client's host dies: its connections end, and perhaps nobody tells the nodes.
    pub fn kill_client(&mut self, client: super::client::ClientId) {
        let state = &mut self.clients[client.0];
        if !std::mem::replace(&mut state.is_alive, false) {
            return;
        }
        let connections: Vec<_> = state.links.keys().copied().collect();
        self.note(format_args!("{client} is killed"));
        self.count_seen("killed clients", 1);
        let is_silent = happens(&mut self.rng, 500_000);
        for connection in connections {
            if is_silent
                && let Some(id) = self.clients[client.0].links.get(&connection)
                && let Some(link) = self.links.get_mut(id)
            {
                link.to_node.is_silent = true;
            }
            self.close_at_client(client.0, connection);
        }
    }
}
