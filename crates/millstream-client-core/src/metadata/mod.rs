//! What is known of the cluster, and the machine that keeps it fresh.
//!
//! Machines read [`Metadata`] and ask it for topics and updates; [`MetadataMachine`] sends the
//! requests. Topics are fetched on demand: only those that somebody asked for lately.

mod cache;
mod machine;
mod view;

pub use cache::{Metadata, TopicState};
pub use machine::MetadataMachine;
pub use view::{Broker, Leader, Partition, Topic};
