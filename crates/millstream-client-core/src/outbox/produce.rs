//! The Produce request: our own struct, so that batch bytes go to the socket without a copy.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_protocol::frame::{begin_frame, finish_frame};
use millstream_protocol::wire::Writer;
use millstream_protocol::{ApiKey, codec};
use millstream_types::{PartitionId, TopicId, TopicName};

/// How many replicas must have a record before the broker acknowledges it (`acks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// None: there is no answer at all (`acks=0`).
    None,
    /// The leader (`acks=1`).
    Leader,
    /// All in-sync replicas (`acks=all`).
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// A Produce request, all versions.
///
/// Up to version 12 topics go by name, from 13 on by id (KIP-516): a request with a topic whose
/// id is unknown must be sent with `version_max(12)`.
#[derive(Clone, Debug)]
pub struct ProduceRequest {
    /// The transactional id, for batches inside a transaction.
    pub transactional_id: Option<Arc<str>>,
    /// When the broker answers.
    pub acks: Acks,
    /// How long the broker may wait for replicas.
    pub timeout: Duration,
    /// The batches, by topic.
    pub topics: Vec<ProduceTopic>,
}

/// One topic of a [`ProduceRequest`].
#[derive(Clone, Debug)]
pub struct ProduceTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id, [`TopicId::ZERO`] if unknown.
    pub id: TopicId,
    /// The batches, by partition.
    pub partitions: Vec<ProducePartition>,
}

/// One partition of a [`ProduceRequest`].
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// Its number.
    pub partition: PartitionId,
    /// One sealed batch, written to the socket as it is. Cloning shares the bytes: whoever keeps
    /// a clone keeps the buffer from being reused (`Bytes::from_owner` returns it to a pool).
    pub batch: Bytes,
}

/// Writes the request as a frame: each chunk that `push` gets is either the next piece of head,
/// copied from `scratch`, or a batch as it is.
///
/// Layout: ProduceRequest.json. Flexible from version 9, topic ids from 13.
pub(crate) fn encode(
    request: &ProduceRequest,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    scratch: &mut BytesMut,
    mut push: impl FnMut(Bytes),
) -> Result<(), String> {
    scratch.clear();
    let written = write(request, version, correlation_id, client_id, scratch);
    let batches = match written {
        Ok(batches) => batches,
        Err(reason) => {
            scratch.clear();
            return Err(reason);
        }
    };
    let mut at = 0;
    for (end, batch) in batches {
        push(scratch.split_to(end - at).freeze());
        push(batch);
        at = end;
    }
    push(scratch.split().freeze());
    Ok(())
}

/// Writes all heads one behind the other; returns each batch with the place it belongs to.
fn write(
    request: &ProduceRequest,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    out: &mut BytesMut,
) -> Result<Vec<(usize, Bytes)>, String> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let start = begin_frame(out);
    codec::put_request_header(ApiKey::Produce, version, correlation_id, Some(client_id), out)
        .map_err(|error| error.to_string())?;
    put_string(request.transactional_id.as_deref(), flexible, out)?;
    let timeout = i32::try_from(request.timeout.as_millis()).unwrap_or(i32::MAX);
    let mut writer = Writer::new(out);
    writer.i16(request.acks.code());
    writer.i32(timeout);
    put_count(request.topics.len(), flexible, out)?;
    let mut batches = Vec::new();
    let mut batch_bytes = 0;
    for topic in &request.topics {
        put_topic(topic, version, out)?;
        put_count(topic.partitions.len(), flexible, out)?;
        for partition in &topic.partitions {
            let mut writer = Writer::new(out);
            writer.i32(partition.partition.value());
            writer
                .bytes_length(partition.batch.len(), flexible)
                .map_err(|_| "a batch is too long".to_owned())?;
            batch_bytes += partition.batch.len();
            batches.push((out.len(), partition.batch.clone()));
            put_no_tags(flexible, out);
        }
        put_no_tags(flexible, out);
    }
    put_no_tags(flexible, out);
    finish_frame(out, start, batch_bytes).map_err(|error| error.to_string())?;
    Ok(batches)
}

fn put_topic(topic: &ProduceTopic, version: i16, out: &mut BytesMut) -> Result<(), String> {
    if version < 13 {
        return put_string(Some(topic.name.as_str()), ApiKey::Produce.is_flexible(version), out);
    }
    if !topic.id.is_known() {
        return Err(format!("the id of topic {} is not known", topic.name));
    }
    Writer::new(out).uuid(topic.id.0.as_bytes());
    Ok(())
}

fn put_string(text: Option<&str>, flexible: bool, out: &mut BytesMut) -> Result<(), String> {
    let mut writer = Writer::new(out);
    let put =
        if flexible { writer.compact_nullable_string(text) } else { writer.nullable_string(text) };
    put.map_err(|_| "a name is too long".to_owned())
}

fn put_count(count: usize, flexible: bool, out: &mut BytesMut) -> Result<(), String> {
    Writer::new(out).count(count, flexible).map_err(|_| "it has too many entries".to_owned())
}

fn put_no_tags(flexible: bool, out: &mut BytesMut) {
    if flexible {
        Writer::new(out).uvarint(0);
    }
}

#[cfg(test)]
mod tests {
    use millstream_protocol::messages as m;
    use millstream_protocol::messages::StrBytes;
    use millstream_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

    use super::*;

    fn ours(ids: [TopicId; 2]) -> ProduceRequest {
        let partition = |partition, batch: &'static str| ProducePartition {
            partition: PartitionId(partition),
            batch: Bytes::from_static(batch.as_bytes()),
        };
        ProduceRequest {
            transactional_id: Some("tx".into()),
            acks: Acks::All,
            timeout: Duration::from_millis(1500),
            topics: vec![
                ProduceTopic {
                    name: "orders".into(),
                    id: ids[0],
                    partitions: vec![partition(0, "first batch"), partition(7, "")],
                },
                ProduceTopic {
                    name: "words".into(),
                    id: ids[1],
                    partitions: vec![partition(1, &"long ".repeat(50).leak()[..])],
                },
            ],
        }
    }

    fn theirs(version: i16, ours: &ProduceRequest) -> m::ProduceRequest {
        let topic = |topic: &ProduceTopic| {
            let partition = |partition: &ProducePartition| {
                PartitionProduceData::default()
                    .with_index(partition.partition.value())
                    .with_records(Some(partition.batch.clone()))
            };
            let data = TopicProduceData::default()
                .with_partition_data(topic.partitions.iter().map(partition).collect());
            if version < 13 {
                let name = StrBytes::from_string(topic.name.to_string());
                data.with_name(m::TopicName(name))
            } else {
                data.with_topic_id(topic.id.0)
            }
        };
        m::ProduceRequest::default()
            .with_transactional_id(Some(m::TransactionalId(StrBytes::from_static_str("tx"))))
            .with_acks(-1)
            .with_timeout_ms(1500)
            .with_topic_data(ours.topics.iter().map(topic).collect())
    }

    #[test]
    fn writes_what_the_message_crate_writes_in_every_version() {
        let ids = [1, 2].map(|id| TopicId(uuid(id)));
        let ours = ours(ids);
        let supported = millstream_protocol::api::supported_versions(ApiKey::Produce);
        for version in supported.min..=supported.max {
            let mut expected = BytesMut::new();
            let request = theirs(version, &ours);
            codec::encode_request(version, 77, Some("me"), &request, &mut expected).unwrap();
            let mut chunks = Vec::new();
            let mut scratch = BytesMut::new();
            encode(&ours, version, 77, "me", &mut scratch, |c| chunks.push(c)).unwrap();
            assert_eq!(chunks.concat(), expected, "version {version}");
        }
    }

    #[test]
    fn batches_are_not_copied() {
        let ours = ours([TopicId::ZERO; 2]);
        let batch = &ours.topics[0].partitions[0].batch;
        let mut chunks = Vec::new();
        encode(&ours, 12, 0, "me", &mut BytesMut::new(), |c| chunks.push(c)).unwrap();
        assert_eq!(chunks[1].as_ptr(), batch.as_ptr());
    }

    #[test]
    fn a_topic_without_an_id_cannot_go_by_id() {
        let ours = ours([TopicId::ZERO; 2]);
        let mut pushed = 0;
        let error = encode(&ours, 13, 0, "me", &mut BytesMut::new(), |_| pushed += 1);
        assert_eq!(error.unwrap_err(), "the id of topic orders is not known");
        assert_eq!(pushed, 0);
    }

    fn uuid(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }
}
