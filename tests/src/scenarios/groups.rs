//! Groups: members come and go, what is committed holds, and what is not owned is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millstream_client::consumer::{
    Assignment, AssignorError, Batch, BoxFuture, ClusterView, CommitError, Consumer, ConsumerEvent,
    GroupAssignment, GroupAssignor, GroupSubscription, RebalanceProtocol,
};
use millstream_client::{ErrorClass, Record};
use millstream_types::{LeaderEpoch, Offset, OffsetAndMetadata, TopicPartition};

use super::consume::fill;
use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};
use crate::reading::texts;

/// Partitions in turn over members; what another member still owns is given to nobody until it is
/// given up, as KIP-429 wants it.
#[derive(Debug)]
struct InTurn;

impl GroupAssignor for InTurn {
    fn name(&self) -> &str {
        "suite-in-turn"
    }

    fn supported_protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative]
    }

    fn assign<'a>(
        &'a self,
        cluster: ClusterView,
        group: GroupSubscription,
    ) -> BoxFuture<'a, Result<GroupAssignment, AssignorError>> {
        let mut given: BTreeMap<_, Assignment> =
            group.members.keys().map(|id| (id.clone(), Assignment::default())).collect();
        let ids: Vec<_> = given.keys().cloned().collect();
        let all = cluster.topics.iter().flat_map(|(name, topic)| {
            topic.partitions.iter().map(move |p| TopicPartition::new(name, p.partition))
        });
        for (n, partition) in all.enumerate() {
            let wanted = &ids[n % ids.len()];
            let elsewhere = group
                .members
                .iter()
                .any(|(id, member)| id != wanted && member.owned_partitions.contains(&partition));
            if let Some(assignment) = given.get_mut(wanted).filter(|_| !elsewhere) {
                assignment.partitions.push(partition);
            }
        }
        Box::pin(async move { Ok(GroupAssignment(given)) })
    }
}

/// A member with what happened to it.
struct Member {
    consumer: Consumer,
    values: Vec<(TopicPartition, Offset)>,
    revoked: BTreeSet<TopicPartition>,
}

impl Member {
    async fn join(cluster: &TestCluster, group: &str, topic: &str, cooperative: bool) -> Self {
        let mut builder = cluster.member(group);
        if cooperative {
            builder = builder.assignors([Arc::new(InTurn)]);
        }
        let consumer = builder.build().await.expect("a member");
        consumer.subscribe([topic]).await.expect("it subscribes");
        Self { consumer, values: Vec::new(), revoked: BTreeSet::new() }
    }

    /// Takes what comes within a moment, committing every batch.
    async fn advance(&mut self) {
        let moment = Duration::from_millis(20);
        while let Ok(event) = tokio::time::timeout(moment, self.consumer.next_event()).await {
            match event.expect("no error").expect("it is open") {
                ConsumerEvent::Records(batch) => self.take(&batch).await,
                ConsumerEvent::Revoking(revoking) => {
                    self.revoked.extend(revoking.partitions().iter().cloned());
                    revoking.done();
                }
                ConsumerEvent::Lost(lost) => panic!("nothing is lost here: {lost:?}"),
                _ => {}
            }
        }
    }

    async fn take(&mut self, batch: &Batch) {
        let at = batch.topic_partition();
        self.values.extend(batch.iter().map(|record| (at.clone(), record.offset)));
        self.consumer.commit(batch).await.expect("what is owned is committed");
    }

    async fn leave(self) -> Vec<(TopicPartition, Offset)> {
        self.consumer.close(Duration::from_secs(10)).await.expect("it leaves");
        self.values
    }
}

/// Lets members work until the sizes of their assignments are these.
async fn settle(members: &mut [&mut Member], shares: &[usize]) {
    step(format!("wait until the shares are {shares:?}"));
    loop {
        for member in &mut *members {
            member.advance().await;
        }
        let mut sizes: Vec<_> = members.iter().map(|m| m.consumer.assignment().len()).collect();
        sizes.sort_unstable();
        if sizes == shares {
            return;
        }
    }
}

/// What was committed is where the next member of the group goes on.
pub async fn what_is_committed_is_resumed(cluster: &TestCluster) {
    let topic = cluster.topic("resume", 1).await;
    let group = unique("resume");
    fill(cluster, &topic, 1, 6).await;
    let first = cluster.member(&group).max_poll_records(2).build().await.expect("a member");
    first.subscribe([&*topic]).await.expect("it subscribes");
    let batch = first.poll().await.expect("records").expect("it is open");
    let next = batch.next_offset();
    first.commit(&batch).await.expect("it is committed");
    let uncommitted = first.poll().await.expect("records").expect("it is open");
    assert_eq!(uncommitted.iter().next().map(|record| record.offset), Some(next));
    first.close(Duration::from_secs(10)).await.expect("it leaves");

    step("the next member");
    let second = cluster.member(&group).build().await.expect("a member");
    second.subscribe([&*topic]).await.expect("it subscribes");
    let batch = second.poll().await.expect("records").expect("it is open");
    assert_eq!(batch.iter().next().map(|record| record.offset), Some(next));
}

/// With auto-commit, what was handled is committed when the consumer is closed.
pub async fn closing_commits_automatically(cluster: &TestCluster) {
    let topic = cluster.topic("auto", 1).await;
    let group = unique("auto");
    fill(cluster, &topic, 1, 4).await;
    let member = cluster.member(&group).enable_auto_commit(true).build().await.expect("a member");
    member.subscribe([&*topic]).await.expect("it subscribes");
    let mut seen = 0;
    while seen < 4 {
        seen += member.poll().await.expect("records").expect("it is open").len();
    }
    member.close(Duration::from_secs(10)).await.expect("it leaves");
    let committed = cluster.admin().group_offsets(&*group).await.expect("offsets");
    assert_eq!(committed[&TopicPartition::new(&*topic, 0)].offset, Offset(4));
}

/// An offset is kept with its text and its leader epoch.
pub async fn offsets_keep_text_and_epoch(cluster: &TestCluster) {
    let topic = cluster.topic("metadata", 2).await;
    let group = unique("metadata");
    fill(cluster, &topic, 2, 3).await;
    let consumer = cluster.member(&group).build().await.expect("a member");
    let [first, second] = [0, 1].map(|id| TopicPartition::new(&*topic, id));
    consumer.assign([first.clone(), second.clone()]).expect("they are assigned");
    let epoch = consumer.poll().await.expect("records").expect("it is open").leader_epoch();
    assert!(epoch.is_some(), "this Kafka tells the epoch");
    let offset = OffsetAndMetadata {
        offset: Offset(2),
        leader_epoch: epoch,
        metadata: "bookmark \u{1f516}".to_owned(),
    };
    step("commit one partition of two");
    consumer.commit_offsets([(first.clone(), offset.clone())]).await.expect("it is committed");
    let committed = consumer.committed([first.clone(), second.clone()]).await.expect("offsets");
    assert_eq!(committed[&first], Some(offset.clone()));
    assert_eq!(committed[&second], None);
    let all = cluster.admin().group_offsets(&*group).await.expect("offsets");
    assert_eq!(all, BTreeMap::from([(first.clone(), offset)]));

    step("a text that is too long");
    let long = OffsetAndMetadata {
        offset: Offset(3),
        leader_epoch: Some(LeaderEpoch(0)),
        metadata: "x".repeat(5000),
    };
    let error = consumer.commit_offsets([(first.clone(), long)]).await.unwrap_err();
    assert!(matches!(error, CommitError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(&first.to_string()), "{error}");
}

/// A member joins, a third one too, one leaves: each record is handled once.
async fn members_come_and_go(cluster: &TestCluster, cooperative: bool) {
    let topic = cluster.topic("members", 6).await;
    let group = unique("members");
    fill(cluster, &topic, 6, 5).await;
    let mut first = Member::join(cluster, &group, &topic, cooperative).await;
    settle(&mut [&mut first], &[6]).await;
    let mut second = Member::join(cluster, &group, &topic, cooperative).await;
    settle(&mut [&mut first, &mut second], &[3, 3]).await;
    let moved = if cooperative { 3 } else { 6 };
    assert_eq!(first.revoked.len(), moved, "{:?}", first.revoked);
    fill(cluster, &topic, 6, 5).await;
    let mut third = Member::join(cluster, &group, &topic, cooperative).await;
    settle(&mut [&mut first, &mut second, &mut third], &[2, 2, 2]).await;
    let mut handled = second.leave().await;
    settle(&mut [&mut first, &mut third], &[3, 3]).await;
    fill(cluster, &topic, 6, 5).await;
    step("wait until everything is handled");
    while first.values.len() + third.values.len() + handled.len() < 6 * 15 {
        first.advance().await;
        third.advance().await;
    }
    handled.extend(first.leave().await);
    handled.extend(third.leave().await);
    let expected = (0..6).flat_map(|id| {
        let partition = TopicPartition::new(&*topic, id);
        (0..15).map(move |offset| (partition.clone(), Offset(offset)))
    });
    handled.sort();
    assert!(handled.into_iter().eq(expected), "each record once");
}

/// With an eager assignor.
pub async fn members_come_and_go_eagerly(cluster: &TestCluster) {
    members_come_and_go(cluster, false).await;
}

/// With a cooperative one, only what moves is given up.
pub async fn members_come_and_go_cooperatively(cluster: &TestCluster) {
    members_come_and_go(cluster, true).await;
}

/// A batch fetched before its partition went to another member cannot be committed.
pub async fn what_is_not_owned_any_more_is_not_committed(cluster: &TestCluster) {
    let topic = cluster.topic("fenced", 2).await;
    let group = unique("fenced");
    fill(cluster, &topic, 2, 1).await;
    let slow = cluster.member(&group).build().await.expect("a member");
    slow.subscribe([&*topic]).await.expect("it subscribes");
    let mut held = BTreeMap::new();
    while held.len() < 2 {
        let batch = slow.poll().await.expect("records").expect("it is open");
        held.insert(batch.topic_partition().clone(), batch);
    }
    let mut other = Member::join(cluster, &group, &topic, false).await;
    step("wait until the group is shared");
    let mut member = Member { consumer: slow, values: Vec::new(), revoked: BTreeSet::new() };
    settle(&mut [&mut member, &mut other], &[1, 1]).await;
    let theirs = other.consumer.assignment().remove(0);
    let error = member.consumer.commit(&held[&theirs]).await.unwrap_err();
    assert!(
        matches!(&error, CommitError::NotOwned { partition } if *partition == theirs),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Fenced);
}

/// A member whose application does not ask for records any more gives its place to the others,
/// and is told.
pub async fn a_stuck_member_loses_its_place(cluster: &TestCluster) {
    let topic = cluster.topic("stuck", 2).await;
    let group = unique("stuck");
    let builder = cluster.member(&group).max_poll_interval(Duration::from_millis(1500));
    let stuck = builder.build().await.expect("a member");
    stuck.subscribe([&*topic]).await.expect("it subscribes");
    step("wait for the first assignment");
    while stuck.assignment().len() < 2 {
        let event = stuck.next_event().await.expect("an event");
        assert!(event.is_some());
    }
    let producer = cluster.producer().build().await.expect("a producer");
    for partition in 0..2 {
        let record = Record::to(&topic).partition(partition).value("v");
        producer.send(&record).await.expect("it is written");
    }
    let mut other = Member::join(cluster, &group, &topic, false).await;
    settle(&mut [&mut other], &[2]).await;
    step("wait until the other has read everything");
    while other.values.len() < 2 {
        other.advance().await;
    }
    step("the stuck one comes back");
    let mut lost = BTreeSet::new();
    while lost.len() < 2 {
        match stuck.next_event().await.expect("an event").expect("it is open") {
            ConsumerEvent::Lost(partitions) => lost.extend(partitions),
            ConsumerEvent::Records(batch) => panic!("not owned: {:?}", texts(&batch.detach())),
            _ => {}
        }
    }
    let mut back = Member { consumer: stuck, values: Vec::new(), revoked: BTreeSet::new() };
    settle(&mut [&mut back, &mut other], &[1, 1]).await;
    eventually("what was committed stays", || async {
        let offsets = cluster.admin().group_offsets(&*group).await.expect("offsets");
        offsets.len() == 2 && offsets.values().all(|committed| committed.offset == Offset(1))
    })
    .await;
}
