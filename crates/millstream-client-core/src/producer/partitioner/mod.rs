//! Which partition a record goes to: Java's partitioners, librdkafka's, or the application's own.

mod hash;
mod sticky;

use std::fmt;
use std::sync::Arc;

use millstream_types::{PartitionId, Record, TopicName};

use super::accumulator::Topic;
pub use hash::murmur2;
pub(crate) use sticky::{Choices, Sticky};

/// The partition of a key among `count` partitions, as Java's built-in partitioner has it
/// (`BuiltInPartitioner.partitionForKey`).
#[must_use]
pub fn partition_for_key(key: &[u8], count: u32) -> u32 {
    (murmur2(key).cast_unsigned() & 0x7fff_ffff) % count.max(1)
}

/// How the partition of a record is chosen that names none (`partitioner.class`, and librdkafka's
/// `partitioner`).
///
/// Where a rule says "random", records stick to a random partition until it had `batch.size`
/// bytes, as in Java (KIP-794) and in librdkafka (`sticky.partitioning.linger.ms`): a draw for each
/// record would fill no batch.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Partitioner {
    /// Java's built-in one: murmur2 of the key, records without a key uniformly sticky (KIP-794).
    #[default]
    Sticky,
    /// Java's `RoundRobinPartitioner`: each record to the next partition that has a leader, keys or
    /// not.
    RoundRobin,
    /// librdkafka's `random`: keys or not.
    Random,
    /// librdkafka's `consistent`: CRC-32 of the key; null and empty keys hash alike.
    Consistent,
    /// librdkafka's default, `consistent_random`: CRC-32 of the key, null and empty keys random.
    ConsistentRandom,
    /// librdkafka's `murmur2`: Java's hash of the key, null keys as empty ones.
    Murmur2,
    /// librdkafka's `murmur2_random`: Java's hash of the key, null keys random.
    Murmur2Random,
    /// librdkafka's `fnv1a`, which is Sarama's: FNV-1a of the key, null keys as empty ones.
    Fnv1a,
    /// librdkafka's `fnv1a_random`: FNV-1a of the key, null keys random.
    Fnv1aRandom,
    /// The application's own.
    Custom(Arc<dyn CustomPartitioner>),
}

/// A partitioner of the application's own. Closures are one.
///
/// It runs on the thread that enqueues the record, before anything is locked.
pub trait CustomPartitioner: Send + Sync + 'static {
    /// The partition for `record`. A number that the topic does not have is refused with
    /// [`EnqueueError::UnknownPartition`](super::EnqueueError::UnknownPartition). A record that has
    /// to wait for room may be asked about again.
    fn partition(&self, record: &Record<'_>, topic: &TopicPartitions<'_>) -> PartitionId;
}

impl<F> CustomPartitioner for F
where
    F: Fn(&Record<'_>, &TopicPartitions<'_>) -> PartitionId + Send + Sync + 'static,
{
    fn partition(&self, record: &Record<'_>, topic: &TopicPartitions<'_>) -> PartitionId {
        self(record, topic)
    }
}

/// What a partitioner of the application can know of a topic.
#[derive(Debug)]
pub struct TopicPartitions<'a>(&'a Topic);

impl<'a> TopicPartitions<'a> {
    pub(crate) const fn new(topic: &'a Topic) -> Self {
        Self(topic)
    }

    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.0.name
    }

    /// How many partitions it has, at least one.
    #[must_use]
    pub fn count(&self) -> u32 {
        Choices::count(self.0)
    }

    /// Whether a partition has a leader now.
    #[must_use]
    pub fn has_leader(&self, partition: PartitionId) -> bool {
        u32::try_from(partition.value())
            .is_ok_and(|number| number < self.count() && Choices::has_leader(self.0, number))
    }
}

/// What a partitioner says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This partition.
    Fixed(u32),
    /// The one where the others without a key are.
    Sticky,
    /// The next one in turn.
    NextInTurn,
}

impl Partitioner {
    /// A partitioner of the application's own.
    #[must_use]
    pub fn custom(partitioner: impl CustomPartitioner) -> Self {
        Self::Custom(Arc::new(partitioner))
    }

    /// All that have a name in a configuration, with librdkafka's name for it, or ours where it has
    /// none.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("sticky", Self::Sticky),
        ("round_robin", Self::RoundRobin),
        ("random", Self::Random),
        ("consistent", Self::Consistent),
        ("consistent_random", Self::ConsistentRandom),
        ("murmur2", Self::Murmur2),
        ("murmur2_random", Self::Murmur2Random),
        ("fnv1a", Self::Fnv1a),
        ("fnv1a_random", Self::Fnv1aRandom),
    ];

    /// The name in a configuration; `custom` for the application's own.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Consistent => "consistent",
            Self::ConsistentRandom => "consistent_random",
            Self::Murmur2 => "murmur2",
            Self::Murmur2Random => "murmur2_random",
            Self::Fnv1a => "fnv1a",
            Self::Fnv1aRandom => "fnv1a_random",
            Self::Custom(_) => "custom",
        }
    }

    /// The choice for a record with this key among `count` partitions; the application's own
    /// partitioner is asked elsewhere.
    #[inline]
    pub(crate) fn choose(&self, key: Option<&[u8]>, count: u32, ignore_keys: bool) -> Choice {
        let fixed = |hash: u32| Choice::Fixed(hash % count.max(1));
        let murmur2 = |key: &[u8]| Choice::Fixed(partition_for_key(key, count));
        match (self, key) {
            (Self::Sticky, Some(key)) if !ignore_keys => murmur2(key),
            (Self::Sticky | Self::Random | Self::Custom(_), _)
            | (Self::Murmur2Random | Self::Fnv1aRandom, None) => Choice::Sticky,
            (Self::RoundRobin, _) => Choice::NextInTurn,
            (Self::ConsistentRandom, key) if key.unwrap_or_default().is_empty() => Choice::Sticky,
            (Self::Consistent | Self::ConsistentRandom, key) => {
                fixed(hash::crc32(key.unwrap_or_default()))
            }
            (Self::Murmur2 | Self::Murmur2Random, key) => murmur2(key.unwrap_or_default()),
            (Self::Fnv1a | Self::Fnv1aRandom, key) => fixed(hash::fnv1a(key.unwrap_or_default())),
        }
    }
}

impl PartialEq for Partitioner {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(a), Self::Custom(b)) => Arc::ptr_eq(a, b),
            _ => self.name() == other.name(),
        }
    }
}

impl Eq for Partitioner {}

impl fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_keys() {
        assert_eq!(partition_for_key(b"hello", 10), 9);
        let sticky = Partitioner::Sticky;
        assert_eq!(sticky.choose(Some(b"hello"), 10, false), Choice::Fixed(9));
        assert_eq!(sticky.choose(Some(b"hello"), 10, true), Choice::Sticky);
        assert_eq!(sticky.choose(None, 10, false), Choice::Sticky);
        let empty = Choice::Fixed(275_646_681 % 10);
        assert_eq!(sticky.choose(Some(b""), 10, false), empty, "an empty key is a key");
    }

    /// The table of librdkafka's test 0048: five keys, the hash that each partitioner takes of
    /// them, none where it draws.
    #[test]
    fn librdkafkas_partitioners_by_its_own_vectors() {
        let keys: [Option<&[u8]>; 5] = [
            None,
            Some(b""),
            Some(b"23456"),
            Some(b"this is another string with more length to it perhaps"),
            Some(b"hejsan"),
        ];
        let crc = [0xb1b4_51d7, 0xb015_0df7, 0xd077_037e].map(Some);
        let murmur = [0x058d_780f, 0x4f77_03da, 0x5ec1_9395].map(Some);
        let fnv = [0x27e6_f469, 0x155e_3e5f, 0x17b1_e27a].map(Some);
        let (murmur_empty, fnv_empty) = (Some(0x106e_08d9), Some(0x7ee3_623b));
        let row = |null, empty, rest: [Option<u32>; 3]| [null, empty, rest[0], rest[1], rest[2]];
        let table = [
            ("random", [None; 5]),
            ("consistent", row(Some(0), Some(0), crc)),
            ("consistent_random", row(None, None, crc)),
            ("murmur2", row(murmur_empty, murmur_empty, murmur)),
            ("murmur2_random", row(None, murmur_empty, murmur)),
            ("fnv1a", row(fnv_empty, fnv_empty, fnv)),
            ("fnv1a_random", row(None, fnv_empty, fnv)),
        ];
        for (name, hashes) in table {
            let (_, partitioner) =
                Partitioner::NAMED.into_iter().find(|(known, _)| *known == name).unwrap();
            assert_eq!(partitioner.name(), name);
            for count in [7, 17] {
                for (key, hash) in keys.iter().zip(hashes) {
                    let expected =
                        hash.map_or(Choice::Sticky, |hash: u32| Choice::Fixed(hash % count));
                    assert_eq!(partitioner.choose(*key, count, false), expected, "{name} {key:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, partitioner) in Partitioner::NAMED {
            assert_eq!(partitioner.name(), name);
        }
        let custom = Partitioner::custom(|_: &Record<'_>, _: &TopicPartitions<'_>| PartitionId(0));
        assert_eq!(custom, custom.clone());
        assert_ne!(custom, Partitioner::Sticky);
        assert_ne!(
            custom,
            Partitioner::custom(|_: &Record<'_>, _: &TopicPartitions<'_>| PartitionId(0))
        );
    }
}
