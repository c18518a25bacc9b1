//! ListPartitionReassignments 0: none, ever. Java's tools ask for it when they describe topics.
//!
//! Omitted: reassignments themselves (AlterPartitionReassignments is not served).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::{Api, Call, Served, text};
use crate::core::state::State;

impl Api for ListPartitionReassignmentsRequest {
    fn serve(self, _: &mut State, _: &Call) -> Served<ListPartitionReassignmentsResponse> {
        Served::Now(ListPartitionReassignmentsResponse::default())
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())))
    }
}
