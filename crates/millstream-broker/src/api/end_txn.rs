//! EndTxn 0 to 5: commits or aborts a transaction (KIP-98, KIP-890).
//!
//! The answer comes before the markers are written; until they are, the transaction stands prepared.
//! Version 5 raises the epoch with each end and tells the producer that goes on: a retry names the
//! epoch before and gets the same answer, and an empty transaction may be aborted. Earlier versions
//! keep the epoch. Omitted: authorisation.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::{EndTxnRequest, EndTxnResponse};
use millstream_types::{ProducerEpoch, ProducerId};

use super::{Api, Call, Served};
use crate::core::state::State;
use crate::core::transaction::{Producer, TransactionVersion};

/// The first version that knows `PRODUCER_FENCED`.
const KNOWS_FENCED: i16 = 2;
/// The first version that raises the epoch.
const RAISES_EPOCH: i16 = 5;

impl Api for EndTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<EndTxnResponse> {
        let producer = Producer {
            id: ProducerId(self.producer_id.0),
            epoch: ProducerEpoch(self.producer_epoch),
        };
        let version = match call.version {
            RAISES_EPOCH.. => TransactionVersion::V2,
            _ => TransactionVersion::V0,
        };
        let id = &self.transactional_id;
        let at = call.moment();
        match state.end_transaction(call.node, id, producer, self.committed, version, at) {
            Ok(producer) if version.raises_epoch() => Served::Now(
                EndTxnResponse::default()
                    .with_producer_id(m::ProducerId(producer.id.0))
                    .with_producer_epoch(producer.epoch.0),
            ),
            Ok(_) => Served::Now(self.refuse(call.version, ErrorCode::None)),
            Err(ErrorCode::ProducerFenced) if call.version < KNOWS_FENCED => {
                Served::Now(self.refuse(call.version, ErrorCode::InvalidProducerEpoch))
            }
            Err(code) => Served::Now(self.refuse(call.version, code)),
        }
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> EndTxnResponse {
        EndTxnResponse::default()
            .with_error_code(code.code())
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1)
    }
}
