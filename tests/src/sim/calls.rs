//! Workload: calls that a test makes one at a time, and what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_client_core::admin::AdminCall;
use millstream_client_core::{CommandId, Completion, Engine, EngineConfig, Event};

use super::client::ClientId;
use super::net::NetProfile;
use super::world::{Script, World};

/// Longer than any call takes.
const LIMIT: Duration = Duration::from_secs(600);

/// A world, and clients that a test makes call one thing after another.
#[derive(Debug)]
pub struct Calls {
    /// The world, for what happens beside the calls.
    pub world: World,
    desk: Desk,
}

/// What has come back and was not taken yet.
#[derive(Debug, Default)]
struct Desk(BTreeMap<(ClientId, CommandId), Completion>);

impl Script for Desk {
    fn timer(&mut self, _world: &mut World, _timer: u64) {}

    fn event(&mut self, _world: &mut World, client: ClientId, event: Event) {
        if let Event::Completed(id, completion) = event {
            self.0.insert((client, id), completion);
        }
    }
}

impl Calls {
    /// A world in which nothing goes wrong unless the test has it so.
    #[must_use]
    pub fn new(seed: u64, nodes: i32) -> Self {
        Self::over(seed, nodes, NetProfile::calm())
    }

    /// A world with such a network.
    #[must_use]
    pub fn over(seed: u64, nodes: i32, profile: NetProfile) -> Self {
        Self { world: World::new(seed, nodes, profile), desk: Desk::default() }
    }

    /// Starts a client with default settings, adjusted.
    pub fn client(&mut self, adjust: impl FnOnce(&mut EngineConfig)) -> ClientId {
        let mut config = self.world.default_config("caller");
        adjust(&mut config);
        let parts = self.world.parts();
        self.world.add_client(Engine::new(&config, None, None), parts)
    }

    /// Makes a call; its result is taken later.
    pub fn post<T: 'static>(&mut self, client: ClientId, call: AdminCall<T>) -> CommandId {
        self.world.command(client, call)
    }

    /// What came of a call, if it is over.
    pub fn take<T: 'static>(&mut self, client: ClientId, call: CommandId) -> Option<T> {
        match self.desk.0.remove(&(client, call))? {
            Completion::Admin(completion) => AdminCall::read(completion),
            other => panic!("a call ended as {other:?}"),
        }
    }

    /// Makes a call and lets the world go on until it is over.
    ///
    /// # Panics
    /// If that takes more than ten minutes of the world's time.
    pub fn call<T: 'static>(&mut self, client: ClientId, call: AdminCall<T>) -> T {
        let text = format!("{call:?}");
        let call = self.post(client, call);
        let is_over = |_: &mut World, desk: &mut Desk| desk.0.contains_key(&(client, call));
        self.world.run_until(&mut self.desk, LIMIT, is_over);
        let Some(result) = self.take(client, call) else { panic!("{text} never ends") };
        result
    }

    /// Lets the world go on.
    pub fn run_for(&mut self, time: Duration) {
        self.world.run(&mut self.desk, time);
    }
}
