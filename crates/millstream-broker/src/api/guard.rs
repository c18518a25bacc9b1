//! Serving a request of which a part is refused: by a fault, or because the client may not.

use bytes::Bytes;
use millstream_protocol::codec::decode_request;
use millstream_protocol::messages::FetchRequest;
use millstream_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use super::items::{Item, Items};
use super::{Api, Call, ServeError, Served, authorize};
use crate::core::connection::Parked;
use crate::core::fault::Target;
use crate::core::frame::ResponseFrame;
use crate::core::session::PartitionKey;
use crate::core::state::State;
use crate::core::topic::TopicRef;

/// The ways in which an item may be denied.
const DENIALS: [ErrorCode; 4] = [
    ErrorCode::TopicAuthorizationFailed,
    ErrorCode::GroupAuthorizationFailed,
    ErrorCode::TransactionalIdAuthorizationFailed,
    ErrorCode::ClusterAuthorizationFailed,
];

/// What a fault has refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// The items that are; `None`: the whole request.
    pub(crate) target: Option<Target>,
}

impl Target {
    /// Whether an item is meant. `id` is that of the topic meant.
    pub(crate) fn means(&self, item: Item<'_>, id: Option<Uuid>) -> bool {
        match item {
            Item::Topic { name, id: named, partition } => {
                let Some(topic) = &self.topic else {
                    return self.key.is_none();
                };
                let is_topic = if named.is_nil() { topic == name } else { Some(named) == id };
                let any = self.partition.is_none() || partition.is_none();
                is_topic && (any || self.partition == partition)
            }
            Item::Group(key)
            | Item::Transaction(key)
            | Item::Resource(_, key)
            | Item::Member(key) => match &self.key {
                Some(wanted) => wanted == key,
                None => self.topic.is_none(),
            },
        }
    }

    /// Whether a partition that is fetched is meant.
    pub(crate) fn means_partition(&self, (topic, index): &PartitionKey, state: &State) -> bool {
        let partition = Some(*index);
        let item = match topic {
            TopicRef::Name(name) => Item::Topic { name: name.as_str(), id: Uuid::nil(), partition },
            TopicRef::Id(id) => Item::Topic { name: "", id: *id, partition },
        };
        self.means(item, self.topic_id(state))
    }

    /// The id of the topic meant.
    pub(crate) fn topic_id(&self, state: &State) -> Option<Uuid> {
        let topic = self.topic.as_deref().and_then(|name| state.topics.get(name));
        topic.map(|topic| topic.id)
    }
}

/// Whether a request names what a fault is about.
pub(super) fn names<R: Items>(
    state: &State,
    call: &Call,
    frame: Bytes,
    target: &Target,
) -> Result<bool, ServeError> {
    let mut request: R = decode_request(call.version, frame.clone())?;
    let id = target.topic_id(state);
    let about = request.keys().into_iter().any(|key| target.means(key, id));
    if target.topic.is_none() && about {
        return Ok(true);
    }
    if target.topic.is_some() && target.key.is_some() {
        let key = target.key.as_deref();
        let key = Target { key: key.map(str::to_owned), ..Target::default() };
        if !request.keys().into_iter().any(|item| key.means(item, None)) {
            return Ok(false);
        }
    }
    Ok(request.split(&mut |item| target.means(item, id)).is_some()
        || R::KEY == ApiKey::Fetch && session_names(state, call, frame, target)?)
}

/// Whether the session that a fetch goes on with holds what a fault is about.
fn session_names(
    state: &State,
    call: &Call,
    frame: Bytes,
    target: &Target,
) -> Result<bool, ServeError> {
    let request: FetchRequest = decode_request(call.version, frame)?;
    let sessions = state.sessions.get(&call.node);
    let session = sessions.and_then(|sessions| sessions.get(request.session_id));
    let mut keys = session.into_iter().flat_map(|session| session.partitions.keys());
    Ok(keys.any(|key| target.means_partition(key, state)))
}

/// The answer that refuses a request though it was served.
pub(super) fn refused<R: Api>(
    call: &Call,
    frame: Bytes,
    refusal: &Refusal,
) -> Result<Option<ResponseFrame>, ServeError> {
    let request: R = decode_request(call.version, frame)?;
    if !request.is_answered() {
        return Ok(None);
    }
    let by_item = refusal.target.is_some();
    let response = refuse(&request, call.version, refusal.code, by_item);
    Ok(Some(super::encode::<R>(call.version, call.correlation_id, &response)?))
}

fn refuse<R: Api>(request: &R, version: i16, code: ErrorCode, by_item: bool) -> R::Response {
    let items = by_item.then(|| request.refuse_items(version, code)).flatten();
    items.unwrap_or_else(|| request.refuse(version, code))
}

/// Serves what is left of a request once its refused parts are taken out.
pub(super) fn serve<R: Api>(
    mut request: R,
    state: &mut State,
    call: &Call,
    refusal: Option<&Refusal>,
) -> Served<R::Response> {
    let mut parts = Vec::new();
    if let Some(refusal) = refusal {
        let whole = || Some((refusal.code, false));
        let found = match &refusal.target {
            None => whole(),
            // A fetch looks at its session, so its partitions are refused when they are read.
            Some(_) if R::KEY == ApiKey::Fetch => None,
            Some(target) => {
                let id = target.topic_id(state);
                let mut left = 0_usize;
                let before = request.clone();
                let taken = request.split(&mut |item| {
                    let means = target.means(item, id);
                    left += usize::from(!means);
                    means
                });
                match taken {
                    None => whole(),
                    Some(_) if left == 0 => {
                        request = before;
                        Some((refusal.code, true))
                    }
                    Some(part) => {
                        parts.push((part, refusal.code));
                        None
                    }
                }
            }
        };
        if let Some((code, by_item)) = found {
            return refuse_whole(&request, call, code, by_item);
        }
    }
    if state.config.security.authorizer {
        if let Some(code) = authorize::refuse_whole(state, call, R::KEY, &request.keys()) {
            return refuse_whole(&request, call, code, false);
        }
        if R::KEY != ApiKey::Fetch && take_denied(&mut request, state, call, &mut parts) {
            return refuse_parts(parts, call);
        }
    }
    let served = request.serve(state, call);
    finish(served, parts, state, call, refusal)
}

/// Takes out the items that the client may not use; `true` if nothing else is left.
fn take_denied<R: Api>(
    request: &mut R,
    state: &State,
    call: &Call,
    parts: &mut Vec<(R, ErrorCode)>,
) -> bool {
    let mut items = 0_usize;
    // Nothing is chosen, so nothing is taken out.
    let _ = request.split(&mut |_| {
        items += 1;
        false
    });
    let mut denied = 0;
    for code in DENIALS {
        let part = request.split(&mut |item| {
            let hit = authorize::refuse_item(state, call, R::KEY, item) == Some(code);
            denied += usize::from(hit);
            hit
        });
        parts.extend(part.map(|part| (part, code)));
    }
    // Metadata names the nodes whatever becomes of the topics; in version 0 no topics mean all.
    let goes_on = R::KEY == ApiKey::Metadata && call.version > 0;
    items > 0 && denied == items && !goes_on
}

/// The answer to a request of which nothing is left.
fn refuse_parts<R: Api>(parts: Vec<(R, ErrorCode)>, call: &Call) -> Served<R::Response> {
    let mut whole = None;
    for (part, code) in parts {
        if !part.is_answered() {
            return Served::Close;
        }
        let response = refuse(&part, call.version, code, true);
        match &mut whole {
            None => whole = Some(response),
            Some(whole) => R::join(whole, response),
        }
    }
    whole.map_or(Served::Close, Served::Now)
}

fn refuse_whole<R: Api>(
    request: &R,
    call: &Call,
    code: ErrorCode,
    by_item: bool,
) -> Served<R::Response> {
    if !request.is_answered() {
        return Served::Close;
    }
    Served::Now(refuse(request, call.version, code, by_item))
}

fn finish<R: Api>(
    served: Served<R::Response>,
    parts: Vec<(R, ErrorCode)>,
    state: &State,
    call: &Call,
    refusal: Option<&Refusal>,
) -> Served<R::Response> {
    match served {
        Served::Now(mut response) => {
            for (part, code) in parts {
                R::join(&mut response, refuse(&part, call.version, code, true));
            }
            Served::Now(response)
        }
        // Without an answer, an error closes the connection.
        Served::Silent if !parts.is_empty() => Served::Close,
        Served::Parked(Parked::Fetch(mut plan), until) => {
            plan.refused = refusal.cloned();
            plan.authorize(state, &call.client_id);
            let until = until.filter(|_| plan.refused.is_none() && plan.denied.is_empty());
            Served::Parked(Parked::Fetch(plan), until)
        }
        other => other,
    }
}
