//! The fetch answer, written by hand for all versions so that batches go out by reference.

use bytes::BufMut;
use millstream_protocol::ApiKey;
use millstream_types::{BrokerId, LeaderEpoch};

use super::read::PartitionRead;
use crate::core::frame::{FrameWriter, ResponseFrame};
use crate::core::state::State;
use crate::core::topic::TopicRef;

/// The first version that tells the leader (KIP-951).
const TELLS_LEADER: i16 = 16;
/// Where a bit is flipped by a fault: in the batch's checksummed part.
const CORRUPT_AT: usize = 30;

/// What stands before the partitions.
pub(super) struct Head {
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) session_id: i32,
    /// Whether transactions matter to the reader (`read_committed`).
    pub(super) committed_only: bool,
    pub(super) corrupt: bool,
}

/// Writes an answer with its length and header.
pub(super) fn fetch_response(state: &State, head: &Head, reads: &[PartitionRead]) -> ResponseFrame {
    let version = head.version;
    let mut writer = Writer {
        out: FrameWriter::new(),
        version,
        flexible: ApiKey::Fetch.is_flexible(version),
        committed_only: head.committed_only,
    };
    let mut corrupt = head.corrupt;
    writer.i32(head.correlation_id);
    writer.no_tags();
    writer.i32(0);
    if version >= 7 {
        writer.i16(0);
        writer.i32(head.session_id);
    }
    let topics: Vec<&[PartitionRead]> = reads.chunk_by(|a, b| a.key.0 == b.key.0).collect();
    writer.count(topics.len());
    for topic in topics {
        match topic.first().map(|read| &read.key.0) {
            Some(TopicRef::Name(name)) => writer.string(name.as_str()),
            Some(TopicRef::Id(id)) => writer.out.put_slice(id.as_bytes()),
            None => {}
        }
        writer.count(topic.len());
        for read in topic {
            writer.partition(state, read, &mut corrupt);
        }
        writer.no_tags();
    }
    writer.node_endpoints(state, reads);
    writer.out.finish_with_length()
}

struct Writer {
    out: FrameWriter,
    version: i16,
    flexible: bool,
    committed_only: bool,
}

impl Writer {
    fn i32(&mut self, value: i32) {
        self.out.open().put_i32(value);
    }

    fn i16(&mut self, value: i16) {
        self.out.open().put_i16(value);
    }

    fn i64(&mut self, value: i64) {
        self.out.open().put_i64(value);
    }

    fn uvarint(&mut self, value: usize) {
        let mut value = u32::try_from(value).unwrap_or(u32::MAX);
        while value >= 0x80 {
            self.out.open().put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.open().put_u8(value as u8);
    }

    fn count(&mut self, count: usize) {
        if self.flexible {
            self.uvarint(count + 1);
        } else {
            self.i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn string(&mut self, value: &str) {
        if self.flexible {
            self.uvarint(value.len() + 1);
        } else {
            self.i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        }
        self.out.put_slice(value.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.uvarint(0);
        }
    }

    fn partition(&mut self, state: &State, read: &PartitionRead, corrupt: &mut bool) {
        self.i32(read.key.1);
        self.i16(read.error.code());
        self.i64(read.high_watermark);
        self.i64(read.last_stable);
        if self.version >= 5 {
            self.i64(read.log_start);
        }
        self.aborted(read);
        if self.version >= 11 {
            self.i32(-1);
        }
        self.count(read.bytes);
        self.records(state, read, corrupt);
        if self.flexible {
            self.partition_tags(read);
        }
    }

    /// The aborted transactions: null for who reads all.
    fn aborted(&mut self, read: &PartitionRead) {
        if !self.committed_only {
            return if self.flexible { self.uvarint(0) } else { self.i32(-1) };
        }
        self.count(read.aborted.len());
        for aborted in &read.aborted {
            self.i64(aborted.producer_id.0);
            self.i64(aborted.first.0);
            self.no_tags();
        }
    }

    fn records(&mut self, state: &State, read: &PartitionRead, corrupt: &mut bool) {
        let Ok(topic) = state.topics.find(&read.key.0) else {
            return;
        };
        let Some(partition) = topic.partition(read.key.1) else {
            return;
        };
        for batch in partition.log.batches_from(read.from).iter().take(read.batches) {
            if std::mem::take(corrupt) {
                let mut bytes = batch.to_bytes().to_vec();
                if let Some(byte) = bytes.get_mut(CORRUPT_AT) {
                    *byte ^= 0x10;
                }
                self.out.put_slice(&bytes);
            } else {
                batch.write(&mut self.out);
            }
        }
    }

    /// Tag 0: where the logs part; tag 1: who leads.
    fn partition_tags(&mut self, read: &PartitionRead) {
        let leader = read.leader.filter(|_| self.version >= TELLS_LEADER);
        let count = usize::from(read.diverging.is_some()) + usize::from(leader.is_some());
        self.uvarint(count);
        if let Some((epoch, end)) = read.diverging {
            self.uvarint(0);
            self.uvarint(4 + 8 + 1);
            self.i32(epoch.0);
            self.i64(end.0);
            self.uvarint(0);
        }
        if let Some((leader, epoch)) = leader {
            self.uvarint(1);
            self.uvarint(4 + 4 + 1);
            self.i32(leader.0);
            self.i32(epoch.0);
            self.uvarint(0);
        }
    }

    /// Tag 0 of the answer, from version 16: the addresses of the leaders that were told.
    fn node_endpoints(&mut self, state: &State, reads: &[PartitionRead]) {
        if !self.flexible {
            return;
        }
        let told = reads.iter().filter_map(|read: &PartitionRead| read.leader);
        let mut leaders: Vec<BrokerId> = told.map(|(id, _): (BrokerId, LeaderEpoch)| id).collect();
        leaders.sort_unstable();
        leaders.dedup();
        let nodes: Vec<_> = leaders.into_iter().filter_map(|id| state.nodes.get(id)).collect();
        if self.version < TELLS_LEADER || nodes.is_empty() {
            self.uvarint(0);
            return;
        }
        let mut field = Self {
            out: FrameWriter::new(),
            version: self.version,
            flexible: true,
            committed_only: false,
        };
        field.count(nodes.len());
        for node in nodes {
            field.i32(node.id.0);
            field.string(&node.host);
            field.i32(i32::from(node.port));
            // No rack.
            field.uvarint(0);
            field.no_tags();
        }
        self.uvarint(1);
        self.uvarint(0);
        self.uvarint(field.out.len());
        self.out.put_slice(&field.out.finish().into_bytes());
    }
}
