//! Answers to look-ups, in one form.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_types::{LeaderEpoch, Offset, OffsetAndMetadata, TopicName, TopicPartition};

use super::requests::Sought;
use super::{ListOffsetsResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, What};
use crate::consumer::partition::Position;
use crate::consumer::shared::ConsumerShared;
use crate::cx::Cx;
use crate::outbox::{CoordinatorKey, RequestFailure, Response, WrongResponse};

/// What each partition's answer says.
#[derive(Debug, Default)]
pub(super) struct Answers {
    partitions: BTreeMap<TopicPartition, Result<Sought, ErrorCode>>,
    /// An error of the whole answer.
    whole: Option<ErrorCode>,
}

/// Reads an answer.
pub(super) fn read(what: What, response: Response) -> Result<Answers, RequestFailure> {
    let answers = match what {
        What::Committed => response.body.try_into().map(committed),
        What::Offsets => response.body.try_into().map(offsets),
        What::Epochs => response.body.try_into().map(epochs),
    };
    answers.map_err(|wrong: WrongResponse| RequestFailure::Malformed {
        api: wrong.expected,
        broker: "the broker".to_owned(),
        reason: wrong.to_string(),
    })
}

impl Answers {
    pub(super) fn of(&self, tp: &TopicPartition) -> Option<Result<&Sought, ErrorCode>> {
        if let Some(error) = self.whole {
            return Some(Err(error));
        }
        Some(match self.partitions.get(tp)? {
            Ok(sought) => Ok(sought),
            Err(error) => Err(*error),
        })
    }

    /// An error of the whole answer.
    pub(super) const fn whole(&self) -> Option<ErrorCode> {
        self.whole
    }

    pub(super) fn into_iter(
        self,
    ) -> impl Iterator<Item = (TopicPartition, Result<Sought, ErrorCode>)> {
        self.partitions.into_iter()
    }

    /// Tells metadata and coordinators what the errors mean for them.
    pub(super) fn report(&self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        let errors = self.partitions.values().filter_map(|answer| answer.as_ref().err());
        for error in errors.chain(self.whole.as_ref()) {
            match error {
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                    if let Some(group) = &shared.config().group {
                        cx.coordinators.invalidate(&CoordinatorKey::group(&group.id));
                    }
                }
                _ => cx.metadata.request_update(),
            }
        }
    }

    fn insert(&mut self, topic: &str, partition: i32, error: i16, sought: Sought) {
        let tp = TopicPartition::new(TopicName::from(topic), partition);
        let answer = ErrorCode::check(error).map(|()| sought);
        self.partitions.insert(tp, answer);
    }
}

fn known(offset: i64) -> Option<Offset> {
    (offset >= 0).then_some(Offset(offset))
}

fn epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}

fn committed(response: OffsetFetchResponse) -> Answers {
    let mut answers = Answers::default();
    let mut add =
        |topic: &str, partition, error, offset, leader_epoch, metadata: Option<String>| {
            let committed = known(offset).map(|offset| OffsetAndMetadata {
                offset,
                leader_epoch: epoch(leader_epoch),
                metadata: metadata.unwrap_or_default(),
            });
            answers.insert(topic, partition, error, Sought::Committed(committed));
        };
    // Up to version 7 the answer is one group's, from 8 on a list (KIP-709).
    for topic in &response.topics {
        for p in &topic.partitions {
            let metadata = p.metadata.as_ref().map(ToString::to_string);
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            add(&topic.name, p.partition_index, p.error_code, offset, epoch, metadata);
        }
    }
    for topic in response.groups.iter().flat_map(|group| &group.topics) {
        for p in &topic.partitions {
            let metadata = p.metadata.as_ref().map(ToString::to_string);
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            add(&topic.name, p.partition_index, p.error_code, offset, epoch, metadata);
        }
    }
    let codes = response.groups.iter().map(|group| group.error_code);
    let whole = codes.chain([response.error_code]).find_map(|code| ErrorCode::check(code).err());
    answers.whole = whole;
    answers
}

fn offsets(response: ListOffsetsResponse) -> Answers {
    let mut answers = Answers::default();
    for topic in &response.topics {
        for p in &topic.partitions {
            let sought = Sought::Offset(known(p.offset));
            answers.insert(&topic.name, p.partition_index, p.error_code, sought);
        }
    }
    answers
}

fn epochs(response: OffsetForLeaderEpochResponse) -> Answers {
    let mut answers = Answers::default();
    for topic in &response.topics {
        for p in &topic.partitions {
            // An undefined end says that the leader does not know the epoch: nothing definite, so
            // no reset (franz-go met that with UNDEFINED_EPOCH_OFFSET).
            let end =
                known(p.end_offset).map(|offset| Position { offset, epoch: epoch(p.leader_epoch) });
            answers.insert(&topic.topic, p.partition, p.error_code, Sought::EpochEnd(end));
        }
    }
    answers
}
