//! SCRAM credentials of users (KIP-554). The password never leaves the client: what is sent is
//! salted already.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use millstream_protocol::messages::describe_user_scram_credentials_request::UserName;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{
    Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf, only,
};
use super::super::texts::spelled;
use super::super::wire::{controller, text};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A mechanism of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ScramMechanism {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

impl ScramMechanism {
    const fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    const fn read(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }
}

spelled!(ScramMechanism { Sha256 = "SCRAM-SHA-256", Sha512 = "SCRAM-SHA-512" });

/// A password, salted.
#[derive(Clone, PartialEq, Eq)]
pub struct SaltedCredential {
    /// How often it was hashed.
    pub iterations: u32,
    /// What it was salted with.
    pub salt: Bytes,
    /// What came of it.
    pub salted_password: Bytes,
}

impl fmt::Debug for SaltedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaltedCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// A change of a user's credential of one mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScramChange {
    /// Sets it.
    Upsert(ScramMechanism, SaltedCredential),
    /// Takes it away.
    Delete(ScramMechanism),
}

/// How often a user's passwords are hashed, by mechanism.
pub type ScramIterations = BTreeMap<ScramMechanism, u32>;

/// Tells which credentials these users have; all users if `None`.
pub fn describe_user_scram_credentials(
    users: Option<Vec<String>>,
) -> AdminCall<Result<Results<String, ScramIterations>, AdminError>> {
    AdminCall::new(Describe { users }, [((), ())])
}

/// Changes users' credentials: those of one user in order, up to the first that is refused.
pub fn alter_user_scram_credentials(
    changes: impl IntoIterator<Item = (String, Vec<ScramChange>)>,
) -> AdminCall<Results<String, ()>> {
    AdminCall::new(Alter, changes)
}

#[derive(Debug)]
struct Describe {
    users: Option<Vec<String>>,
}

const ABOUT: &str = "the SCRAM credentials of users";

fn about_user(user: &str) -> String {
    format!("SCRAM credentials of user {user}")
}

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = Results<String, ScramIterations>;
    type Done = Result<Results<String, ScramIterations>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let users = self.users.as_ref().map(|users| {
            users.iter().map(|user| UserName::default().with_name(text(user))).collect()
        });
        m::DescribeUserScramCredentialsRequest::default().with_users(users).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeUserScramCredentialsResponse::try_from(response.body)?;
        let users = answer.results.iter().map(|result| {
            let credentials = result.credential_infos.iter().filter_map(|info| {
                let iterations = u32::try_from(info.iterations).ok()?;
                Some((ScramMechanism::read(info.mechanism)?, iterations))
            });
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            let described = check.map(|()| credentials.collect()).map_err(|refusal| {
                let Refusal { code, message } = refusal;
                AdminError::Refused { about: about_user(&result.user), code, message }
            });
            (result.user.to_string(), described)
        });
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        Ok(vec![((), whole.map(|()| users.collect()).into())])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}

#[derive(Debug)]
struct Alter;

impl Operation for Alter {
    type Key = String;
    type Input = Vec<ScramChange>;
    type Output = ();
    type Done = Results<String, ()>;

    fn about(&self, key: &String) -> String {
        about_user(key)
    }

    fn place(&self, _key: &String, _changes: &Vec<ScramChange>, _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, items: &[(&String, &Vec<ScramChange>)], _timeout: Duration) -> RequestBody {
        let mut request = m::AlterUserScramCredentialsRequest::default();
        // A request may change one credential of a user.
        let first = items.iter().filter_map(|(user, changes)| Some((*user, changes.first()?)));
        for (user, change) in first {
            match change {
                ScramChange::Upsert(mechanism, credential) => request.upsertions.push(
                    ScramCredentialUpsertion::default()
                        .with_name(text(user))
                        .with_mechanism(mechanism.code())
                        .with_iterations(i32::try_from(credential.iterations).unwrap_or(i32::MAX))
                        .with_salt(credential.salt.clone())
                        .with_salted_password(credential.salted_password.clone()),
                ),
                ScramChange::Delete(mechanism) => request.deletions.push(
                    ScramCredentialDeletion::default()
                        .with_name(text(user))
                        .with_mechanism(mechanism.code()),
                ),
            }
        }
        request.into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&String, &Vec<ScramChange>)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::AlterUserScramCredentialsResponse::try_from(response.body)?;
        let asked: BTreeMap<_, _> =
            asked.iter().map(|(user, changes)| (user.as_str(), *changes)).collect();
        let said = answer.results.iter().map(|result| {
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            let rest = asked.get(&*result.user).and_then(|changes| changes.get(1..));
            let verdict = match (check, rest) {
                (Ok(()), Some(rest)) if !rest.is_empty() => {
                    Verdict::Become(vec![(result.user.to_string(), rest.to_vec())])
                }
                (check, _) => check.into(),
            };
            (result.user.to_string(), verdict)
        });
        Ok(said.collect())
    }

    /// An earlier try, whose answer was lost, took away what was to go.
    fn when_repeated(
        &self,
        key: &String,
        changes: &Vec<ScramChange>,
        code: ErrorCode,
    ) -> Option<VerdictOf<Self>> {
        let (ScramChange::Delete(_), rest) = changes.split_first()? else {
            return None;
        };
        let next = match rest {
            [] => Verdict::Done(()),
            rest => Verdict::Become(vec![(key.clone(), rest.to_vec())]),
        };
        (code == ErrorCode::ResourceNotFound).then_some(next)
    }

    fn merge(self, results: Results<String, ()>) -> Self::Done {
        results
    }
}
