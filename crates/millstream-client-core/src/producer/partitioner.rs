//! Which partition a record goes to: Java's murmur2 for keys, uniform sticky for the rest (KIP-794).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The partition of a key among `count` partitions, as Java's built-in partitioner has it
/// (`BuiltInPartitioner.partitionForKey`).
pub fn partition_for_key(key: &[u8], count: u32) -> u32 {
    (murmur2(key).cast_unsigned() & 0x7fff_ffff) % count.max(1)
}

/// Kafka's murmur2 (`Utils.murmur2`): 32 bits, seed 0x9747b28c.
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut h = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        h ^= rest.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)).cast_signed()
}

/// What the sticky partitioner has to know of the partitions it chooses among.
pub(crate) trait Choices {
    /// How many there are.
    fn count(&self) -> u32;

    /// The batches that wait in a partition, or `None` where it has no leader.
    fn queue_length(&self, partition: u32) -> Option<u32>;
}

/// The partition to which keyless records of a topic go, until it had its share of bytes.
///
/// KIP-794: a partition is left when it had `batch.size` bytes, at a batch boundary where possible,
/// so that in the long run each gets as many bytes as the others; with adaptive partitioning the
/// next one is the shorter queue of two drawn at random, so that a slow broker gets less.
#[derive(Debug)]
pub(crate) struct Sticky {
    partition: AtomicU32,
    bytes: AtomicU32,
    seed: AtomicU64,
}

/// No partition was chosen yet.
const UNSET: u32 = u32::MAX;

/// How often a random draw may meet a partition without a leader before all are tried in order.
const DRAWS: usize = 8;

impl Sticky {
    /// A partitioner that draws from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            partition: AtomicU32::new(UNSET),
            bytes: AtomicU32::new(0),
            seed: AtomicU64::new(seed),
        }
    }

    /// The partition for the next keyless record.
    pub(crate) fn current(&self, choices: &impl Choices, adaptive: bool) -> u32 {
        let partition = self.partition.load(Ordering::Relaxed);
        if partition < choices.count() {
            return partition;
        }
        self.switch(partition, choices, adaptive)
    }

    /// Counts the bytes of a batch that closed, if its partition is the one chosen.
    pub(crate) fn add(&self, partition: u32, bytes: u32) {
        if self.partition.load(Ordering::Relaxed) == partition {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
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
        let Some((first, first_queue)) = self.draw_available(choices) else {
            // No partition has a leader: any may get one first.
            return self.random(choices.count());
        };
        if !adaptive {
            return first;
        }
        match self.draw_available(choices) {
            Some((second, queue)) if queue < first_queue => second,
            _ => first,
        }
    }

    fn draw_available(&self, choices: &impl Choices) -> Option<(u32, u32)> {
        let count = choices.count();
        let with_queue = |p: u32| choices.queue_length(p).map(|queue| (p, queue));
        (0..DRAWS).find_map(|_| with_queue(self.random(count))).or_else(|| {
            let start = self.random(count);
            (0..count).find_map(|step| with_queue((start + step) % count))
        })
    }

    /// A number below `count`, by splitmix64.
    fn random(&self, count: u32) -> u32 {
        let mut z = self
            .seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 32) % u64::from(count.max(1))) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_javas_golden_values() {
        let golden: [(&[u8], i32); 12] = [
            (b"", 275_646_681),
            (b"a", -1_563_381_124),
            (b"ab", 316_155_434),
            (b"abc", 479_470_107),
            (b"abcd", -1_323_649_548),
            (b"hello", 2_132_663_229),
            (b"21", -973_932_308),
            // Kafka's own UtilsTest.testMurmur2.
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in golden {
            assert_eq!(murmur2(key), hash, "{:?}", String::from_utf8_lossy(key));
        }
        assert_eq!(partition_for_key(b"hello", 10), 9);
    }

    struct Queues(Vec<Option<u32>>);

    impl Choices for Queues {
        fn count(&self) -> u32 {
            self.0.len() as u32
        }

        fn queue_length(&self, partition: u32) -> Option<u32> {
            self.0[partition as usize]
        }
    }

    fn shares(queues: &Queues, adaptive: bool) -> Vec<u32> {
        let sticky = Sticky::new(7);
        let mut shares = vec![0; queues.0.len()];
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

    #[test]
    fn a_slow_partition_gets_less_only_when_adaptive() {
        let queues = Queues(vec![Some(0), Some(0), Some(0), Some(9)]);
        let adaptive = shares(&queues, true);
        assert!(adaptive[3] < 800, "{adaptive:?}");
        let uniform = shares(&queues, false);
        assert!(uniform[3] > 2_300, "{uniform:?}");
    }

    #[test]
    fn a_partition_without_a_leader_gets_nothing() {
        let shares = shares(&Queues(vec![Some(0), None, Some(5)]), true);
        assert_eq!(shares[1], 0);
        let none = Queues(vec![None, None]);
        assert!(Sticky::new(1).current(&none, true) < 2);
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
