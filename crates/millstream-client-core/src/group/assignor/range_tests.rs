//! Tests of the range assignor: Java's results (`RangeAssignorTest.java` by idea), balance, determinism.

use millstream_types::{GenerationId, TopicId};
use proptest::prelude::*;

use super::*;
use crate::group::{BrokerView, PartitionView};

fn cluster(topics: &[(&str, i32)], racks: &[&str], replicas: usize) -> ClusterView {
    let mut view = ClusterView::default();
    for (id, rack) in (0..).zip(racks) {
        let broker = BrokerView {
            host: "localhost".to_owned(),
            port: 9092,
            rack: (!rack.is_empty()).then(|| (*rack).to_owned()),
        };
        view.brokers.insert(BrokerId(id), broker);
    }
    let brokers = i32::try_from(racks.len().max(1)).unwrap();
    for (name, count) in topics {
        let partitions = (0..*count).map(|number| PartitionView {
            partition: PartitionId(number),
            leader: Some(BrokerId(number % brokers)),
            replicas: (0..i32::try_from(replicas).unwrap())
                .map(|i| BrokerId((number + i) % brokers))
                .collect(),
        });
        let topic = TopicView { id: TopicId::ZERO, partitions: partitions.collect() };
        view.topics.insert(TopicName::from(*name), topic);
    }
    view
}

/// Member id, topics, rack, static name.
type Row<'a> = (&'a str, &'a [&'a str], Option<&'a str>, Option<&'a str>);

fn group(members: &[Row<'_>]) -> GroupSubscription {
    let members = members.iter().map(|(id, topics, rack, instance)| {
        let subscription = Subscription {
            topics: topics.iter().map(|name| TopicName::from(*name)).collect(),
            rack: rack.map(str::to_owned),
            group_instance_id: instance.map(Into::into),
            ..Subscription::default()
        };
        (MemberId::from(*id), subscription)
    });
    GroupSubscription {
        generation: GenerationId(1),
        leader: MemberId::from("c1"),
        members: members.collect(),
    }
}

fn check(cluster: &ClusterView, group: &GroupSubscription, expected: &[(&str, &str)]) {
    let assignment = assign_range(cluster, group);
    let seen: Vec<(String, String)> = assignment
        .0
        .iter()
        .map(|(id, assignment)| {
            let list: Vec<String> = assignment.partitions.iter().map(ToString::to_string).collect();
            (id.to_string(), list.join(" "))
        })
        .collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(id, list)| ((*id).to_owned(), (*list).to_owned())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_first_members_take_the_rest_of_each_topic() {
    check(
        &cluster(&[("t1", 3), ("t2", 3)], &[], 0),
        &group(&[("c2", &["t1", "t2"], None, None), ("c1", &["t1", "t2"], None, None)]),
        &[("c1", "t1-0 t1-1 t2-0 t2-1"), ("c2", "t1-2 t2-2")],
    );
}

#[test]
fn different_subscriptions_divide_only_their_topics() {
    check(
        &cluster(&[("t1", 3), ("t2", 2)], &[], 0),
        &group(&[
            ("c1", &["t1"], None, None),
            ("c2", &["t1", "t2"], None, None),
            ("c3", &["t1"], None, None),
        ]),
        &[("c1", "t1-0"), ("c2", "t1-1 t2-0 t2-1"), ("c3", "t1-2")],
    );
}

#[test]
fn more_members_than_partitions_leaves_the_last_empty() {
    check(
        &cluster(&[("t", 1)], &[], 0),
        &group(&[("c1", &["t"], None, None), ("c2", &["t"], None, None)]),
        &[("c1", "t-0"), ("c2", "")],
    );
}

#[test]
fn unknown_topics_are_left_out() {
    check(&cluster(&[], &[], 0), &group(&[("c1", &["absent"], None, None)]), &[("c1", "")]);
}

#[test]
fn static_members_come_first_by_name_whatever_their_member_ids() {
    check(
        &cluster(&[("t", 3)], &[], 0),
        &group(&[
            ("c1", &["t"], None, Some("z")),
            ("c2", &["t"], None, Some("y")),
            ("a0", &["t"], None, None),
        ]),
        &[("a0", "t-2"), ("c1", "t-1"), ("c2", "t-0")],
    );
}

#[test]
fn racks_are_matched_when_replicas_are_not_everywhere() {
    // Partition n lives in rack n % 3 only; members in racks c, b, a.
    check(
        &cluster(&[("t", 6)], &["a", "b", "c"], 1),
        &group(&[
            ("c1", &["t"], Some("c"), None),
            ("c2", &["t"], Some("b"), None),
            ("c3", &["t"], Some("a"), None),
        ]),
        &[("c1", "t-2 t-5"), ("c2", "t-1 t-4"), ("c3", "t-0 t-3")],
    );
}

#[test]
fn racks_do_not_matter_when_every_partition_is_in_every_rack() {
    check(
        &cluster(&[("t", 3)], &["a", "b", "c"], 3),
        &group(&[
            ("c1", &["t"], Some("c"), None),
            ("c2", &["t"], Some("b"), None),
            ("c3", &["t"], Some("a"), None),
        ]),
        &[("c1", "t-0"), ("c2", "t-1"), ("c3", "t-2")],
    );
}

#[test]
fn co_partitioned_topics_keep_their_numbers_together_under_rack_matching() {
    check(
        &cluster(&[("t1", 3), ("t2", 3)], &["a", "b", "c"], 1),
        &group(&[
            ("c1", &["t1", "t2"], Some("b"), None),
            ("c2", &["t1", "t2"], Some("a"), None),
            ("c3", &["t1", "t2"], None, None),
        ]),
        &[("c1", "t1-1 t2-1"), ("c2", "t1-0 t2-0"), ("c3", "t1-2 t2-2")],
    );
}

proptest! {
    /// Every partition of a subscribed topic goes to exactly one subscriber, and per topic the shares
    /// differ by at most one.
    #[test]
    fn complete_and_balanced(
        counts in proptest::collection::vec(0_i32..20, 1..5),
        wants in proptest::collection::vec(1_u8..32, 1..7),
        racks in proptest::collection::vec(0_usize..4, 7),
        replicas in 0_usize..4,
    ) {
        let names = ["t0", "t1", "t2", "t3", "t4"];
        let topics: Vec<(&str, i32)> = names.iter().copied().zip(counts).collect();
        let view = cluster(&topics, &["a", "b", "c"], replicas);
        let ids: Vec<String> = (0..wants.len()).map(|i| format!("m{i}")).collect();
        let mut subscriptions = group(&[]);
        for (index, id) in ids.iter().enumerate() {
            let subscription = Subscription {
                topics: names.iter().enumerate()
                    .filter(|(bit, _)| wants[index] & (1 << bit) != 0)
                    .map(|(_, name)| TopicName::from(*name)).collect(),
                rack: ["a", "b", "c"].get(racks[index]).map(|rack| (*rack).to_owned()),
                ..Subscription::default()
            };
            subscriptions.members.insert(MemberId::from(id), subscription);
        }
        let assignment = assign_range(&view, &subscriptions);
        prop_assert_eq!(&assignment, &assign_range(&view, &subscriptions));
        for (name, count) in topics {
            let name = TopicName::from(name);
            let mut shares = Vec::new();
            let mut seen = BTreeSet::new();
            for (id, subscription) in &subscriptions.members {
                let mine: Vec<_> = assignment.0[id].partitions.iter().filter(|tp| tp.topic == name).collect();
                if subscription.topics.contains(&name) {
                    shares.push(mine.len());
                } else {
                    prop_assert!(mine.is_empty());
                }
                for tp in mine {
                    prop_assert!(seen.insert(tp.partition));
                }
            }
            if let (Some(low), Some(high)) = (shares.iter().min(), shares.iter().max()) {
                prop_assert!(high - low <= 1);
                prop_assert_eq!(seen.len(), usize::try_from(count).unwrap());
            }
        }
    }
}
