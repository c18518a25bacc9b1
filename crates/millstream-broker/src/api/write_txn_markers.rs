//! WriteTxnMarkers 1 and 2: ends transactions in partitions, as coordinators do and administrators
//! who abort a hanging transaction (KIP-98, KIP-664).
//!
//! Version 2 says by which rules the marker was made: those of transaction version 2 want an epoch
//! above that of the records (KIP-1228). The coordinator of the transaction is not told. Omitted:
//! authorisation.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use millstream_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use millstream_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use millstream_types::{ProducerEpoch, ProducerId, TopicPartition};

use super::{Api, Call, Served};
use crate::core::producers::Marker;
use crate::core::state::State;
use crate::core::transaction::{OFFSETS_TOPIC, TransactionVersion};

impl Api for WriteTxnMarkersRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<WriteTxnMarkersResponse> {
        let markers = self.markers.iter().map(|wanted| {
            answer(wanted, |partition| {
                let written = write(state, call, wanted, partition);
                written.err().unwrap_or(ErrorCode::None)
            })
        });
        Served::Now(WriteTxnMarkersResponse::default().with_markers(markers.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> WriteTxnMarkersResponse {
        let markers = self.markers.iter().map(|wanted| answer(wanted, |_| code));
        WriteTxnMarkersResponse::default().with_markers(markers.collect())
    }
}

fn answer(
    wanted: &WritableTxnMarker,
    mut code: impl FnMut(TopicPartition) -> ErrorCode,
) -> WritableTxnMarkerResult {
    let topics = wanted.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let partition = TopicPartition::new(topic.name.as_str(), *index);
            WritableTxnMarkerPartitionResult::default()
                .with_partition_index(*index)
                .with_error_code(code(partition).code())
        });
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    WritableTxnMarkerResult::default()
        .with_producer_id(wanted.producer_id)
        .with_topics(topics.collect())
}

fn write(
    state: &mut State,
    call: &Call,
    wanted: &WritableTxnMarker,
    partition: TopicPartition,
) -> Result<(), ErrorCode> {
    let version = TransactionVersion::from_level(wanted.transaction_version.into());
    let marker = Marker {
        producer_id: ProducerId(wanted.producer_id.0),
        epoch: ProducerEpoch(wanted.producer_epoch),
        coordinator_epoch: wanted.coordinator_epoch,
        commit: wanted.transaction_result,
        raised: version.raises_epoch(),
    };
    if partition.topic.as_str() != OFFSETS_TOPIC {
        let topic = state.topics.get(partition.topic.as_str());
        let found = topic.and_then(|topic| topic.partition(partition.partition.0));
        // A broker that holds no replica of a partition does not know it.
        let found = found.filter(|found| found.replicas.contains(&call.node));
        found.ok_or(ErrorCode::UnknownTopicOrPartition)?.check_leader(call.node, -1)?;
    }
    state.write_marker(&partition, marker, call.moment())
}
