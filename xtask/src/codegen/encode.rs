//! Writes the `Encodable` implementations.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::messages;
use super::names;
use super::schema::{Field, Message, Struct, Type};
use super::versions::Versions;

/// The implementation for one struct of a message.
pub(super) fn implementation(out: &mut String, message: &Message, part: &Struct) -> Result<()> {
    let mut body = String::new();
    for field in &part.fields {
        plain(&mut body, part, field)?;
    }
    if messages::has_tags(message) {
        tags(&mut body, part)?;
    }
    let (flexible, asked) = messages::flexible(message, part, &body);
    let body = body.replace("{flexible}", asked).replace("if true {", "{");
    writeln!(
        out,
        "\nimpl Encodable for {name} {{\n\
         fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {{\n\
         supported::<Self>(\"{name}\", version)?;\n{flexible}{body}Ok(())\n}}\n\n\
         fn compute_size(&self, version: i16) -> Result<usize> {{\n\
         put::size_of(self, version)\n}}\n}}",
        name = part.name,
    )?;
    Ok(())
}

/// The field in the versions that write it in its place.
fn plain(out: &mut String, part: &Struct, field: &Field) -> Result<()> {
    let place = field.versions.before(field.tagged);
    let name = names::field(field);
    if !place.is_empty() {
        let condition = place.condition(part.versions);
        if let Some(condition) = &condition {
            writeln!(out, "if {condition} {{")?;
        }
        null_check(out, field, place)?;
        write_field(out, field)?;
        if condition.is_some() {
            writeln!(out, "}}")?;
        }
    }
    // A value that the version cannot carry is an error, unless the schema says it may be dropped.
    if let (Some(absent), false) = (field.versions.outside(part.versions), field.ignorable) {
        writeln!(
            out,
            "if {absent} && {} {{\nreturn Err(put::unavailable(\"{name}\", version));\n}}",
            is_set(field)
        )?;
    }
    Ok(())
}

/// Refuses null in the versions of `place` that do not allow it.
fn null_check(out: &mut String, field: &Field, place: Versions) -> Result<()> {
    let refused = null_refused(field, place)?;
    if refused.is_empty() {
        return Ok(());
    }
    if matches!(field.kind, Type::Struct(_)) {
        bail!("{}: a struct that is nullable in some versions only", field.name);
    }
    let name = names::field(field);
    let condition = refused.condition(place).map_or_else(String::new, |text| format!("{text} && "));
    writeln!(
        out,
        "if {condition}self.{name}.is_none() {{\nreturn Err(put::unexpected_null(\"{name}\", version));\n}}"
    )?;
    Ok(())
}

/// The versions of `place` in which the field, though an option in Rust, may not be null.
pub(super) fn null_refused(field: &Field, place: Versions) -> Result<Versions> {
    if !field.optional {
        return Ok(Versions::NONE);
    }
    let nullable = field.nullable.intersect(place);
    if !nullable.is_empty() && nullable.max != place.max {
        bail!("field {} ceases to be nullable", field.name);
    }
    Ok(place.before(nullable))
}

/// The tagged fields, known and unknown, by tag.
fn tags(out: &mut String, part: &Struct) -> Result<()> {
    let tagged: Vec<_> = part.fields.iter().filter(|field| !field.tagged.is_empty()).collect();
    writeln!(out, "if {{flexible}} {{")?;
    if tagged.is_empty() {
        writeln!(out, "put::tagged_fields(buf, Vec::new(), &self.unknown_tagged_fields)?;\n}}")?;
        return Ok(());
    }
    writeln!(out, "let mut tagged = Vec::new();")?;
    for field in tagged {
        let Some(tag) = field.tag else { bail!("{} has tagged versions but no tag", field.name) };
        let condition = field.tagged.condition(part.versions);
        let condition = condition.map_or_else(String::new, |versions| format!("{versions} && "));
        writeln!(out, "if {condition}{} {{", is_set(field))?;
        writeln!(out, "let mut bytes = Vec::new();\nlet buf = &mut bytes;")?;
        null_check(out, field, field.tagged)?;
        write_field(out, field)?;
        writeln!(out, "tagged.push(({tag}, bytes));\n}}")?;
    }
    writeln!(out, "put::tagged_fields(buf, tagged, &self.unknown_tagged_fields)?;\n}}")?;
    Ok(())
}

/// Whether the field differs from its default.
fn is_set(field: &Field) -> String {
    let place = format!("self.{}", names::field(field));
    let null = field.default.as_deref() == Some("null");
    match (&field.kind, field.optional, null) {
        (_, true, true) => format!("{place}.is_some()"),
        (Type::Struct(_), true, false) => format!("{place} != Some(Default::default())"),
        (_, true, false) => format!("{place}.as_ref().is_none_or(|value| !value.is_empty())"),
        (Type::Bool, false, _) if messages::default_value(field) == "true" => format!("!{place}"),
        (Type::Bool, false, _) => place,
        (Type::String | Type::Bytes | Type::Records | Type::Array(_), false, _) => {
            format!("!{place}.is_empty()")
        }
        _ => format!("{place} != {}", messages::default_value(field)),
    }
}

fn write_field(out: &mut String, field: &Field) -> Result<()> {
    let place = format!("self.{}", names::field(field));
    let entity = field.entity.as_deref();
    match (&field.kind, field.optional) {
        (kind, false) => write_value(out, kind, entity, &place, true),
        (Type::String, true) => {
            let value = format!("{place}.as_ref().map(|value| value.as_str())");
            writeln!(out, "put::nullable_string(buf, {{flexible}}, {value})?;")?;
            Ok(())
        }
        (Type::Bytes | Type::Records, true) => {
            writeln!(out, "put::nullable_bytes(buf, {{flexible}}, {place}.as_ref())?;")?;
            Ok(())
        }
        (Type::Struct(_), true) => {
            writeln!(out, "put::i8(buf, if {place}.is_some() {{ 1 }} else {{ -1 }});")?;
            writeln!(out, "if let Some(value) = &{place} {{\nvalue.encode(buf, version)?;\n}}")?;
            Ok(())
        }
        (Type::Array(element), true) => {
            let count = format!("{place}.as_ref().map(Vec::len)");
            writeln!(out, "put::nullable_count(buf, {{flexible}}, {count})?;")?;
            writeln!(out, "for item in {place}.iter().flatten() {{")?;
            write_value(out, element, entity, "item", false)?;
            writeln!(out, "}}")?;
            Ok(())
        }
        (kind, true) => bail!("{} is a nullable {kind:?}", field.name),
    }
}

/// Writes the value at `place`: a field (`owned`), or a reference to an entry of an array.
fn write_value(
    out: &mut String,
    kind: &Type,
    entity: Option<&str>,
    place: &str,
    owned: bool,
) -> Result<()> {
    let copied = match (names::newtype(kind, entity), owned) {
        (Some(_), _) => format!("{place}.0"),
        (None, true) => place.to_owned(),
        (None, false) => format!("*{place}"),
    };
    let borrowed = if owned { format!("&{place}") } else { place.to_owned() };
    match kind {
        Type::Bool => writeln!(out, "put::bool(buf, {copied});")?,
        Type::Int8 => writeln!(out, "put::i8(buf, {copied});")?,
        Type::Int16 => writeln!(out, "put::i16(buf, {copied});")?,
        Type::Uint16 => writeln!(out, "put::u16(buf, {copied});")?,
        Type::Int32 => writeln!(out, "put::i32(buf, {copied});")?,
        Type::Uint32 => writeln!(out, "put::u32(buf, {copied});")?,
        Type::Int64 => writeln!(out, "put::i64(buf, {copied});")?,
        Type::Float64 => writeln!(out, "put::f64(buf, {copied});")?,
        Type::Uuid => writeln!(out, "put::uuid(buf, {copied});")?,
        Type::String => writeln!(out, "put::string(buf, {{flexible}}, {borrowed})?;")?,
        Type::Bytes | Type::Records => {
            writeln!(out, "put::bytes(buf, {{flexible}}, {borrowed})?;")?;
        }
        Type::Struct(_) => writeln!(out, "{place}.encode(buf, version)?;")?,
        Type::Array(element) => {
            writeln!(out, "put::count(buf, {{flexible}}, {place}.len())?;")?;
            writeln!(out, "for item in {borrowed} {{")?;
            write_value(out, element, entity, "item", false)?;
            writeln!(out, "}}")?;
        }
    }
    Ok(())
}
