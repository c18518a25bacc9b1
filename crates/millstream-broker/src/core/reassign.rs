//! Partitions that move to other replicas (KIP-455), and elections of leaders (KIP-460).
//!
//! There is nothing to copy, so a move takes the time that the cluster was told
//! (`ClusterConfig::reassignment_time`), none by default. The rules are those of
//! `ReplicationControlManager` and `PartitionReassignmentReplicas`.

use std::time::Instant;

use millstream_protocol::ErrorCode;
use millstream_types::BrokerId;

use super::node::Nodes;
use super::state::{Refused, State};
use super::timers::Timer;
use super::topic::Partition;

/// A move that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reassignment {
    /// The replicas before the move.
    original: Vec<BrokerId>,
    /// Those after it.
    target: Vec<BrokerId>,
    due: Instant,
}

impl Reassignment {
    /// The replicas that are new.
    pub(crate) fn adding(&self) -> impl Iterator<Item = BrokerId> {
        without(&self.target, &self.original)
    }

    /// The replicas that will be gone.
    pub(crate) fn removing(&self) -> impl Iterator<Item = BrokerId> {
        without(&self.original, &self.target)
    }
}

fn without(these: &[BrokerId], those: &[BrokerId]) -> impl Iterator<Item = BrokerId> {
    these.iter().copied().filter(|id| !those.contains(id))
}

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica alive, where nobody leads.
    Unclean,
}

impl Partition {
    /// Begins a move; one that is under way is replaced.
    fn begin_move(&mut self, target: Vec<BrokerId>, due: Instant) {
        let original = match self.reassignment.take() {
            Some(running) => running.original,
            None => self.replicas.clone(),
        };
        let running = Reassignment { original, target, due };
        self.replicas = running.target.iter().copied().chain(running.removing()).collect();
        self.reassignment = Some(running);
    }

    /// Ends a move: the replicas are those that were wanted, or with `cancel` those before it.
    fn end_move(&mut self, nodes: &Nodes, cancel: bool) {
        let Some(running) = self.reassignment.take() else {
            return;
        };
        self.replicas = if cancel { running.original } else { running.target };
        let alive = self.replicas.iter().copied().filter(|id| nodes.is_alive(*id));
        let isr: Vec<_> = alive.collect();
        // The last in-sync replica stays in the set though it is dead.
        self.isr =
            if isr.is_empty() { self.replicas.iter().take(1).copied().collect() } else { isr };
        if self.leader.is_none_or(|leader| !self.isr.contains(&leader)) {
            self.leader = self.isr.iter().copied().find(|id| nodes.is_alive(*id));
        }
        // Replicas that go make the controller raise the epoch even where the leader stays.
        self.begin_epoch();
    }

    /// Elects a leader.
    pub(crate) fn elect(&mut self, election: Election, nodes: &Nodes) -> Result<(), ErrorCode> {
        match election {
            Election::Preferred => {
                let preferred = self.replicas.first().copied();
                if self.leader.is_some() && self.leader == preferred {
                    return Err(ErrorCode::ElectionNotNeeded);
                }
                let fit = preferred.filter(|id| self.isr.contains(id) && nodes.is_alive(*id));
                self.lead(fit.ok_or(ErrorCode::PreferredLeaderNotAvailable)?);
            }
            Election::Unclean => {
                if self.leader.is_some() {
                    return Err(ErrorCode::ElectionNotNeeded);
                }
                let mut alive = self.replicas.iter().copied();
                let found = alive.find(|id| nodes.is_alive(*id));
                let found = found.ok_or(ErrorCode::EligibleLeadersNotAvailable)?;
                self.isr = vec![found];
                self.lead(found);
            }
        }
        Ok(())
    }
}

impl State {
    /// Moves a partition to other replicas.
    pub(crate) fn reassign(
        &mut self,
        topic: &str,
        index: i32,
        target: Vec<BrokerId>,
        now: Instant,
    ) -> Result<(), Refused> {
        let time = self.config.reassignment_time;
        let due = now + time;
        self.change(topic, index, |partition, _| {
            partition.begin_move(target, due);
            Ok(())
        })?;
        if time.is_zero() {
            self.complete_moves(now);
        } else {
            self.timers.arm(due, Timer::Reassignments);
        }
        Ok(())
    }

    /// Cancels the move of a partition.
    pub(crate) fn cancel_move(&mut self, topic: &str, index: i32) -> Result<(), Refused> {
        self.change(topic, index, |partition, nodes| {
            if partition.reassignment.is_none() {
                let code = ErrorCode::NoReassignmentInProgress;
                return Err(Refused::new(code, ""));
            }
            partition.end_move(nodes, true);
            Ok(())
        })
    }

    /// Completes the moves that are due.
    pub(crate) fn complete_moves(&mut self, now: Instant) {
        let Self { topics, nodes, woken, .. } = self;
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.reassignment.as_ref().is_some_and(|running| running.due <= now) {
                partition.end_move(nodes, false);
                woken.extend(partition.waiting.drain(..));
            }
        }
    }

    /// Elects the leader of a partition.
    pub(crate) fn elect(
        &mut self,
        topic: &str,
        index: i32,
        election: Election,
    ) -> Result<(), Refused> {
        self.change(topic, index, |partition, nodes| {
            let elected = partition.elect(election, nodes);
            elected.map_err(|code| Refused::new(code, crate::api::sentence(code).as_str()))
        })
    }

    fn change(
        &mut self,
        topic: &str,
        index: i32,
        change: impl FnOnce(&mut Partition, &Nodes) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let Self { topics, nodes, woken, .. } = self;
        let unknown = |why: String| Refused::new(ErrorCode::UnknownTopicOrPartition, why);
        let Some(found) = topics.topic_mut(topic) else {
            return Err(unknown(format!("No such topic as {topic}")));
        };
        let Some(partition) = found.partition_mut(index) else {
            return Err(unknown(format!("No such partition as {topic}-{index}")));
        };
        change(partition, nodes)?;
        woken.extend(partition.waiting.drain(..));
        Ok(())
    }
}
