//! Kafka's property names with their values, from a map or from a file as Java's tools read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::ConfigError;

/// Properties by Kafka's names. Builders take them with `properties`; they stand above what the
/// builder's typed methods set.
///
/// ```
/// use millstream_client::Properties;
///
/// let properties = Properties::parse("linger.ms = 20\n# a comment\ncompression.type=lz4\n")?;
/// assert_eq!(properties.get("linger.ms"), Some("20"));
/// # Ok::<(), millstream_client::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// No properties.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads text in the form of `java.util.Properties`: `name=value`, `name: value` or `name value`
    /// on a line, comments after `#` or `!`, a backslash at the end of a line that goes on.
    ///
    /// # Errors
    /// A `\u` escape is malformed.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut properties = Self::new();
        let mut lines = text.lines().zip(1..);
        while let Some((first, line)) = lines.next() {
            let first = first.trim_start();
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = first.to_owned();
            while goes_on(&logical) {
                logical.pop();
                let Some((next, _)) = lines.next() else { break };
                logical.push_str(next.trim_start());
            }
            let (name, value) = split(&logical);
            let unescape =
                |part| unescape(part).map_err(|reason| ConfigError::Syntax { line, reason });
            properties.set(unescape(name)?, unescape(value)?);
        }
        Ok(properties)
    }

    /// Reads a file, as [`Properties::parse`] does.
    ///
    /// # Errors
    /// The file cannot be read, or is malformed.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Sets a property.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes a property away.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// All properties, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(properties: I) -> Self {
        let mut all = Self::new();
        all.extend(properties);
        all
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Properties {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, properties: I) {
        for (name, value) in properties {
            self.set(name, value);
        }
    }
}

/// Whether a line ends in an odd number of backslashes.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Cuts a line at the first `=`, `:` or white space that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
            escaped = !escaped && *c == '\\';
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, value.trim_start())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                let valid = code.filter(|_| digits.len() == 4);
                out.push(valid.ok_or_else(|| format!("\\u{digits} is not a character"))?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let text = "a=1\n  b : 2\nc 3\n# d=4\n! e=5\n\nf = x\\\n   y \ng\\=h=\\u0041\\tb\ni\n";
        let properties = Properties::parse(text).unwrap();
        let all: Vec<_> = properties.iter().collect();
        let expected =
            [("a", "1"), ("b", "2"), ("c", "3"), ("f", "xy "), ("g=h", "A\tb"), ("i", "")];
        assert_eq!(all, expected);
    }

    #[test]
    fn names_the_line_of_a_bad_escape() {
        let error = Properties::parse("a=1\nb=\\u12\n").unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Properties::load("/nowhere/at-all.properties").unwrap_err();
        assert!(error.to_string().contains("/nowhere/at-all.properties"));
    }
}
