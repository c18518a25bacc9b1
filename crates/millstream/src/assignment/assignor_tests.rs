//! The assignor's pure half, and the whole of it on the in-process broker.

use millstream_broker::{Broker, RunningCluster};
use millstream_client::{Admin, NewTopic};
use millstream_core::{StreamsBuilder, SubtopologyId, Topology};

use super::*;
use crate::assignment::task_id;

fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    lines.group_by(|_, word| word.clone()).count().to_stream().to("counts");
    builder.build().unwrap()
}

/// Two sub-topologies with this many tasks each; the second one counts.
fn all_tasks(count: i32) -> Tasks {
    let subtopologies = topology().subtopologies("app");
    let counts = (0..2).map(|id| (SubtopologyId(id), count)).collect();
    tasks(&subtopologies, &counts, |_| Some(count))
}

fn member(process: u128, owned: &[TopicPartition]) -> Member {
    let info = SubscriptionInfo::new(Uuid::from_u128(process), BTreeMap::new());
    Member { info, owned: owned.iter().cloned().collect() }
}

fn group(members: Vec<(&str, Member)>) -> BTreeMap<MemberId, Member> {
    members.into_iter().map(|(id, member)| (MemberId::from(id), member)).collect()
}

/// What each member is given, decoded: its tasks and when it is to join again.
fn given(assignment: &GroupAssignment) -> BTreeMap<&str, (Vec<TaskId>, i64)> {
    let given = assignment.0.iter().map(|(id, given)| {
        let info = AssignmentInfo::decode(given.user_data.as_ref().unwrap()).unwrap();
        assert_eq!(info.active_tasks.len(), given.partitions.len(), "a task for each partition");
        for (task, partition) in info.active_tasks.iter().zip(&given.partitions) {
            assert_eq!(task.partition, partition.partition);
        }
        (id.as_str(), (info.active_tasks, info.next_rebalance_ms))
    });
    given.collect()
}

#[test]
fn a_group_of_one_gets_everything() {
    let assignment = assign_tasks(&all_tasks(3), &group(vec![("a", member(1, &[]))]));
    let (mut tasks, next) = given(&assignment).remove("a").unwrap();
    tasks.sort();
    let expected = (0..2).flat_map(|id| (0..3).map(move |partition| task_id(id, partition)));
    assert_eq!(tasks, expected.collect::<Vec<_>>());
    assert_eq!(next, NO_REBALANCE);
}

#[test]
fn what_another_member_owns_is_withheld_until_it_is_given_up() {
    let tasks = all_tasks(4);
    let everything = assign_tasks(&tasks, &group(vec![("a", member(1, &[]))]));
    let owned = everything.0[&MemberId::from("a")].partitions.clone();
    // The second member is to get half, but the first one has it still.
    let before = group(vec![("a", member(1, &owned)), ("b", member(2, &[]))]);
    let withheld = assign_tasks(&tasks, &before);
    let [(kept, _), (taken, next)] = ["a", "b"].map(|id| given(&withheld)[id].clone());
    assert_eq!((kept.len(), taken.len()), (4, 0));
    assert_eq!(next, REBALANCE_NOW, "it joins again for what it will get");
    // The first member has given up the rest.
    let kept = withheld.0[&MemberId::from("a")].partitions.clone();
    let after = group(vec![("a", member(1, &kept)), ("b", member(2, &[]))]);
    let settled = assign_tasks(&tasks, &after);
    let [(a, a_next), (b, b_next)] = ["a", "b"].map(|id| given(&settled)[id].clone());
    assert_eq!((a.len(), b.len()), (4, 4));
    assert_eq!((a_next, b_next), (NO_REBALANCE, NO_REBALANCE));
    assert!(a.iter().all(|task| !b.contains(task)));
}

#[test]
fn a_member_from_the_future_is_asked_to_step_back() {
    let mut future = member(2, &[]);
    future.info.version = LATEST_VERSION + 1;
    let members = group(vec![("a", member(1, &[])), ("b", future)]);
    let assignment = assign_tasks(&all_tasks(2), &members);
    assert_eq!(given(&assignment)["a"].0.len(), 4);
    let probing = &assignment.0[&MemberId::from("b")];
    let info = AssignmentInfo::decode(probing.user_data.as_ref().unwrap()).unwrap();
    assert_eq!(info.error_code, AssignmentErrorCode::VersionProbing);
    assert!(probing.partitions.is_empty());
}

async fn cluster(topics: &[(&str, i32)]) -> (RunningCluster, Admin) {
    let broker = Broker::in_process();
    let cluster = broker.configure(|c| c.auto_create_topics = false).start().await.unwrap();
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions).unwrap();
    }
    let admin = Admin::connect([cluster.bootstrap()]).await.unwrap();
    (cluster, admin)
}

fn assignor(admin: &Admin, topics: BTreeMap<String, String>) -> StreamsAssignor {
    StreamsAssignor {
        subtopologies: Arc::new(topology().subtopologies("app")),
        process_id: Uuid::from_u128(1),
        thread: 0,
        report: Arc::default(),
        internal_topics: InternalTopics::new(admin.clone(), None, topics),
        joins: AtomicU8::new(0),
    }
}

/// The cluster as the consumer shows it: topics that are subscribed to.
async fn view(admin: &Admin) -> ClusterView {
    use millstream_client::consumer::{PartitionView, TopicView};
    let topics = admin.list_topics().await.unwrap();
    let topics = topics.into_iter().map(|(name, topic)| {
        let partitions = topic.partitions.values().map(|partition| PartitionView {
            partition: partition.id,
            leader: partition.leader,
            replicas: partition.replicas.clone(),
        });
        (name, TopicView { id: topic.id, partitions: partitions.collect() })
    });
    ClusterView { cluster_id: None, brokers: BTreeMap::new(), topics: topics.collect() }
}

async fn round(assignor: &StreamsAssignor, admin: &Admin) -> AssignmentInfo {
    let subscription = Subscription {
        topics: Vec::new(),
        user_data: assignor.subscription_user_data(&[]),
        owned_partitions: Vec::new(),
        generation: None,
        rack: None,
        group_instance_id: None,
    };
    let members = BTreeMap::from([(MemberId::from("a"), subscription)]);
    let assignment = assignor.assign_group(&view(admin).await, members).await.unwrap();
    let given = &assignment.0[&MemberId::from("a")];
    AssignmentInfo::decode(given.user_data.as_ref().unwrap()).unwrap()
}

#[tokio::test]
async fn internal_topics_are_created_before_tasks_are_given() {
    let (_cluster, admin) = cluster(&[("lines", 3), ("counts", 1)]).await;
    let overrides = BTreeMap::from([("min.insync.replicas".to_owned(), "1".to_owned())]);
    let assignor = assignor(&admin, overrides);
    let info = round(&assignor, &admin).await;
    assert_eq!((info.error_code, info.active_tasks.len()), (AssignmentErrorCode::None, 6));
    let topics = admin.list_topics().await.unwrap();
    let internal: Vec<_> = topics
        .values()
        .filter(|topic| topic.name.as_str().starts_with("app-"))
        .map(|topic| (topic.name.as_str(), topic.partitions.len()))
        .collect();
    let expected = [
        ("app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog", 3),
        ("app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition", 3),
    ];
    assert_eq!(internal, expected);
    // What is there is taken as it is.
    assert_eq!(round(&assignor, &admin).await.error_code, AssignmentErrorCode::None);
}

#[tokio::test]
async fn an_internal_topic_with_other_partitions_is_refused() {
    let (_cluster, admin) = cluster(&[("lines", 3), ("counts", 1)]).await;
    let wrong = "app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog";
    admin.create_topics([NewTopic::new(wrong, 2)]).await.unwrap();
    let info = round(&assignor(&admin, BTreeMap::new()), &admin).await;
    assert_eq!(info.error_code, AssignmentErrorCode::AssignmentError);
}

#[tokio::test]
async fn a_missing_source_topic_is_told_to_all() {
    let (_cluster, admin) = cluster(&[("counts", 1)]).await;
    let info = round(&assignor(&admin, BTreeMap::new()), &admin).await;
    assert_eq!(info.error_code, AssignmentErrorCode::IncompleteSourceTopicMetadata);
}

#[tokio::test]
async fn a_request_to_shut_down_reaches_all() {
    let (_cluster, admin) = cluster(&[("lines", 1), ("counts", 1)]).await;
    let assignor = assignor(&admin, BTreeMap::new());
    assignor.report.request_shutdown();
    let info = round(&assignor, &admin).await;
    assert_eq!(info.error_code, AssignmentErrorCode::ShutdownRequested);
}
