//! Kafka's message schemas: the JSON files, and the model the generator works on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::versions::Versions;

/// What a schema file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Request,
    Response,
    /// Not sent by itself: embedded in other messages or stored in the log.
    Embedded,
}

/// One message with all its stable versions.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) api_key: Option<i16>,
    pub(super) versions: Versions,
    pub(super) deprecated: Versions,
    pub(super) flexible: Versions,
    pub(super) on_brokers: bool,
    /// The message itself first, then every struct in it.
    pub(super) structs: Vec<Struct>,
}

/// A struct: the message itself or a part of it.
#[derive(Clone, Debug)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) versions: Versions,
    pub(super) fields: Vec<Field>,
}

/// A field of a struct, its ranges cut to the versions in which the struct exists.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Type,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    /// Whether any version, even one no longer valid, allows null: then the Rust field is an option.
    pub(super) optional: bool,
    pub(super) tag: Option<u32>,
    pub(super) tagged: Versions,
    pub(super) default: Option<String>,
    pub(super) ignorable: bool,
    pub(super) entity: Option<String>,
    pub(super) about: String,
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Self>),
}

impl Type {
    fn parse(text: &str) -> Result<Self> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Self::Array(Box::new(Self::parse(element)?)));
        }
        Ok(match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
                Self::Struct(name.to_owned())
            }
            other => bail!("the schemas use a type this generator does not know: {other}"),
        })
    }

    /// The struct at the bottom of the type.
    pub(super) fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl Message {
    /// Reads a schema; `None` where no version of the message is left.
    pub(super) fn parse(text: &str) -> Result<Option<Self>> {
        let raw: RawMessage = serde_json::from_str(&without_comments(text))?;
        let mut versions = Versions::parse(&raw.valid_versions)?;
        if versions.is_empty() {
            return Ok(None);
        }
        if raw.latest_version_unstable {
            versions.max -= 1;
        }
        let role = match raw.kind.as_str() {
            "request" => Role::Request,
            "response" => Role::Response,
            _ => Role::Embedded,
        };
        let mut found = Structs::default();
        for shared in &raw.common_structs {
            found.bodies.insert(shared.name.clone(), shared.fields.clone());
            let versions = Versions::parse(&shared.versions)?.intersect(versions);
            found.shared.insert(shared.name.clone(), versions);
        }
        found.note_bodies(&raw.fields);
        found.add(&raw.name, &raw.fields, versions)?;
        let nothing = "none".to_owned();
        Ok(Some(Self {
            role,
            api_key: raw.api_key,
            versions,
            deprecated: Versions::parse(raw.deprecated_versions.as_ref().unwrap_or(&nothing))?,
            flexible: Versions::parse(raw.flexible_versions.as_ref().unwrap_or(&nothing))?,
            on_brokers: raw.listeners.iter().any(|listener| listener == "broker"),
            structs: found.done,
            name: raw.name,
        }))
    }

    /// The first version with compact lengths and tagged fields; `None`: there is none.
    pub(super) fn first_flexible(&self) -> Option<i16> {
        let flexible = self.flexible.intersect(self.versions);
        (!flexible.is_empty()).then_some(self.flexible.min)
    }
}

/// Collects the structs of a message in the order in which they are met.
#[derive(Default)]
struct Structs {
    bodies: BTreeMap<String, Vec<RawField>>,
    /// The versions of structs that stand in several places.
    shared: BTreeMap<String, Versions>,
    done: Vec<Struct>,
}

impl Structs {
    fn note_bodies(&mut self, fields: &[RawField]) {
        for field in fields {
            if field.fields.is_empty() {
                continue;
            }
            let name = field.kind.trim_start_matches("[]").to_owned();
            self.bodies.insert(name, field.fields.clone());
            self.note_bodies(&field.fields);
        }
    }

    fn add(&mut self, name: &str, raw: &[RawField], versions: Versions) -> Result<()> {
        let versions = self.shared.get(name).copied().unwrap_or(versions);
        if let Some(known) = self.done.iter().position(|done| done.name == name) {
            let before = self.done[known].versions;
            if before.covers(versions) {
                return Ok(());
            }
            bail!("struct {name} is used in {before} and again in {versions}");
        }
        let fields = raw.iter().map(|field| field.resolve(versions)).collect::<Result<Vec<_>>>()?;
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        self.done.push(Struct { name: name.to_owned(), versions, fields: fields.clone() });
        for field in fields {
            let Some(part) = field.kind.struct_name() else { continue };
            let body = self.bodies.get(part).cloned();
            let body = body.with_context(|| format!("struct {part} has no fields anywhere"))?;
            self.add(part, &body, field.versions)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMessage {
    api_key: Option<i16>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    listeners: Vec<String>,
    name: String,
    valid_versions: String,
    deprecated_versions: Option<String>,
    flexible_versions: Option<String>,
    #[serde(default)]
    latest_version_unstable: bool,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawStruct {
    name: String,
    versions: String,
    fields: Vec<RawField>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    versions: Option<String>,
    nullable_versions: Option<String>,
    tag: Option<u32>,
    tagged_versions: Option<String>,
    default: Option<serde_json::Value>,
    #[serde(default)]
    ignorable: bool,
    entity_type: Option<String>,
    #[serde(default)]
    about: String,
    #[serde(default)]
    fields: Vec<Self>,
    flexible_versions: Option<String>,
}

impl RawField {
    /// The field in the versions of its struct; `None` where it exists in none of them.
    fn resolve(&self, scope: Versions) -> Result<Option<Field>> {
        let range = |text: &Option<String>, otherwise: Versions| {
            text.as_ref().map_or(Ok(otherwise), |text| Versions::parse(text))
        };
        let versions = range(&self.versions, scope)?.intersect(scope);
        if versions.is_empty() {
            return Ok(None);
        }
        if self.flexible_versions.is_some() {
            bail!("field {} has flexible versions of its own", self.name);
        }
        let nullable = range(&self.nullable_versions, Versions::NONE)?;
        let tagged = range(&self.tagged_versions, Versions::NONE)?.intersect(versions);
        if !tagged.is_empty() && tagged.max != versions.max {
            bail!("field {} ceases to be a tagged field", self.name);
        }
        Ok(Some(Field {
            name: self.name.clone(),
            kind: Type::parse(&self.kind)?,
            versions,
            nullable: nullable.intersect(versions),
            optional: !nullable.is_empty(),
            tag: self.tag,
            tagged,
            default: self.default.as_ref().map(|value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            ignorable: self.ignorable,
            entity: self.entity_type.clone(),
            about: self.about.clone(),
        }))
    }
}

/// The schemas are JSON with `//` comments, which stand outside of strings.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut end = line.len();
        let bytes = line.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' if at == 0 || bytes[at - 1] != b'\\' => in_string = !in_string,
                b'/' if !in_string && bytes.get(at + 1) == Some(&b'/') => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        clean.push_str(&line[..end]);
        clean.push('\n');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"
        // A comment, and a "quoted" word in it.
        {
          "apiKey": 7, "type": "request", "listeners": ["broker"], "name": "HoldRequest",
          "validVersions": "1-4", "flexibleVersions": "2+", "latestVersionUnstable": true,
          "fields": [ // behind a field
            { "name": "Url", "type": "string", "versions": "0+", "about": "such as http://kafka" },
            { "name": "Gone", "type": "int32", "versions": "0" },
            { "name": "Parts", "type": "[]Part", "versions": "1+", "nullableVersions": "3+", "fields": [
              { "name": "Id", "type": "int32", "versions": "2+", "tag": 1, "taggedVersions": "3+", "default": -1 }
            ]},
            { "name": "Last", "type": "Part", "versions": "3+" }
          ]
        }"#;

    #[test]
    fn a_schema_is_cut_to_its_stable_versions() {
        let message = Message::parse(SCHEMA).unwrap().unwrap();
        assert_eq!(message.versions, Versions { min: 1, max: 3 });
        assert_eq!((message.first_flexible(), message.on_brokers), (Some(2), true));
        let [root, part] = &message.structs[..] else { panic!("{:?}", message.structs) };
        let names: Vec<_> = root.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["Url", "Parts", "Last"]);
        assert_eq!(root.fields[0].about, "such as http://kafka");
        assert!(root.fields[1].optional);
        assert_eq!(root.fields[1].nullable, Versions { min: 3, max: 3 });
        let id = &part.fields[0];
        assert_eq!((id.tag, id.tagged), (Some(1), Versions { min: 3, max: 3 }));
        assert_eq!((id.versions, id.default.as_deref()), (Versions { min: 2, max: 3 }, Some("-1")));
    }

    #[test]
    fn a_message_without_versions_is_left_out() {
        let schema =
            r#"{ "type": "request", "name": "StopReplicaRequest", "validVersions": "none" }"#;
        assert!(Message::parse(schema).unwrap().is_none());
    }

    #[test]
    fn an_unknown_type_is_refused() {
        let schema =
            SCHEMA.replace("\"int32\", \"versions\": \"2+\"", "\"int33\", \"versions\": \"2+\"");
        assert!(Message::parse(&schema).is_err());
    }
}
