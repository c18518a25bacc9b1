//! What a runtime is told of a topology.

use std::collections::BTreeMap;

use expect_test::expect;
use millstream_types::TopicName;

use super::*;
use crate::{Materialized, StreamsBuilder};

fn word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count_with(Materialized::stored_as("counts").changelog_config("segment.bytes", "1000"))
        .to_stream()
        .to("out");
    builder.build().unwrap()
}

fn counts_of(
    topology: &Topology,
    existing: &[(&str, i32)],
) -> Result<PartitionCounts, PartitionCountError> {
    let existing: BTreeMap<TopicName, i32> =
        existing.iter().map(|&(topic, partitions)| (topic.into(), partitions)).collect();
    partition_counts(&topology.subtopologies("app"), |topic| existing.get(topic).copied())
}

#[test]
fn subtopologies_name_topics_and_stores() {
    expect![[r#"
        [
            Subtopology {
                id: SubtopologyId(
                    0,
                ),
                sources: [
                    SourceTopic {
                        name: "lines",
                        reset: None,
                    },
                ],
                repartition_sources: [],
                repartition_sinks: [
                    "app-counts-repartition",
                ],
                sinks: [],
                changelogs: [],
                stores: [],
                copartition_groups: [],
            },
            Subtopology {
                id: SubtopologyId(
                    1,
                ),
                sources: [],
                repartition_sources: [
                    RepartitionTopic {
                        name: "app-counts-repartition",
                        partitions: None,
                        configs: {
                            "cleanup.policy": "delete",
                            "message.timestamp.type": "CreateTime",
                            "retention.ms": "-1",
                            "segment.bytes": "52428800",
                        },
                    },
                ],
                repartition_sinks: [],
                sinks: [
                    "out",
                ],
                changelogs: [
                    ChangelogTopic {
                        store: "counts",
                        name: "app-counts-changelog",
                        configs: {
                            "cleanup.policy": "compact",
                            "message.timestamp.type": "CreateTime",
                            "segment.bytes": "1000",
                        },
                    },
                ],
                stores: [
                    StoreSpec {
                        name: "counts",
                        format: Timestamped,
                        cached: true,
                        changelog: Some(
                            "app-counts-changelog",
                        ),
                    },
                ],
                copartition_groups: [],
            },
        ]
    "#]]
    .assert_debug_eq(&word_count().subtopologies("app"));
}

#[test]
fn partitions_follow_the_sources() {
    expect![[r#"
        PartitionCounts {
            topics: {
                "app-counts-changelog": 4,
                "app-counts-repartition": 4,
            },
            tasks: {
                SubtopologyId(
                    0,
                ): 4,
                SubtopologyId(
                    1,
                ): 4,
            },
        }
    "#]]
    .assert_debug_eq(&counts_of(&word_count(), &[("lines", 4)]).unwrap());
    expect!["source topic lines does not exist; create it before the application starts"]
        .assert_eq(&counts_of(&word_count(), &[]).unwrap_err().to_string());
}

#[test]
fn partitions_are_handed_on_from_repartition_to_repartition() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .select_key(|_, value| value.clone())
        .group_by_key()
        .count()
        .to_stream()
        .map(|key, count| (count, key.unwrap_or_default()))
        .group_by_key()
        .count()
        .to_stream()
        .to("out");
    let topology = builder.build().unwrap();
    let counts = counts_of(&topology, &[("lines", 7)]).unwrap();
    assert_eq!(counts.topics.len(), 4);
    assert!(counts.topics.values().all(|&partitions| partitions == 7));
    assert_eq!(counts.tasks.len(), 3);
}

#[test]
fn task_ids_are_written_as_javas() {
    let id = TaskId::new(2, 13);
    assert_eq!(id.to_string(), "2_13");
    assert_eq!("2_13".parse(), Ok(id));
    for text in ["", "2", "2_", "_1", "a_1", "2_-1", "2_1_3"] {
        assert!(text.parse::<TaskId>().is_err(), "{text:?}");
    }
    assert!(TaskId::new(0, 10) > TaskId::new(0, 9));
}
