//! The size and the header of each file, the length of each function.

use std::fs;

use anyhow::{Context, Result};

use super::Finding;
use crate::shell;

const FILE_LINES_MAX: usize = 1_000;
const FUNCTION_LINES_MAX: usize = 70;

/// A file that git tracks.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Written by `cargo xtask codegen`: exempt from the rules of length.
    pub(super) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }
}

/// Reads the text files that git tracks or would track.
pub(super) fn tracked() -> Result<Vec<Source>> {
    let output = shell::command("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot start git")?;
    let mut sources = Vec::new();
    for path in String::from_utf8(output.stdout)?.lines() {
        // Binary vectors are not text, and a deleted file may still be in the index.
        if let Ok(text) = fs::read_to_string(shell::root().join(path)) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let compile_fail = source.path.contains("/compile_fail/") || source.path.contains("/ui/");
    if !source.text.starts_with("//!") && !compile_fail {
        findings.push(Finding::new(&source.path, "opens without a `//!` line saying what it is"));
    }
    if source.is_generated() {
        return findings;
    }
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let text = format!("has {lines} lines, more than {FILE_LINES_MAX}");
        findings.push(Finding::new(&source.path, text));
    }
    findings.extend(long_functions(source));
    findings
}

/// Functions as rustfmt shapes them: from `fn` to the closing brace of the same indent.
fn long_functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in source.text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match open {
            None if is_function(line) => open = Some((number, indent, line.trim())),
            Some((start, depth, head)) if indent == depth => {
                if line.trim() == "}" {
                    let length = number - start + 1;
                    if length > FUNCTION_LINES_MAX {
                        let place = format!("{}:{}", source.path, start + 1);
                        let text =
                            format!("`{head}` has {length} lines, more than {FUNCTION_LINES_MAX}");
                        findings.push(Finding::new(place, text));
                    }
                    open = None;
                } else if line.trim_end().ends_with('}') || line.trim_end().ends_with(';') {
                    open = None;
                }
            }
            _ => {}
        }
    }
    findings
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "async", "const"];
    let found = words.by_ref().find(|word| !qualifiers.contains(word)) == Some("fn");
    found && !line.trim_end().ends_with('}') && !line.trim_end().ends_with(';')
}
