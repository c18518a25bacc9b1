//! Admin calls about groups.

use millstream_client::admin::{
    GroupFilter, GroupOffsetsSpec, GroupState, GroupType, MemberToRemove,
};
use millstream_client::{ErrorCode, Record};
use millstream_types::{GroupId, MemberId, Offset, OffsetAndMetadata, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset: Offset(offset), leader_epoch: None, metadata: "by hand".into() }
}

/// Offsets of a group are set, listed, held against the ends and deleted; then the group is.
pub async fn offsets_of_groups_are_kept_by_hand(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("kept", 2).await;
    let producer = cluster.producer().build().await.expect("a producer");
    for _ in 0..5 {
        producer.send(&Record::to(&topic).partition(0).value("v")).await.expect("it is written");
    }
    let (group, other) = (GroupId::from(unique("kept")), GroupId::from(unique("other")));
    let tp = |number: i32| TopicPartition::new(&*topic, number);
    for group in [&group, &other] {
        let offsets = [(tp(0), at(2)), (tp(1), at(0))];
        admin.alter_group_offsets(group, offsets).await.expect("they are set");
    }

    step("all offsets of one, one offset of the other");
    let one = GroupOffsetsSpec { partitions: Some(vec![tp(0)]) };
    let asked = [(group.clone(), GroupOffsetsSpec::default()), (other.clone(), one)];
    let listed = admin.list_stable_group_offsets(asked).await.expect("offsets");
    assert_eq!(listed[&group][&tp(0)], at(2));
    assert_eq!(listed[&group].len(), 2);
    assert_eq!(listed[&other].keys().collect::<Vec<_>>(), [&tp(0)]);

    step("how far the group is behind");
    let lag = admin.group_lag(&group).await.expect("a lag");
    assert_eq!((lag[&tp(0)].lag, lag[&tp(0)].end), (3, Offset(5)));
    assert_eq!(lag[&tp(1)].lag, 0);

    step("the group is listed and described without members");
    let filter = GroupFilter::all().state(GroupState::Empty).group_type(GroupType::Classic);
    let groups = admin.list_groups(filter).await.expect("a list");
    assert_eq!(groups[&group].state, Some(GroupState::Empty));
    let described = admin.describe_consumer_groups([&group]).await.expect("a description");
    assert_eq!(described[&group].state, GroupState::Empty);
    assert_eq!(described[&group].group_type, GroupType::Classic);
    assert_eq!(described[&group].coordinator, groups[&group].coordinator);

    step("offsets and groups are deleted");
    admin.delete_group_offsets(&group, [tp(1)]).await.expect("it is deleted");
    assert_eq!(admin.group_offsets(&group).await.expect("offsets").len(), 1);
    let absent = GroupId::from(unique("absent"));
    let error = admin.delete_groups([&group, &absent]).await.unwrap_err();
    let codes: Vec<_> = error.failed().map(|(name, error)| (name.clone(), error.code())).collect();
    assert_eq!(codes, [(absent.clone(), Some(ErrorCode::GroupIdNotFound))]);
    let error = admin.describe_consumer_groups([&group]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::GroupIdNotFound), "{error}");
    let error = admin.describe_classic_groups([&absent]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::GroupIdNotFound), "{error}");
}

/// Members are described with what they were assigned, and taken out.
pub async fn members_are_described_and_removed(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("members", 3).await;
    let group = GroupId::from(unique("members"));
    let consumer = cluster.member(group.as_str()).build().await.expect("a consumer");
    consumer.subscribe([&*topic]).await.expect("it subscribes");
    let polling = async {
        loop {
            drop(consumer.poll().await);
        }
    };
    let asking = async {
        eventually("the member has all partitions", || async {
            let described = admin.describe_consumer_groups([&group]).await;
            described.is_ok_and(|groups| {
                let members = &groups[&group].members;
                groups[&group].state == GroupState::Stable
                    && members.iter().map(|member| member.assignment.len()).sum::<usize>() == 3
            })
        })
        .await;
        let classic = admin.describe_classic_groups([&group]).await.expect("a description");
        assert_eq!(classic[&group].protocol, "consumer");
        assert_eq!(classic[&group].members.len(), 1);
        let member = classic[&group].members[0].clone();
        assert!(!member.raw_assignment.is_empty());

        step("a group with members is not deleted, nor are the offsets of what it reads");
        let error = admin.delete_groups([&group]).await.unwrap_err();
        let (_, error) = error.failed().next().expect("a failure");
        assert_eq!(error.code(), Some(ErrorCode::NonEmptyGroup), "{error}");
        let partition = TopicPartition::new(&*topic, 0);
        let error = admin.delete_group_offsets(&group, [partition.clone()]).await.unwrap_err();
        let (_, error) = error.failed().next().expect("a failure");
        assert_eq!(error.code(), Some(ErrorCode::GroupSubscribedToTopic), "{error}");
        let error = admin.alter_group_offsets(&group, [(partition, at(0))]).await.unwrap_err();
        let (_, error) = error.failed().next().expect("a failure");
        assert_eq!(error.code(), Some(ErrorCode::UnknownMemberId), "{error}");

        step("one that is not there is named; then all are taken out");
        let stranger = MemberToRemove::Dynamic(MemberId::from("stranger"));
        let error = admin.remove_group_members(&group, [stranger], None).await.unwrap_err();
        let (_, error) = error.failed().next().expect("a failure");
        assert_eq!(error.code(), Some(ErrorCode::UnknownMemberId), "{error}");
        let removed = admin.remove_all_group_members(&group, Some("the test says so".into())).await;
        let removed = removed.expect("they are taken out");
        assert_eq!(removed.into_keys().collect::<Vec<_>>(), [MemberToRemove::Dynamic(member.id)]);
    };
    tokio::select! {
        () = polling => {}
        () = asking => {}
    }
}

/// Share and streams groups that are not there are refused by name.
pub async fn absent_share_and_streams_groups_are_named(cluster: &TestCluster) {
    let admin = cluster.admin();
    let absent = GroupId::from(unique("absent"));
    let has_none = cluster.version().is_none() || cluster.is_before(4, 2);
    let expected = |error: &millstream_client::admin::CallError| {
        // The in-process broker and older ones have no such groups: there the API is refused.
        if has_none {
            error.is_unsupported()
        } else {
            error.code() == Some(ErrorCode::GroupIdNotFound)
        }
    };
    let error = admin.describe_share_groups([&absent]).await.unwrap_err();
    assert!(error.failed().all(|(_, error)| expected(error)), "{error}");
    let error = admin.describe_streams_groups([&absent]).await.unwrap_err();
    assert!(error.failed().all(|(_, error)| expected(error)), "{error}");
    let topic = cluster.topic("share", 1).await;
    let start = (TopicPartition::new(&*topic, 0), Offset(0));
    if has_none {
        let error = admin.alter_share_group_offsets(&absent, [start]).await.unwrap_err();
        assert!(error.failed().all(|(_, error)| expected(error)), "{error}");
        return;
    }
    step("a share group begins with its offsets");
    let group = GroupId::from(unique("share"));
    admin.alter_share_group_offsets(&group, [start.clone()]).await.expect("they are set");
    let listed = admin.list_share_group_offsets([(&group, GroupOffsetsSpec::default())]).await;
    assert_eq!(listed.expect("offsets")[&group][&start.0].start, Offset(0));
    let described = admin.describe_share_groups([&group]).await.expect("a description");
    assert_eq!(described[&group].state, GroupState::Empty);
    let listed = admin.list_groups(GroupFilter::all().group_type(GroupType::Share)).await;
    assert!(listed.expect("a list").contains_key(&group));
    admin.delete_share_group_offsets(&group, [&*topic]).await.expect("they are deleted");
    admin.delete_groups([&group]).await.expect("the group is deleted");
}
