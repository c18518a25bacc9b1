//! One member of a group in a simulation: it processes what it gets and commits it, some way or
//! other, dawdles, and keeps a diary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_client_core::backoff::Rng;
use millstream_client_core::consumer::{
    AssignorSpec, Batch, ConsumerCommand, ConsumerCompletion, GroupConfig, Next, OffsetToCommit,
    ResetCause,
};
use millstream_client_core::group::{
    Assignment, ClusterView, GroupAssignment, GroupSubscription, RebalanceProtocol, assign_range,
};
use millstream_client_core::{CommandId, Completion, Event};
use millstream_types::{MemberId, OffsetAndMetadata, TopicName, TopicPartition};

use super::check::Violation;
use super::consuming::{Consuming, draw_config};
use super::history::{History, Step};
use super::net::{happens, one_of};
use super::plant::Plant;
use super::world::World;

/// The name of the group.
pub const GROUP: &str = "group";

/// How a member's progress is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commits {
    /// By a call, for each batch.
    Call,
    /// Some time soon, for each batch.
    Later,
    /// By the consumer itself.
    Auto,
}

/// A member and its application.
pub struct Member {
    /// Its place among all that ever were.
    pub number: usize,
    /// Its consumer.
    pub consuming: Consuming,
    /// Whether it takes part: not killed, not closing.
    pub is_active: bool,
    /// Whether its closing came to its end.
    pub is_closed: bool,
    /// What it owns, as it was told.
    pub owned: BTreeSet<TopicPartition>,
    /// Things it should not have been told.
    pub wrong: Vec<Violation>,
    commits: Commits,
    rng: Rng,
    calls: BTreeMap<CommandId, OffsetToCommit>,
    /// A revocation that is acknowledged when the application asks next.
    revoking: Vec<TopicPartition>,
    /// The longest pause between two turns.
    dawdles: Duration,
}

/// The rebalance protocol of a run.
#[must_use]
pub fn assignor(protocol: RebalanceProtocol) -> AssignorSpec {
    match protocol {
        RebalanceProtocol::Eager => AssignorSpec::range(),
        RebalanceProtocol::Cooperative => AssignorSpec {
            name: "cooperative-range".to_owned(),
            protocols: vec![RebalanceProtocol::Cooperative],
            builtin: Some(assign_cooperatively),
        },
    }
}

/// The range assignment, in which nobody gets what somebody else still has (KIP-429).
fn assign_cooperatively(cluster: &ClusterView, group: &GroupSubscription) -> GroupAssignment {
    let mut owners: BTreeMap<&TopicPartition, (i32, &MemberId)> = BTreeMap::new();
    for (member, subscription) in &group.members {
        let generation = subscription.generation.map_or(-1, |generation| generation.0);
        for partition in &subscription.owned_partitions {
            let owner = owners.entry(partition).or_insert((generation, member));
            *owner = (*owner).max((generation, member));
        }
    }
    let mut assignment = assign_range(cluster, group);
    for (member, Assignment { partitions, .. }) in &mut assignment.0 {
        partitions.retain(|one| owners.get(one).is_none_or(|(_, owner)| *owner == member));
    }
    assignment
}

impl Member {
    /// A new member subscribes to the topics.
    pub fn start(
        world: &mut World,
        number: usize,
        protocol: RebalanceProtocol,
        topics: Vec<TopicName>,
    ) -> Self {
        let mut rng = world.fork_rng();
        let commits = one_of(&mut rng, &[Commits::Call, Commits::Later, Commits::Auto]);
        let mut config = draw_config(&mut rng);
        let mut group = GroupConfig::new(GROUP);
        group.assignors = vec![assignor(protocol)];
        group.session_timeout = Duration::from_secs(6);
        group.heartbeat_interval = Duration::from_millis(300 + rng.below(1_700));
        group.max_poll_interval = Duration::from_secs(8);
        group.auto_commit_interval =
            (commits == Commits::Auto).then(|| Duration::from_millis(100 + rng.below(2_000)));
        config.group = Some(group);
        let consuming = Consuming::start(world, &format!("member-{number}"), config);
        if let Err(error) = consuming.shared.subscribe(topics) {
            panic!("{error}");
        }
        Self {
            number,
            consuming,
            is_active: true,
            is_closed: false,
            owned: BTreeSet::new(),
            wrong: Vec::new(),
            commits,
            dawdles: Duration::from_millis(one_of(&mut rng, &[5, 50, 1_000])),
            rng,
            calls: BTreeMap::new(),
            revoking: Vec::new(),
        }
    }

    /// The application takes what there is; answers how long it pauses then.
    pub fn turn(&mut self, world: &mut World, history: &mut History) -> Duration {
        while self.is_active && !happens(&mut self.rng, 50_000) {
            self.acknowledge(history);
            let Some(next) = self.consuming.next(world.now()) else { break };
            self.take(next, world, history);
            if !self.revoking.is_empty() {
                // It tidies up first.
                break;
            }
        }
        Duration::from_micros(1_000 + self.rng.below(self.dawdles.as_micros() as u64))
    }

    /// Asking again gives up what was being revoked.
    fn acknowledge(&mut self, history: &mut History) {
        if self.revoking.is_empty() {
            return;
        }
        let gone = std::mem::take(&mut self.revoking);
        self.owned.retain(|one| !gone.contains(one));
        history.push((self.number, Step::GaveUp(gone)));
    }

    fn take(&mut self, next: Next, world: &mut World, history: &mut History) {
        match next {
            Next::Records(batch) => self.process(&batch, world, history),
            Next::Assigned(assigned) => {
                world.note(format_args!(
                    "member {} has {:?} in generation {}",
                    self.number, assigned.all, assigned.generation.0
                ));
                self.owned = assigned.all.iter().cloned().collect();
                let generation = assigned.generation.0;
                history.push((self.number, Step::Assigned { generation, all: assigned.all }));
            }
            Next::Revoking(revocation) => {
                world.note(format_args!(
                    "member {} revokes {:?}",
                    self.number, revocation.partitions
                ));
                self.revoking = revocation.partitions;
            }
            Next::Lost(partitions) => {
                world.note(format_args!("member {} lost {partitions:?}", self.number));
                self.owned.retain(|one| !partitions.contains(one));
                history.push((self.number, Step::Lost(partitions)));
            }
            Next::Reset { cause: ResetCause::NoPosition, .. } => {}
            Next::CommitFailed(_) => {}
            other => {
                let text = format!("member {} was told {other:?}", self.number);
                self.wrong.push(Violation::Unfounded(text));
            }
        }
    }

    fn process(&mut self, batch: &Batch, world: &mut World, history: &mut History) {
        let partition = batch.topic_partition();
        for record in batch {
            let step = Step::Processed(partition.clone(), record.offset.value());
            history.push((self.number, step));
        }
        let shared = &self.consuming.shared;
        match self.commits {
            Commits::Auto => {}
            // Not owned any more: whoever owns it now processes it again.
            Commits::Later => drop(shared.commit_later(batch)),
            Commits::Call => {
                if let Ok(mut offset) = shared.offset_of(batch) {
                    if world.plant == Plant::MemberCommitsAhead {
                        offset.offset.offset = offset.offset.offset.plus(3);
                    }
                    let offsets = vec![offset.clone()];
                    let timeout = Duration::from_secs(8);
                    let client = self.consuming.client;
                    let call = world.command(client, ConsumerCommand::Commit { offsets, timeout });
                    self.calls.insert(call, offset);
                }
            }
        }
    }

    /// The engine says something.
    pub fn event(&mut self, event: Event, history: &mut History) {
        match event {
            Event::Completed(call, Completion::Consumer(ConsumerCompletion::Commit(result))) => {
                let offset = self.calls.remove(&call);
                if let (Ok(()), Some(offset)) = (result, offset) {
                    let value = offset.offset.offset.value();
                    history.push((self.number, Step::Committed(offset.partition, value)));
                }
            }
            Event::Completed(_, Completion::Consumer(ConsumerCompletion::Close(_))) => {
                self.is_closed = true;
            }
            _ => {}
        }
    }

    /// From now on it takes what comes as it comes.
    pub const fn hurry(&mut self) {
        self.dawdles = Duration::from_millis(5);
    }

    /// Commits where it stands, for those whose last commits may have failed.
    pub fn commit_positions(&self) {
        if self.commits == Commits::Auto {
            return;
        }
        let shared = &self.consuming.shared;
        for partition in &self.owned {
            let Some(offset) = shared.position(partition) else { continue };
            let offset = OffsetAndMetadata { offset, leader_epoch: None, metadata: String::new() };
            let partition = partition.clone();
            drop(shared.commit_offset_later(OffsetToCommit { partition, stamp: None, offset }));
        }
    }

    /// The application closes its consumer: what it finished is committed, and it leaves.
    pub fn close(&mut self, world: &mut World, history: &mut History) {
        self.is_active = false;
        self.acknowledge(history);
        history.push((self.number, Step::Gone));
        self.owned.clear();
        world.note(format_args!("member {} closes", self.number));
        let timeout = Duration::from_secs(10);
        world.command(self.consuming.client, ConsumerCommand::Close { timeout });
    }

    /// Its host dies.
    pub fn kill(&mut self, world: &mut World, history: &mut History) {
        self.is_active = false;
        self.is_closed = true;
        history.push((self.number, Step::Gone));
        self.owned.clear();
        world.kill_client(self.consuming.client);
    }
}
