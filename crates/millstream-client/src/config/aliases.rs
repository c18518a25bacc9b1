//! librdkafka's names for properties that Java's clients have under another name, and in another
//! unit here and there.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::properties::Properties;

/// How a value of librdkafka's becomes one of Java's.
type Translate = fn(&str) -> Option<String>;

/// librdkafka's name, Java's, what the value becomes, and what values there are.
const ALIASES: &[(&str, &str, Translate, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers", same, "addresses of the form host:port"),
    ("request.required.acks", "acks", same, "one of all, -1, 1, 0"),
    ("max.in.flight", "max.in.flight.requests.per.connection", same, "a whole number"),
    ("message.send.max.retries", "retries", same, "a whole number, 0 or more"),
    ("message.timeout.ms", "delivery.timeout.ms", zero_is_ever, "a number of milliseconds"),
    ("queue.buffering.max.ms", "linger.ms", round_up, "a number of milliseconds, 0 or more"),
    ("queue.buffering.max.kbytes", "buffer.memory", kilobytes, "a number of KiB, 1 or more"),
    ("message.max.bytes", "max.request.size", same, "a number of bytes"),
    ("compression.codec", "compression.type", same, "one of none, gzip, snappy, lz4, zstd"),
    ("socket.timeout.ms", "request.timeout.ms", same, "a number of milliseconds"),
    ("socket.send.buffer.bytes", "send.buffer.bytes", zero_is_system, "a number of bytes"),
    ("socket.receive.buffer.bytes", "receive.buffer.bytes", zero_is_system, "a number of bytes"),
    (
        "topic.metadata.refresh.interval.ms",
        "metadata.max.age.ms",
        minus_one_is_ever,
        "a number of milliseconds",
    ),
];

/// For how long "for ever" is: what the largest number of milliseconds in Java's `int` says.
const EVER: i32 = i32::MAX;

fn same(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn zero_is_ever(value: &str) -> Option<String> {
    let millis: u64 = value.parse().ok()?;
    Some(if millis == 0 { EVER.to_string() } else { millis.to_string() })
}

fn minus_one_is_ever(value: &str) -> Option<String> {
    let millis: i64 = value.parse().ok().filter(|millis| *millis >= -1)?;
    Some(if millis == -1 { EVER.to_string() } else { millis.to_string() })
}

fn zero_is_system(value: &str) -> Option<String> {
    let bytes: u64 = value.parse().ok()?;
    Some(if bytes == 0 { "-1".to_owned() } else { bytes.to_string() })
}

/// librdkafka takes fractions of a millisecond; less than one would be none at all.
fn round_up(value: &str) -> Option<String> {
    let millis: f64 =
        value.parse().ok().filter(|millis: &f64| (0.0..=900_000.0).contains(millis))?;
    Some(format!("{:.0}", millis.ceil()))
}

fn kilobytes(value: &str) -> Option<String> {
    let kilobytes: u64 = value.parse().ok().filter(|count| *count > 0)?;
    Some(kilobytes.checked_mul(1024)?.to_string())
}

/// Properties under Java's names.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) properties: Properties,
    /// Under which name the configuration has a property, where that is not Java's.
    pub(crate) spellings: BTreeMap<&'static str, &'static str>,
}

/// Puts properties under Java's names.
///
/// # Errors
/// A value does not fit its property, or a property is there under both its names.
pub(crate) fn translate(properties: &Properties) -> Result<Translated, ConfigError> {
    let mut translated = Translated { properties: Properties::new(), spellings: BTreeMap::new() };
    for (name, value) in properties.iter() {
        let alias = ALIASES.iter().find(|(alias, ..)| *alias == name);
        let Some((alias, java, translate, expected)) = alias else {
            translated.properties.set(name, value);
            continue;
        };
        if properties.get(java).is_some() {
            let reason = "they are two names of one setting; keep one".to_owned();
            return Err(ConfigError::Conflict { first: alias, second: java, reason });
        }
        let value = translate(value.trim()).ok_or_else(|| ConfigError::Invalid {
            name: alias,
            value: value.to_owned(),
            expected: (*expected).to_owned(),
        })?;
        translated.properties.set(*java, value);
        translated.spellings.insert(java, alias);
    }
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(name: &str, value: &str) -> Result<Translated, ConfigError> {
        translate(&Properties::from_iter([(name, value)]))
    }

    #[test]
    fn names_and_units_are_translated() {
        for (name, value, java, expected) in [
            ("metadata.broker.list", "a:1", "bootstrap.servers", "a:1"),
            ("request.required.acks", "-1", "acks", "-1"),
            ("max.in.flight", "3", "max.in.flight.requests.per.connection", "3"),
            ("message.send.max.retries", "7", "retries", "7"),
            ("message.timeout.ms", "0", "delivery.timeout.ms", "2147483647"),
            ("message.timeout.ms", "9", "delivery.timeout.ms", "9"),
            ("queue.buffering.max.ms", "0.5", "linger.ms", "1"),
            ("queue.buffering.max.kbytes", "2", "buffer.memory", "2048"),
            ("message.max.bytes", "5", "max.request.size", "5"),
            ("compression.codec", "lz4", "compression.type", "lz4"),
            ("socket.timeout.ms", "60000", "request.timeout.ms", "60000"),
            ("socket.send.buffer.bytes", "0", "send.buffer.bytes", "-1"),
            ("socket.receive.buffer.bytes", "10", "receive.buffer.bytes", "10"),
            ("topic.metadata.refresh.interval.ms", "-1", "metadata.max.age.ms", "2147483647"),
            ("linger.ms", "4", "linger.ms", "4"),
        ] {
            let translated = translated(name, value).unwrap();
            assert_eq!(translated.properties.get(java), Some(expected), "{name}");
        }
    }

    #[test]
    fn two_names_of_one_setting_conflict() {
        let both = Properties::from_iter([("acks", "1"), ("request.required.acks", "0")]);
        let error = translate(&both).unwrap_err().to_string();
        assert!(error.contains("acks and") || error.contains("and acks"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_as_it_was_written() {
        let error = translated("queue.buffering.max.kbytes", "lots").unwrap_err().to_string();
        let expected = "queue.buffering.max.kbytes = \"lots\" is not a number of KiB, 1 or more";
        assert_eq!(error, expected);
    }
}
