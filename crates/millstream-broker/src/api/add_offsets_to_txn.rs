//! AddOffsetsToTxn 0 to 4: the offsets of a group take part in a transaction (KIP-98).
//!
//! They stand as a partition of `__consumer_offsets`, which several groups may share, as in Kafka.
//! Version 4 adds nothing but an error that clients know. Omitted: authorisation.

use std::collections::BTreeSet;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use millstream_types::{ProducerEpoch, ProducerId};

use super::{Api, Call, Served};
use crate::core::state::State;
use crate::core::transaction::{Producer, TransactionVersion, Transactions};

/// The first version that knows `PRODUCER_FENCED`.
const KNOWS_FENCED: i16 = 2;

impl Api for AddOffsetsToTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<AddOffsetsToTxnResponse> {
        let producer = Producer {
            id: ProducerId(self.producer_id.0),
            epoch: ProducerEpoch(self.producer_epoch),
        };
        let partitions = BTreeSet::from([Transactions::offsets_partition(&self.group_id)]);
        let added = state.add_partitions(
            call.node,
            &self.transactional_id,
            producer,
            partitions,
            TransactionVersion::V0,
            call.moment(),
        );
        let code = match added {
            Err(ErrorCode::ProducerFenced) if call.version < KNOWS_FENCED => {
                ErrorCode::InvalidProducerEpoch
            }
            added => added.err().unwrap_or(ErrorCode::None),
        };
        Served::Now(self.refuse(call.version, code))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse::default().with_error_code(code.code())
    }
}
