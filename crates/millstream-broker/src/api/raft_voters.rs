//! AddRaftVoter 0 to the newest and RemoveRaftVoter 0: refused as a static quorum refuses them
//! (KIP-853). The quorum is made of the nodes and never changes.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};

use uuid::Uuid;

use super::{Api, Call, Served, sentence, text};
use crate::core::state::State;

impl Api for AddRaftVoterRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<AddRaftVoterResponse> {
        let directory = self.voter_directory_id;
        let (code, why) = refusal(state, self.cluster_id.as_deref(), directory, ["adding", "Add"]);
        Served::Now(
            AddRaftVoterResponse::default()
                .with_error_code(code.code())
                .with_error_message(Some(text(why))),
        )
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AddRaftVoterResponse {
        AddRaftVoterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)))
    }
}

impl Api for RemoveRaftVoterRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<RemoveRaftVoterResponse> {
        let directory = self.voter_directory_id;
        let (code, why) =
            refusal(state, self.cluster_id.as_deref(), directory, ["removing", "Remove"]);
        Served::Now(
            RemoveRaftVoterResponse::default()
                .with_error_code(code.code())
                .with_error_message(Some(text(why))),
        )
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> RemoveRaftVoterResponse {
        RemoveRaftVoterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)))
    }
}

fn refusal(
    state: &State,
    cluster: Option<&str>,
    directory: Uuid,
    [doing, verb]: [&str; 2],
) -> (ErrorCode, String) {
    if cluster.is_some_and(|id| id != state.cluster_id.as_str()) {
        let code = ErrorCode::InconsistentClusterId;
        return (code, sentence(code).to_string());
    }
    if directory.is_nil() {
        let why = format!("{verb} voter request didn't include a valid voter");
        return (ErrorCode::InvalidRequest, why);
    }
    let why =
        format!("Cluster doesn't support {doing} voter because the kraft.version feature is 0");
    (ErrorCode::UnsupportedVersion, why)
}
