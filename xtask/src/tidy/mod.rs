//! Checks what the compiler cannot: the crate graph, sizes, headers, words.
//!
//! Every finding names its file and line; all are printed before the command fails.

mod edges;
mod files;
mod layout;
mod words;

use anyhow::{Result, bail};

/// Something that is not as the rules want it.
pub(crate) struct Finding {
    place: String,
    text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// Runs all checks.
///
/// # Errors
/// If there is any finding.
pub fn run() -> Result<()> {
    let sources = files::tracked()?;
    let mut findings = edges::check()?;
    findings.extend(layout::check(&sources));
    for source in &sources {
        findings.extend(files::check(source));
        findings.extend(words::check(source));
    }
    for finding in &findings {
        println!("{}: {}", finding.place, finding.text);
    }
    if !findings.is_empty() {
        bail!("{} things are not tidy", findings.len());
    }
    println!("{} files are tidy", sources.len());
    Ok(())
}
