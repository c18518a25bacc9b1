//! InitProducerId 0 to 5: a fresh id for an idempotent producer (KIP-98, KIP-360).
//!
//! Without a transactional id Kafka always gives a new id with epoch 0, whatever the producer had.
//! Omitted: transactional producers (`INVALID_REQUEST`).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Api, Call, Served};
use crate::core::state::State;

impl Api for InitProducerIdRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<InitProducerIdResponse> {
        if self.transactional_id.is_some() {
            return Served::Now(self.refuse(call.version, ErrorCode::InvalidRequest));
        }
        let id = state.new_producer_id();
        Served::Now(
            InitProducerIdResponse::default()
                .with_producer_id(m::ProducerId(id.0))
                .with_producer_epoch(0),
        )
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1)
    }
}
