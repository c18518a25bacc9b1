//! The offsets that groups have committed: listing, changing and deleting them.

mod alter;
mod delete;
mod list;

use millstream_types::{GroupId, TopicPartition};

pub use alter::alter_group_offsets;
pub use delete::delete_group_offsets;
pub use list::{GroupOffsetsSpec, list_group_offsets};

fn about_offset(group: &GroupId, partition: &TopicPartition) -> String {
    format!("offset of group {group} for partition {partition}")
}
