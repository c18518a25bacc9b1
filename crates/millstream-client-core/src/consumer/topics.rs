//! Watches the topics that are read: which do not exist, which were deleted under us, whose leaders changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_types::{TopicId, TopicName, TopicPartition};

use super::error::FetchError;
use super::notice::Next;
use super::partition::Phase;
use super::shared::ConsumerShared;
use super::table::{Mode, Table};
use crate::cx::Cx;
use crate::metadata::TopicState;
use crate::timer::earliest;

/// How long a topic may be missing before anybody is told: metadata of a topic just made takes a
/// moment to reach all brokers, and a broker that starts up may know less than the others.
const MISSING_GRACE: Duration = Duration::from_secs(3);
/// How often metadata is told that the topics are still wanted.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct TopicWatch {
    topics: BTreeMap<TopicName, Watched>,
    seen: Option<(u64, u64, u64)>,
    touched: Option<Instant>,
    timeout: Option<Instant>,
}

#[derive(Debug, Default)]
struct Watched {
    /// The id under which it is read; zero before it was seen.
    id: Option<TopicId>,
    missing_since: Option<Instant>,
    told: bool,
}

impl TopicWatch {
    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Looks at what is wanted and known; gives the partitions of topics that are gone.
    pub(super) fn poll(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) -> Vec<TopicPartition> {
        let mut table = shared.table();
        let seen = (table.mode_version, table.fetch_version, cx.metadata.generation());
        let due = self.timeout.is_some_and(|timeout| timeout <= cx.now);
        if self.seen == Some(seen) && !due {
            return Vec::new();
        }
        let news =
            self.seen.is_none_or(|(mode, _, generation)| mode != seen.0 || generation != seen.2);
        self.seen = Some(seen);
        if !news && !due {
            return Vec::new();
        }
        let topics = wanted(&table);
        self.touch(&topics, cx);
        check_epochs(&mut table, cx);
        self.topics.retain(|topic, _| topics.contains(topic));
        self.timeout = self.touched.map(|at| at + TOUCH_INTERVAL);
        let mut gone = Vec::new();
        for topic in topics {
            if self.check(&topic, &mut table, cx) {
                gone.extend(table.partitions.keys().filter(|tp| tp.topic == topic).cloned());
            }
        }
        gone
    }

    /// Keeps the topics in the metadata, from where idle ones are forgotten.
    fn touch(&mut self, topics: &BTreeSet<TopicName>, cx: &mut Cx<'_>) {
        for topic in topics {
            cx.metadata.request_topic(topic, cx.now);
        }
        self.touched = (!topics.is_empty()).then_some(cx.now);
    }

    /// Whether the topic as it was read is gone.
    fn check(&mut self, topic: &TopicName, table: &mut Table, cx: &mut Cx<'_>) -> bool {
        let watched = self.topics.entry(topic.clone()).or_default();
        let error = match cx.metadata.topic_state(topic.as_str()) {
            TopicState::Known(known) => {
                watched.missing_since = None;
                watched.told = false;
                let old = watched.id.replace(known.id);
                let anew = old.is_some_and(|old| old.is_known() && known.id != old);
                if anew {
                    table.notify(Next::Failed(FetchError::TopicDeleted { topic: topic.clone() }));
                }
                return anew;
            }
            TopicState::Missing(error) => error,
            TopicState::NotRequested | TopicState::Pending => return false,
        };
        let since = *watched.missing_since.get_or_insert(cx.now);
        let unknown =
            matches!(error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId);
        if unknown && since + MISSING_GRACE > cx.now {
            self.timeout = earliest(self.timeout, Some(since + MISSING_GRACE));
            return false;
        }
        if watched.told || (!unknown && error.class().is_retriable()) {
            return false;
        }
        watched.told = true;
        let deleted = unknown && watched.id.take().is_some();
        let topic = topic.clone();
        table.notify(Next::Failed(match (unknown, deleted) {
            (true, true) => FetchError::TopicDeleted { topic },
            (true, false) => FetchError::UnknownTopic { topic },
            (false, _) => FetchError::Refused { what: format!("topic {topic}"), error },
        }));
        deleted
    }
}

fn wanted(table: &Table) -> BTreeSet<TopicName> {
    let mut topics: BTreeSet<_> = table.partitions.keys().map(|tp| tp.topic.clone()).collect();
    if let Mode::Subscribed(subscribed) = &table.mode {
        topics.extend(subscribed.iter().cloned());
    }
    topics
}

/// A new leader epoch may mean that the log was cut: whether it still holds what was read is asked
/// before reading on (KIP-320).
fn check_epochs(table: &mut Table, cx: &Cx<'_>) {
    let mut doubtful = Vec::new();
    for (tp, partition) in &mut table.partitions {
        let Some(epoch) = cx.metadata.leader(tp).and_then(|leader| leader.epoch) else { continue };
        if partition.validated.is_some_and(|validated| validated >= epoch) {
            continue;
        }
        let first = partition.validated.is_none();
        let read = partition.fetch_from.is_some_and(|from| from.epoch.is_some());
        if first || !read {
            partition.validated = Some(epoch);
        } else if partition.phase == Phase::Fetching {
            doubtful.push(tp.clone());
        }
    }
    for tp in doubtful {
        table.enter(&tp, Phase::NeedsValidation);
    }
}
