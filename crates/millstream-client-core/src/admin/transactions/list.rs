//! Listing transactional ids, from every broker (KIP-664, KIP-994, KIP-1152).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::{BrokerId, ProducerId};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::everywhere::{self, List, Part};
use super::super::operation::Refusal;
use super::super::wire::text;
use super::TransactionState;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Which transactional ids to list: those that fit all that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    states: BTreeSet<TransactionState>,
    producers: BTreeSet<ProducerId>,
    open_for: Option<Duration>,
    pattern: Option<String>,
}

impl TransactionFilter {
    /// All transactional ids.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those in this state, or another that is named.
    #[must_use]
    pub fn state(mut self, state: TransactionState) -> Self {
        self.states.insert(state);
        self
    }

    /// Those of this producer, or another that is named.
    #[must_use]
    pub fn producer(mut self, producer: ProducerId) -> Self {
        self.producers.insert(producer);
        self
    }

    /// Those whose transaction has been open for longer than this (Kafka 3.8).
    #[must_use]
    pub const fn open_for(mut self, duration: Duration) -> Self {
        self.open_for = Some(duration);
        self
    }

    /// Those that fit a regular expression, in the broker's dialect (Kafka 4.1).
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }
}

/// A transactional id as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The state.
    pub state: TransactionState,
    /// The coordinator.
    pub coordinator: Option<BrokerId>,
}

/// Lists transactional ids, of all brokers.
pub fn list_transactions(
    filter: TransactionFilter,
) -> AdminCall<Result<BTreeMap<String, TransactionListing>, AdminError>> {
    everywhere::list(filter)
}

impl List for TransactionFilter {
    type Name = String;
    type Entry = TransactionListing;
    const WHAT: &'static str = "transactions";

    fn version_min(&self) -> Option<i16> {
        match (&self.pattern, self.open_for) {
            (Some(_), _) => Some(2),
            (None, Some(_)) => Some(1),
            (None, None) => None,
        }
    }

    fn request(&self) -> RequestBody {
        let states = self.states.iter().map(|state| text(&state.to_string()));
        let producers = self.producers.iter().map(|producer| m::ProducerId(producer.0));
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        m::ListTransactionsRequest::default()
            .with_state_filters(states.collect())
            .with_producer_id_filters(producers.collect())
            .with_duration_filter(self.open_for.map_or(-1, millis))
            .with_transactional_id_pattern(self.pattern.as_deref().map(text))
            .into()
    }

    fn read(&self, response: Response) -> Result<Part<Self>, WrongResponse> {
        let from = response.from;
        let answer = m::ListTransactionsResponse::try_from(response.body)?;
        let listings = answer.transaction_states.iter().map(|state| {
            let listing = TransactionListing {
                producer_id: ProducerId(state.producer_id.0),
                state: TransactionState::read(&state.transaction_state),
                coordinator: from,
            };
            (state.transactional_id.0.to_string(), listing)
        });
        Ok(Refusal::check(answer.error_code, None).map(|()| listings.collect()))
    }
}
