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

fn joined(topics: &[&str], repartition: &[(&str, Option<i32>)]) -> Vec<Subtopology> {
    let mut sub = word_count().subtopologies("app").remove(0);
    let source = |name: &&str| SourceTopic { name: (*name).into(), reset: None };
    sub.sources = topics.iter().map(source).collect();
    let mut writer = sub.clone();
    writer.id = SubtopologyId(1);
    writer.repartition_sinks = repartition.iter().map(|(name, _)| (*name).into()).collect();
    sub.repartition_sources = repartition
        .iter()
        .map(|&(name, partitions)| RepartitionTopic {
            name: name.into(),
            partitions,
            configs: BTreeMap::new(),
        })
        .collect();
    sub.copartition_groups = vec![sub.input_topics().into_iter().collect()];
    vec![sub, writer]
}

#[test]
fn joined_topics_have_equally_many_partitions() {
    let counts = |subs: &[Subtopology], existing: &[i32]| {
        let topics: Vec<TopicName> = ["a".into(), "b".into()].to_vec();
        partition_counts(subs, |topic| {
            let known = topics.iter().position(|known| known == topic)?;
            existing.get(known).copied()
        })
    };
    // The user's topics win over what would be worked out.
    let subs = joined(&["a"], &[("r", None)]);
    assert_eq!(counts(&subs, &[6]).unwrap().topics[&TopicName::from("r")], 6);
    let subs = joined(&["a", "b"], &[]);
    assert!(counts(&subs, &[6, 6]).is_ok());
    expect!["topics a (6 partitions) and b (5) must have equally many partitions; repartition one of them"]
        .assert_eq(&counts(&subs, &[6, 5]).unwrap_err().to_string());
    // Among repartition topics a fixed count wins, else the largest.
    let mut subs = joined(&[], &[("r", Some(3)), ("s", None)]);
    subs[1].sources = vec![SourceTopic { name: "a".into(), reset: None }];
    let found = counts(&subs, &[8]).unwrap();
    assert_eq!(found.topics[&TopicName::from("s")], 3);
}
