//! Which node coordinates a transactional id or a group: the leader of one of 50 slots, as the leaders
//! of `__transaction_state` and `__consumer_offsets` in Kafka. A slot has a home node; the next node
//! alive stands in for a dead one, and a test may move it. Whenever a slot's node changes its
//! coordinator epoch rises, and it may take a while to load.

use std::time::Instant;

use millstream_protocol::ErrorCode;
use millstream_types::BrokerId;

use super::node::Nodes;
use super::state::key_hash;

/// The slots of transactional ids (`transaction.state.log.num.partitions`), and of groups
/// (`offsets.topic.num.partitions`).
pub(crate) const SLOTS: u32 = 50;

/// The slot that holds a key.
pub(crate) fn slot_of(key: &str) -> u32 {
    key_hash(key) % SLOTS
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The node that a test chose.
    moved_to: Option<BrokerId>,
    /// The node that led it last.
    leader: Option<BrokerId>,
    epoch: i32,
    loading_until: Option<Instant>,
}

/// The leaders of all slots.
#[derive(Clone, Debug)]
pub(crate) struct Placement(Vec<Slot>);

impl Placement {
    pub(crate) fn new(nodes: &Nodes) -> Self {
        let slot = |slot| Slot {
            moved_to: None,
            leader: nodes.coordinator(slot).map(|node| node.id),
            epoch: 0,
            loading_until: None,
        };
        Self((0..SLOTS).map(slot).collect())
    }

    fn slot(&self, key: &str) -> Option<&Slot> {
        self.0.get(slot_of(key) as usize)
    }

    /// The node that coordinates `key`.
    pub(crate) fn coordinator(&self, key: &str) -> Option<BrokerId> {
        self.slot(key)?.leader
    }

    /// The epoch of the coordinator of `key`.
    pub(crate) fn epoch(&self, key: &str) -> i32 {
        self.slot(key).map_or(0, |slot| slot.epoch)
    }

    /// Until when the coordinator of `key` is loading.
    pub(crate) fn loading_until(&self, key: &str, now: Instant) -> Option<Instant> {
        self.slot(key)?.loading_until.filter(|until| *until > now)
    }

    /// Whether `node` loads any slot.
    pub(crate) fn is_loading(&self, node: BrokerId, now: Instant) -> bool {
        let mut own = self.0.iter().filter(|slot| slot.leader == Some(node));
        own.any(|slot| slot.loading_until.is_some_and(|until| until > now))
    }

    /// Whether `node` coordinates `key` and is ready to.
    ///
    /// # Errors
    /// Another node coordinates it, no node does, or it is loading.
    pub(crate) fn check(&self, node: BrokerId, key: &str, now: Instant) -> Result<(), ErrorCode> {
        match self.coordinator(key) {
            None => Err(ErrorCode::CoordinatorNotAvailable),
            Some(leader) if leader != node => Err(ErrorCode::NotCoordinator),
            Some(_) if self.loading_until(key, now).is_some() => {
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
            Some(_) => Ok(()),
        }
    }

    /// Moves the slot that holds `key`.
    pub(crate) fn move_to(&mut self, key: &str, node: BrokerId) {
        if let Some(slot) = self.0.get_mut(slot_of(key) as usize) {
            slot.moved_to = Some(node);
        }
    }

    /// Lets the coordinator of `key` load until then.
    pub(crate) fn load(&mut self, key: &str, until: Instant) {
        if let Some(slot) = self.0.get_mut(slot_of(key) as usize) {
            slot.loading_until = Some(until);
        }
    }

    /// What is loading by now is loaded.
    pub(crate) fn loaded(&mut self, now: Instant) {
        for slot in &mut self.0 {
            slot.loading_until = slot.loading_until.filter(|until| *until > now);
        }
    }

    /// Whether `node` coordinates `key`, by a placement that is told when slots are
    /// [`loaded`](Self::loaded).
    ///
    /// # Errors
    /// Another node coordinates it, no node does, or it is loading.
    pub(crate) fn check_told(&self, node: BrokerId, key: &str) -> Result<(), ErrorCode> {
        match self.slot(key).and_then(|slot| Some((slot.leader?, slot.loading_until))) {
            None => Err(ErrorCode::CoordinatorNotAvailable),
            Some((leader, _)) if leader != node => Err(ErrorCode::NotCoordinator),
            Some((_, Some(_))) => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(_) => Ok(()),
        }
    }

    /// Finds the leaders anew after nodes died, returned, or slots were moved; gives the slots that
    /// have another leader than before. They load until `loaded`.
    pub(crate) fn elect(&mut self, nodes: &Nodes, loaded: Instant) -> Vec<u32> {
        let mut changed = Vec::new();
        for (slot, home) in self.0.iter_mut().zip(0..) {
            let moved_to = slot.moved_to.filter(|id| nodes.is_alive(*id));
            let leader = moved_to.or_else(|| nodes.coordinator(home).map(|node| node.id));
            if leader != slot.leader {
                slot.leader = leader;
                slot.epoch += 1;
                slot.loading_until = Some(loaded);
                changed.push(home);
            }
        }
        changed
    }
}
