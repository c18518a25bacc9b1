//! Topics: creating, deleting, extending, describing and listing them.

mod create;
mod delete;
mod describe;
mod list;
mod partitions;

use millstream_protocol::messages as m;
use millstream_protocol::messages::metadata_request::MetadataRequestTopic;
use millstream_types::TopicName;

use super::wire::topic_name;
use crate::outbox::RequestBody;

pub use create::{CreatedTopic, NewTopic, create_topics};
pub use delete::{delete_topics, delete_topics_by_id};
pub use describe::describe_topics;
pub use list::list_topics;
pub use partitions::{NewPartitions, create_partitions};

fn about_topic(name: &TopicName) -> String {
    format!("topic {name}")
}

/// Asks for the metadata of these topics, or of all.
fn metadata_request<'a>(topics: Option<impl Iterator<Item = &'a TopicName>>) -> RequestBody {
    let topics = topics.map(|topics| {
        let topic = |name| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        topics.map(topic).collect()
    });
    m::MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false).into()
}
