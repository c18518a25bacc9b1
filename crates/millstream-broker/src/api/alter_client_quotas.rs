//! AlterClientQuotas 0 to the newest: sets and removes the quotas of users and clients (KIP-546).
//!
//! Checked as `ClientQuotaControlManager` does. Limits act at once, see
//! [`Quotas`](crate::core::quota::Quotas). Omitted: names of hosts as IP entities.

use std::collections::BTreeSet;
use std::net::IpAddr;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use millstream_protocol::messages::alter_client_quotas_response as response;
use millstream_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::{Api, Call, Served, text};
use crate::core::quota::{
    CLIENT_ID, CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, Entity, IP,
    PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, USER,
};
use crate::core::state::{Refused, State};

/// Limits that are whole numbers.
const WHOLE: [&str; 2] = [PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE];
/// How far from a whole number a value may be.
const EPSILON: f64 = 1e-6;

impl Api for AlterClientQuotasRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<AlterClientQuotasResponse> {
        let entries = self.entries.iter().map(|entry| {
            let altered = check(entry).map(|entity| {
                for op in entry.ops.iter().filter(|_| !self.validate_only) {
                    let value = (!op.remove).then_some(op.value);
                    state.quotas.alter(&entity, &op.key, value);
                }
            });
            answer(entry, altered.err().as_ref())
        });
        Served::Now(AlterClientQuotasResponse::default().with_entries(entries.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterClientQuotasResponse {
        let refused = Refused::new(code, super::sentence(code).as_str());
        let entries = self.entries.iter().map(|entry| answer(entry, Some(&refused)));
        AlterClientQuotasResponse::default().with_entries(entries.collect())
    }
}

fn answer(entry: &EntryData, refused: Option<&Refused>) -> response::EntryData {
    let entity = entry.entity.iter().map(|one| {
        response::EntityData::default()
            .with_entity_type(one.entity_type.clone())
            .with_entity_name(one.entity_name.clone())
    });
    let answer =
        response::EntryData::default().with_error_message(None).with_entity(entity.collect());
    match refused {
        None => answer,
        Some(refused) => answer
            .with_error_code(refused.code.code())
            .with_error_message(Some(text(&refused.message))),
    }
}

fn invalid(why: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, why)
}

fn check(entry: &EntryData) -> Result<Entity, Refused> {
    let mut entity = Entity::new();
    for one in &entry.entity {
        let (kind, name) = (one.entity_type.to_string(), one.entity_name.as_ref());
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.is_some_and(|name| name.is_empty()) {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
        entity.insert(kind, name.map(ToString::to_string));
    }
    let keys = allowed(&entity)?;
    let mut seen = BTreeSet::new();
    for op in &entry.ops {
        if !seen.insert(op.key.as_str()) {
            return Err(invalid(format!("Duplicate quota key {}", op.key.as_str())));
        }
        check_value(op, keys)?;
    }
    Ok(entity)
}

/// The keys that may be set for an entity.
fn allowed(entity: &Entity) -> Result<&'static [&'static str], Refused> {
    let (client, ip) =
        (entity.contains_key(USER) || entity.contains_key(CLIENT_ID), entity.get(IP));
    match (client, ip) {
        (true, None) => Ok(&[
            PRODUCER_BYTE_RATE,
            CONSUMER_BYTE_RATE,
            REQUEST_PERCENTAGE,
            CONTROLLER_MUTATION_RATE,
        ]),
        (false, Some(name)) => {
            let fits = |name: &String| name.parse::<IpAddr>().is_ok() || name == "localhost";
            match name {
                Some(name) if !fits(name) => {
                    Err(invalid(format!("{name} is not a valid IP or resolvable host.")))
                }
                _ => Ok(&[CONNECTION_CREATION_RATE]),
            }
        }
        (true, Some(_)) => Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or \
             ClientId",
        )),
        (false, None) => Err(invalid("Invalid empty client quota entity")),
    }
}

fn check_value(op: &OpData, keys: &[&str]) -> Result<(), Refused> {
    if op.remove {
        return Ok(());
    }
    let key = op.key.as_str();
    if !keys.contains(&key) {
        return Err(invalid(format!("Invalid configuration key {key}")));
    }
    let is_whole = (op.value - op.value.round()).abs() <= EPSILON;
    if WHOLE.contains(&key) && !is_whole {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}
