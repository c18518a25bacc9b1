//! Names and types as Rust spells them, by the conventions of the `kafka-protocol` crate.

use super::schema::{Field, Type};

/// `ListOffsetsRequest` as `list_offsets_request`.
pub(super) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_ascii_uppercase();
        let before_small = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && at > 0 && (after_small || before_small) {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The name of a field.
pub(super) fn field(field: &Field) -> String {
    match snake(&field.name).as_str() {
        keyword @ ("type" | "match") => format!("_{keyword}"),
        name => name.to_owned(),
    }
}

/// The newtype that a field's values have, for its entity.
pub(super) fn newtype(kind: &Type, entity: Option<&str>) -> Option<&'static str> {
    match (kind, entity?) {
        (Type::Int32, "brokerId") => Some("BrokerId"),
        (Type::Int64, "producerId") => Some("ProducerId"),
        (Type::String, "groupId") => Some("GroupId"),
        (Type::String, "topicName") => Some("TopicName"),
        (Type::String, "transactionalId") => Some("TransactionalId"),
        _ => None,
    }
}

/// The Rust type of a value that is not null.
pub(super) fn value(kind: &Type, entity: Option<&str>) -> String {
    if let Some(name) = newtype(kind, entity) {
        return name.to_owned();
    }
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::Int8 => "i8".to_owned(),
        Type::Int16 => "i16".to_owned(),
        Type::Uint16 => "u16".to_owned(),
        Type::Int32 => "i32".to_owned(),
        Type::Uint32 => "u32".to_owned(),
        Type::Int64 => "i64".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "StrBytes".to_owned(),
        Type::Bytes | Type::Records => "Bytes".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", value(element, entity)),
    }
}

/// The Rust type of a field.
pub(super) fn of_field(field: &Field) -> String {
    let value = value(&field.kind, field.entity.as_deref());
    if field.optional { format!("Option<{value}>") } else { value }
}

/// Text of the schemas as a doc comment's.
pub(super) fn doc(text: &str) -> String {
    let text = text.replace('\n', " ");
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        // Bare brackets, angles and addresses are mark-up to rustdoc.
        if word.contains(['<', '>', '[', ']', '*', '_']) || word.contains("://") {
            let (core, tail) = split_tail(word);
            out.push_str(&format!("`{core}`{tail}"));
        } else {
            out.push_str(word);
        }
    }
    if !out.is_empty() && !out.ends_with('.') {
        out.push('.');
    }
    out
}

fn split_tail(word: &str) -> (&str, &str) {
    word.split_at(word.trim_end_matches(['.', ',', ';', ')']).len())
}
