//! UnregisterBroker 0: forgets a node (KIP-631). One that is dead is shown no more; one that is
//! alive leads nothing and is told to nobody until it is restarted.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use millstream_types::BrokerId;

use super::{Api, Call, Served, sentence, text};
use crate::core::state::State;

impl Api for UnregisterBrokerRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<UnregisterBrokerResponse> {
        let id = BrokerId(self.broker_id.0);
        let response = UnregisterBrokerResponse::default();
        let known = state.nodes.node_mut(id).filter(|node| node.registered);
        let Some(node) = known else {
            return Served::Now(
                response
                    .with_error_code(ErrorCode::BrokerIdNotRegistered.code())
                    .with_error_message(Some(text(format!(
                        "Broker ID {id} is not currently registered"
                    )))),
            );
        };
        node.registered = false;
        for partition in state.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.node_died(id);
            state.woken.extend(partition.waiting.drain(..));
        }
        Served::Now(response.with_error_message(None))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> UnregisterBrokerResponse {
        UnregisterBrokerResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)))
    }
}
