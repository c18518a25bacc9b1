//! The crate graph against the table of `docs/architecture.md`.

use std::collections::BTreeMap;

use anyhow::Result;
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Finding;
use crate::shell;

/// What each crate may depend on, `millstream-types` apart, which all may use.
const GRAPH: [(&str, &[&str]); 10] = [
    (
        "millstream-cli",
        &["millstream-client", "millstream-broker", "millstream-registry", "millstream"],
    ),
    (
        "millstream",
        &["millstream-core", "millstream-state", "millstream-state-sled", "millstream-client"],
    ),
    ("millstream-broker", &["millstream-protocol"]),
    ("millstream-client", &["millstream-client-core", "millstream-protocol"]),
    ("millstream-core", &["millstream-state"]),
    ("millstream-client-core", &["millstream-protocol"]),
    ("millstream-state-sled", &["millstream-state"]),
    ("millstream-state", &[]),
    ("millstream-protocol", &[]),
    ("millstream-types", &[]),
];

/// The crates that may use tokio; in all others it is a finding.
const WITH_TOKIO: [&str; 4] =
    ["millstream-cli", "millstream", "millstream-broker", "millstream-client"];

/// Compares every edge of the workspace with the table.
pub(super) fn check() -> Result<Vec<Finding>> {
    let metadata = MetadataCommand::new()
        .current_dir(shell::root())
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()?;
    let graph = BTreeMap::from(GRAPH);
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let place = format!("crates/{name}/Cargo.toml");
        if ["xtask", "millstream-tests"].contains(&name) {
            continue;
        }
        let Some(allowed) = graph.get(name) else {
            findings.push(Finding::new(place, "the crate is not in the table of the architecture"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if let Some(text) = fault(name, to, dependency.kind, allowed) {
                findings.push(Finding::new(place.as_str(), text));
            }
        }
    }
    Ok(findings)
}

fn fault(from: &str, to: &str, kind: DependencyKind, allowed: &[&str]) -> Option<String> {
    // The broker judges the client: sharing its decisions would hide common mistakes.
    if from == "millstream-broker" && to.starts_with("millstream-client") {
        return Some(format!("the broker never reaches {to}"));
    }
    if to == "kafka-protocol" && from != "millstream-protocol" {
        return Some("kafka-protocol is named by millstream-protocol alone".to_owned());
    }
    if kind != DependencyKind::Normal {
        return None;
    }
    if to == "tokio" && !WITH_TOKIO.contains(&from) {
        return Some("a core never sees tokio".to_owned());
    }
    let ours = to.starts_with("millstream") && to != "millstream-types";
    (ours && !allowed.contains(&to)).then(|| format!("the architecture has no edge to {to}"))
}
