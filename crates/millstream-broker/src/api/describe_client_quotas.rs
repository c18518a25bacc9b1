//! DescribeClientQuotas 0 to the newest: the quotas of the entities that match a filter (KIP-546),
//! as `ClientQuotaManager` (KIP-546) chooses them.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_client_quotas_request::ComponentData;
use millstream_protocol::messages::describe_client_quotas_response::{
    EntityData, EntryData, ValueData,
};
use millstream_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::{Api, Call, Served, text};
use crate::core::quota::{CLIENT_ID, Entity, IP, USER};
use crate::core::state::{Refused, State};

/// The name is the one asked for.
const EXACT: i8 = 0;
/// The default of the type.
const DEFAULT: i8 = 1;
/// Any name.
const SPECIFIED: i8 = 2;

impl Api for DescribeClientQuotasRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<DescribeClientQuotasResponse> {
        let response = DescribeClientQuotasResponse::default();
        let wanted = match components(&self.components) {
            Ok(wanted) => wanted,
            Err(refused) => {
                return Served::Now(
                    response
                        .with_error_code(refused.code.code())
                        .with_error_message(Some(text(refused.message)))
                        .with_entries(None),
                );
            }
        };
        let found = state.quotas.iter().filter(|(entity, _)| matches(entity, &wanted, self.strict));
        let entries = found.map(|(entity, values)| {
            let entity = entity.iter().map(|(kind, name)| {
                EntityData::default()
                    .with_entity_type(text(kind))
                    .with_entity_name(name.as_ref().map(text))
            });
            let values = values
                .iter()
                .map(|(key, value)| ValueData::default().with_key(text(key)).with_value(*value));
            EntryData::default().with_entity(entity.collect()).with_values(values.collect())
        });
        Served::Now(response.with_entries(Some(entries.collect())).with_error_message(None))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeClientQuotasResponse {
        DescribeClientQuotasResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(super::sentence(code)))
            .with_entries(None)
    }
}

/// What is asked of each type of entity.
type Wanted<'a> = BTreeMap<&'a str, Match<'a>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match<'a> {
    Exact(&'a str),
    Default,
    Any,
}

fn components(components: &[ComponentData]) -> Result<Wanted<'_>, Refused> {
    let invalid = |why: String| Err(Refused::new(ErrorCode::InvalidRequest, why));
    let mut wanted = Wanted::new();
    for component in components {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let why = format!("Unsupported entity type {kind}");
            return Err(Refused::new(ErrorCode::UnsupportedVersion, why));
        }
        let found = match component.match_type {
            EXACT => Match::Exact(component._match.as_ref().map_or("", |name| name.as_str())),
            DEFAULT => Match::Default,
            SPECIFIED => Match::Any,
            other => return invalid(format!("Unexpected match type: {other}")),
        };
        if wanted.insert(kind, found).is_some() {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
    }
    let mixed = wanted.contains_key(IP) && wanted.len() > 1;
    if mixed {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(wanted)
}

fn matches(entity: &Entity, wanted: &Wanted<'_>, strict: bool) -> bool {
    if strict && entity.len() != wanted.len() {
        return false;
    }
    wanted.iter().all(|(kind, wanted)| match (entity.get(*kind), wanted) {
        (Some(Some(name)), Match::Exact(wanted)) => name == wanted,
        (Some(None), Match::Default) | (Some(_), Match::Any) => true,
        _ => false,
    })
}
