//! Words that do not belong in the tree: leftover marks, machine paths, second names for things.

use super::Finding;
use super::files::Source;

/// Marks of unfinished work. Split, so that this file does not find itself.
const MARKS: [&str; 8] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X "),
    concat!("dbg", "!("),
    concat!("todo", "!("),
    concat!("unimpl", "emented!("),
    concat!("#[ign", "ore"),
    concat!("thread::sl", "eep("),
];

/// What would tie the project to the machine or place where it was written.
const PLACES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("../sha", "red"),
    concat!("crates", ".io/api"),
];

/// Parts of type names that say nothing, or stand for one of Kafka's words.
const NAMES: [(&str, &str); 5] = [
    (concat!("Impl", " {"), "name what it is"),
    (concat!("Manag", "er {"), "name what it does"),
    (concat!("Help", "er {"), "name what it does"),
    (concat!("Util", " {"), "name what it does"),
    (concat!("fn ge", "t_"), "a getter is called by its noun"),
];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.ends_with(".lock") || source.path == "LICENSE" {
        return findings;
    }
    for (number, line) in source.text.lines().enumerate() {
        let place = || format!("{}:{}", source.path, number + 1);
        for word in PLACES.iter().filter(|word| line.contains(*word)) {
            findings.push(Finding::new(place(), format!("names a place: `{word}`")));
        }
        if !source.is_rust() || source.is_generated() {
            continue;
        }
        for mark in MARKS.iter().filter(|mark| line.contains(*mark)) {
            if !is_allowed(source, mark) {
                findings.push(Finding::new(place(), format!("leftover mark `{}`", mark.trim())));
            }
        }
        let declares = line.contains("struct ") || line.contains("trait ") || line.contains("fn ");
        for (name, advice) in NAMES.iter().filter(|(name, _)| declares && line.contains(name)) {
            findings.push(Finding::new(
                place(),
                format!("`{}`: {advice}", name.trim_end_matches(" {")),
            ));
        }
    }
    findings
}

/// The one who waits for a process of another program has no condition to wait for, and who
/// measures at a rate keeps it by the clock.
fn is_allowed(source: &Source, mark: &str) -> bool {
    let may_wait = ["xtask/", "tests/peers/bench/"];
    mark.starts_with("thread") && may_wait.iter().any(|place| source.path.starts_with(place))
}
