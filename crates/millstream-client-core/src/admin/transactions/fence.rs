//! Fencing producers by their transactional ids: a new epoch is drawn at their coordinators, which
//! aborts what is open (KIP-588, KIP-939).

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::{ProducerEpoch, ProducerId};

use super::super::command::AdminCall;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::wire::{millis, text, transaction_coordinator};
use super::about_id;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// The producer that a transactional id has after fencing; nobody uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FencedProducer {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
}

/// Fences the producers of transactional ids, and aborts what they have open, what is prepared for
/// two-phase commit too.
pub fn fence_producers(
    ids: impl IntoIterator<Item = String>,
) -> AdminCall<Results<String, FencedProducer>> {
    AdminCall::new(Fence, ids.into_iter().map(|id| (id, ())))
}

#[derive(Debug)]
struct Fence;

impl Operation for Fence {
    type Key = String;
    type Input = ();
    type Output = FencedProducer;
    type Done = Results<String, FencedProducer>;

    fn about(&self, key: &String) -> String {
        about_id(key)
    }

    fn place(&self, key: &String, (): &(), _cx: &mut Cx<'_>) -> Placement {
        transaction_coordinator(key)
    }

    fn lot(&self, _key: &String, (): &()) -> Lot {
        Lot::Alone
    }

    fn request(&self, items: &[(&String, &())], timeout: Duration) -> RequestBody {
        let id = items.first().map(|(id, ())| m::TransactionalId(text(id)));
        m::InitProducerIdRequest::default()
            .with_transactional_id(id)
            .with_transaction_timeout_ms(millis(timeout))
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1)
            .into()
    }

    /// The answer does not name the id: there was one.
    fn read(
        &self,
        response: Response,
        asked: &[(&String, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::InitProducerIdResponse::try_from(response.body)?;
        let fenced = FencedProducer {
            producer_id: ProducerId(answer.producer_id.0),
            producer_epoch: ProducerEpoch(answer.producer_epoch),
        };
        let said = asked.iter().take(1).map(|(id, ())| {
            let check = Refusal::check(answer.error_code, None);
            ((*id).clone(), check.map(|()| fenced).into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<String, FencedProducer>) -> Self::Done {
        results
    }
}
