//! Delegation tokens (KIP-48, KIP-373).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::messages as m;
use millstream_protocol::messages::StrBytes;
use millstream_protocol::messages::create_delegation_token_request::CreatableRenewers;
use millstream_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use millstream_types::Timestamp;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said, only};
use super::super::wire::{anywhere, text};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// Whom a connection stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KafkaPrincipal {
    /// `User`, unless brokers are told otherwise.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl KafkaPrincipal {
    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self { kind: "User".to_owned(), name: name.into() }
    }

    fn read(kind: &StrBytes, name: &StrBytes) -> Self {
        Self { kind: kind.to_string(), name: name.to_string() }
    }
}

impl fmt::Display for KafkaPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// A token to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewDelegationToken {
    /// Whom it stands for; `None`: who asks for it (another: Kafka 3.3).
    pub owner: Option<KafkaPrincipal>,
    /// Who may renew it beside its owner.
    pub renewers: Vec<KafkaPrincipal>,
    /// How long it can be renewed; `None`: the broker's longest.
    pub max_lifetime: Option<Duration>,
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// Its id: the user name to log in with.
    pub id: String,
    /// Its secret: in base64 the password to log in with.
    pub hmac: Bytes,
    /// Whom it stands for.
    pub owner: KafkaPrincipal,
    /// Who asked for it, from brokers that tell it (3.3).
    pub requester: Option<KafkaPrincipal>,
    /// Who may renew it beside its owner.
    pub renewers: Vec<KafkaPrincipal>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends unless it is renewed.
    pub expires: Timestamp,
    /// When it ends in any case.
    pub max_lifetime: Timestamp,
}

impl fmt::Debug for DelegationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegationToken")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Creates a token. It is not tried again when an answer is lost, for each try makes another.
pub fn create_delegation_token(
    token: NewDelegationToken,
) -> AdminCall<Result<DelegationToken, AdminError>> {
    AdminCall::new(Create { token }, [((), ())])
}

/// Lets a token, named by its secret, end this much later; by the broker's measure if `None`. Gives
/// when it ends.
pub fn renew_delegation_token(
    hmac: Bytes,
    by: Option<Duration>,
) -> AdminCall<Result<Timestamp, AdminError>> {
    AdminCall::new(Extend::Renew { hmac, by }, [((), ())])
}

/// Lets a token, named by its secret, end after this time; at once if `None`. Gives when it ends.
pub fn expire_delegation_token(
    hmac: Bytes,
    after: Option<Duration>,
) -> AdminCall<Result<Timestamp, AdminError>> {
    AdminCall::new(Extend::Expire { hmac, after }, [((), ())])
}

/// Lists the tokens of these owners; all that the caller may see if `None`.
pub fn describe_delegation_tokens(
    owners: Option<Vec<KafkaPrincipal>>,
) -> AdminCall<Result<Vec<DelegationToken>, AdminError>> {
    AdminCall::new(Describe { owners }, [((), ())])
}

fn millis(time: Option<Duration>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

#[derive(Debug)]
struct Create {
    token: NewDelegationToken,
}

const ABOUT: &str = "the delegation token";

impl Operation for Create {
    type Key = ();
    type Input = ();
    type Output = DelegationToken;
    type Done = Result<DelegationToken, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    /// Older ones make it for whoever asks.
    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (self.token.owner.is_some().then_some(3), None)
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let renewers = self.token.renewers.iter().map(|renewer| {
            CreatableRenewers::default()
                .with_principal_type(text(&renewer.kind))
                .with_principal_name(text(&renewer.name))
        });
        let owner = self.token.owner.as_ref();
        m::CreateDelegationTokenRequest::default()
            .with_owner_principal_type(owner.map(|owner| text(&owner.kind)))
            .with_owner_principal_name(owner.map(|owner| text(&owner.name)))
            .with_renewers(renewers.collect())
            .with_max_lifetime_ms(millis(self.token.max_lifetime))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let version = response.version;
        let answer = m::CreateDelegationTokenResponse::try_from(response.body)?;
        let (kind, name) =
            (&answer.token_requester_principal_type, &answer.token_requester_principal_name);
        let token = DelegationToken {
            id: answer.token_id.to_string(),
            owner: KafkaPrincipal::read(&answer.principal_type, &answer.principal_name),
            requester: (version >= 3).then(|| KafkaPrincipal::read(kind, name)),
            renewers: self.token.renewers.clone(),
            issued: Timestamp(answer.issue_timestamp_ms),
            expires: Timestamp(answer.expiry_timestamp_ms),
            max_lifetime: Timestamp(answer.max_timestamp_ms),
            hmac: answer.hmac,
        };
        let check = Refusal::check(answer.error_code, None);
        Ok(vec![((), check.map(|()| token).into())])
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn merge(self, results: Results<(), DelegationToken>) -> Self::Done {
        only(results, ABOUT)
    }
}

enum Extend {
    Renew { hmac: Bytes, by: Option<Duration> },
    Expire { hmac: Bytes, after: Option<Duration> },
}

impl fmt::Debug for Extend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renew { by, .. } => f.debug_tuple("Renew").field(by).finish(),
            Self::Expire { after, .. } => f.debug_tuple("Expire").field(after).finish(),
        }
    }
}

impl Operation for Extend {
    type Key = ();
    type Input = ();
    type Output = Timestamp;
    type Done = Result<Timestamp, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        match self {
            Self::Renew { hmac, by } => m::RenewDelegationTokenRequest::default()
                .with_hmac(hmac.clone())
                .with_renew_period_ms(millis(*by))
                .into(),
            Self::Expire { hmac, after } => m::ExpireDelegationTokenRequest::default()
                .with_hmac(hmac.clone())
                .with_expiry_time_period_ms(millis(*after))
                .into(),
        }
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let (code, expires) = match response.body {
            ResponseBody::RenewDelegationToken(answer) => {
                (answer.error_code, answer.expiry_timestamp_ms)
            }
            body => {
                let answer = m::ExpireDelegationTokenResponse::try_from(body)?;
                (answer.error_code, answer.expiry_timestamp_ms)
            }
        };
        let check = Refusal::check(code, None);
        Ok(vec![((), check.map(|()| Timestamp(expires)).into())])
    }

    fn merge(self, results: Results<(), Timestamp>) -> Self::Done {
        only(results, ABOUT)
    }
}

#[derive(Debug)]
struct Describe {
    owners: Option<Vec<KafkaPrincipal>>,
}

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = Vec<DelegationToken>;
    type Done = Result<Vec<DelegationToken>, AdminError>;

    fn about(&self, (): &()) -> String {
        "the delegation tokens".to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let owners = self.owners.as_ref().map(|owners| {
            let owner = |owner: &KafkaPrincipal| {
                DescribeDelegationTokenOwner::default()
                    .with_principal_type(text(&owner.kind))
                    .with_principal_name(text(&owner.name))
            };
            owners.iter().map(owner).collect()
        });
        m::DescribeDelegationTokenRequest::default().with_owners(owners).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let version = response.version;
        let answer = m::DescribeDelegationTokenResponse::try_from(response.body)?;
        let tokens = answer.tokens.into_iter().map(|token| {
            let renewers = token.renewers.iter();
            let (kind, name) =
                (&token.token_requester_principal_type, &token.token_requester_principal_name);
            DelegationToken {
                id: token.token_id.to_string(),
                owner: KafkaPrincipal::read(&token.principal_type, &token.principal_name),
                requester: (version >= 3).then(|| KafkaPrincipal::read(kind, name)),
                renewers: renewers
                    .map(|user| KafkaPrincipal::read(&user.principal_type, &user.principal_name))
                    .collect(),
                issued: Timestamp(token.issue_timestamp),
                expires: Timestamp(token.expiry_timestamp),
                max_lifetime: Timestamp(token.max_timestamp),
                hmac: token.hmac,
            }
        });
        let check = Refusal::check(answer.error_code, None);
        Ok(vec![((), check.map(|()| tokens.collect()).into())])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, "the delegation tokens")
    }
}
