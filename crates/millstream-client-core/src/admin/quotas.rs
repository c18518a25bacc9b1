//! Quotas of users, client ids and addresses (KIP-546).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use millstream_protocol::messages::describe_client_quotas_request::ComponentData;

use super::command::AdminCall;
use super::error::AdminError;
use super::operation::{Operation, Placement, Refusal, Results, Said, only};
use super::wire::{anywhere, controller, optional, text};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// What a quota is for: a user, a client id, a user's client id, or an address. Each is named, or
/// the default of all that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity {
    /// By type (`user`, `client-id`, `ip`) the name; `None`: the default.
    pub parts: BTreeMap<String, Option<String>>,
}

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

impl QuotaEntity {
    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self::default().and(USER, Some(name.into()))
    }

    /// All users that have no quota of their own.
    #[must_use]
    pub fn default_user() -> Self {
        Self::default().and(USER, None)
    }

    /// A client id, whoever uses it.
    pub fn client_id(id: impl Into<String>) -> Self {
        Self::default().and(CLIENT_ID, Some(id.into()))
    }

    /// All client ids that have no quota of their own.
    #[must_use]
    pub fn default_client_id() -> Self {
        Self::default().and(CLIENT_ID, None)
    }

    /// An address that connects.
    pub fn ip(address: impl Into<String>) -> Self {
        Self::default().and(IP, Some(address.into()))
    }

    /// All addresses that have no quota of their own.
    #[must_use]
    pub fn default_ip() -> Self {
        Self::default().and(IP, None)
    }

    /// Narrows it down: a user's client id, by its type and name; `None`: the default.
    #[must_use]
    pub fn and(mut self, part: impl Into<String>, name: Option<String>) -> Self {
        self.parts.insert(part.into(), name);
        self
    }
}

impl fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (part, name)) in self.parts.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            match name {
                Some(name) => write!(f, "{separator}{part} {name}")?,
                None => write!(f, "{separator}any other {part}")?,
            }
        }
        Ok(())
    }
}

/// A change of one quota.
#[derive(Clone, Debug, PartialEq)]
pub enum QuotaChange {
    /// Sets it, such as `producer_byte_rate`.
    Set {
        /// The quota.
        key: String,
        /// Its new value.
        value: f64,
    },
    /// Takes it away.
    Remove {
        /// The quota.
        key: String,
    },
}

/// Which quotas to describe: those of entities that fit all parts that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaFilter {
    parts: BTreeMap<String, QuotaMatch>,
    is_strict: bool,
}

/// Which names of a part of an entity fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This one.
    Exactly(String),
    /// The default.
    Default,
    /// All, the default too.
    Any,
}

impl QuotaFilter {
    /// All quotas.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Entities with such a part (`user`, `client-id`, `ip`).
    #[must_use]
    pub fn with(mut self, part: impl Into<String>, matching: QuotaMatch) -> Self {
        self.parts.insert(part.into(), matching);
        self
    }

    /// Only entities without other parts than those named.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }
}

/// The quotas of entities, by entity and quota.
pub type Quotas = BTreeMap<QuotaEntity, BTreeMap<String, f64>>;

/// Describes quotas.
pub fn describe_client_quotas(filter: QuotaFilter) -> AdminCall<Result<Quotas, AdminError>> {
    AdminCall::new(Describe { filter }, [((), ())])
}

/// Changes quotas, or only says what would become of it.
pub fn alter_client_quotas(
    changes: impl IntoIterator<Item = (QuotaEntity, Vec<QuotaChange>)>,
    validate_only: bool,
) -> AdminCall<Results<QuotaEntity, ()>> {
    AdminCall::new(Alter { validate_only }, changes)
}

#[derive(Debug)]
struct Describe {
    filter: QuotaFilter,
}

const ABOUT: &str = "the quotas";

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = Quotas;
    type Done = Result<Quotas, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let components = self.filter.parts.iter().map(|(part, matching)| {
            let (code, name) = match matching {
                QuotaMatch::Exactly(name) => (0, Some(text(name))),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData::default()
                .with_entity_type(text(part))
                .with_match_type(code)
                .with_match(name)
        });
        m::DescribeClientQuotasRequest::default()
            .with_components(components.collect())
            .with_strict(self.filter.is_strict)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeClientQuotasResponse::try_from(response.body)?;
        let quotas = answer.entries.iter().flatten().map(|entry| {
            let parts = entry.entity.iter();
            let parts = parts
                .map(|part| (part.entity_type.to_string(), optional(part.entity_name.as_ref())));
            let values = entry.values.iter().map(|value| (value.key.to_string(), value.value));
            (QuotaEntity { parts: parts.collect() }, values.collect())
        });
        let check = Refusal::check(answer.error_code, answer.error_message.as_deref());
        Ok(vec![((), check.map(|()| quotas.collect()).into())])
    }

    fn merge(self, results: Results<(), Quotas>) -> Self::Done {
        only(results, ABOUT)
    }
}

#[derive(Debug)]
struct Alter {
    validate_only: bool,
}

impl Operation for Alter {
    type Key = QuotaEntity;
    type Input = Vec<QuotaChange>;
    type Output = ();
    type Done = Results<QuotaEntity, ()>;

    fn about(&self, key: &QuotaEntity) -> String {
        format!("quotas of {key}")
    }

    fn place(&self, _: &QuotaEntity, _: &Vec<QuotaChange>, _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(
        &self,
        items: &[(&QuotaEntity, &Vec<QuotaChange>)],
        _timeout: Duration,
    ) -> RequestBody {
        let entries = items.iter().map(|(entity, changes)| {
            let parts = entity.parts.iter().map(|(part, name)| {
                EntityData::default()
                    .with_entity_type(text(part))
                    .with_entity_name(name.as_deref().map(text))
            });
            let changes = changes.iter().map(|change| match change {
                QuotaChange::Set { key, value } => {
                    OpData::default().with_key(text(key)).with_value(*value)
                }
                QuotaChange::Remove { key } => {
                    OpData::default().with_key(text(key)).with_remove(true)
                }
            });
            EntryData::default().with_entity(parts.collect()).with_ops(changes.collect())
        });
        m::AlterClientQuotasRequest::default()
            .with_entries(entries.collect())
            .with_validate_only(self.validate_only)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&QuotaEntity, &Vec<QuotaChange>)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::AlterClientQuotasResponse::try_from(response.body)?;
        let said = answer.entries.iter().map(|entry| {
            let parts = entry.entity.iter();
            let parts = parts
                .map(|part| (part.entity_type.to_string(), optional(part.entity_name.as_ref())));
            let check = Refusal::check(entry.error_code, entry.error_message.as_deref());
            (QuotaEntity { parts: parts.collect() }, check.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<QuotaEntity, ()>) -> Self::Done {
        results
    }
}
