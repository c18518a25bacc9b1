//! Where files lie: the top level, modules, lint settings of the cores.

use std::collections::BTreeSet;

use super::Finding;
use super::files::Source;

/// All that the top level holds, dotfiles apart.
const TOP: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "docs",
    "fuzz",
    "tests",
    "xtask",
];

/// The crates that do no I/O and read no clock; their lint settings say so.
const CORES: [&str; 5] = [
    "millstream-types",
    "millstream-protocol",
    "millstream-client-core",
    "millstream-state",
    "millstream-core",
];

/// Checks the tree as a whole.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = top_level(sources);
    findings.extend(modules(sources));
    findings.extend(core_lints(sources));
    findings
}

fn top_level(sources: &[Source]) -> Vec<Finding> {
    let entries: BTreeSet<_> =
        sources.iter().filter_map(|source| source.path.split('/').next()).collect();
    entries
        .into_iter()
        .filter(|entry| !entry.starts_with('.') && !TOP.contains(entry))
        .map(|entry| Finding::new(entry, "does not belong at the top level"))
        .collect()
}

/// A module is `foo.rs` or `foo/mod.rs`, never `foo.rs` beside `foo/`.
fn modules(sources: &[Source]) -> Vec<Finding> {
    let folders: BTreeSet<_> = sources
        .iter()
        .filter(|source| source.is_rust())
        .filter_map(|source| source.path.rsplit_once('/').map(|(folder, _)| folder))
        .collect();
    sources
        .iter()
        .filter_map(|source| source.path.strip_suffix(".rs"))
        .filter(|stem| folders.contains(stem) && !stem.starts_with("tests/tests/"))
        .map(|stem| {
            Finding::new(format!("{stem}.rs"), "stands beside a folder of its name: use mod.rs")
        })
        .collect()
}

/// A crate's own settings replace the root's, so all cores must say the same.
fn core_lints(sources: &[Source]) -> Vec<Finding> {
    let text_of = |core: &str| {
        let path = format!("crates/{core}/.clippy.toml");
        sources.iter().find(|source| source.path == path).map(|source| source.text.as_str())
    };
    let expected = text_of(CORES[0]);
    CORES
        .iter()
        .filter(|core| text_of(core).is_none() || text_of(core) != expected)
        .map(|core| {
            Finding::new(format!("crates/{core}/.clippy.toml"), "differs from the other cores'")
        })
        .collect()
}
