//! Groups of all protocols: listing, describing and deleting them, their members and offsets.

use std::collections::BTreeMap;

use millstream_client_core::admin as core;
use millstream_types::{GroupId, Offset, OffsetAndMetadata, TopicName, TopicPartition};

use super::{
    Admin, AdminError, BatchError, BatchResult, ClassicGroup, ConsumerGroup, GroupFilter,
    GroupListing, GroupOffsetsSpec, MemberToRemove, OffsetSpec, ShareGroup, ShareOffset,
    StreamsGroup,
};

/// How far a group is behind in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The offset that the group has committed.
    pub committed: Offset,
    /// Behind the last record.
    pub end: Offset,
    /// How many offsets lie between.
    pub lag: i64,
}

impl Admin {
    /// Lists the groups that fit a filter, of all brokers.
    ///
    /// # Errors
    /// One broker refused or gave no answer in time, or the client is closed. A filter by state needs
    /// Kafka 2.6, one by type 3.8.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_groups(
        &self,
        filter: GroupFilter,
    ) -> Result<BTreeMap<GroupId, GroupListing>, AdminError> {
        self.whole(core::list_groups(filter)).await
    }

    /// Describes groups of consumers, of the classic protocol and of KIP-848's.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that is not there, or not of consumers, is refused with
    /// `GROUP_ID_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_consumer_groups(
        &self,
        groups: impl IntoIterator<Item = impl Into<GroupId>>,
    ) -> BatchResult<GroupId, ConsumerGroup> {
        let groups = groups.into_iter().map(Into::into);
        let operations = self.options.authorized_operations;
        self.batch(core::describe_consumer_groups(groups, operations)).await
    }

    /// Describes groups of the classic protocol, also of Connect workers and others.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that is not there is refused with `GROUP_ID_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_classic_groups(
        &self,
        groups: impl IntoIterator<Item = impl Into<GroupId>>,
    ) -> BatchResult<GroupId, ClassicGroup> {
        let groups = groups.into_iter().map(Into::into);
        let operations = self.options.authorized_operations;
        self.batch(core::describe_classic_groups(groups, operations)).await
    }

    /// Describes share groups (KIP-932).
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that is not there, or no share group, is refused with
    /// `GROUP_ID_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_share_groups(
        &self,
        groups: impl IntoIterator<Item = impl Into<GroupId>>,
    ) -> BatchResult<GroupId, ShareGroup> {
        let groups = groups.into_iter().map(Into::into);
        let operations = self.options.authorized_operations;
        self.batch(core::describe_share_groups(groups, operations)).await
    }

    /// Describes streams groups (KIP-1071).
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that is not there, or no streams group, is refused with
    /// `GROUP_ID_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_streams_groups(
        &self,
        groups: impl IntoIterator<Item = impl Into<GroupId>>,
    ) -> BatchResult<GroupId, StreamsGroup> {
        let groups = groups.into_iter().map(Into::into);
        let operations = self.options.authorized_operations;
        self.batch(core::describe_streams_groups(groups, operations)).await
    }

    /// Deletes groups of whatever type, with their offsets.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that has members is refused with `NON_EMPTY_GROUP`, one that is not
    /// there with `GROUP_ID_NOT_FOUND`, unless the answer to an earlier try was lost.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_groups(
        &self,
        groups: impl IntoIterator<Item = impl Into<GroupId>>,
    ) -> BatchResult<GroupId, ()> {
        let groups = groups.into_iter().map(Into::into);
        self.batch(core::delete_groups(groups)).await
    }

    /// Takes members out of a classic group (KIP-345).
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn remove_group_members(
        &self,
        group: impl Into<GroupId>,
        members: impl IntoIterator<Item = MemberToRemove>,
        reason: Option<String>,
    ) -> BatchResult<MemberToRemove, ()> {
        self.batch(core::remove_group_members(group.into(), members, reason)).await
    }

    /// Takes all members out of a classic group.
    ///
    /// # Errors
    /// See [`BatchResult`]. Where the members cannot be told, that error stands under an empty member id.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn remove_all_group_members(
        &self,
        group: impl Into<GroupId>,
        reason: Option<String>,
    ) -> BatchResult<MemberToRemove, ()> {
        self.batch(core::remove_all_group_members(group.into(), reason)).await
    }

    /// All offsets that a group, of consumers or streams, has committed.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn group_offsets(
        &self,
        group: impl Into<GroupId>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, AdminError> {
        let group = group.into();
        let groups = [(group, GroupOffsetsSpec::default())];
        super::only(self.list_group_offsets(groups).await)
    }

    /// Offsets that groups, of consumers or streams, have committed: of some partitions or all.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_group_offsets(
        &self,
        groups: impl IntoIterator<Item = (impl Into<GroupId>, GroupOffsetsSpec)>,
    ) -> BatchResult<GroupId, BTreeMap<TopicPartition, OffsetAndMetadata>> {
        let groups = groups.into_iter().map(|(group, spec)| (group.into(), spec));
        self.batch(core::list_group_offsets(groups, false)).await
    }

    /// As [`list_group_offsets`](Self::list_group_offsets), but waits for those of transactions that are
    /// being committed (KIP-447).
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_stable_group_offsets(
        &self,
        groups: impl IntoIterator<Item = (impl Into<GroupId>, GroupOffsetsSpec)>,
    ) -> BatchResult<GroupId, BTreeMap<TopicPartition, OffsetAndMetadata>> {
        let groups = groups.into_iter().map(|(group, spec)| (group.into(), spec));
        self.batch(core::list_group_offsets(groups, true)).await
    }

    /// Sets committed offsets of a group, of consumers or streams, that has no members; one that does
    /// not exist begins to.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that has members is refused with `UNKNOWN_MEMBER_ID`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_group_offsets(
        &self,
        group: impl Into<GroupId>,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> BatchResult<TopicPartition, ()> {
        self.batch(core::alter_group_offsets(group.into(), offsets)).await
    }

    /// Deletes committed offsets of a group, of consumers or streams (KIP-496).
    ///
    /// # Errors
    /// See [`BatchResult`]. Those of topics that a member reads are refused with
    /// `GROUP_SUBSCRIBED_TO_TOPIC`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_group_offsets(
        &self,
        group: impl Into<GroupId>,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BatchResult<TopicPartition, ()> {
        self.batch(core::delete_group_offsets(group.into(), partitions)).await
    }

    /// From where share groups share: of some partitions or all.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_share_group_offsets(
        &self,
        groups: impl IntoIterator<Item = (impl Into<GroupId>, GroupOffsetsSpec)>,
    ) -> BatchResult<GroupId, BTreeMap<TopicPartition, ShareOffset>> {
        let groups = groups.into_iter().map(|(group, spec)| (group.into(), spec));
        self.batch(core::list_share_group_offsets(groups)).await
    }

    /// Sets from where a share group that has no members shares.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that has members is refused with `NON_EMPTY_GROUP`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn alter_share_group_offsets(
        &self,
        group: impl Into<GroupId>,
        starts: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> BatchResult<TopicPartition, ()> {
        self.batch(core::alter_share_group_offsets(group.into(), starts)).await
    }

    /// Forgets from where a share group that has no members shares topics.
    ///
    /// # Errors
    /// See [`BatchResult`]. A group that has members is refused with `NON_EMPTY_GROUP`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_share_group_offsets(
        &self,
        group: impl Into<GroupId>,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> BatchResult<TopicName, ()> {
        let topics = topics.into_iter().map(Into::into);
        self.batch(core::delete_share_group_offsets(group.into(), topics)).await
    }

    /// How far a group, of consumers or streams, is behind in each partition it has committed.
    ///
    /// # Errors
    /// See [`BatchResult`]. Where the group's offsets cannot be had, the error is
    /// [`BatchError::Whole`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn group_lag(&self, group: impl Into<GroupId>) -> BatchResult<TopicPartition, Lag> {
        let offsets = match self.group_offsets(group).await {
            Ok(offsets) => offsets,
            Err(AdminError::Closed(closed)) => return Err(closed.into()),
            Err(AdminError::Call(error)) => return Err(BatchError::Whole(error)),
        };
        let specs = offsets.keys().map(|partition| (partition.clone(), OffsetSpec::Latest));
        let ends = self.call(core::list_offsets(specs, core::IsolationLevel::default())).await?;
        let lags = ends.into_iter().filter_map(|(partition, end)| {
            let committed = offsets.get(&partition)?.offset;
            let lag = end.map(|end| {
                let end = end.offset.unwrap_or(committed);
                Lag { committed, end, lag: (end.0 - committed.0).max(0) }
            });
            Some((partition, lag))
        });
        Ok(super::AdminErrors::sort(lags.collect()).map_err(Box::new)?)
    }
}
