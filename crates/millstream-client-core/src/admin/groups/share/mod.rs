//! Share groups (KIP-932): describing them, and the offsets from which they share.

mod describe;
mod offsets;

pub use describe::{ShareGroup, ShareMember, describe_share_groups};
pub use offsets::{
    ShareOffset, alter_share_group_offsets, delete_share_group_offsets, list_share_group_offsets,
};
