//! Groups: members come and go, eagerly and cooperatively; what is committed and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_broker::{ApiKey, Broker, ErrorCode, Fault};
use millstream_client::consumer::BoxFuture;
use millstream_client::{
    Admin, Assignment, Assignor, AssignorError, Batch, ClusterView, CommitError, Consumer,
    ConsumerBuilder, ConsumerEvent, FetchError, GroupAssignment, GroupAssignor, GroupSubscription,
    NewTopic, OffsetReset, Producer, RebalanceProtocol, Record,
};
use millstream_types::{Offset, OffsetAndMetadata, TopicName, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

/// Longer than anything here takes, shorter than patience.
const LIMIT: Duration = Duration::from_secs(20);

/// Spreads partitions over members, as cooperatively as KIP-429 wants it: what a member owns and
/// another shall have is given to nobody until it is given up.
#[derive(Debug, Default)]
struct Cooperative {
    joins: AtomicUsize,
    assignments: AtomicUsize,
}

impl GroupAssignor for Cooperative {
    fn name(&self) -> &str {
        "test-cooperative"
    }

    fn supported_protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative]
    }

    fn subscription_user_data(&self, _: &[TopicName]) -> Option<Bytes> {
        let join = self.joins.fetch_add(1, Ordering::SeqCst);
        Some(Bytes::from(format!("join {join}")))
    }

    fn assign<'a>(
        &'a self,
        cluster: ClusterView,
        group: GroupSubscription,
    ) -> BoxFuture<'a, Result<GroupAssignment, AssignorError>> {
        Box::pin(async move {
            let owners: BTreeMap<_, _> = group
                .members
                .iter()
                .flat_map(|(id, member)| member.owned_partitions.iter().map(move |tp| (tp, id)))
                .collect();
            let mut members: Vec<_> = group.members.keys().cloned().collect();
            members.sort();
            let mut given: BTreeMap<_, Vec<TopicPartition>> =
                members.iter().map(|id| (id.clone(), Vec::new())).collect();
            for (name, topic) in &cluster.topics {
                for partition in &topic.partitions {
                    let tp = TopicPartition::new(name, partition.partition);
                    let turn = usize::try_from(partition.partition.value()).unwrap();
                    let wanted = &members[turn % members.len()];
                    if owners.get(&tp).is_none_or(|owner| *owner == wanted) {
                        given.get_mut(wanted).unwrap().push(tp);
                    }
                }
            }
            let assignments = given.into_iter().map(|(id, partitions)| {
                let heard = group.members[&id].user_data.clone();
                (id, Assignment { partitions, user_data: heard })
            });
            Ok(GroupAssignment(assignments.collect()))
        })
    }

    fn on_assignment(&self, assignment: &Assignment, _: millstream_types::GenerationId) {
        assert!(assignment.user_data.as_ref().is_some_and(|data| data.starts_with(b"join ")));
        self.assignments.fetch_add(1, Ordering::SeqCst);
    }
}

async fn topic(bootstrap: &str, partitions: i32) -> String {
    let topic = unique("groups");
    let admin = Admin::connect([bootstrap]).await.unwrap();
    admin.create_topics([NewTopic::new(&*topic, partitions)]).await.unwrap();
    eventually("the topic is led", || async {
        let described = admin.describe_topics([&*topic]).await;
        described.is_ok_and(|described| {
            described[&*topic].partitions.values().all(|partition| partition.leader.is_some())
        })
    })
    .await;
    topic
}

async fn fill(bootstrap: &str, topic: &str, partitions: i32, numbers: std::ops::Range<usize>) {
    let producer = Producer::builder([bootstrap]).build().await.unwrap();
    for number in numbers {
        for partition in 0..partitions {
            let value = number.to_string();
            let record = Record::to(topic).partition(partition).value(&value);
            drop(producer.enqueue(&record).await.unwrap());
        }
    }
    assert!(producer.close(LIMIT).await.is_complete());
}

fn member(bootstrap: &str, group: &str) -> ConsumerBuilder {
    Consumer::builder([bootstrap])
        .group(group)
        .auto_offset_reset(OffsetReset::Earliest)
        .heartbeat_interval(Duration::from_millis(200))
        .session_timeout(Duration::from_secs(10))
}

async fn event(consumer: &Consumer) -> ConsumerEvent {
    tokio::time::timeout(LIMIT, consumer.next_event()).await.unwrap().unwrap().unwrap()
}

async fn next(consumer: &Consumer) -> Batch {
    tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap().unwrap()
}

/// Takes events until a rebalance is complete; gives what was revoked on the way, and what was
/// added and is assigned now.
async fn assigned(
    consumer: &Consumer,
) -> (Vec<TopicPartition>, Vec<TopicPartition>, Vec<TopicPartition>) {
    let mut revoked = Vec::new();
    loop {
        match event(consumer).await {
            ConsumerEvent::Revoking(revoking) => {
                revoked.extend_from_slice(revoking.partitions());
                revoking.done();
            }
            ConsumerEvent::Assigned { partitions, mut all, .. } => {
                all.sort();
                return (revoked, partitions, all);
            }
            _ => {}
        }
    }
}

/// Keeps both members going until each has `share` partitions.
async fn settle(one: &Consumer, two: &Consumer, share: usize) {
    let settling = async {
        while one.assignment().len() != share || two.assignment().len() != share {
            let patience = Duration::from_millis(20);
            let _ = tokio::time::timeout(patience, one.next_event()).await;
            let _ = tokio::time::timeout(patience, two.next_event()).await;
        }
    };
    tokio::time::timeout(LIMIT, settling).await.unwrap();
}

#[tokio::test]
async fn two_members_share_eagerly_and_one_takes_all_when_the_other_leaves() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 4).await;
        let group = unique("eager");
        let one = member(&bootstrap, &group).build().await.unwrap();
        one.subscribe([&*topic]).await.unwrap();
        let (revoked, _, all) = assigned(&one).await;
        assert!(revoked.is_empty());
        assert_eq!(all.len(), 4);

        let two = member(&bootstrap, &group).build().await.unwrap();
        two.subscribe([&*topic]).await.unwrap();
        let (first, second) = tokio::join!(assigned(&one), assigned(&two));
        assert_eq!(first.0.len(), 4, "eager: all is given up first");
        assert_eq!((first.2.len(), second.2.len()), (2, 2));
        let union: BTreeSet<_> = first.2.iter().chain(&second.2).collect();
        assert_eq!(union.len(), 4);

        two.close(LIMIT).await.unwrap();
        let (revoked, _, all) = assigned(&one).await;
        assert_eq!((revoked.len(), all.len()), (2, 4));
        one.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn cooperative_members_keep_what_stays() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 4).await;
        let group = unique("cooperative");
        let assignor = Arc::new(Cooperative::default());
        let build = || {
            let assignors = [Assignor::from(Arc::clone(&assignor))];
            member(&bootstrap, &group).assignors(assignors).build()
        };
        let one = build().await.unwrap();
        one.subscribe([&*topic]).await.unwrap();
        // A broker that has not heard of the new topic yet has it assign nothing at first.
        while assigned(&one).await.2.len() < 4 {}
        fill(&bootstrap, &topic, 4, 0..10).await;
        let mut batches: BTreeMap<TopicPartition, Batch> = BTreeMap::new();
        while batches.len() < 4 {
            let batch = next(&one).await;
            batches.insert(batch.topic_partition().clone(), batch);
        }

        let two = build().await.unwrap();
        two.subscribe([&*topic]).await.unwrap();
        settle(&one, &two, 2).await;
        let kept = one.assignment();
        for (partition, batch) in batches {
            let result = one.commit(&batch).await;
            if kept.contains(&partition) {
                result.unwrap();
            } else {
                assert!(matches!(result, Err(CommitError::NotOwned { .. })));
            }
        }
        let taken = two.assignment();
        assert!(kept.iter().all(|partition| !taken.contains(partition)));
        assert!(assignor.joins.load(Ordering::SeqCst) >= 3);
        assert!(assignor.assignments.load(Ordering::SeqCst) >= 3);
        two.close(LIMIT).await.unwrap();
        let all_again = async {
            while one.assignment().len() < 4 {
                let _ = tokio::time::timeout(Duration::from_millis(50), one.next_event()).await;
            }
        };
        tokio::time::timeout(LIMIT, all_again).await.unwrap();
        one.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_or_read_twice_when_what_is_handled_is_committed() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 4).await;
        fill(&bootstrap, &topic, 4, 0..250).await;
        let group = unique("exact");
        let mut seen: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        let mut take = |batch: &Batch| {
            let list = seen.entry(batch.partition().value()).or_default();
            list.extend(batch.iter().map(|record| {
                let text = std::str::from_utf8(record.value.unwrap()).unwrap();
                text.parse::<usize>().unwrap()
            }));
            list.len()
        };
        let build = || member(&bootstrap, &group).max_poll_records(20).build();
        let one = build().await.unwrap();
        one.subscribe([&*topic]).await.unwrap();
        let mut total = 0;
        while total < 300 {
            let batch = next(&one).await;
            take(&batch);
            total += batch.len();
            one.commit(&batch).await.unwrap();
        }
        let two = build().await.unwrap();
        two.subscribe([&*topic]).await.unwrap();
        while total < 1_000 {
            for consumer in [&one, &two] {
                let waited = tokio::time::timeout(Duration::from_millis(30), consumer.poll()).await;
                let Ok(batch) = waited else { continue };
                let batch = batch.unwrap().unwrap();
                match consumer.commit(&batch).await {
                    Ok(()) => {
                        take(&batch);
                        total += batch.len();
                    }
                    // Taken just before the partition was given up: another member reads it.
                    Err(CommitError::NotOwned { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        for (partition, numbers) in &seen {
            assert_eq!(*numbers, (0..250).collect::<Vec<_>>(), "partition {partition}");
        }
        one.close(LIMIT).await.unwrap();
        two.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn auto_commit_commits_what_is_finished() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 0..30).await;
        let tp = TopicPartition::new(&*topic, 0);
        let group = unique("auto");
        let build = || {
            member(&bootstrap, &group)
                .max_poll_records(10)
                .enable_auto_commit(true)
                .auto_commit_interval(Duration::from_secs(3_600))
                .build()
        };
        let consumer = build().await.unwrap();
        consumer.subscribe([&*topic]).await.unwrap();
        let first = next(&consumer).await;
        let second = next(&consumer).await;
        assert_eq!((first.next_offset(), second.next_offset()), (Offset(10), Offset(20)));
        // Closed from elsewhere: the batch taken last may be half done.
        consumer.handle().close(LIMIT).await.unwrap();

        let consumer = build().await.unwrap();
        let committed = consumer.committed([tp.clone()]).await.unwrap();
        assert_eq!(committed[&tp].as_ref().map(|committed| committed.offset), Some(Offset(10)));
        consumer.subscribe([&*topic]).await.unwrap();
        let batch = next(&consumer).await;
        assert_eq!(batch.iter().next().unwrap().offset, Offset(10));
        // Closed by who takes the batches: it is done with them.
        consumer.close(LIMIT).await.unwrap();
        let reader = build().await.unwrap();
        let committed = reader.committed([tp.clone()]).await.unwrap();
        assert_eq!(committed[&tp].as_ref().map(|committed| committed.offset), Some(Offset(20)));
    })
    .await;
}

#[tokio::test]
async fn an_application_that_does_not_ask_loses_its_partitions_and_gets_them_back() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        fill(&bootstrap, &topic, 1, 0..5).await;
        let group = unique("slow");
        let consumer = member(&bootstrap, &group)
            .max_poll_interval(Duration::from_millis(400))
            .build()
            .await
            .unwrap();
        consumer.subscribe([&*topic]).await.unwrap();
        let batch = next(&consumer).await;
        eventually("the partition is lost", || async { consumer.assignment().is_empty() }).await;
        let error = consumer.commit(&batch).await.unwrap_err();
        assert!(matches!(error, CommitError::NotOwned { .. }));
        let again = next(&consumer).await;
        assert_eq!(again.iter().next().unwrap().offset, Offset(0), "nothing was committed");
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn added_partitions_are_assigned() {
    on_every_cluster(|bootstrap| async move {
        let topic = topic(&bootstrap, 1).await;
        let consumer = member(&bootstrap, &unique("grow"))
            .metadata_max_age(Duration::from_millis(200))
            .build()
            .await
            .unwrap();
        consumer.subscribe([&*topic]).await.unwrap();
        assert_eq!(assigned(&consumer).await.2.len(), 1);
        let admin = Admin::connect([&*bootstrap]).await.unwrap();
        admin.create_partitions([(&*topic, 3)]).await.unwrap();
        while assigned(&consumer).await.2.len() < 3 {}
        consumer.close(LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn membership_survives_what_coordinators_do() {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let topic = topic(&bootstrap, 2).await;
    fill(&bootstrap, &topic, 2, 0..50).await;
    let faults = [
        Fault::on(ApiKey::FindCoordinator).nth(1).error(ErrorCode::CoordinatorNotAvailable),
        Fault::on(ApiKey::JoinGroup).nth(1).error(ErrorCode::CoordinatorLoadInProgress),
        Fault::on(ApiKey::JoinGroup).nth(2).disconnect(),
        Fault::on(ApiKey::JoinGroup).nth(3).error(ErrorCode::NotCoordinator),
        Fault::on(ApiKey::JoinGroup).nth(4).error(ErrorCode::UnknownMemberId),
        Fault::on(ApiKey::SyncGroup).nth(1).error(ErrorCode::RebalanceInProgress),
        Fault::on(ApiKey::SyncGroup).nth(2).apply_then_disconnect(),
        Fault::on(ApiKey::OffsetFetch).nth(1).error(ErrorCode::NotCoordinator),
        Fault::on(ApiKey::Heartbeat).nth(2).error(ErrorCode::IllegalGeneration),
        Fault::on(ApiKey::OffsetCommit).nth(1).error(ErrorCode::CoordinatorLoadInProgress),
        Fault::on(ApiKey::OffsetCommit).nth(2).apply_then_disconnect(),
    ];
    for fault in faults {
        cluster.fault(fault);
    }
    let consumer = member(&bootstrap, &unique("faults")).build().await.unwrap();
    consumer.subscribe([&*topic]).await.unwrap();
    // A commit that fails may have been applied all the same: the coordinator knows.
    let partitions = [0, 1].map(|partition| TopicPartition::new(&*topic, partition));
    let reading = async {
        loop {
            let committed = consumer.committed(partitions.clone()).await.unwrap();
            let is_done = |offset: &Option<_>| {
                offset.as_ref().is_some_and(|o: &OffsetAndMetadata| o.offset == Offset(50))
            };
            if committed.values().all(is_done) {
                return;
            }
            let batch = next(&consumer).await;
            drop(consumer.commit(&batch).await);
        }
    };
    tokio::time::timeout(LIMIT, reading).await.unwrap();
    consumer.close(LIMIT).await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn a_refused_group_is_an_error_that_says_what_to_do() {
    let cluster = Broker::in_process().start().await.unwrap();
    cluster.create_topic("refused", 1).unwrap();
    let fault = Fault::on(ApiKey::JoinGroup).always();
    cluster.fault(fault.error(ErrorCode::InconsistentGroupProtocol));
    let consumer = member(&cluster.bootstrap(), "refused").build().await.unwrap();
    consumer.subscribe(["refused"]).await.unwrap();
    let error = tokio::time::timeout(LIMIT, consumer.poll()).await.unwrap().unwrap_err();
    assert!(matches!(error, FetchError::Group { .. }));
    assert!(error.to_string().contains("partition.assignment.strategy"), "{error}");
    consumer.close(LIMIT).await.unwrap();
    cluster.stop().await;
}
