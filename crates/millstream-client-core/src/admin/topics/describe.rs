//! Describing topics: page by page (DescribeTopicPartitions, KIP-966), or by Metadata where the
//! broker does not know that.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use millstream_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use millstream_types::{LeaderEpoch, PartitionId, TopicId, TopicName};

use super::super::call::next;
use super::super::command::AdminCall;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::wire::{anywhere, broker_ids, optional_broker, topic_name};
use super::{about_topic, metadata_request};
use crate::cx::Cx;
use crate::metadata::{Partition, Topic};
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// How many partitions a page has at most: the broker's own `max.request.partition.size.limit`.
const PAGE_PARTITIONS_MAX: i32 = 2000;

/// Describes topics with their partitions.
pub fn describe_topics(
    topics: impl IntoIterator<Item = TopicName>,
) -> AdminCall<Results<TopicName, Topic>> {
    AdminCall::new(Describe, topics.into_iter().map(|name| (name, Progress::Unread)))
}

#[derive(Debug)]
struct Describe;

/// How far the description of a topic has come.
#[derive(Debug)]
enum Progress {
    /// Nothing is read.
    Unread,
    /// Its first partitions are read; the rest is asked for from the next one on.
    Partly(Box<Topic>, i32),
    /// The broker does not know pages.
    ByMetadata,
}

impl Describe {
    /// Reads a page. Topics behind its end are asked for again, the one it ends in from there on.
    fn read_page(
        answer: m::DescribeTopicPartitionsResponse,
        asked: &[(&TopicName, &Progress)],
    ) -> Vec<Said<Self>> {
        let mut said = Vec::new();
        let cursor = answer.next_cursor.map(|cursor| (cursor.topic_name, cursor.partition_index));
        // A page that brings nothing would be asked for for ever.
        let is_empty = answer
            .topics
            .iter()
            .all(|topic| topic.partitions.is_empty() && ErrorCode::check(topic.error_code).is_ok());
        let mut found: BTreeMap<_, _> = answer
            .topics
            .into_iter()
            .filter_map(|topic| Some((TopicName::from(topic.name.as_ref()?.0.as_str()), topic)))
            .collect();
        for (name, progress) in asked {
            let rest = cursor.as_ref().filter(|(topic, _)| *name == topic.0.as_str());
            let verdict = match found.remove(*name) {
                Some(page) => Self::read_topic(name, &page, progress, rest.map(|(_, at)| *at)),
                None if cursor.is_some() && !is_empty => next::<Self>(name, Progress::Unread),
                None => continue,
            };
            said.push(((*name).clone(), verdict));
        }
        said
    }

    fn read_topic(
        name: &TopicName,
        page: &DescribeTopicPartitionsResponseTopic,
        progress: &Progress,
        rest: Option<i32>,
    ) -> VerdictOf<Self> {
        if let Err(refusal) = Refusal::check(page.error_code, None) {
            return Verdict::Refused(refusal);
        }
        let partitions = page.partitions.iter().map(|answer| {
            let eligible = answer.eligible_leader_replicas.as_deref().unwrap_or_default();
            let last_known = answer.last_known_elr.as_deref().unwrap_or_default();
            Partition {
                id: PartitionId(answer.partition_index),
                leader: optional_broker(answer.leader_id),
                leader_epoch: Some(LeaderEpoch(answer.leader_epoch)).filter(|epoch| epoch.0 >= 0),
                replicas: broker_ids(&answer.replica_nodes),
                in_sync: broker_ids(&answer.isr_nodes),
                offline: broker_ids(&answer.offline_replicas),
                eligible_leaders: broker_ids(eligible),
                last_known_eligible_leaders: broker_ids(last_known),
            }
        });
        let mut topic = match progress {
            Progress::Partly(topic, _) => (**topic).clone(),
            Progress::Unread | Progress::ByMetadata => Topic {
                name: name.clone(),
                id: TopicId(page.topic_id),
                is_internal: page.is_internal,
                partitions: BTreeMap::new(),
            },
        };
        let before = topic.partitions.len();
        topic.partitions.extend(partitions.map(|partition| (partition.id, partition)));
        match rest {
            Some(at) if topic.partitions.len() > before => {
                next::<Self>(name, Progress::Partly(Box::new(topic), at))
            }
            Some(_) => Verdict::Refused(Refusal {
                code: ErrorCode::UnknownServerError,
                message: Some("a page of its description brings no partition".to_owned()),
            }),
            None => Verdict::Done(topic),
        }
    }
}

impl Operation for Describe {
    type Key = TopicName;
    type Input = Progress;
    type Output = Topic;
    type Done = Results<TopicName, Topic>;

    fn about(&self, key: &TopicName) -> String {
        about_topic(key)
    }

    fn place(&self, _key: &TopicName, _input: &Progress, _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn lot(&self, _key: &TopicName, input: &Progress) -> Lot {
        match input {
            Progress::Unread => Lot::Shared(0),
            Progress::ByMetadata => Lot::Shared(1),
            // A cursor hides the topics before it.
            Progress::Partly(..) => Lot::Alone,
        }
    }

    fn request(&self, items: &[(&TopicName, &Progress)], _timeout: Duration) -> RequestBody {
        let names = items.iter().map(|(name, _)| *name);
        let cursor = match items.first() {
            Some((_, Progress::ByMetadata)) => return metadata_request(Some(names)),
            Some((name, Progress::Partly(_, at))) => {
                let cursor = Cursor::default().with_topic_name(topic_name(name));
                Some(cursor.with_partition_index(*at))
            }
            _ => None,
        };
        let topics = names.map(|name| TopicRequest::default().with_name(topic_name(name)));
        m::DescribeTopicPartitionsRequest::default()
            .with_topics(topics.collect())
            .with_response_partition_limit(PAGE_PARTITIONS_MAX)
            .with_cursor(cursor)
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicName, &Progress)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::Metadata(answer) = response.body {
            let said = answer.topics.iter().filter_map(|topic| {
                let name = TopicName::from(topic.name.as_ref()?.0.as_str());
                let result = Refusal::check(topic.error_code, None);
                let described = result.map(|()| Topic::read(name.clone(), topic));
                Some((name, described.into()))
            });
            return Ok(said.collect());
        }
        let answer = m::DescribeTopicPartitionsResponse::try_from(response.body)?;
        Ok(Self::read_page(answer, asked))
    }

    fn fallback(&self, key: &TopicName, input: &Progress) -> Option<VerdictOf<Self>> {
        let is_by_metadata = matches!(input, Progress::ByMetadata);
        (!is_by_metadata).then(|| next::<Self>(key, Progress::ByMetadata))
    }

    /// A topic that is not there will not be there later: no use in trying again.
    fn is_retriable(&self, _input: &Progress, code: ErrorCode) -> bool {
        code.class().is_retriable() && code != ErrorCode::UnknownTopicOrPartition
    }

    fn merge(self, results: Results<TopicName, Topic>) -> Self::Done {
        results
    }
}
