//! Writes the `Decodable` implementations.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::encode;
use super::messages;
use super::names;
use super::schema::{Field, Message, Struct, Type};

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
        "\nimpl Decodable for {name} {{\n\
         fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<Self> {{\n\
         supported::<Self>(\"{name}\", version)?;\n{flexible}{body}Ok(Self {{",
        name = part.name
    )?;
    for field in &part.fields {
        writeln!(out, "{},", names::field(field))?;
    }
    if messages::has_tags(message) {
        writeln!(out, "unknown_tagged_fields,")?;
    }
    writeln!(out, "}})\n}}\n}}")?;
    Ok(())
}

/// The field in the versions that have it in its place; its default in all others.
fn plain(out: &mut String, part: &Struct, field: &Field) -> Result<()> {
    let place = field.versions.before(field.tagged);
    let name = names::field(field);
    let mutable = if field.tagged.is_empty() { "" } else { "mut " };
    let default = messages::default_value(field);
    if place.is_empty() {
        writeln!(out, "let {mutable}{name} = {default};")?;
        return Ok(());
    }
    let value = read_field(field)?;
    match place.condition(part.versions) {
        None => writeln!(out, "let {mutable}{name} = {value};")?,
        Some(condition) => {
            writeln!(
                out,
                "let {mutable}{name} = if {condition} {{ {value} }} else {{ {default} }};"
            )?;
        }
    }
    // Where only some versions allow null, the reader took it and the version decides.
    let refused = encode::null_refused(field, place)?;
    if !refused.is_empty() {
        let condition = refused.condition(part.versions);
        let condition = condition.map_or_else(String::new, |text| format!("{text} && "));
        writeln!(
            out,
            "if {condition}{name}.is_none() {{\nreturn Err(get::unexpected_null(\"{name}\"));\n}}"
        )?;
    }
    Ok(())
}

fn tags(out: &mut String, part: &Struct) -> Result<()> {
    let tagged: Vec<_> = part.fields.iter().filter(|field| !field.tagged.is_empty()).collect();
    writeln!(out, "let mut unknown_tagged_fields = BTreeMap::new();\nif {{flexible}} {{")?;
    if tagged.is_empty() {
        writeln!(
            out,
            "get::tagged_fields(buf, &mut unknown_tagged_fields, |_, _| Ok(false))?;\n}}"
        )?;
        return Ok(());
    }
    writeln!(out, "get::tagged_fields(buf, &mut unknown_tagged_fields, |tag, buf| {{")?;
    writeln!(out, "match tag {{")?;
    for field in tagged {
        let Some(tag) = field.tag else { bail!("{} has tagged versions but no tag", field.name) };
        let guard = field.tagged.condition(part.versions);
        let guard = guard.map_or_else(String::new, |versions| format!(" if {versions}"));
        let value = read_field(field)?;
        writeln!(out, "{tag}{guard} => {} = {value},", names::field(field))?;
    }
    writeln!(out, "_ => return Ok(false),\n}}\nOk(true)\n}})?;\n}}")?;
    Ok(())
}

fn read_field(field: &Field) -> Result<String> {
    let entity = field.entity.as_deref();
    if !field.optional {
        return Ok(read_value(&field.kind, entity));
    }
    let newtype = names::newtype(&field.kind, entity);
    Ok(match &field.kind {
        Type::String => {
            let wrap = newtype.map_or_else(String::new, |name| format!(".map({name})"));
            format!("get::nullable_string(buf, {{flexible}})?{wrap}")
        }
        Type::Bytes | Type::Records => "get::nullable_bytes(buf, {flexible})?".to_owned(),
        Type::Struct(name) => {
            format!(
                "if get::is_present(buf)? {{ Some({name}::decode(buf, version)?) }} else {{ None }}"
            )
        }
        Type::Array(element) => {
            format!("get::nullable_array(buf, {{flexible}}, {})?", reader(element, entity))
        }
        kind => bail!("{} is a nullable {kind:?}", field.name),
    })
}

fn read_value(kind: &Type, entity: Option<&str>) -> String {
    let value = match kind {
        Type::Bool => "get::bool(buf)?".to_owned(),
        Type::Int8 => "get::i8(buf)?".to_owned(),
        Type::Int16 => "get::i16(buf)?".to_owned(),
        Type::Uint16 => "get::u16(buf)?".to_owned(),
        Type::Int32 => "get::i32(buf)?".to_owned(),
        Type::Uint32 => "get::u32(buf)?".to_owned(),
        Type::Int64 => "get::i64(buf)?".to_owned(),
        Type::Float64 => "get::f64(buf)?".to_owned(),
        Type::Uuid => "get::uuid(buf)?".to_owned(),
        Type::String => "get::string(buf, {flexible})?".to_owned(),
        Type::Bytes | Type::Records => "get::bytes(buf, {flexible})?".to_owned(),
        Type::Struct(name) => format!("{name}::decode(buf, version)?"),
        Type::Array(element) => {
            format!("get::array(buf, {{flexible}}, {})?", reader(element, entity))
        }
    };
    match (kind, names::newtype(kind, entity)) {
        (Type::Array(_), _) | (_, None) => value,
        (_, Some(name)) => format!("{name}({value})"),
    }
}

/// A closure that reads one entry of an array.
fn reader(element: &Type, entity: Option<&str>) -> String {
    let value = read_value(element, entity);
    if let Some(function) = value.strip_suffix("(buf)?") {
        return function.to_owned();
    }
    match value.strip_suffix('?') {
        Some(result) => format!("|buf| {result}"),
        None => format!("|buf| Ok({value})"),
    }
}
