//! Where the schemas come from: the jar of Kafka's clients, and the `kafka-protocol` crate to which
//! they are compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::names;
use super::schema::Message;
use super::versions::Versions;
use crate::shell;

/// The Kafka whose schemas are the contract.
pub(super) const KAFKA: &str = "4.4.0";

/// Reads every schema of the jar, by the name of the message.
pub(super) fn schemas() -> Result<BTreeMap<String, Message>> {
    let folder = unpacked()?;
    let mut messages = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no schemas in {folder:?}"))? {
        let path = entry?.path();
        // The headers are read by hand.
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let skipped = ["RequestHeader.json", "ResponseHeader.json"];
        if !name.is_some_and(|n| n.ends_with(".json") && !skipped.contains(&n.as_str())) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let parsed = Message::parse(&text).with_context(|| format!("schema {}", path.display()))?;
        if let Some(message) = parsed {
            messages.insert(message.name.clone(), message);
        }
    }
    if messages.is_empty() {
        bail!("{} holds no schemas", folder.display());
    }
    Ok(messages)
}

fn unpacked() -> Result<PathBuf> {
    shell::require("jar", "--version", "install a JDK, 17 or later (Debian: default-jdk)")?;
    let home = shell::root().join("target").join("codegen").join(KAFKA);
    let folder = home.join("common").join("message");
    if folder.is_dir() {
        return Ok(folder);
    }
    shell::require("mvn", "-version", "install Maven, 3.8 or later (Debian: maven)")?;
    fs::create_dir_all(&home)?;
    let copy = [
        "-q".to_owned(),
        "-B".to_owned(),
        "dependency:copy".to_owned(),
        format!("-Dartifact=org.apache.kafka:kafka-clients:{KAFKA}"),
        format!("-DoutputDirectory={}", home.display()),
    ];
    shell::run(Command::new("mvn").args(copy).current_dir(&home))?;
    let jar = home.join(format!("kafka-clients-{KAFKA}.jar"));
    let unpack =
        Command::new("jar").arg("xf").arg(jar).arg("common/message").current_dir(&home).status()?;
    if !unpack.success() {
        bail!("`jar xf` could not unpack the schemas: {unpack}");
    }
    Ok(folder)
}

/// A message as the `kafka-protocol` crate has it.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) versions: Versions,
    /// The fields of each struct with their types.
    pub(super) structs: BTreeMap<String, BTreeMap<String, String>>,
}

/// The sources of the `kafka-protocol` crate that this workspace is locked to.
pub(super) struct UpstreamCrate {
    messages: PathBuf,
}

impl UpstreamCrate {
    pub(super) fn find() -> Result<Self> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(shell::root())
            .exec()
            .context("cargo metadata failed")?;
        let package = metadata.packages.iter().find(|package| package.name == "kafka-protocol");
        let package = package.context("kafka-protocol is not among the dependencies")?;
        let root = package.manifest_path.parent().context("kafka-protocol has no folder")?;
        Ok(Self { messages: root.join("src").join("messages").into_std_path_buf() })
    }

    /// The message `name`; `None` where the crate lacks it.
    pub(super) fn message(&self, name: &str) -> Result<Option<Upstream>> {
        let path = self.messages.join(format!("{}.rs", names::snake(name)));
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        let head = format!("impl Message for {name} {{");
        let after = text.split_once(&head).with_context(|| format!("no `{head}`"))?.1;
        let number = |label: &str| -> Result<i16> {
            let digits = after.split_once(label).context("no range of versions")?.1;
            let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
            Ok(digits.parse()?)
        };
        let versions = Versions { min: number("min: ")?, max: number("max: ")? };
        Ok(Some(Upstream { versions, structs: structs(&text) }))
    }
}

fn structs(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("pub struct ") {
            let name = name.trim_end_matches(" {").to_owned();
            found.insert(name.clone(), BTreeMap::new());
            current = Some(name);
        } else if line == "}" {
            current = None;
        } else if let Some(field) = line.strip_prefix("    pub ")
            && let Some((name, kind)) = field.trim_end_matches(',').split_once(": ")
            && let Some(fields) = current.as_ref().and_then(|name| found.get_mut(name))
            && name != "unknown_tagged_fields"
        {
            fields.insert(name.to_owned(), kind.replace("super::", ""));
        }
    }
    found
}
