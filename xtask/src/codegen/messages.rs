//! Writes the structs of a message, in the conventions of the `kafka-protocol` crate.

use std::fmt::Write as _;

use anyhow::Result;

use super::names;
use super::schema::{Field, Message, Role, Struct, Type};
use super::{decode, encode};

/// The module of one message.
pub(super) fn module(message: &Message) -> Result<String> {
    let mut out = super::header(&format!("`{}`, versions {}.", message.name, message.versions));
    let mut structs = String::new();
    for part in &message.structs {
        definition(&mut structs, message, part)?;
        default(&mut structs, message, part)?;
        validity(&mut structs, message, part)?;
        encode::implementation(&mut structs, message, part)?;
        decode::implementation(&mut structs, message, part)?;
    }
    header_version(&mut structs, message)?;
    imports(&mut out, message, &structs)?;
    out.push_str(&structs);
    Ok(out)
}

/// Whether the structs of the message carry tagged fields.
pub(super) fn has_tags(message: &Message) -> bool {
    message.first_flexible().is_some()
}

fn imports(out: &mut String, message: &Message, structs: &str) -> Result<()> {
    let mut newtypes: Vec<_> =
        ["BrokerId", "GroupId", "ProducerId", "TopicName", "TransactionalId"]
            .into_iter()
            .filter(|name| mentions(structs, name))
            .collect();
    newtypes.sort_unstable();
    if has_tags(message) {
        writeln!(out, "use std::collections::BTreeMap;\n")?;
    }
    writeln!(out, "use anyhow::Result;")?;
    if mentions(structs, "Bytes") {
        writeln!(out, "use bytes::Bytes;")?;
    }
    if !newtypes.is_empty() {
        writeln!(out, "use kafka_protocol::messages::{{{}}};", newtypes.join(", "))?;
    }
    writeln!(out, "use kafka_protocol::protocol::buf::{{ByteBuf, ByteBufMut}};")?;
    let mut names = vec!["Decodable", "Encodable", "HeaderVersion", "Message", "VersionRange"];
    if mentions(structs, "StrBytes") {
        names.insert(4, "StrBytes");
    }
    writeln!(out, "use kafka_protocol::protocol::{{{}}};", names.join(", "))?;
    if mentions(structs, "Uuid") {
        writeln!(out, "use uuid::Uuid;")?;
    }
    writeln!(out, "\nuse crate::fields::{{get, put, supported}};")?;
    Ok(())
}

fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let word = |next: Option<char>| next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !word(text[..at].chars().next_back()) && !word(text[at + name.len()..].chars().next())
    })
}

fn definition(out: &mut String, message: &Message, part: &Struct) -> Result<()> {
    let name = &part.name;
    writeln!(out, "\n/// Valid versions: {}.", part.versions)?;
    let default = if is_default_derived(part) { ", Default" } else { "" };
    writeln!(out, "#[non_exhaustive]\n#[derive(Debug, Clone, PartialEq{default})]")?;
    writeln!(out, "pub struct {name} {{")?;
    for field in &part.fields {
        writeln!(out, "    /// {}", about(field))?;
        writeln!(out, "    ///\n    /// Supported versions: {}.", field.versions)?;
        writeln!(out, "    pub {}: {},", names::field(field), names::of_field(field))?;
    }
    if has_tags(message) {
        writeln!(out, "    /// Other tagged fields.")?;
        writeln!(out, "    pub unknown_tagged_fields: BTreeMap<i32, Bytes>,")?;
    }
    writeln!(out, "}}\n\nimpl {name} {{")?;
    for field in &part.fields {
        let (field_name, kind) = (names::field(field), names::of_field(field));
        writeln!(out, "    /// Sets `{field_name}`: {}", about(field))?;
        builder(out, &field_name, "value", &kind, &format!("self.{field_name} = value;"))?;
    }
    if has_tags(message) {
        writeln!(out, "    /// Sets the other tagged fields.")?;
        let set = "self.unknown_tagged_fields = value;";
        builder(out, "unknown_tagged_fields", "value", "BTreeMap<i32, Bytes>", set)?;
        writeln!(out, "    /// Adds one other tagged field.")?;
        writeln!(out, "    #[must_use]")?;
        writeln!(
            out,
            "    pub fn with_unknown_tagged_field(mut self, key: i32, value: Bytes) -> Self {{\n\
             self.unknown_tagged_fields.insert(key, value);\nself\n}}"
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn builder(out: &mut String, name: &str, value: &str, kind: &str, set: &str) -> Result<()> {
    writeln!(out, "    #[must_use]")?;
    let name = name.trim_start_matches('_');
    writeln!(out, "    pub fn with_{name}(mut self, {value}: {kind}) -> Self {{\n{set}\nself\n}}")?;
    Ok(())
}

fn about(field: &Field) -> String {
    let text = names::doc(&field.about);
    if text.is_empty() { format!("Kafka's `{}`.", field.name) } else { text }
}

fn default(out: &mut String, message: &Message, part: &Struct) -> Result<()> {
    if is_default_derived(part) {
        return Ok(());
    }
    writeln!(out, "\nimpl Default for {} {{\nfn default() -> Self {{\nSelf {{", part.name)?;
    for field in &part.fields {
        writeln!(out, "{}: {},", names::field(field), default_value(field))?;
    }
    if has_tags(message) {
        writeln!(out, "unknown_tagged_fields: BTreeMap::new(),")?;
    }
    writeln!(out, "}}\n}}\n}}")?;
    Ok(())
}

/// Whether every field has the default that its Rust type has.
fn is_default_derived(part: &Struct) -> bool {
    part.fields.iter().all(|field| {
        let value = default_value(field);
        let same = ["None", "0", "false", "0.0", "Uuid::nil()", "Vec::new()"];
        same.contains(&value.as_str()) || value.ends_with("::default()") || value.ends_with("(0)")
    })
}

/// The default of a field as a Rust expression.
pub(super) fn default_value(field: &Field) -> String {
    let default = field.default.as_deref().unwrap_or_default();
    if field.optional {
        let null = default == "null";
        return if null { "None".to_owned() } else { "Some(Default::default())".to_owned() };
    }
    let plain = match &field.kind {
        Type::Bool => if default == "true" { "true" } else { "false" }.to_owned(),
        Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64 => {
            number(default)
        }
        Type::Float64 => if default.is_empty() { "0.0" } else { default }.to_owned(),
        Type::Uuid => "Uuid::nil()".to_owned(),
        Type::Array(_) => "Vec::new()".to_owned(),
        kind => format!("{}::default()", names::value(kind, field.entity.as_deref())),
    };
    match names::newtype(&field.kind, field.entity.as_deref()) {
        Some(name @ ("BrokerId" | "ProducerId")) => format!("{name}({plain})"),
        _ => plain,
    }
}

fn number(default: &str) -> String {
    match default {
        "" => "0".to_owned(),
        "0x7fffffff" => "i32::MAX".to_owned(),
        "9223372036854775807" => "i64::MAX".to_owned(),
        "-2147483648" => "i32::MIN".to_owned(),
        other => other.to_owned(),
    }
}

fn validity(out: &mut String, message: &Message, part: &Struct) -> Result<()> {
    let deprecated = message.deprecated.intersect(part.versions);
    let deprecated = if deprecated.is_empty() {
        "None".to_owned()
    } else {
        format!("Some(VersionRange {{ min: {}, max: {} }})", deprecated.min, deprecated.max)
    };
    writeln!(
        out,
        "\nimpl Message for {} {{\n\
         const VERSIONS: VersionRange = VersionRange {{ min: {}, max: {} }};\n\
         const DEPRECATED_VERSIONS: Option<VersionRange> = {deprecated};\n}}",
        part.name, part.versions.min, part.versions.max
    )?;
    Ok(())
}

fn header_version(out: &mut String, message: &Message) -> Result<()> {
    let (flexible, plain) = if message.role == Role::Request { (2, 1) } else { (1, 0) };
    let first = message.first_flexible();
    // The answer to ApiVersions must be readable by a client that asked with too new a version.
    let first = first.filter(|_| message.name != "ApiVersionsResponse");
    let (argument, body) = match first {
        None => ("_version", plain.to_string()),
        Some(first) if first <= message.versions.min => ("_version", flexible.to_string()),
        Some(first) => {
            ("version", format!("if version >= {first} {{ {flexible} }} else {{ {plain} }}"))
        }
    };
    writeln!(
        out,
        "\nimpl HeaderVersion for {} {{\nfn header_version({argument}: i16) -> i16 {{\n{body}\n}}\n}}",
        message.name
    )?;
    Ok(())
}

/// The statement that says which encoding a version has, and the expression that asks for it.
pub(super) fn flexible(message: &Message, part: &Struct, body: &str) -> (String, &'static str) {
    match message.first_flexible() {
        None => (String::new(), "false"),
        Some(first) if first <= part.versions.min => (String::new(), "true"),
        Some(first) if body.contains("{flexible}") => {
            (format!("let flexible = version >= {first};\n"), "flexible")
        }
        Some(_) => (String::new(), "flexible"),
    }
}
