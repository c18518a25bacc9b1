//! InitProducerId 0 to 5: an id for an idempotent or transactional producer (KIP-98, KIP-360).
//!
//! Without a transactional id Kafka always gives a new id with epoch 0, whatever the producer had.
//! With one the coordinator raises the epoch, which fences the producer before; an open transaction
//! is aborted first, and the client has to come again (`CONCURRENT_TRANSACTIONS`). A producer that
//! names its id and epoch goes on only if no other came between; when the epochs are used up it gets
//! a new id. Omitted: two-phase commit (KIP-939), which no released version of Kafka has.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use millstream_types::{ProducerEpoch, ProducerId};

use super::{Api, Call, Served};
use crate::core::state::State;
use crate::core::transaction::Producer;

/// The first version that knows `PRODUCER_FENCED`.
const KNOWS_FENCED: i16 = 4;

impl Api for InitProducerIdRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<InitProducerIdResponse> {
        match init(&self, state, call) {
            Ok(producer) => Served::Now(
                InitProducerIdResponse::default()
                    .with_producer_id(m::ProducerId(producer.id.0))
                    .with_producer_epoch(producer.epoch.0),
            ),
            Err(ErrorCode::ProducerFenced) if call.version < KNOWS_FENCED => {
                Served::Now(self.refuse(call.version, ErrorCode::InvalidProducerEpoch))
            }
            Err(code) => Served::Now(self.refuse(call.version, code)),
        }
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1)
    }
}

fn init(
    request: &InitProducerIdRequest,
    state: &mut State,
    call: &Call,
) -> Result<Producer, ErrorCode> {
    let expected = Producer {
        id: ProducerId(request.producer_id.0),
        epoch: ProducerEpoch(request.producer_epoch),
    };
    let expected = match (expected.id, expected.epoch) {
        (ProducerId::NONE, ProducerEpoch::NONE) => None,
        (ProducerId::NONE, _) | (_, ProducerEpoch::NONE) => return Err(ErrorCode::InvalidRequest),
        _ => Some(expected),
    };
    let Some(id) = &request.transactional_id else {
        return Ok(Producer { id: state.new_producer_id(), epoch: ProducerEpoch(0) });
    };
    let timeout = request.transaction_timeout_ms;
    state.init_producer_id(call.node, id, timeout, expected, call.moment())
}
