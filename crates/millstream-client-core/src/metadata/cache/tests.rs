//! What the cache believes of answers that come late, contradict each other or leave things out.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::*;
use crate::testing::{Bench, cluster};

const FIRST: TopicId = TopicId(Uuid::from_u128(1));
const SECOND: TopicId = TopicId(Uuid::from_u128(2));

fn leader(metadata: &Metadata, partition: i32) -> Option<(i32, i32)> {
    let leader = metadata.leader(&TopicPartition::new("t", partition))?;
    Some((leader.broker.0, leader.epoch?.0))
}

fn now() -> Instant {
    Bench::new(crate::outbox::Owner::Metadata).now
}

#[test]
fn an_older_epoch_is_not_believed() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(3, &[("t", FIRST, &[1, 2], 5)]), None);
    metadata.apply(cluster(3, &[("t", FIRST, &[3, 3], 4)]), None);
    assert_eq!(leader(&metadata, 0), Some((1, 5)));
    metadata.apply(cluster(3, &[("t", FIRST, &[3, 3], 6)]), None);
    assert_eq!(leader(&metadata, 0), Some((3, 6)));
}

#[test]
fn a_topic_made_again_starts_afresh() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(3, &[("t", FIRST, &[1], 50)]), None);
    metadata.apply(cluster(3, &[("t", SECOND, &[2], 0)]), None);
    assert_eq!(leader(&metadata, 0), Some((2, 0)));
    assert!(metadata.topic_by_id(FIRST).is_none());
    assert_eq!(metadata.topic_by_id(SECOND).unwrap().name, "t");
}

#[test]
fn leaders_of_other_answers_count_by_their_epoch() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(2, &[("t", FIRST, &[1], 5)]), None);
    let partition = TopicPartition::new("t", 0);
    let generation = metadata.generation();
    assert!(!metadata.update_leader(&partition, BrokerId(2), LeaderEpoch(5), None));
    assert_eq!(metadata.generation(), generation);
    let endpoint = Endpoint { host: "elsewhere".to_owned(), port: 1 };
    assert!(metadata.update_leader(&partition, BrokerId(9), LeaderEpoch(6), Some(endpoint)));
    assert_eq!(leader(&metadata, 0), Some((9, 6)));
    assert!(metadata.generation() > generation);
}

#[test]
fn a_leader_without_address_is_none() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(1, &[("t", FIRST, &[2, -1], 5)]), None);
    assert_eq!(leader(&metadata, 0), None);
    assert_eq!(leader(&metadata, 1), None);
    assert!(metadata.partition(&TopicPartition::new("t", 0)).is_some());
}

#[test]
fn a_topic_left_out_is_missing_until_it_turns_up() {
    let mut metadata = Metadata::default();
    let name = TopicName::from("t");
    assert!(matches!(metadata.topic_state("t"), TopicState::NotRequested));
    metadata.request_topic(&name, now());
    assert!(matches!(metadata.topic_state("t"), TopicState::Pending));
    let asked = metadata.begin_update(true).unwrap();
    assert_eq!(asked, BTreeSet::from([name.clone()]));
    assert!(!metadata.has_new_topics());
    metadata.apply(cluster(1, &[]), Some(&asked));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert!(matches!(metadata.topic_state("t"), TopicState::Missing(code) if code == unknown));
    assert!(metadata.has_missing_topics());
    metadata.apply(cluster(1, &[("t", FIRST, &[1], 0)]), Some(&asked));
    assert!(matches!(metadata.topic_state("t"), TopicState::Known(_)));
    assert!(!metadata.has_missing_topics());
}

#[test]
fn answers_about_other_topics_leave_a_topic_alone() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(1, &[("t", FIRST, &[1], 0)]), None);
    let other = BTreeSet::from([TopicName::from("other")]);
    metadata.apply(cluster(1, &[("other", SECOND, &[1], 0)]), Some(&other));
    assert!(metadata.topic("t").is_some());
    metadata.apply(cluster(1, &[("other", SECOND, &[1], 0)]), None);
    assert!(metadata.topic("t").is_none(), "an answer to \"all\" left it out");
}

#[test]
fn topics_that_nobody_asks_for_are_forgotten() {
    let mut metadata = Metadata::default();
    let start = now();
    let minute = Duration::from_secs(60);
    for name in ["kept", "dropped"] {
        metadata.request_topic(&name.into(), start);
    }
    metadata.request_topic(&"kept".into(), start + minute);
    let topics: [(&str, TopicId, &[i32], i32); 2] =
        [("kept", FIRST, &[1], 0), ("dropped", SECOND, &[1], 0)];
    metadata.apply(cluster(1, &topics), None);
    metadata.expire_topics(start + minute);
    assert!(metadata.topic("kept").is_some());
    assert!(metadata.topic("dropped").is_none());
    assert!(metadata.topic_by_id(SECOND).is_none());
}

#[test]
fn an_answer_without_brokers_does_not_forget_them() {
    let mut metadata = Metadata::default();
    metadata.apply(cluster(3, &[]), None);
    metadata.apply(cluster(0, &[]), None);
    assert_eq!(metadata.brokers().count(), 3);
}
