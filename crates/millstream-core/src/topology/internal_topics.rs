//! Names and settings of internal topics, as Java Kafka Streams creates them
//! (`RepartitionTopicConfig`, `UnwindowedUnversionedChangelogTopicConfig`).

use std::collections::BTreeMap;

use millstream_types::TopicName;

/// The real name of a topic that is known to the builder as `name` (`decorateTopic`).
pub(crate) fn internal_topic(application_id: &str, name: &str) -> TopicName {
    format!("{application_id}-{name}").into()
}

/// The real name of a store's changelog (`ProcessorStateManager.storeChangelogTopic`).
pub(crate) fn changelog_topic(application_id: &str, store: &str) -> TopicName {
    format!("{application_id}-{store}-changelog").into()
}

/// What Streams sets on a repartition topic.
pub(super) fn repartition_configs() -> BTreeMap<String, String> {
    configs(&[
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", "-1"),
        ("segment.bytes", "52428800"),
    ])
}

/// What Streams sets on the changelog of a key-value store; the program's own settings win.
pub(super) fn changelog_configs(own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut configs =
        configs(&[("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime")]);
    configs.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    configs
}

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
