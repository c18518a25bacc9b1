//! Groups of all protocols: listing, describing and deleting them, their members and offsets.

mod delete;
mod describe;
mod list;
mod offsets;
mod remove_members;
mod share;
mod state;
mod streams;

use millstream_types::GroupId;

pub use delete::delete_groups;
pub use describe::{
    ClassicGroup, ClassicMember, ConsumerGroup, GroupMember, describe_classic_groups,
    describe_consumer_groups,
};
pub use list::{GroupFilter, GroupListing, list_groups};
pub use offsets::{
    GroupOffsetsSpec, alter_group_offsets, delete_group_offsets, list_group_offsets,
};
pub use remove_members::{MemberToRemove, remove_all_group_members, remove_group_members};
pub use share::{
    ShareGroup, ShareMember, ShareOffset, alter_share_group_offsets, delete_share_group_offsets,
    describe_share_groups, list_share_group_offsets,
};
pub use state::{GroupState, GroupType};
pub use streams::{
    StreamsGroup, StreamsMember, StreamsSubtopology, StreamsTasks, StreamsTopicInfo,
    describe_streams_groups,
};

fn about_group(group: &GroupId) -> String {
    format!("group {group}")
}
