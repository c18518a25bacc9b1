//! What the command says when it fails: one sentence, its causes.

use std::error::Error;
use std::fmt;

/// A failure, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure in these words.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A failure while doing `what`.
    pub(crate) fn during(what: impl fmt::Display, error: &dyn Error) -> Self {
        Self(format!("{what}: {}", chain(error)))
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self) {
        eprintln!("error: {}", self.0);
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(chain(&error))
    }
}

/// An error with those of its causes that it does not name itself.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
