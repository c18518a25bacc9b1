//! The nodes of the cluster.

use std::collections::BTreeMap;

use millstream_types::BrokerId;

/// One broker of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) alive: bool,
    /// Whether the cluster counts it in.
    pub(crate) registered: bool,
}

/// All brokers, dead ones too, and the controller where one was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Nodes(BTreeMap<BrokerId, Node>, Option<BrokerId>);

impl Nodes {
    /// Nodes with the ids 1 to `count`, all alive.
    pub(crate) fn new(count: i32) -> Self {
        let node = |id| Node {
            id: BrokerId(id),
            host: "localhost".to_owned(),
            port: 9092,
            alive: true,
            registered: true,
        };
        Self((1..=count).map(|id| (BrokerId(id), node(id))).collect(), None)
    }

    pub(crate) fn get(&self, id: BrokerId) -> Option<&Node> {
        self.0.get(&id)
    }

    pub(crate) fn node_mut(&mut self, id: BrokerId) -> Option<&mut Node> {
        self.0.get_mut(&id)
    }

    /// Whether a node is there and alive.
    pub(crate) fn is_alive(&self, id: BrokerId) -> bool {
        self.get(id).is_some_and(|node| node.alive && node.registered)
    }

    /// The ids of all nodes.
    pub(crate) fn ids(&self) -> impl Iterator<Item = BrokerId> {
        self.0.keys().copied()
    }

    /// The nodes that are alive, by id.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Node> {
        self.0.values().filter(|node| node.alive && node.registered)
    }

    /// Makes a node the controller, as long as it is alive.
    pub(crate) const fn move_controller(&mut self, id: BrokerId) {
        self.1 = Some(id);
    }

    /// The node that acts as the controller.
    pub(crate) fn controller(&self) -> BrokerId {
        let chosen = self.1.filter(|id| self.is_alive(*id));
        chosen.unwrap_or_else(|| self.alive().next().map_or(BrokerId(-1), |node| node.id))
    }

    /// The node that coordinates what `hash` names: each hash has a home, and the next node alive
    /// stands in for a dead one.
    pub(crate) fn coordinator(&self, hash: u32) -> Option<&Node> {
        let count = self.0.len().max(1);
        let home = hash as usize % count;
        let mut ring = self.0.values().cycle().skip(home).take(count);
        ring.find(|node| node.alive && node.registered)
    }
}
