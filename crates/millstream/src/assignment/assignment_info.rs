//! What the leader tells a member (`assignment/AssignmentInfo.java`).

use std::collections::{BTreeMap, BTreeSet};

use millstream_core::TaskId;
use millstream_types::{TopicName, TopicPartition};

use super::java_data::{Reader, Writer};
use super::{AssignmentDataError, LATEST_VERSION, task_id};

/// No further rebalance is asked for.
pub(crate) const NO_REBALANCE: i64 = i64::MAX;
/// The member must rejoin at once: a task it will get is still being given up elsewhere.
pub(crate) const REBALANCE_NOW: i64 = 0;

const PAYLOAD: &str = "assignment info";

/// The host and port at which an instance answers interactive queries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostInfo {
    pub(crate) host: String,
    pub(crate) port: i32,
}

/// Why an assignment cannot be worked with (`AssignorError.java`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssignmentErrorCode {
    None,
    IncompleteSourceTopicMetadata,
    VersionProbing,
    AssignmentError,
    ShutdownRequested,
    Other(i32),
}

/// A member's tasks, and where everybody else's are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignmentInfo {
    pub(crate) version: i32,
    pub(crate) commonly_supported: i32,
    /// Parallel to the assigned partitions in their order: a task of k partitions stands k times.
    pub(crate) active_tasks: Vec<TaskId>,
    pub(crate) standby_tasks: BTreeMap<TaskId, BTreeSet<TopicPartition>>,
    pub(crate) partitions_by_host: BTreeMap<HostInfo, BTreeSet<TopicPartition>>,
    pub(crate) standby_partitions_by_host: BTreeMap<HostInfo, BTreeSet<TopicPartition>>,
    pub(crate) error_code: AssignmentErrorCode,
    /// When to rejoin, in milliseconds since the epoch: [`NO_REBALANCE`], [`REBALANCE_NOW`].
    pub(crate) next_rebalance_ms: i64,
}

impl AssignmentInfo {
    /// An assignment of these active tasks and nothing else.
    pub(crate) fn of(active_tasks: Vec<TaskId>, next_rebalance_ms: i64) -> Self {
        Self {
            version: LATEST_VERSION,
            commonly_supported: LATEST_VERSION,
            active_tasks,
            standby_tasks: BTreeMap::new(),
            partitions_by_host: BTreeMap::new(),
            standby_partitions_by_host: BTreeMap::new(),
            error_code: AssignmentErrorCode::None,
            next_rebalance_ms,
        }
    }

    /// An assignment of nothing that says why.
    pub(crate) fn failed(error_code: AssignmentErrorCode) -> Self {
        Self { error_code, ..Self::of(Vec::new(), NO_REBALANCE) }
    }

    /// The bytes in this value's version, 3 to 11.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let version = self.version;
        out.i32(version);
        out.i32(self.commonly_supported);
        out.count(self.active_tasks.len());
        for task in &self.active_tasks {
            write_task(&mut out, version, *task);
        }
        out.count(self.standby_tasks.len());
        for (task, partitions) in &self.standby_tasks {
            write_task(&mut out, version, *task);
            write_partitions(&mut out, partitions);
        }
        self.encode_hosts(&mut out);
        if version >= 4 {
            out.i32(self.error_code.value());
        }
        if version >= 7 {
            out.i64(self.next_rebalance_ms);
        }
        out.finish()
    }

    fn encode_hosts(&self, out: &mut Writer) {
        if self.version < 5 {
            out.count(self.partitions_by_host.len());
            for (host, partitions) in &self.partitions_by_host {
                write_host(out, host);
                write_partitions(out, partitions);
            }
            return;
        }
        let both = [&self.partitions_by_host, &self.standby_partitions_by_host];
        let names: BTreeSet<_> = both
            .iter()
            .flat_map(|hosts| hosts.values())
            .flatten()
            .map(|partition| &partition.topic)
            .collect();
        out.count(names.len());
        let mut dictionary = BTreeMap::new();
        for (index, name) in (0_i32..).zip(names) {
            out.i32(index);
            out.utf(name.as_str());
            dictionary.insert(name, index);
        }
        let used = if self.version >= 6 { &both[..] } else { &both[..1] };
        for hosts in used {
            out.count(hosts.len());
            for (host, partitions) in *hosts {
                write_host(out, host);
                out.count(partitions.len());
                for partition in partitions {
                    out.i32(dictionary.get(&partition.topic).copied().unwrap_or_default());
                    out.i32(partition.partition.value());
                }
            }
        }
    }

    /// Reads versions 3 to 11.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, AssignmentDataError> {
        let mut input = Reader::new(PAYLOAD, bytes);
        let version = input.i32()?;
        if !(super::EARLIEST_VERSION..=LATEST_VERSION).contains(&version) {
            return Err(AssignmentDataError::Version { payload: PAYLOAD, version });
        }
        let mut info = Self::of(Vec::new(), NO_REBALANCE);
        info.version = version;
        info.commonly_supported = input.i32()?;
        for _ in 0..input.count(8)? {
            let task = read_task(&mut input, version)?;
            info.active_tasks.push(task);
        }
        for _ in 0..input.count(12)? {
            let task = read_task(&mut input, version)?;
            let partitions = read_partitions(&mut input)?;
            info.standby_tasks.insert(task, partitions);
        }
        if version < 5 {
            for _ in 0..input.count(10)? {
                let host = read_host(&mut input)?;
                let partitions = read_partitions(&mut input)?;
                info.partitions_by_host.insert(host, partitions);
            }
        } else {
            let topics = read_dictionary(&mut input)?;
            info.partitions_by_host = read_hosts(&mut input, &topics)?;
            if version >= 6 {
                info.standby_partitions_by_host = read_hosts(&mut input, &topics)?;
            }
        }
        if version >= 4 {
            info.error_code = AssignmentErrorCode::from_value(input.i32()?);
        }
        if version >= 7 {
            info.next_rebalance_ms = input.i64()?;
        }
        Ok(info)
    }
}

impl AssignmentErrorCode {
    const fn value(self) -> i32 {
        match self {
            Self::None => 0,
            Self::IncompleteSourceTopicMetadata => 1,
            Self::VersionProbing => 2,
            Self::AssignmentError => 3,
            Self::ShutdownRequested => 4,
            Self::Other(value) => value,
        }
    }

    const fn from_value(value: i32) -> Self {
        match value {
            0 => Self::None,
            1 => Self::IncompleteSourceTopicMetadata,
            2 => Self::VersionProbing,
            3 => Self::AssignmentError,
            4 => Self::ShutdownRequested,
            other => Self::Other(other),
        }
    }
}

fn write_task(out: &mut Writer, version: i32, task: TaskId) {
    out.i32(task.subtopology.0);
    out.i32(task.partition.value());
    if version >= 10 {
        out.i32(0); // no named topology
    }
}

fn read_task(input: &mut Reader<'_>, version: i32) -> Result<TaskId, AssignmentDataError> {
    let task = task_id(input.i32()?, input.i32()?);
    if version >= 10 {
        // The name of a topology, in UTF-16: two bytes a character.
        let characters = input.count(2)?;
        input.take(2 * characters)?;
    }
    Ok(task)
}

fn write_partitions(out: &mut Writer, partitions: &BTreeSet<TopicPartition>) {
    out.count(partitions.len());
    for partition in partitions {
        out.utf(partition.topic.as_str());
        out.i32(partition.partition.value());
    }
}

fn read_partitions(
    input: &mut Reader<'_>,
) -> Result<BTreeSet<TopicPartition>, AssignmentDataError> {
    let mut partitions = BTreeSet::new();
    for _ in 0..input.count(6)? {
        partitions.insert(TopicPartition::new(input.utf()?, input.i32()?));
    }
    Ok(partitions)
}

fn write_host(out: &mut Writer, host: &HostInfo) {
    out.utf(&host.host);
    out.i32(host.port);
}

fn read_host(input: &mut Reader<'_>) -> Result<HostInfo, AssignmentDataError> {
    Ok(HostInfo { host: input.utf()?, port: input.i32()? })
}

fn read_dictionary(
    input: &mut Reader<'_>,
) -> Result<BTreeMap<i32, TopicName>, AssignmentDataError> {
    let mut topics = BTreeMap::new();
    for _ in 0..input.count(6)? {
        topics.insert(input.i32()?, TopicName::from(input.utf()?));
    }
    Ok(topics)
}

fn read_hosts(
    input: &mut Reader<'_>,
    topics: &BTreeMap<i32, TopicName>,
) -> Result<BTreeMap<HostInfo, BTreeSet<TopicPartition>>, AssignmentDataError> {
    let mut hosts = BTreeMap::new();
    for _ in 0..input.count(10)? {
        let host = read_host(input)?;
        let mut partitions = BTreeSet::new();
        for _ in 0..input.count(8)? {
            let topic = topics.get(&input.i32()?);
            let topic = topic.ok_or(AssignmentDataError::Topic { payload: PAYLOAD })?;
            partitions.insert(TopicPartition::new(topic, input.i32()?));
        }
        hosts.insert(host, partitions);
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::hex;

    fn sample() -> AssignmentInfo {
        let partitions = |n| BTreeSet::from([TopicPartition::new("in", n)]);
        let mut info = AssignmentInfo::of(vec![task_id(0, 0)], NO_REBALANCE);
        info.standby_tasks.insert(task_id(0, 1), partitions(1));
        let host = HostInfo { host: "h".to_owned(), port: 1 };
        info.partitions_by_host.insert(host, partitions(0));
        info
    }

    // Printed by Java's AssignmentInfo of Kafka 4.3.
    #[test]
    fn bytes_are_javas() {
        let expected = "0000000b 0000000b 00000001 000000000000000000000000 00000001 \
             000000000000000100000000 00000001 0002696e 00000001 00000001 00000000 0002696e \
             00000001 000168 00000001 00000001 00000000 00000000 00000000 00000000 \
             7fffffffffffffff";
        assert_eq!(hex::write(&sample().encode()), expected.replace([' ', '\n'], ""));
    }

    #[test]
    fn every_version_reads_back_what_it_can_carry() {
        for version in super::super::EARLIEST_VERSION..=LATEST_VERSION {
            let info = AssignmentInfo { version, ..sample() };
            assert_eq!(AssignmentInfo::decode(&info.encode()), Ok(info), "version {version}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(AssignmentInfo::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
        let mut huge = bytes;
        huge[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(matches!(
            AssignmentInfo::decode(&huge),
            Err(AssignmentDataError::Count { count: 2_147_483_647, .. })
        ));
    }
}
