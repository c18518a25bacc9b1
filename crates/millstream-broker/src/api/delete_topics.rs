//! DeleteTopics 1 to 6: removes topics, by name or from version 6 on by id, with the offsets that
//! groups committed for them.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_topics_response::DeletableTopicResult;
use millstream_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use uuid::Uuid;

use super::{Api, Call, Served, sentence, text, topic_name};
use crate::core::state::{Refused, State};

/// The first version that names topics by id.
const BY_ID: i16 = 6;

impl Api for DeleteTopicsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DeleteTopicsResponse> {
        let wanted = wanted(&self, call.version).into_iter();
        let results = wanted.map(|wanted| match delete(state, call, &wanted) {
            Ok((name, id)) => {
                DeletableTopicResult::default().with_name(Some(topic_name(&name))).with_topic_id(id)
            }
            Err(refused) => {
                failed(wanted, refused.code).with_error_message(Some(text(refused.message)))
            }
        });
        Served::Now(DeleteTopicsResponse::default().with_responses(results.collect()))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DeleteTopicsResponse {
        let wanted = wanted(self, version).into_iter();
        let results = wanted.map(|wanted| failed(wanted, code));
        DeleteTopicsResponse::default().with_responses(results.collect())
    }
}

/// The first version that is refused rather than throttled over the quota (KIP-599).
const STRICT: i16 = 5;

/// A topic as the request names it: by name, or by id.
type Wanted = (Option<m::TopicName>, Uuid);

fn wanted(request: &DeleteTopicsRequest, version: i16) -> Vec<Wanted> {
    if version >= BY_ID {
        let topics = request.topics.iter();
        return topics.map(|topic| (topic.name.clone(), topic.topic_id)).collect();
    }
    let names = request.topic_names.iter();
    names.map(|name| (Some(name.clone()), Uuid::nil())).collect()
}

fn failed((name, id): Wanted, code: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(name)
        .with_topic_id(id)
        .with_error_code(code.code())
        .with_error_message(Some(sentence(code)))
}

fn delete(state: &mut State, call: &Call, (name, id): &Wanted) -> Result<(String, Uuid), Refused> {
    let refuse = |code| Refused::new(code, sentence(code).as_str());
    let invalid = |why| Err(Refused::new(ErrorCode::InvalidRequest, why));
    // A topic is named in one way or the other (`ControllerApis.deleteTopics`).
    let found = match name {
        Some(_) if !id.is_nil() => {
            return invalid("You may not specify both topic name and topic id.");
        }
        None if id.is_nil() => return invalid("Neither topic name nor id were specified."),
        Some(name) => {
            let found = state.topics.get(name);
            found.ok_or_else(|| refuse(ErrorCode::UnknownTopicOrPartition))?
        }
        None => {
            let found = state.topics.by_id(*id);
            found.ok_or_else(|| refuse(ErrorCode::UnknownTopicId))?
        }
    };
    let (name, partitions) = (found.name.clone(), found.partitions.len());
    state.mutate(&call.client_id, partitions, call.version >= STRICT, call.now)?;
    let Some(topic) = state.topics.remove(name.as_str()) else {
        return Err(refuse(ErrorCode::UnknownTopicOrPartition));
    };
    for partition in topic.partitions {
        state.woken.extend(partition.waiting);
    }
    for group in state.groups.values_mut() {
        group.offsets.remove(name.as_str());
    }
    Ok((name.to_string(), topic.id))
}
