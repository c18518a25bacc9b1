//! Which member runs which task: balanced, and with as few moves as balance allows.
//!
//! Stateful tasks are placed first and balanced for themselves, then stateless ones, as Java's
//! `HighAvailabilityTaskAssignor` does. A task stays with the member that runs it, else goes to
//! an instance that holds its state, else to the member with the least to do.

use std::collections::{BTreeMap, BTreeSet};

use millstream_core::TaskId;
use millstream_types::MemberId;
use uuid::Uuid;

/// A member as far as placing tasks is concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    /// The instance that the member is a thread of.
    pub(super) process_id: Uuid,
    /// The tasks whose partitions the member owns.
    pub(super) running: BTreeSet<TaskId>,
    /// The tasks whose state the member reports, and how far it reaches.
    pub(super) state: BTreeMap<TaskId, i64>,
}

/// The tasks to place.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskSet {
    pub(super) stateful: BTreeSet<TaskId>,
    pub(super) stateless: BTreeSet<TaskId>,
}

/// What each member runs; every candidate has an entry, every task one place.
pub(super) type Placement = BTreeMap<MemberId, BTreeSet<TaskId>>;

/// Places every task, if there is a candidate at all.
pub(super) fn place(tasks: &TaskSet, candidates: &BTreeMap<MemberId, Candidate>) -> Placement {
    let mut placement: Placement =
        candidates.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    for tasks in [&tasks.stateful, &tasks.stateless] {
        Round::new(tasks, candidates).run(&mut placement);
    }
    placement
}

/// One kind of tasks: no member gets more than its share of them.
struct Round<'a> {
    tasks: &'a BTreeSet<TaskId>,
    candidates: &'a BTreeMap<MemberId, Candidate>,
    taken: BTreeMap<&'a MemberId, usize>,
    /// What every member may take.
    share: usize,
    /// How many members may take one more.
    extra: usize,
}

impl<'a> Round<'a> {
    fn new(tasks: &'a BTreeSet<TaskId>, candidates: &'a BTreeMap<MemberId, Candidate>) -> Self {
        let members = candidates.len().max(1);
        Self {
            tasks,
            candidates,
            taken: candidates.keys().map(|member| (member, 0)).collect(),
            share: tasks.len() / members,
            extra: tasks.len() % members,
        }
    }

    fn run(mut self, placement: &mut Placement) {
        let mut left = Vec::new();
        for task in self.tasks {
            let owner = self.candidates.iter().find(|(_, c)| c.running.contains(task));
            match owner {
                Some((owner, _)) if self.has_room(owner) => self.give(placement, owner, *task),
                _ => left.push(*task),
            }
        }
        let mut homeless = Vec::new();
        for task in left {
            match self.best_with_state(placement, task) {
                Some(member) => self.give(placement, member, task),
                None => homeless.push(task),
            }
        }
        for task in homeless {
            if let Some(member) = self.least_loaded(placement, |_| true) {
                self.give(placement, member, task);
            }
        }
    }

    fn has_room(&self, member: &MemberId) -> bool {
        let taken = self.taken.get(member).copied().unwrap_or_default();
        taken < self.share || (taken == self.share && self.extra > 0)
    }

    fn give(&mut self, placement: &mut Placement, member: &'a MemberId, task: TaskId) {
        let taken = self.taken.entry(member).or_default();
        if *taken == self.share {
            self.extra = self.extra.saturating_sub(1);
        }
        *taken += 1;
        placement.entry(member.clone()).or_default().insert(task);
    }

    /// The least loaded thread with room, of the instance whose state reaches furthest.
    fn best_with_state(&self, placement: &Placement, task: TaskId) -> Option<&'a MemberId> {
        let reports = self.candidates.values().filter_map(|candidate| {
            candidate.state.get(&task).map(|sum| (*sum, candidate.process_id))
        });
        // A running task reports -2, which is further than any offset.
        let reach = |sum: i64| if sum == -2 { i64::MAX } else { sum };
        let mut processes: Vec<_> = reports.map(|(sum, process)| (reach(sum), process)).collect();
        processes.sort_unstable_by(|a, b| b.cmp(a));
        processes
            .into_iter()
            .find_map(|(_, process)| self.least_loaded(placement, |c| c.process_id == process))
    }

    fn least_loaded(
        &self,
        placement: &Placement,
        wanted: impl Fn(&Candidate) -> bool,
    ) -> Option<&'a MemberId> {
        self.candidates
            .iter()
            .filter(|(member, candidate)| wanted(candidate) && self.has_room(member))
            .map(|(member, _)| member)
            .min_by_key(|member| {
                (self.taken.get(member), placement.get(*member).map(BTreeSet::len))
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::assignment::task_id;

    fn candidates(count: usize) -> BTreeMap<MemberId, Candidate> {
        (0..count)
            .map(|n| {
                let process_id = Uuid::from_u128(u128::try_from(n / 2).unwrap());
                let candidate = Candidate { process_id, ..Candidate::default() };
                (MemberId::from(format!("m{n:02}")), candidate)
            })
            .collect()
    }

    fn task_set(stateful: i32, stateless: i32) -> TaskSet {
        TaskSet {
            stateful: (0..stateful).map(|n| task_id(1, n)).collect(),
            stateless: (0..stateless).map(|n| task_id(0, n)).collect(),
        }
    }

    fn running(placement: &Placement, members: &mut BTreeMap<MemberId, Candidate>) {
        for (member, candidate) in members {
            candidate.running = placement.get(member).cloned().unwrap_or_default();
        }
    }

    #[test]
    fn both_kinds_are_spread_over_both_threads() {
        let placement = place(&task_set(4, 4), &candidates(2));
        for tasks in placement.values() {
            let stateful = tasks.iter().filter(|task| task.subtopology.0 == 1).count();
            assert_eq!((stateful, tasks.len()), (2, 4));
        }
    }

    #[test]
    fn state_on_disk_draws_its_task() {
        let mut members = candidates(4);
        let task = task_id(1, 0);
        members.get_mut("m03").unwrap().state.insert(task, 50);
        members.get_mut("m00").unwrap().state.insert(task, 10);
        let placement = place(&task_set(4, 0), &members);
        assert!(placement["m02"].contains(&task) || placement["m03"].contains(&task));
    }

    #[test]
    fn a_new_member_takes_only_its_share() {
        let tasks = task_set(8, 0);
        let mut members = candidates(3);
        let before = place(&tasks, &members);
        running(&before, &mut members);
        members.extend(candidates(4).split_off("m03"));
        let after = place(&tasks, &members);
        assert_eq!(after["m03"].len(), 2);
        for member in ["m00", "m01", "m02"] {
            assert!(after[member].is_subset(&before[member]), "{member} got another's task");
        }
    }

    proptest! {
        #[test]
        fn placement_is_complete_balanced_and_stable(
            stateful in 0..40_i32,
            stateless in 0..40_i32,
            before in 1..6_usize,
            after in 1..6_usize,
        ) {
            let tasks = task_set(stateful, stateless);
            let mut members = candidates(after);
            running(&place(&tasks, &candidates(before)), &mut members);
            let placement = place(&tasks, &members);
            for (kind, count) in [(1, stateful), (0, stateless)] {
                let of_kind = |tasks: &BTreeSet<TaskId>| {
                    tasks.iter().filter(|task| task.subtopology.0 == kind).count()
                };
                let counts: Vec<_> = placement.values().map(of_kind).collect();
                prop_assert_eq!(counts.iter().sum::<usize>(), usize::try_from(count).unwrap());
                let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
                prop_assert!(spread <= 1, "{:?}", counts);
            }
            running(&placement, &mut members);
            prop_assert_eq!(place(&tasks, &members), placement, "a second round moves nothing");
        }
    }
}
