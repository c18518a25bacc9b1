//! Reads properties one by one, typed, and notices which ones nobody read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::aliases::Translated;
use super::error::ConfigError;
use super::names::{self, Standing};
use super::properties::Properties;

/// Takes properties by name. Each client's configuration asks for those it knows; [`finish`]
/// answers for the rest.
///
/// [`finish`]: PropertyReader::finish
pub(crate) struct PropertyReader<'a> {
    properties: &'a Properties,
    unread: BTreeSet<&'a str>,
    /// Under which name the configuration has a property, where that is not Java's.
    spellings: BTreeMap<&'static str, &'static str>,
}

impl<'a> PropertyReader<'a> {
    pub(crate) fn new(properties: &'a Properties) -> Self {
        let unread = properties.iter().map(|(name, _)| name).collect();
        Self { properties, unread, spellings: BTreeMap::new() }
    }

    /// Reads properties that may have been under librdkafka's names.
    pub(crate) fn of(translated: &'a Translated) -> Self {
        let spellings = translated.spellings.clone();
        Self { spellings, ..Self::new(&translated.properties) }
    }

    /// A property as it stands.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.unread.remove(name);
        self.properties.get(name).map(str::trim)
    }

    /// A property as `read` reads it; `expected` completes "… is not".
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError::Invalid {
                name: self.spellings.get(name).copied().unwrap_or(name),
                value: text.to_owned(),
                expected: expected.to_owned(),
            }),
        }
    }

    /// The properties whose names begin with `prefix`: the rest of the name, and the value.
    pub(crate) fn with_prefix(&mut self, prefix: &str) -> Vec<(&'a str, &'a str)> {
        let found: Vec<_> = self
            .properties
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, name, value.trim())))
            .filter(|(rest, ..)| !rest.is_empty())
            .collect();
        for (_, name, _) in &found {
            self.unread.remove(name);
        }
        found.into_iter().map(|(rest, _, value)| (rest, value)).collect()
    }

    /// A property of which only one value can be had.
    pub(crate) fn only(
        &mut self,
        name: &'static str,
        only: &str,
        reason: &'static str,
    ) -> Result<(), ConfigError> {
        match self.text(name) {
            Some(text) if !text.eq_ignore_ascii_case(only) => Err(ConfigError::Unsupported {
                name: name.to_owned(),
                value: text.to_owned(),
                reason,
            }),
            _ => Ok(()),
        }
    }

    /// A number of milliseconds, 0 or more.
    pub(crate) fn millis(&mut self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let expected = "a number of milliseconds, 0 or more";
        self.value(name, expected, |text| text.parse().ok().map(Duration::from_millis))
    }

    /// A number of milliseconds where −1 means never.
    pub(crate) fn millis_or_never(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<Duration>>, ConfigError> {
        let expected = "a number of milliseconds, 0 or more, or -1 for never";
        self.value(name, expected, |text| match text {
            "-1" => Some(None),
            text => text.parse().ok().map(|millis| Some(Duration::from_millis(millis))),
        })
    }

    /// A whole number within `range`.
    pub(crate) fn number<T>(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<Option<T>, ConfigError>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(name, &expected, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        self.value(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// One of a few words, in any case.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.value(name, &format!("one of {}", list.join(", ")), |text| {
            let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value)
        })
    }

    /// Answers for what nobody read: a property of another client or of the JVM is passed over, as
    /// Java does; one that asks for what this client cannot do, or that no client knows, is refused.
    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        for name in self.unread {
            match names::standing(name) {
                Standing::NotOurs => {
                    tracing::debug!(property = name, "property is of no use to this client");
                }
                Standing::NoEffect(reason) => {
                    tracing::warn!(property = name, reason, "property has no effect here");
                }
                Standing::Unsupported(reason) => {
                    return Err(ConfigError::Unsupported {
                        name: name.to_owned(),
                        value: self.properties.get(name).unwrap_or_default().to_owned(),
                        reason,
                    });
                }
                Standing::Unknown(suggestion) => {
                    return Err(ConfigError::UnknownProperty { name: name.to_owned(), suggestion });
                }
            }
        }
        Ok(())
    }
}
