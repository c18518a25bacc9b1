//! Requests by hand, for what the clients do not offer.

use bytes::BytesMut;
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::BatchBuilder;
use millstream_protocol::codec::{decode_response, encode_request};
use millstream_protocol::frame::{DEFAULT_MAX_FRAME, FrameDecoder};
use millstream_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use millstream_protocol::messages::elect_leaders_request::TopicPartitions;
use millstream_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use millstream_protocol::messages::{
    self as m, AlterPartitionReassignmentsRequest, ElectLeadersRequest, Request, StrBytes,
};
use millstream_types::{BrokerId, RecordHeader, Timestamp, TopicPartition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the length of a batch (format 2) ends, and what it counts begins.
const LENGTH_END: usize = 12;
/// Where the attributes stand: the checksum stands before them and covers all from them on.
const ATTRIBUTES_AT: usize = 21;
/// Where the records begin.
const RECORDS_AT: usize = 61;

/// Asks a broker one thing on a connection of its own.
///
/// # Panics
/// If there is no answer that can be read.
pub async fn call<R: Request>(address: &str, version: i16, request: &R) -> R::Response {
    let mut stream = TcpStream::connect(address).await.expect("the broker listens");
    let mut out = BytesMut::new();
    encode_request(version, 1, Some("suite"), request, &mut out).expect("it can be encoded");
    stream.write_all(&out).await.expect("it can be sent");
    let mut frames = FrameDecoder::new(DEFAULT_MAX_FRAME);
    loop {
        if let Some(frame) = frames.next_frame().expect("a frame") {
            return decode_response::<R>(version, frame).expect("an answer");
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.expect("the connection holds");
        assert!(read > 0, "the broker hung up");
        frames.extend(&chunk[..read]);
    }
}

/// Makes the first of a partition's replicas its leader, on real Kafka: the order of the replicas
/// is changed, then the preferred one is elected.
///
/// # Panics
/// If Kafka refuses.
pub async fn prefer(bootstrap: &str, partition: &TopicPartition, replicas: &[BrokerId]) {
    let address = bootstrap.split(',').next().expect("an address");
    let name = m::TopicName(StrBytes::from_string(partition.topic.to_string()));
    let ids = replicas.iter().map(|id| m::BrokerId(id.value())).collect();
    let order =
        AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(vec![
            ReassignableTopic::default().with_name(name.clone()).with_partitions(vec![
                ReassignablePartition::default()
                    .with_partition_index(partition.partition.value())
                    .with_replicas(Some(ids)),
            ]),
        ]);
    let answer = call(address, 0, &order).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
    for topic in answer.responses {
        for answer in topic.partitions {
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
        }
    }
    let election = ElectLeadersRequest::default()
        .with_election_type(0)
        .with_timeout_ms(10_000)
        .with_topic_partitions(Some(vec![
            TopicPartitions::default()
                .with_topic(name)
                .with_partitions(vec![partition.partition.value()]),
        ]));
    let answer = call(address, 2, &election).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
}

/// Appends the bytes of a batch to a partition as they are, and gives the code that the broker
/// answers with.
///
/// # Panics
/// If there is no answer that can be read.
pub async fn produce(address: &str, partition: &TopicPartition, batch: Vec<u8>) -> ErrorCode {
    let topic = m::TopicName(StrBytes::from_string(partition.topic.to_string()));
    let data = PartitionProduceData::default()
        .with_index(partition.partition.value())
        .with_records(Some(batch.into()));
    let data = TopicProduceData::default().with_name(topic).with_partition_data(vec![data]);
    let request = m::ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![data]);
    let answer = call(address, 9, &request).await;
    ErrorCode::from(answer.responses[0].partition_responses[0].error_code)
}

/// A batch of these records as our codec writes it.
///
/// # Panics
/// If they are too many.
#[must_use]
pub fn batch(values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    for value in values {
        let no_headers: [RecordHeader<'_>; 0] = [];
        builder.append(Timestamp(0), None, Some(value), no_headers).expect("it fits");
    }
    builder.seal().into_bytes()
}

/// Puts other bytes in the place of a batch's records, compressed with the codec of this number,
/// and makes length and checksum right again.
#[must_use]
pub fn with_records(mut batch: Vec<u8>, codec: u8, records: &[u8]) -> Vec<u8> {
    batch.truncate(RECORDS_AT);
    batch.extend_from_slice(records);
    batch[ATTRIBUTES_AT + 1] = codec;
    let length = u32::try_from(batch.len() - LENGTH_END).unwrap_or(u32::MAX);
    batch[LENGTH_END - 4..LENGTH_END].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[ATTRIBUTES_AT - 4..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
    batch
}

/// A zstd frame that decompresses to `blocks` times 128 KiB of zeros: RFC 8878, blocks of type RLE.
#[must_use]
pub fn zstd_bomb(blocks: usize) -> Vec<u8> {
    // Magic number; no content size, no checksum; a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for n in 1..=blocks {
        let is_last = u32::from(n == blocks);
        let header = ((128 * 1024) << 3) | (1 << 1) | is_last;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}
