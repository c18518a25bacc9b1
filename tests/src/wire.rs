//! Requests by hand, for what the clients do not offer.

use bytes::BytesMut;
use millstream_protocol::codec::{decode_response, encode_request};
use millstream_protocol::frame::{DEFAULT_MAX_FRAME, FrameDecoder};
use millstream_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use millstream_protocol::messages::elect_leaders_request::TopicPartitions;
use millstream_protocol::messages::{
    self as m, AlterPartitionReassignmentsRequest, ElectLeadersRequest, Request, StrBytes,
};
use millstream_protocol::ErrorCode;
use millstream_types::{BrokerId, TopicPartition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
    let order = AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(
        vec![ReassignableTopic::default().with_name(name.clone()).with_partitions(vec![
            ReassignablePartition::default()
                .with_partition_index(partition.partition.value())
                .with_replicas(Some(ids)),
        ])],
    );
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
