//! Writes the descriptors that the shape guard walks.

use std::fmt::Write as _;

use anyhow::Result;

use super::names;
use super::schema::{Field, Message, Struct, Type};
use super::versions::Versions;

/// The module with the shapes of `messages`.
pub(super) fn module(title: &str, messages: &[&Message]) -> Result<String> {
    let mut out = super::header(&format!("The shapes of {title}."));
    out.push_str("use crate::guard::shape::*;\n");
    for message in messages {
        message_shape(&mut out, message)?;
    }
    Ok(out)
}

fn message_shape(out: &mut String, message: &Message) -> Result<()> {
    let flexible =
        message.first_flexible().map_or_else(|| "i16::MAX".to_owned(), |first| first.to_string());
    writeln!(out, "\npub(crate) mod {} {{", names::snake(&message.name))?;
    writeln!(out, "    use super::*;\n")?;
    writeln!(
        out,
        "    pub(crate) static SHAPE: Shape = Shape::new({flexible}, {});",
        constant(&message.name)
    )?;
    for part in &message.structs {
        writeln!(out, "\n    const {}: Fields = &[", constant(&part.name))?;
        for field in &part.fields {
            writeln!(out, "        {},", descriptor(field, part))?;
        }
        writeln!(out, "    ];")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn descriptor(field: &Field, part: &Struct) -> String {
    let mut text = format!("field({}, {})", kind(&field.kind), field.versions.min);
    if field.versions.max < part.versions.max {
        let _ = write!(text, ".until({})", field.versions.max);
    }
    if !field.nullable.is_empty() {
        let _ = write!(text, ".nullable({}, {})", field.nullable.min, bound(field.nullable));
    }
    if let (Some(tag), false) = (field.tag, field.tagged.is_empty()) {
        let _ = write!(text, ".tagged({tag}, {})", field.tagged.min);
    }
    text
}

fn bound(versions: Versions) -> String {
    if versions.max > i16::from(i8::MAX) { "i8::MAX".to_owned() } else { versions.max.to_string() }
}

fn kind(kind: &Type) -> String {
    match kind {
        Type::Bool => "BOOL".to_owned(),
        Type::Int8 => "INT8".to_owned(),
        Type::Int16 => "INT16".to_owned(),
        Type::Uint16 => "UINT16".to_owned(),
        Type::Int32 => "INT32".to_owned(),
        Type::Uint32 => "UINT32".to_owned(),
        Type::Int64 => "INT64".to_owned(),
        Type::Float64 => "FLOAT64".to_owned(),
        Type::Uuid => "UUID".to_owned(),
        Type::String => "STRING".to_owned(),
        Type::Bytes => "BYTES".to_owned(),
        Type::Records => "RECORDS".to_owned(),
        Type::Struct(name) => format!("part({})", constant(name)),
        Type::Array(element) => format!("array(&{})", self::kind(element)),
    }
}

fn constant(name: &str) -> String {
    names::snake(name).to_ascii_uppercase()
}
