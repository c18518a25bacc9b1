//! How things are written on the command line: `NAME=VALUE`, `TOPIC:PARTITION`.

use millstream_types::{BrokerId, PartitionId, TopicName, TopicPartition};

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
    if name.trim().is_empty() {
        return Err("NAME=VALUE is needed: the name is empty".to_owned());
    }
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads `TOPIC:PARTITION`.
pub(crate) fn topic_partition(text: &str) -> Result<TopicPartition, String> {
    let (topic, partition) = text.rsplit_once(':').ok_or("TOPIC:PARTITION is needed")?;
    let partition: i32 = match partition.parse() {
        Ok(number) if number >= 0 => number,
        _ => return Err(format!("`{partition}` is no partition: a number from 0 is needed")),
    };
    Ok(TopicPartition::new(TopicName::from(topic), PartitionId(partition)))
}

/// Reads `TOPIC:PARTITION=VALUE`.
pub(crate) fn partition_pair(text: &str) -> Result<(TopicPartition, String), String> {
    let (partition, value) = pair(text)?;
    Ok((topic_partition(&partition)?, value))
}

/// Brokers, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brokers(pub(crate) Vec<BrokerId>);

/// Reads `1,2,3`.
pub(crate) fn brokers(text: &str) -> Result<Brokers, String> {
    let read = |id: &str| match id.trim().parse() {
        Ok(id) => Ok(BrokerId(id)),
        Err(_) => Err(format!("`{id}` is no broker: numbers with commas are needed")),
    };
    text.split(',').map(read).collect::<Result<_, _>>().map(Brokers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_hold_colons_but_not_the_last() {
        let partition = topic_partition("a:b:3").unwrap();
        assert_eq!((partition.topic.as_str(), partition.partition.value()), ("a:b", 3));
    }

    #[test]
    fn what_is_no_partition_is_refused() {
        for text in ["orders", "orders:", "orders:x", "orders:-1"] {
            assert!(topic_partition(text).is_err(), "{text}");
        }
        for text in ["orders:1", "=1", "orders=1"] {
            assert!(partition_pair(text).is_err(), "{text}");
        }
    }
}
