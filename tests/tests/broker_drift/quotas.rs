//! Quotas: what may be set, and how it is found again.

use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use millstream_protocol::messages::describe_client_quotas_request::ComponentData;

use crate::peer::{Peer, eventually, name, text};

fn entity(parts: &[(&str, Option<&str>)]) -> Vec<EntityData> {
    let part = |(kind, name): &(&str, Option<&str>)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    parts.iter().map(part).collect()
}

fn set(key: &str, value: f64) -> OpData {
    OpData::default().with_key(text(key)).with_value(value)
}

fn alter(peer: &mut Peer, what: &str, entity: Vec<EntityData>, ops: Vec<OpData>) {
    let entry = EntryData::default().with_entity(entity).with_ops(ops);
    let request = m::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let answer = peer.any().ask(1, &request);
    let altered = &answer.entries[0];
    let message = altered.error_message.as_deref();
    peer.tell(what, format!("{} {message:?}", name(altered.error_code)));
}

fn described(peer: &Peer, components: &[(&str, i8, Option<&str>)], strict: bool) -> Vec<String> {
    let components = components.iter().map(|(kind, match_type, name)| {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(*match_type)
            .with_match(name.map(text))
    });
    let request = m::DescribeClientQuotasRequest::default()
        .with_components(components.collect())
        .with_strict(strict);
    let answer = peer.any().ask(1, &request);
    if answer.error_code != 0 {
        return vec![format!("{} {:?}", name(answer.error_code), answer.error_message)];
    }
    let mut entries: Vec<_> = answer
        .entries
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            let mut entity: Vec<_> = entry
                .entity
                .iter()
                .map(|one| (one.entity_type.to_string(), one.entity_name.clone()))
                .collect();
            entity.sort();
            let mut values: Vec<_> =
                entry.values.iter().map(|one| format!("{}={}", &*one.key, one.value)).collect();
            values.sort();
            format!("{entity:?} {values:?}")
        })
        .collect();
    entries.sort();
    entries
}

pub(crate) fn quotas(peer: &mut Peer) {
    let (user, client) = (peer.unique("user"), peer.unique("client"));
    let (user, client) = (user.as_str(), client.as_str());
    let both = [("user", Some(user)), ("client-id", Some(client))];
    let rate = || vec![set("producer_byte_rate", 1_000_000.0)];
    alter(peer, "no entity", entity(&[]), rate());
    alter(peer, "another type", entity(&[("team", Some("a"))]), rate());
    alter(peer, "no name", entity(&[("user", Some(""))]), rate());
    alter(peer, "ip beside user", entity(&[("ip", Some("1.2.3.4")), both[0]]), rate());
    alter(peer, "a rate for an ip", entity(&[("ip", Some("1.2.3.4"))]), rate());
    let connections = vec![set("connection_creation_rate", 5.0)];
    alter(peer, "an ip that is none", entity(&[("ip", Some("no host at all"))]), connections);
    alter(peer, "another key", entity(&both), vec![set("speed", 1.0)]);
    alter(peer, "a broken number", entity(&both), vec![set("producer_byte_rate", 1.5)]);
    alter(peer, "a fraction", entity(&both), vec![set("controller_mutation_rate", 1000.5)]);
    alter(peer, "a rate", entity(&both), rate());
    alter(peer, "of the user", entity(&both[..1]), vec![set("consumer_byte_rate", 2e6)]);
    let gone = |key: &str| vec![set(key, 0.0).with_remove(true)];
    alter(peer, "a removal of nothing", entity(&both), gone("request_percentage"));
    eventually(|| described(peer, &[("user", 0, Some(user))], false).len() == 2);
    for (what, components, strict) in [
        ("of the user and all under", vec![("user", 0, Some(user))], false),
        ("of the user alone", vec![("user", 0, Some(user))], true),
        ("of both", vec![("user", 0, Some(user)), ("client-id", 2, None)], true),
        ("of another", vec![("user", 0, Some("nobody-at-all"))], false),
        ("another type", vec![("team", 0, Some("a"))], false),
        ("an empty type", vec![("", 0, Some("a"))], false),
        ("a type twice", vec![("user", 0, Some(user)), ("user", 2, None)], false),
        ("ip beside user", vec![("user", 0, Some(user)), ("ip", 2, None)], false),
    ] {
        let said = described(peer, &components, strict);
        peer.tell(what, format!("{said:?}"));
    }
    alter(peer, "removed", entity(&both), gone("producer_byte_rate"));
    alter(peer, "removed too", entity(&both), gone("controller_mutation_rate"));
    alter(peer, "of the user removed", entity(&both[..1]), gone("consumer_byte_rate"));
    eventually(|| described(peer, &[("user", 0, Some(user))], false).is_empty());
}
