//! Describing transactions, at their coordinators (KIP-664).

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::{BrokerId, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::super::command::AdminCall;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::texts::texts;
use super::super::wire::{partition, text, transaction_coordinator};
use super::about_id;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

texts! {
    /// The state of a transactional id at its coordinator.
    TransactionState {
        /// No transaction was begun.
        Empty = "Empty";
        /// One is open.
        Ongoing = "Ongoing";
        /// One is being committed.
        PrepareCommit = "PrepareCommit";
        /// One is being aborted.
        PrepareAbort = "PrepareAbort";
        /// The last one was committed.
        CompleteCommit = "CompleteCommit";
        /// The last one was aborted.
        CompleteAbort = "CompleteAbort";
        /// One is being ended because its producer is fenced.
        PrepareEpochFence = "PrepareEpochFence";
        /// It is being forgotten.
        Dead = "Dead";
    }
}

/// The transaction of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
    /// Its state.
    pub state: TransactionState,
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// When the coordinator aborts it.
    pub timeout: Duration,
    /// When it was begun, if one is open.
    pub started: Option<Timestamp>,
    /// The partitions in it.
    pub partitions: BTreeSet<TopicPartition>,
}

/// Describes the transactions of transactional ids.
pub fn describe_transactions(
    ids: impl IntoIterator<Item = String>,
) -> AdminCall<Results<String, TransactionDescription>> {
    AdminCall::new(Describe, ids.into_iter().map(|id| (id, ())))
}

#[derive(Debug)]
struct Describe;

impl Operation for Describe {
    type Key = String;
    type Input = ();
    type Output = TransactionDescription;
    type Done = Results<String, TransactionDescription>;

    fn about(&self, key: &String) -> String {
        about_id(key)
    }

    fn place(&self, key: &String, (): &(), _cx: &mut Cx<'_>) -> Placement {
        transaction_coordinator(key)
    }

    fn request(&self, items: &[(&String, &())], _timeout: Duration) -> RequestBody {
        let ids = items.iter().map(|(id, ())| m::TransactionalId(text(id)));
        m::DescribeTransactionsRequest::default().with_transactional_ids(ids.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&String, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let from = response.from;
        let answer = m::DescribeTransactionsResponse::try_from(response.body)?;
        let said = answer.transaction_states.iter().map(|state| {
            let partitions = state.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|number| partition(&topic.topic, *number))
            });
            let timeout = u64::try_from(state.transaction_timeout_ms).unwrap_or(0);
            let started = Timestamp(state.transaction_start_time_ms);
            let described = TransactionDescription {
                coordinator: from,
                state: TransactionState::read(&state.transaction_state),
                producer_id: ProducerId(state.producer_id.0),
                producer_epoch: ProducerEpoch(state.producer_epoch),
                timeout: Duration::from_millis(timeout),
                started: Some(started).filter(|time| time.0 >= 0),
                partitions: partitions.collect(),
            };
            let check = Refusal::check(state.error_code, None);
            (state.transactional_id.0.to_string(), check.map(|()| described).into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<String, TransactionDescription>) -> Self::Done {
        results
    }
}
