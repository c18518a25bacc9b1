//! Incremental fetch sessions (KIP-227): the rules of `FetchManager` and `FetchSession` in Kafka.
//!
//! A session remembers the partitions that a client fetches and what it was last told of each, so
//! that requests and answers name only what changed.

use indexmap::IndexMap;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::fetch_request::FetchPartition;
use uuid::Uuid;

use super::topic::TopicRef;

/// The session epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;
/// The session epoch of a request that wants none, or ends one.
const FINAL_EPOCH: i32 = -1;

/// A partition as requests name it.
pub(crate) type PartitionKey = (TopicRef, i32);

/// What is fetched of one partition, and what the client was last told of it.
#[derive(Clone, Debug)]
pub(crate) struct FetchedPartition {
    pub(crate) offset: i64,
    pub(crate) max_bytes: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    told_high_watermark: i64,
    told_log_start: i64,
}

/// The partitions of a fetch, in the order in which they are served.
pub(crate) type FetchedPartitions = IndexMap<PartitionKey, FetchedPartition>;

impl FetchedPartition {
    pub(crate) fn new(request: &FetchPartition) -> Self {
        Self {
            offset: request.fetch_offset,
            max_bytes: usize::try_from(request.partition_max_bytes).unwrap_or(0),
            leader_epoch: request.current_leader_epoch,
            last_fetched_epoch: request.last_fetched_epoch,
            told_high_watermark: -1,
            told_log_start: -1,
        }
    }

    fn update(&mut self, request: &FetchPartition) {
        let told = (self.told_high_watermark, self.told_log_start);
        *self = Self::new(request);
        (self.told_high_watermark, self.told_log_start) = told;
    }

    /// Takes note of what the client is told; `true` if that is news. An error always is, and makes
    /// the next answer news again.
    pub(crate) fn tell(&mut self, error: bool, high_watermark: i64, log_start: i64) -> bool {
        if error {
            self.told_high_watermark = -1;
            return true;
        }
        let news = self.told_high_watermark != high_watermark || self.told_log_start != log_start;
        self.told_high_watermark = high_watermark;
        self.told_log_start = log_start;
        news
    }
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) epoch: i32,
    by_topic_id: bool,
    pub(crate) partitions: FetchedPartitions,
}

/// The sessions of one node.
#[derive(Debug, Default)]
pub(crate) struct SessionCache {
    /// Least recently used first.
    sessions: IndexMap<i32, Session>,
}

/// How a fetch relates to sessions.
#[derive(Debug)]
pub(crate) enum FetchContext {
    /// Wants none.
    Sessionless(FetchedPartitions),
    /// Begins one with the answer.
    Full(FetchedPartitions),
    /// Goes on with this one.
    Incremental(i32),
}

/// What a request says about its partitions.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) by_topic_id: bool,
    pub(crate) fetched: Vec<(PartitionKey, FetchPartition)>,
    pub(crate) forgotten: Vec<PartitionKey>,
}

const fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

impl SessionCache {
    /// Finds the session of a request and brings it up to date (`FetchManager.newContext`).
    pub(crate) fn context(&mut self, request: SessionRequest) -> Result<FetchContext, ErrorCode> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            self.sessions.shift_remove(&request.id);
            let partitions = request
                .fetched
                .into_iter()
                .map(|(key, partition)| (key, FetchedPartition::new(&partition)))
                .collect();
            return Ok(if request.epoch == FINAL_EPOCH {
                FetchContext::Sessionless(partitions)
            } else {
                FetchContext::Full(partitions)
            });
        }
        let Some(session) = self.sessions.get_mut(&request.id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_topic_id != request.by_topic_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for (key, partition) in request.fetched {
            match session.partitions.get_mut(&key) {
                Some(known) => known.update(&partition),
                None => {
                    session.partitions.insert(key, FetchedPartition::new(&partition));
                }
            }
        }
        for key in &request.forgotten {
            session.partitions.shift_remove(key);
        }
        session.epoch = next_epoch(session.epoch);
        if session.partitions.is_empty() {
            self.sessions.shift_remove(&request.id);
            return Ok(FetchContext::Sessionless(FetchedPartitions::new()));
        }
        if let Some(at) = self.sessions.get_index_of(&request.id) {
            self.sessions.move_index(at, self.sessions.len() - 1);
        }
        Ok(FetchContext::Incremental(request.id))
    }

    /// Begins a session with the partitions of a full fetch; when the cache is full, the session
    /// that was unused longest makes room.
    pub(crate) fn begin(&mut self, id: i32, partitions: FetchedPartitions, limit: usize) {
        if limit == 0 {
            return;
        }
        while self.sessions.len() >= limit {
            self.sessions.shift_remove_index(0);
        }
        let by_topic_id =
            partitions.first().is_some_and(|((topic, _), _)| matches!(topic, TopicRef::Id(_)));
        let session = Session { epoch: next_epoch(INITIAL_EPOCH), by_topic_id, partitions };
        self.sessions.insert(id, session);
    }

    /// Whether a session has this id.
    pub(crate) fn contains(&self, id: i32) -> bool {
        self.sessions.contains_key(&id)
    }

    /// The session of this id.
    pub(crate) fn get(&self, id: i32) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// The session of this id.
    pub(crate) fn session_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }
}

impl TopicRef {
    /// How a request names a topic: by id in versions that have ids, else by name.
    pub(crate) fn of(by_id: bool, id: Uuid, name: &str) -> Self {
        if by_id { Self::Id(id) } else { Self::Name(name.into()) }
    }
}
