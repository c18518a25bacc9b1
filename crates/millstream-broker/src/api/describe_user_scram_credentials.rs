//! DescribeUserScramCredentials 0: the mechanisms and iterations of users (KIP-554), as
//! `ScramImage.describe` tells them.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use millstream_protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};

use super::{Api, Call, Served, text};
use crate::core::state::State;

impl Api for DescribeUserScramCredentialsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<DescribeUserScramCredentialsResponse> {
        let mut times = BTreeMap::<String, usize>::new();
        for user in self.users.iter().flatten() {
            *times.entry(user.name.to_string()).or_default() += 1;
        }
        if times.is_empty() {
            times.extend(state.scram.keys().map(|user| (user.clone(), 1)));
        }
        let results = times.iter().map(|(user, times)| describe(state, user, *times > 1));
        Served::Now(
            DescribeUserScramCredentialsResponse::default()
                .with_error_message(None)
                .with_results(results.collect()),
        )
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeUserScramCredentialsResponse {
        DescribeUserScramCredentialsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(super::sentence(code)))
    }
}

fn describe(state: &State, user: &str, twice: bool) -> DescribeUserScramCredentialsResult {
    let result = DescribeUserScramCredentialsResult::default().with_user(text(user));
    let failed = |code: ErrorCode, why: String| {
        result.clone().with_error_code(code.code()).with_error_message(Some(text(why)))
    };
    if twice {
        let why = format!(
            "Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
        );
        return failed(ErrorCode::DuplicateResource, why);
    }
    match state.scram.get(user) {
        None => {
            let why = format!("Attempt to describe a user credential that does not exist: {user}");
            failed(ErrorCode::ResourceNotFound, why)
        }
        Some(mechanisms) => {
            let infos = mechanisms.iter().map(|(mechanism, iterations)| {
                CredentialInfo::default()
                    .with_mechanism(mechanism.number())
                    .with_iterations(*iterations)
            });
            result.with_credential_infos(infos.collect())
        }
    }
}
