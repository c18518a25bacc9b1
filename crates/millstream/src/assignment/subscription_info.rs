//! What a member tells the leader when it joins (`SubscriptionInfoData.json`).

use std::collections::BTreeMap;

use millstream_core::TaskId;
use uuid::Uuid;

use super::java_data::{Reader, Writer};
use super::{AssignmentDataError, EARLIEST_VERSION, LATEST_VERSION, task_id};

/// The offset sum of a task that its owner is running, so that it is caught up by definition.
pub(crate) const ACTIVE_OFFSET_SUM: i64 = -2;
const UNKNOWN_OFFSET_SUM: i64 = -3;
const PAYLOAD: &str = "subscription info";

/// A member's report: who it is, and what state it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionInfo {
    pub(crate) version: i32,
    pub(crate) latest_supported: i32,
    /// The instance; its threads are members of their own and share it.
    pub(crate) process_id: Uuid,
    /// `host:port` for interactive queries (`application.server`), or empty.
    pub(crate) user_end_point: String,
    /// Stateful tasks on this member or on its instance's disk: how far their state reaches.
    pub(crate) task_offset_sums: BTreeMap<TaskId, i64>,
    /// Raised with each subscription, so that the group sees that it changed.
    pub(crate) unique_field: u8,
    pub(crate) error_code: i32,
    pub(crate) client_tags: BTreeMap<String, String>,
}

impl SubscriptionInfo {
    /// The report of `process_id` in the newest version.
    pub(crate) fn new(process_id: Uuid, task_offset_sums: BTreeMap<TaskId, i64>) -> Self {
        Self {
            version: LATEST_VERSION,
            latest_supported: LATEST_VERSION,
            process_id,
            user_end_point: String::new(),
            task_offset_sums,
            unique_field: 0,
            error_code: 0,
            client_tags: BTreeMap::new(),
        }
    }

    /// The bytes in version 11.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.i32(LATEST_VERSION);
        out.i32(self.latest_supported);
        out.raw(self.process_id.as_bytes());
        out.bytes(self.user_end_point.as_bytes());
        out.count(self.task_offset_sums.len());
        for (task, sum) in &self.task_offset_sums {
            out.i32(task.subtopology.0);
            out.i32(task.partition.value());
            out.i64(*sum);
            out.i16(-1); // no named topology
        }
        out.u8(self.unique_field);
        out.i32(self.error_code);
        out.count(self.client_tags.len());
        for (key, value) in &self.client_tags {
            out.bytes(key.as_bytes());
            out.bytes(value.as_bytes());
        }
        out.finish()
    }

    /// Reads versions 3 to 11; of a newer one only what says that it is newer.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, AssignmentDataError> {
        let mut input = Reader::new(PAYLOAD, bytes);
        let version = input.i32()?;
        if version < EARLIEST_VERSION {
            return Err(AssignmentDataError::Version { payload: PAYLOAD, version });
        }
        let latest_supported = input.i32()?;
        let mut info = Self::new(Uuid::nil(), BTreeMap::new());
        info.version = version;
        info.latest_supported = latest_supported;
        if version > LATEST_VERSION {
            return Ok(info);
        }
        info.process_id = input.uuid()?;
        if version <= 6 {
            info.task_offset_sums = read_task_lists(&mut input)?;
            info.user_end_point = read_text(&mut input)?;
            return Ok(info);
        }
        info.user_end_point = read_text(&mut input)?;
        info.task_offset_sums =
            if version <= 9 { read_nested_sums(&mut input)? } else { read_flat_sums(&mut input)? };
        if version >= 8 {
            info.unique_field = input.u8()?;
        }
        if version >= 9 {
            info.error_code = input.i32()?;
        }
        if version >= 11 {
            for _ in 0..input.count(8)? {
                let key = read_text(&mut input)?;
                let value = read_text(&mut input)?;
                info.client_tags.insert(key, value);
            }
        }
        Ok(info)
    }
}

fn read_text(input: &mut Reader<'_>) -> Result<String, AssignmentDataError> {
    String::from_utf8(input.bytes()?.to_vec())
        .map_err(|_| AssignmentDataError::Text { payload: PAYLOAD })
}

/// Versions 3 to 6: the tasks that ran here, then the standbys.
fn read_task_lists(input: &mut Reader<'_>) -> Result<BTreeMap<TaskId, i64>, AssignmentDataError> {
    let mut sums = BTreeMap::new();
    for sum in [ACTIVE_OFFSET_SUM, UNKNOWN_OFFSET_SUM] {
        for _ in 0..input.count(8)? {
            let task = task_id(input.i32()?, input.i32()?);
            sums.entry(task).or_insert(sum);
        }
    }
    Ok(sums)
}

/// Versions 7 to 9: grouped by sub-topology.
fn read_nested_sums(input: &mut Reader<'_>) -> Result<BTreeMap<TaskId, i64>, AssignmentDataError> {
    let mut sums = BTreeMap::new();
    for _ in 0..input.count(8)? {
        let subtopology = input.i32()?;
        for _ in 0..input.count(12)? {
            let task = task_id(subtopology, input.i32()?);
            sums.insert(task, input.i64()?);
        }
    }
    Ok(sums)
}

/// Versions 10 and 11: a flat list, each entry with the name of its topology.
fn read_flat_sums(input: &mut Reader<'_>) -> Result<BTreeMap<TaskId, i64>, AssignmentDataError> {
    let mut sums = BTreeMap::new();
    for _ in 0..input.count(18)? {
        let task = task_id(input.i32()?, input.i32()?);
        sums.insert(task, input.i64()?);
        input.skip_nullable_text()?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::hex;

    fn process_id() -> Uuid {
        Uuid::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap() + 1))
    }

    #[track_caller]
    fn check(info: &SubscriptionInfo, expected: &str) {
        assert_eq!(hex::write(&info.encode()), expected.replace(' ', ""));
        assert_eq!(SubscriptionInfo::decode(&info.encode()).as_ref(), Ok(info));
    }

    // Vectors printed by Java's SubscriptionInfo of Kafka 4.3.
    #[test]
    fn bytes_are_javas() {
        let mut info = SubscriptionInfo::new(process_id(), BTreeMap::new());
        let id = "0102030405060708090a0b0c0d0e0f10";
        check(&info, &format!("0000000b 0000000b {id} 00000000 00000000 00 00000000 00000000"));
        info.user_end_point = "h:1".to_owned();
        info.task_offset_sums.insert(task_id(0, 1), ACTIVE_OFFSET_SUM);
        info.unique_field = 1;
        info.client_tags.insert("zone".to_owned(), "a".to_owned());
        check(
            &info,
            &format!(
                "0000000b 0000000b {id} 00000003683a31 00000001 00000000 00000001 \
                 fffffffffffffffe ffff 01 00000000 00000001 000000047a6f6e65 0000000161"
            ),
        );
    }

    #[test]
    fn older_versions_are_read() {
        let id = "0102030405060708090a0b0c0d0e0f10";
        let v3 = format!(
            "00000003 0000000b {id} 00000001 00000000 00000002 00000001 00000001 00000003 00000000"
        );
        let info = SubscriptionInfo::decode(&hex::read(&v3)).unwrap();
        let expected = [(task_id(0, 2), -2), (task_id(1, 3), -3)];
        assert_eq!(info.task_offset_sums, BTreeMap::from(expected));
        let v7 = format!(
            "00000007 0000000b {id} 00000000 00000001 00000001 00000001 00000002 0000000000000009"
        );
        let info = SubscriptionInfo::decode(&hex::read(&v7)).unwrap();
        assert_eq!(info.task_offset_sums, BTreeMap::from([(task_id(1, 2), 9)]));
        let future = SubscriptionInfo::decode(&hex::read("0000000c 0000000c")).unwrap();
        assert_eq!((future.version, future.latest_supported), (12, 12));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let good = SubscriptionInfo::new(process_id(), BTreeMap::from([(task_id(0, 0), 4)]));
        let bytes = good.encode();
        for end in 0..bytes.len() {
            assert!(SubscriptionInfo::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
        let mut huge = bytes;
        huge[28..32].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(matches!(
            SubscriptionInfo::decode(&huge),
            Err(AssignmentDataError::Count { count: 2_147_483_647, .. })
        ));
    }
}
