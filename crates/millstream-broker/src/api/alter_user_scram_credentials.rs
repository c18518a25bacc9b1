//! AlterUserScramCredentials 0: sets and removes the credentials of users (KIP-554), a result per
//! user, checked as `ScramControlManager` does.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use millstream_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use millstream_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
};

use super::{Api, Call, Served, text};
use crate::core::scram::{MAX_ITERATIONS, MIN_ITERATIONS, Mechanism};
use crate::core::state::{Refused, State};

/// What becomes of one user.
type Changes = BTreeMap<String, Result<(Mechanism, Option<i32>), Refused>>;

impl Api for AlterUserScramCredentialsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<AlterUserScramCredentialsResponse> {
        let mut changes = Changes::new();
        for deletion in &self.deletions {
            plan(&mut changes, &deletion.name, check_deletion(state, deletion));
        }
        for upsertion in &self.upsertions {
            plan(&mut changes, &upsertion.name, check_upsertion(upsertion));
        }
        let results = changes.into_iter().map(|(user, change)| {
            let refused = change.map(|(mechanism, iterations)| {
                let mechanisms = state.scram.entry(user.clone()).or_default();
                match iterations {
                    Some(iterations) => drop(mechanisms.insert(mechanism, iterations)),
                    None => drop(mechanisms.remove(&mechanism)),
                }
                if mechanisms.is_empty() {
                    state.scram.remove(&user);
                }
            });
            result(&user, refused.err())
        });
        let results = results.collect();
        Served::Now(AlterUserScramCredentialsResponse::default().with_results(results))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterUserScramCredentialsResponse {
        let deleted = self.deletions.iter().map(|one| &one.name);
        let users = deleted.chain(self.upsertions.iter().map(|one| &one.name));
        let refused = || Some(Refused::new(code, super::sentence(code).as_str()));
        let results = users.map(|user| result(user, refused()));
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    }
}

fn result(user: &str, refused: Option<Refused>) -> AlterUserScramCredentialsResult {
    let result =
        AlterUserScramCredentialsResult::default().with_user(text(user)).with_error_message(None);
    match refused {
        None => result,
        Some(refused) => result
            .with_error_code(refused.code.code())
            .with_error_message(Some(text(refused.message))),
    }
}

/// Notes a change; a user may be changed once in a request.
fn plan(changes: &mut Changes, user: &str, change: Result<(Mechanism, Option<i32>), Refused>) {
    let twice = || {
        Err(Refused::new(
            ErrorCode::DuplicateResource,
            "A user credential cannot be altered twice in the same request",
        ))
    };
    let change = match changes.get(user) {
        None => change,
        Some(Ok(_)) => twice(),
        Some(Err(_)) => return,
    };
    changes.insert(user.to_owned(), change);
}

fn check(user: &str, mechanism: i8) -> Result<Mechanism, Refused> {
    if user.is_empty() {
        let why = "Username must not be empty";
        return Err(Refused::new(ErrorCode::UnacceptableCredential, why));
    }
    let unknown = || Refused::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    Mechanism::of(mechanism).ok_or_else(unknown)
}

fn check_deletion(
    state: &State,
    deletion: &ScramCredentialDeletion,
) -> Result<(Mechanism, Option<i32>), Refused> {
    let mechanism = check(&deletion.name, deletion.mechanism)?;
    let known = state.scram.get(deletion.name.as_str());
    if known.is_some_and(|mechanisms| mechanisms.contains_key(&mechanism)) {
        return Ok((mechanism, None));
    }
    let why = "Attempt to delete a user credential that does not exist";
    Err(Refused::new(ErrorCode::ResourceNotFound, why))
}

fn check_upsertion(
    upsertion: &ScramCredentialUpsertion,
) -> Result<(Mechanism, Option<i32>), Refused> {
    let mechanism = check(&upsertion.name, upsertion.mechanism)?;
    let refuse = |why| Err(Refused::new(ErrorCode::UnacceptableCredential, why));
    match upsertion.iterations {
        ..MIN_ITERATIONS => refuse("Too few iterations"),
        MIN_ITERATIONS..=MAX_ITERATIONS => Ok((mechanism, Some(upsertion.iterations))),
        _ => refuse("Too many iterations"),
    }
}
