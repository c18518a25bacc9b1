//! Offsets of partitions, by place or time; and deleting the records before one.

mod delete_records;
mod list;

use millstream_types::TopicPartition;

pub use delete_records::delete_records;
pub use list::{ListedOffset, list_offsets};

pub(super) fn about_partition(partition: &TopicPartition) -> String {
    format!("partition {partition}")
}
