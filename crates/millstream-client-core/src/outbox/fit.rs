//! Fits a request to the version it goes in.
//!
//! Machines write the newest form. Fields that a version lacks and that change nothing there are
//! the codec's affair; what remains are the few APIs whose old versions say the same otherwise.

use millstream_protocol::messages as m;
use millstream_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;

use super::RequestBody;

/// Rewrites `body` for `version`.
///
/// # Errors
/// The version cannot say it.
pub(crate) fn fit(body: &mut RequestBody, version: i16) -> Result<(), String> {
    match body {
        RequestBody::FindCoordinator(request) => find_coordinator(request, version),
        RequestBody::OffsetFetch(request) => offset_fetch(request, version),
        RequestBody::DeleteTopics(request) => {
            delete_topics(request, version);
            Ok(())
        }
        RequestBody::LeaveGroup(request) => leave_group(request, version),
        RequestBody::TxnOffsetCommit(request) => {
            txn_offset_commit(request, version);
            Ok(())
        }
        RequestBody::Metadata(request) => {
            metadata(request, version);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// One key up to version 3, a list from 4 on (KIP-699).
fn find_coordinator(request: &mut m::FindCoordinatorRequest, version: i16) -> Result<(), String> {
    if version >= 4 {
        return Ok(());
    }
    let mut keys = std::mem::take(&mut request.coordinator_keys).into_iter();
    request.key = keys.next().unwrap_or_default();
    match keys.next() {
        None => Ok(()),
        Some(_) => Err("it looks one coordinator up at a time".to_owned()),
    }
}

/// One group up to version 7, a list from 8 on (KIP-709).
fn offset_fetch(request: &mut m::OffsetFetchRequest, version: i16) -> Result<(), String> {
    if version < 7 {
        // As Java does: brokers before 2.5 cannot tell which offsets an open transaction holds.
        request.require_stable = false;
    }
    if version >= 8 {
        return Ok(());
    }
    let mut groups = std::mem::take(&mut request.groups).into_iter();
    let group = groups.next().unwrap_or_default();
    if groups.next().is_some() {
        return Err("it serves one group at a time".to_owned());
    }
    request.group_id = group.group_id;
    if group.topics.is_none() && version < 2 {
        return Err("it must be asked for each topic by name".to_owned());
    }
    request.topics = group.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| {
            OffsetFetchRequestTopic::default()
                .with_name(topic.name)
                .with_partition_indexes(topic.partition_indexes)
        });
        topics.collect()
    });
    Ok(())
}

/// One member up to version 2, a list from 3 on (KIP-345).
fn leave_group(request: &mut m::LeaveGroupRequest, version: i16) -> Result<(), String> {
    if version >= 3 {
        return Ok(());
    }
    let mut members = std::mem::take(&mut request.members).into_iter();
    request.member_id = members.next().unwrap_or_default().member_id;
    match members.next() {
        None => Ok(()),
        Some(_) => Err("it lets one member leave at a time".to_owned()),
    }
}

/// Bare names up to version 5, names or ids from 6 on (KIP-516).
fn delete_topics(request: &mut m::DeleteTopicsRequest, version: i16) {
    if version < 6 {
        let topics = std::mem::take(&mut request.topics).into_iter();
        request.topic_names = topics.filter_map(|topic| topic.name).collect();
    }
}

/// Names up to version 5, ids from 6 on (KIP-1319).
fn txn_offset_commit(request: &mut m::TxnOffsetCommitRequest, version: i16) {
    for topic in &mut request.topics {
        if version >= 6 {
            topic.name = m::TopicName::default();
        } else {
            topic.topic_id = Default::default();
        }
    }
}

/// Version 0 says "all topics" by an empty list, and creates whatever it is asked for.
fn metadata(request: &mut m::MetadataRequest, version: i16) {
    if version == 0 && request.topics.is_none() {
        request.topics = Some(Vec::new());
    }
    if version < 4 {
        request.allow_auto_topic_creation = true;
    }
}

#[cfg(test)]
mod tests {
    use millstream_protocol::api;
    use millstream_protocol::messages::StrBytes;
    use millstream_protocol::messages::delete_topics_request::DeleteTopicState;
    use millstream_protocol::messages::leave_group_request::MemberIdentity;
    use millstream_protocol::messages::offset_fetch_request::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopics,
    };

    use super::*;

    /// Every version of the API takes the fitted request.
    fn check(first: i16, request: impl Fn() -> RequestBody) {
        let api = request().api_key();
        for version in first..=api::supported_versions(api).max {
            let mut body = request();
            fit(&mut body, version).unwrap();
            let mut out = bytes::BytesMut::new();
            body.encode_message(version, 1, "me", &mut out)
                .unwrap_or_else(|error| panic!("{api} {version}: {error}"));
        }
    }

    #[test]
    fn the_newest_form_goes_in_every_version() {
        let name = || m::TopicName(StrBytes::from_static_str("topic"));
        check(0, || {
            let keys = vec![StrBytes::from_static_str("group")];
            m::FindCoordinatorRequest::default().with_coordinator_keys(keys).into()
        });
        check(1, || {
            let topic = OffsetFetchRequestTopics::default()
                .with_name(name())
                .with_partition_indexes(vec![1, 2]);
            let group = OffsetFetchRequestGroup::default().with_topics(Some(vec![topic]));
            m::OffsetFetchRequest::default()
                .with_groups(vec![group])
                .with_require_stable(true)
                .into()
        });
        check(0, || {
            let member = MemberIdentity::default();
            m::LeaveGroupRequest::default().with_members(vec![member]).into()
        });
        check(1, || {
            let topic = DeleteTopicState::default().with_name(Some(name()));
            m::DeleteTopicsRequest::default().with_topics(vec![topic]).into()
        });
        check(0, || m::MetadataRequest::default().with_topics(None).into());
    }
}
