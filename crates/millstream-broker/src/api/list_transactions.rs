//! ListTransactions 0 to 2: the transactional ids that this node coordinates (KIP-664).
//!
//! Filters by state and producer id, from version 1 by how long a transaction has been going on, from
//! version 2 by a pattern of the whole id (KIP-1152). Names that are no state are told back. While
//! the node loads, all is refused. Omitted: authorisation.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::list_transactions_response::TransactionState;
use millstream_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use regex::Regex;

use super::{Api, Call, Served, text};
use crate::core::state::State;
use crate::core::transaction::{Transaction, TransactionState as Stage};

impl Api for ListTransactionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ListTransactionsResponse> {
        state.expire_transactions(call.moment());
        let transactions = &state.transactions;
        if transactions.placement.is_loading(call.node, call.now) {
            let code = ErrorCode::CoordinatorLoadInProgress;
            return Served::Now(self.refuse(call.version, code));
        }
        let pattern = self.transactional_id_pattern.as_deref().filter(|text| !text.is_empty());
        let pattern = pattern.map(|text| Regex::new(&format!("^(?:{text})$"))).transpose();
        let Ok(pattern) = pattern else {
            return Served::Now(self.refuse(call.version, ErrorCode::InvalidRegularExpression));
        };
        let matches = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(id));
        let own = transactions.iter().filter(|(id, found)| {
            transactions.placement.coordinator(id) == Some(call.node)
                && self.admits(found, call)
                && matches(id)
        });
        let states = own.map(|(id, found)| {
            TransactionState::default()
                .with_transactional_id(m::TransactionalId(text(id)))
                .with_producer_id(m::ProducerId(found.producer.id.0))
                .with_transaction_state(text(found.state.name()))
        });
        let unknown = self.state_filters.iter().filter(|name| Stage::from_name(name).is_none());
        Served::Now(
            ListTransactionsResponse::default()
                .with_unknown_state_filters(unknown.cloned().collect())
                .with_transaction_states(states.collect()),
        )
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse::default().with_error_code(code.code())
    }
}

/// What the filters say of a transaction.
trait Admits {
    fn admits(&self, found: &Transaction, call: &Call) -> bool;
}

impl Admits for ListTransactionsRequest {
    fn admits(&self, found: &Transaction, call: &Call) -> bool {
        let states = &self.state_filters;
        let ids = &self.producer_id_filters;
        let age = call.wall.0.saturating_sub(found.started.0);
        (states.is_empty() || states.iter().any(|name| name.as_str() == found.state.name()))
            && (ids.is_empty() || ids.iter().any(|id| id.0 == found.producer.id.0))
            && (self.duration_filter < 0 || age > self.duration_filter)
    }
}
