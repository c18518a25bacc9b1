//! Fetch 4 to 18: record batches from partitions that this node leads.
//!
//! Sessions (KIP-227) full and incremental; a fetch waits until `min_bytes` are there or `max_wait`
//! is over; the first batch of an answer is whole even past the limits (KIP-74), no batch is ever
//! cut; leader epochs and divergence are checked (KIP-320, KIP-595); topics by id from version 13;
//! the leader is told with an error (KIP-951). Who reads committed records gets batches up to the last
//! stable offset, and the transactions among them that were aborted. Omitted: fetching from followers, replica fetches, quotas.

mod encode;
mod read;

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use millstream_protocol::messages::{FetchRequest, FetchResponse};
use millstream_types::BrokerId;

use super::{Api, Call, Refusal, Served};
use crate::core::connection::{ConnectionId, Parked};
use crate::core::frame::ResponseFrame;
use crate::core::session::{FetchContext, FetchedPartitions, PartitionKey, SessionRequest};
use crate::core::state::State;
use crate::core::topic::TopicRef;
use read::PartitionRead;

/// The first version that names topics by id (KIP-516).
const BY_ID: i16 = 13;
/// The first version in which an answer can say that it fails as a whole.
const HAS_ERROR: i16 = 7;

/// How many waiting connections a partition lists before it forgets those that wait no more.
const PURGE_AT: usize = 16;

/// A fetch that is being served, or waits for records.
#[derive(Debug)]
pub(crate) struct FetchPlan {
    version: i16,
    correlation_id: i32,
    node: BrokerId,
    context: FetchContext,
    min_bytes: usize,
    max_bytes: usize,
    committed_only: bool,
    /// Whether a fault flips a bit in the answer.
    pub(crate) corrupt: bool,
    /// The partitions that a fault refuses.
    pub(crate) refused: Option<Refusal>,
    /// The partitions that the client may not read.
    pub(crate) denied: Vec<PartitionKey>,
}

impl Api for FetchRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<FetchResponse> {
        let (min_bytes, max_wait) = (self.min_bytes, self.max_wait_ms);
        let committed_only = self.isolation_level == 1;
        let max_bytes = usize::try_from(self.max_bytes).unwrap_or(0);
        let limits = &state.config.limits;
        let max_bytes = max_bytes.min(limits.fetch_bytes);
        let sessions = state.sessions.entry(call.node).or_default();
        let context = match sessions.context(session_request(self, call.version)) {
            Ok(context) => context,
            Err(code) => {
                return Served::Now(FetchResponse::default().with_error_code(code.code()));
            }
        };
        let plan = FetchPlan {
            version: call.version,
            correlation_id: call.correlation_id,
            node: call.node,
            context,
            min_bytes: usize::try_from(min_bytes).unwrap_or(0),
            max_bytes,
            committed_only,
            corrupt: false,
            refused: None,
            denied: Vec::new(),
        };
        let wait = Duration::from_millis(u64::try_from(max_wait).unwrap_or(0));
        if wait.is_zero() || plan.is_ready(state) {
            return Served::Parked(Parked::Fetch(Box::new(plan)), None);
        }
        plan.watch(state, call.connection);
        Served::Parked(Parked::Fetch(Box::new(plan)), Some(call.now + wait))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> FetchResponse {
        if version >= HAS_ERROR {
            return FetchResponse::default().with_error_code(code.code());
        }
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                PartitionData::default()
                    .with_partition_index(partition.partition)
                    .with_error_code(code.code())
                    .with_high_watermark(-1)
            });
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions.collect())
        });
        FetchResponse::default().with_responses(topics.collect())
    }
}

fn session_request(request: FetchRequest, version: i16) -> SessionRequest {
    let by_topic_id = version >= BY_ID;
    let mut fetched = Vec::new();
    for topic in request.topics {
        let name = TopicRef::of(by_topic_id, topic.topic_id, &topic.topic);
        let partitions = topic.partitions.into_iter();
        fetched.extend(partitions.map(|wanted| ((name.clone(), wanted.partition), wanted)));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let name = TopicRef::of(by_topic_id, topic.topic_id, &topic.topic);
        let partitions = topic.partitions.into_iter();
        forgotten.extend(partitions.map(|partition| (name.clone(), partition)));
    }
    SessionRequest {
        id: request.session_id,
        // Before version 7 there are no sessions.
        epoch: if version < HAS_ERROR { -1 } else { request.session_epoch },
        by_topic_id,
        fetched,
        forgotten,
    }
}

impl FetchPlan {
    fn partitions<'a>(&'a self, state: &'a State) -> Option<&'a FetchedPartitions> {
        match &self.context {
            FetchContext::Sessionless(partitions) | FetchContext::Full(partitions) => {
                Some(partitions)
            }
            FetchContext::Incremental(id) => {
                let session = state.sessions.get(&self.node)?.get(*id)?;
                Some(&session.partitions)
            }
        }
    }

    /// Whether the fetch can be answered without waiting on, as `ReplicaManager.fetchMessages`
    /// decides.
    pub(crate) fn is_ready(&self, state: &State) -> bool {
        let Some(partitions) = self.partitions(state) else {
            return true;
        };
        if partitions.is_empty() {
            return true;
        }
        let mut bytes = 0;
        for ((topic, index), fetched) in partitions {
            let committed = self.committed_only;
            let limit = self.min_bytes;
            match read::available(state, self.node, topic, *index, fetched, committed, limit) {
                Ok(more) => bytes += more,
                Err(_) => return true,
            }
            if bytes >= self.min_bytes {
                return true;
            }
        }
        false
    }

    /// Has `connection` woken when a partition of this fetch gets records or another leader.
    pub(crate) fn watch(&self, state: &mut State, connection: ConnectionId) {
        let State { topics, sessions, fetching, .. } = state;
        fetching.insert(connection);
        let partitions = match &self.context {
            FetchContext::Sessionless(partitions) | FetchContext::Full(partitions) => {
                Some(partitions)
            }
            FetchContext::Incremental(id) => sessions
                .get(&self.node)
                .and_then(|cache| cache.get(*id))
                .map(|session| &session.partitions),
        };
        for (topic, index) in partitions.into_iter().flat_map(|all| all.keys()) {
            let topic = topics.find_mut(topic).ok();
            let partition = topic.and_then(|topic| topic.partition_mut(*index));
            let Some(partition) = partition else {
                continue;
            };
            if partition.waiting.len() >= PURGE_AT {
                partition.waiting.retain(|id| fetching.contains(id));
            }
            if !partition.waiting.contains(&connection) {
                partition.waiting.push(connection);
            }
        }
    }

    /// Takes note of the partitions that a client may not read.
    pub(crate) fn authorize(&mut self, state: &State, client_id: &str) {
        if !state.config.security.authorizer {
            return;
        }
        let partitions = self.partitions(state).into_iter().flatten();
        let denied = partitions.filter(|(key, _)| !state.may_read(client_id, &key.0));
        self.denied = denied.map(|(key, _)| key.clone()).collect();
    }

    /// The bytes of records that an answer would carry now.
    pub(crate) fn size(&self, state: &State) -> usize {
        let partitions = self.partitions(state);
        let reads = partitions.map(|partitions| {
            read::read(state, self.node, partitions, self.committed_only, self.max_bytes)
        });
        reads.into_iter().flatten().map(|read| read.bytes).sum()
    }

    /// The answer to a client that is over its quota: nothing, and its session stays as it is.
    pub(crate) fn answer_nothing(self) -> Result<ResponseFrame, millstream_protocol::EncodeError> {
        let session_id = match &self.context {
            FetchContext::Incremental(id) => *id,
            FetchContext::Sessionless(_) | FetchContext::Full(_) => 0,
        };
        let response = FetchResponse::default();
        let response =
            if self.version >= HAS_ERROR { response.with_session_id(session_id) } else { response };
        super::encode::<FetchRequest>(self.version, self.correlation_id, &response)
    }

    /// Reads what is there and makes the answer.
    pub(crate) fn answer(
        self,
        state: &mut State,
    ) -> Result<ResponseFrame, millstream_protocol::EncodeError> {
        let Some(partitions) = self.partitions(state) else {
            // The session was evicted while the fetch waited.
            let code = ErrorCode::FetchSessionIdNotFound;
            let response = FetchResponse::default().with_error_code(code.code());
            return super::encode::<FetchRequest>(self.version, self.correlation_id, &response);
        };
        let mut reads =
            read::read(state, self.node, partitions, self.committed_only, self.max_bytes);
        for read in reads.iter_mut().filter(|read| self.denied.contains(&read.key)) {
            *read = PartitionRead::failed(read.key.clone(), ErrorCode::TopicAuthorizationFailed);
        }
        if let Some(Refusal { code, target: Some(target) }) = &self.refused {
            for read in &mut reads {
                if target.means_partition(&read.key, state) {
                    *read = PartitionRead::failed(read.key.clone(), *code);
                }
            }
        }
        let (session_id, reads) = self.settle(state, reads);
        Ok(encode::fetch_response(
            state,
            &encode::Head {
                version: self.version,
                correlation_id: self.correlation_id,
                session_id,
                committed_only: self.committed_only,
                corrupt: self.corrupt,
            },
            &reads,
        ))
    }

    /// Takes note in the session of what the client is about to be told, begins the session that it
    /// asked for, and leaves out what is no news.
    fn settle(
        &self,
        state: &mut State,
        mut reads: Vec<PartitionRead>,
    ) -> (i32, Vec<PartitionRead>) {
        let limit = state.config.limits.fetch_sessions;
        match &self.context {
            FetchContext::Sessionless(_) => (0, reads),
            FetchContext::Full(partitions) => {
                let mut partitions = partitions.clone();
                for read in &reads {
                    if let Some(fetched) = partitions.get_mut(&read.key) {
                        fetched.tell(!read.is_ok(), read.high_watermark, read.log_start);
                    }
                }
                let State { sessions, rng, .. } = state;
                let sessions = sessions.entry(self.node).or_default();
                let id = loop {
                    let id = (rng.next() & 0x7fff_ffff) as i32;
                    if id != 0 && !sessions.contains(id) {
                        break id;
                    }
                };
                if limit == 0 {
                    return (0, reads);
                }
                sessions.begin(id, partitions, limit);
                (id, reads)
            }
            FetchContext::Incremental(id) => {
                let sessions = state.sessions.entry(self.node).or_default();
                let Some(session) = sessions.session_mut(*id) else {
                    return (*id, reads);
                };
                reads.retain(|read| {
                    let Some(fetched) = session.partitions.get_mut(&read.key) else {
                        return false;
                    };
                    let news = fetched.tell(!read.is_ok(), read.high_watermark, read.log_start);
                    news || read.bytes > 0
                });
                // Partitions that gave records go to the end, so that all get their turn.
                for read in reads.iter().filter(|read| read.bytes > 0) {
                    let last = session.partitions.len() - 1;
                    if let Some(at) = session.partitions.get_index_of(&read.key) {
                        session.partitions.move_index(at, last);
                    }
                }
                (*id, reads)
            }
        }
    }
}
