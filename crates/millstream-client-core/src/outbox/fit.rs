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
    if version < 7 && std::mem::take(&mut request.require_stable) {
        return Err("it cannot wait for offsets of open transactions to settle".to_owned());
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

/// Version 0 says "all topics" by an empty list, and creates whatever it is asked for.
fn metadata(request: &mut m::MetadataRequest, version: i16) {
    if version == 0 && request.topics.is_none() {
        request.topics = Some(Vec::new());
    }
    if version < 4 {
        request.allow_auto_topic_creation = true;
    }
}
