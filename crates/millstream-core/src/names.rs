//! The names that Kafka Streams generates for operators and stores, and the rule for given ones.
//!
//! The order of calls decides the numbers (`InternalStreamsBuilder.newProcessorName`), so every
//! verb asks here in Java's order, and burns an index where Java does.

use std::sync::Arc;

use crate::TopologyError;

/// Kafka's limit for topic names, which internal topics inherit from operator names.
const NAME_CHARS_MAX: usize = 249;

pub(crate) const SOURCE: &str = "KSTREAM-SOURCE-";
pub(crate) const SINK: &str = "KSTREAM-SINK-";
pub(crate) const FILTER: &str = "KSTREAM-FILTER-";
pub(crate) const MAP: &str = "KSTREAM-MAP-";
pub(crate) const MAP_VALUES: &str = "KSTREAM-MAPVALUES-";
pub(crate) const FLAT_MAP: &str = "KSTREAM-FLATMAP-";
pub(crate) const FLAT_MAP_VALUES: &str = "KSTREAM-FLATMAPVALUES-";
pub(crate) const SELECT_KEY: &str = "KSTREAM-KEY-SELECT-";
pub(crate) const PEEK: &str = "KSTREAM-PEEK-";
pub(crate) const FOREACH: &str = "KSTREAM-FOREACH-";
pub(crate) const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
pub(crate) const TO_STREAM: &str = "KTABLE-TOSTREAM-";

/// What `newStoreName` puts between prefix and number.
const STATE_STORE: &str = "STATE-STORE-";

/// The suffix of a repartition topic.
const REPARTITION: &str = "-repartition";

/// The one counter of a builder.
#[derive(Debug, Default)]
pub(crate) struct NameCounter(u32);

impl NameCounter {
    /// A generated operator name; takes the next number.
    pub(crate) fn operator(&mut self, prefix: &str) -> Arc<str> {
        let number = self.0;
        self.0 += 1;
        format!("{prefix}{number:010}").into()
    }

    /// A generated store name; takes the next number.
    pub(crate) fn store(&mut self, prefix: &str) -> Arc<str> {
        self.operator(&format!("{prefix}{STATE_STORE}"))
    }

    /// `NamedInternal.orElseGenerateWithPrefix`: the number is taken even if a name was given.
    pub(crate) fn or_generate(&mut self, given: Option<Arc<str>>, prefix: &str) -> Arc<str> {
        let generated = self.operator(prefix);
        given.unwrap_or(generated)
    }
}

/// The undecorated name of the repartition topic for this prefix; the suffix is never doubled.
pub(crate) fn repartition_topic(prefix: &str) -> Arc<str> {
    if prefix.ends_with(REPARTITION) {
        prefix.into()
    } else {
        format!("{prefix}{REPARTITION}").into()
    }
}

/// Whether a repartition keeps the generated names of its three nodes: `KSTREAM.*-[0-9]{10}`.
pub(crate) fn is_generated(prefix: &str) -> bool {
    let Some((head, number)) = prefix.rsplit_once('-') else {
        return false;
    };
    head.starts_with("KSTREAM") && number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit())
}

/// Checks a name that the program gave (`Named.validate`); `what` says to which thing.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), TopologyError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it is a directory's"
    } else if name.len() > NAME_CHARS_MAX {
        "it has more than 249 characters"
    } else if !name.bytes().all(is_legal) {
        "it has characters other than letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(TopologyError::InvalidName { what: what.to_owned(), name: name.to_owned(), reason })
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_burn_a_number() {
        let mut names = NameCounter::default();
        assert_eq!(&*names.operator(SOURCE), "KSTREAM-SOURCE-0000000000");
        assert_eq!(&*names.or_generate(Some("mine".into()), FILTER), "mine");
        assert_eq!(&*names.store(AGGREGATE), "KSTREAM-AGGREGATE-STATE-STORE-0000000002");
    }

    #[test]
    fn repartition_names_follow_the_prefix() {
        assert_eq!(&*repartition_topic("a"), "a-repartition");
        assert_eq!(&*repartition_topic("a-repartition"), "a-repartition");
        assert!(is_generated("KSTREAM-AGGREGATE-STATE-STORE-0000000002"));
        assert!(!is_generated("words"));
        assert!(!is_generated("KSTREAM-AGGREGATE-STATE-STORE-2"));
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("operator", "a.b_c-1").is_ok());
        for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(check_name("operator", bad).is_err(), "{bad:?}");
        }
    }
}
