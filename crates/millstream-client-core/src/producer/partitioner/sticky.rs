//! The uniform sticky partitioner (KIP-794), adaptive or not.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the sticky partitioner has to know of the partitions it chooses among.
pub(crate) trait Choices {
    /// How many there are.
    fn count(&self) -> u32;

    /// Whether the partition has a leader.
    fn has_leader(&self, partition: u32) -> bool;

    /// The batches that wait in a partition, or `None` where it has no leader or its leader has not
    /// answered for `partitioner.availability.timeout.ms`.
    fn queue_length(&self, partition: u32) -> Option<u32>;
}

/// The partition to which keyless records of a topic go, until it had its share of bytes.
///
/// KIP-794: a partition is left when it had `batch.size` bytes, at a batch boundary where possible,
/// so that in the long run each gets as many bytes as the others; with adaptive partitioning the
/// next one is drawn with weights that fall with the length of its queue, so that a slow broker
/// gets less (`BuiltInPartitioner.updatePartitionLoadStats`).
#[derive(Debug)]
pub(crate) struct Sticky {
    partition: AtomicU32,
    bytes: AtomicU32,
    seed: AtomicU64,
    loads: Mutex<Loads>,
}

/// The weights of the partitions, summed up from the first on.
#[derive(Debug, Default)]
struct Loads {
    partitions: Vec<u32>,
    sums: Vec<u64>,
    /// For how many partitions this was computed.
    count: u32,
    /// Draws until the weights are looked at afresh.
    draws_left: u32,
}

/// No partition was chosen yet.
const UNSET: u32 = u32::MAX;

/// Queues are looked at afresh after one draw for this many partitions, so that a draw looks at no
/// more than this many, whatever their number.
const LOOKS_PER_DRAW: u32 = 16;

/// How often a random draw may meet a partition without a leader before all are tried in order.
const DRAWS: usize = 8;

impl Sticky {
    /// A partitioner that draws from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            partition: AtomicU32::new(UNSET),
            bytes: AtomicU32::new(0),
            seed: AtomicU64::new(seed),
            loads: Mutex::default(),
        }
    }

    /// The partition for the next keyless record.
    #[inline]
    pub(crate) fn current(&self, choices: &impl Choices, adaptive: bool) -> u32 {
        let partition = self.partition.load(Ordering::Relaxed);
        if partition < choices.count() {
            return partition;
        }
        self.switch(partition, choices, adaptive)
    }

    /// The partition, if one was chosen.
    #[inline]
    pub(crate) fn chosen(&self) -> Option<u32> {
        Some(self.partition.load(Ordering::Relaxed)).filter(|partition| *partition != UNSET)
    }

    /// Counts the bytes of a batch that closed, if its partition is the one chosen. Answers whether it
    /// is.
    pub(crate) fn add(&self, partition: u32, bytes: u32) -> bool {
        let is_chosen = self.partition.load(Ordering::Relaxed) == partition;
        if is_chosen {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        is_chosen
    }

    /// The bytes that the partition had so far.
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Leaves partition `from`, unless another caller just did; answers the one chosen.
    pub(crate) fn switch(&self, from: u32, choices: &impl Choices, adaptive: bool) -> u32 {
        let next = self.draw(choices, adaptive);
        match self.partition.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                self.bytes.store(0, Ordering::Relaxed);
                next
            }
            Err(current) if current < choices.count() => current,
            Err(_) => next,
        }
    }

    fn draw(&self, choices: &impl Choices, adaptive: bool) -> u32 {
        if adaptive && let Some(partition) = self.draw_weighted(choices) {
            return partition;
        }
        // No partition with a leader: any may get one first.
        self.draw_with_leader(choices).unwrap_or_else(|| self.random(choices.count()))
    }

    /// A partition by its weight: the longest queue and one more, less its own queue.
    fn draw_weighted(&self, choices: &impl Choices) -> Option<u32> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            if loads.draws_left == 0 || loads.count != choices.count() {
                loads.look(choices);
            }
            loads.draws_left -= 1;
            let total = *loads.sums.last()?;
            let drawn = self.random_u64() % total;
            let partition = loads.partitions[loads.sums.partition_point(|sum| *sum <= drawn)];
            if choices.queue_length(partition).is_some() {
                return Some(partition);
            }
            // It went away since: look again.
            loads.draws_left = 0;
        }
        None
    }

    fn draw_with_leader(&self, choices: &impl Choices) -> Option<u32> {
        let count = choices.count();
        let has_leader = |partition: u32| choices.has_leader(partition).then_some(partition);
        (0..DRAWS).find_map(|_| has_leader(self.random(count))).or_else(|| {
            let start = self.random(count);
            (0..count).find_map(|step| has_leader((start + step) % count))
        })
    }

    /// A number below `count`.
    pub(crate) fn random(&self, count: u32) -> u32 {
        (self.random_u64() % u64::from(count.max(1))) as u32
    }

    /// The next number by splitmix64.
    fn random_u64(&self) -> u64 {
        let mut z = self
            .seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 16
    }
}

impl Loads {
    fn look(&mut self, choices: &impl Choices) {
        self.partitions.clear();
        self.sums.clear();
        self.count = choices.count();
        self.draws_left = (self.count / LOOKS_PER_DRAW).max(1);
        let mut longest = 0;
        for partition in 0..self.count {
            if let Some(queue) = choices.queue_length(partition) {
                self.partitions.push(partition);
                self.sums.push(u64::from(queue));
                longest = longest.max(u64::from(queue));
            }
        }
        let mut sum = 0;
        for entry in &mut self.sums {
            sum += longest + 1 - *entry;
            *entry = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Queues(Vec<Option<u32>>);

    impl Choices for Queues {
        fn count(&self) -> u32 {
            self.0.len() as u32
        }

        fn has_leader(&self, partition: u32) -> bool {
            self.0[partition as usize].is_some()
        }

        fn queue_length(&self, partition: u32) -> Option<u32> {
            self.0[partition as usize]
        }
    }

    fn shares(queues: &impl Choices, adaptive: bool) -> Vec<u32> {
        let sticky = Sticky::new(7);
        let mut shares = vec![0; queues.count() as usize];
        let mut partition = sticky.current(queues, adaptive);
        for _ in 0..10_000 {
            shares[partition as usize] += 1;
            partition = sticky.switch(partition, queues, adaptive);
        }
        shares
    }

    #[test]
    fn equal_queues_get_equal_shares() {
        for adaptive in [false, true] {
            let shares = shares(&Queues(vec![Some(2); 5]), adaptive);
            assert!(shares.iter().all(|share| (1_850..2_150).contains(share)), "{shares:?}");
        }
    }

    /// Java's weights: queues of 0, 3 and 1 get 4, 1 and 3 of 8 (`BuiltInPartitioner`).
    #[test]
    fn queues_weigh_as_in_java_only_when_adaptive() {
        let queues = Queues(vec![Some(0), Some(3), Some(1)]);
        let adaptive = shares(&queues, true);
        for (share, eighths) in adaptive.iter().zip([4, 1, 3]) {
            assert!(share.abs_diff(eighths * 1_250) < 250, "{adaptive:?}");
        }
        let uniform = shares(&queues, false);
        assert!(uniform.iter().all(|share| share.abs_diff(3_333) < 250), "{uniform:?}");
    }

    #[test]
    fn weights_follow_the_queues_of_many_partitions() {
        let mut queues = Queues(vec![Some(0); 1_000]);
        let sticky = Sticky::new(5);
        let mut partition = sticky.current(&queues, true);
        queues.0 = vec![Some(1_000_000); 1_000];
        queues.0[17] = Some(0);
        // The weights are looked at afresh within a sixteenth as many draws as there are partitions.
        for _ in 0..63 {
            partition = sticky.switch(partition, &queues, true);
        }
        let hits = (0..100).filter(|_| {
            partition = sticky.switch(partition, &queues, true);
            partition == 17
        });
        assert!(hits.count() > 90);
    }

    #[test]
    fn a_partition_without_a_leader_gets_nothing() {
        for adaptive in [false, true] {
            let shares = shares(&Queues(vec![Some(0), None, Some(5)]), adaptive);
            assert_eq!(shares[1], 0);
        }
        let none = Queues(vec![None, None]);
        assert!(Sticky::new(1).current(&none, true) < 2);
    }

    /// All partitions are led, by brokers that do not answer.
    struct Silent;

    impl Choices for Silent {
        fn count(&self) -> u32 {
            3
        }

        fn has_leader(&self, partition: u32) -> bool {
            partition != 1
        }

        fn queue_length(&self, _: u32) -> Option<u32> {
            None
        }
    }

    #[test]
    fn where_no_broker_answers_all_leaders_do() {
        let shares = shares(&Silent, true);
        assert_eq!(shares[1], 0);
        assert!(shares[0] > 4_500 && shares[2] > 4_500, "{shares:?}");
    }

    #[test]
    fn one_switch_for_callers_who_come_together() {
        let queues = Queues(vec![Some(0); 100]);
        let sticky = Sticky::new(3);
        let first = sticky.current(&queues, false);
        let second = sticky.switch(first, &queues, false);
        assert_eq!(sticky.switch(first, &queues, false), second);
    }
}
