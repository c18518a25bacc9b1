//! The folders that brokers keep replicas in (KIP-113): what lies where, and moving it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use millstream_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use millstream_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use millstream_types::{BrokerId, TopicPartition};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Refusal, Results, Said, Verdict};
use super::super::wire::{numbers_by_topic, partition, text, topic_name};
use crate::cx::Cx;
use crate::outbox::{Destination, RequestBody, Response, WrongResponse};

/// The folders of a broker, by path: what is in each, or why it cannot be read.
pub type LogDirs = Results<String, LogDir>;

/// A folder of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// The size of its volume, from brokers that tell it (3.3).
    pub total_bytes: Option<u64>,
    /// What is free of it, from brokers that tell it (3.3).
    pub usable_bytes: Option<u64>,
    /// Whether the broker puts no new replicas here (KIP-1066), from brokers that tell it (4.3).
    pub is_cordoned: bool,
    /// The replicas in it.
    pub replicas: BTreeMap<TopicPartition, ReplicaInLogDir>,
}

/// A replica in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaInLogDir {
    /// Its size in bytes.
    pub size: i64,
    /// How many offsets it is behind: the high watermark, or the replica it is to take the place of.
    pub offset_lag: i64,
    /// Whether it is to take the place of the one in another folder.
    pub is_future: bool,
}

/// A replica of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartitionReplica {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker that holds it.
    pub broker: BrokerId,
}

impl fmt::Display for TopicPartitionReplica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica of {} on broker {}", self.partition, self.broker)
    }
}

/// In which folders of its broker a replica is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaLogDirs {
    /// Where it is; `None` if the broker does not hold it.
    pub current: Option<ReplicaLogDir>,
    /// Where it is moving to.
    pub future: Option<ReplicaLogDir>,
}

/// A folder that a replica is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaLogDir {
    /// The folder's path.
    pub path: String,
    /// How many offsets the replica in it is behind.
    pub offset_lag: i64,
}

/// Describes the folders of brokers.
pub fn describe_log_dirs(
    brokers: impl IntoIterator<Item = BrokerId>,
) -> AdminCall<Results<BrokerId, LogDirs>> {
    AdminCall::new(Describe, brokers.into_iter().map(|broker| (broker, ())))
}

/// Begins to move replicas to these folders of their brokers.
pub fn alter_replica_log_dirs(
    targets: impl IntoIterator<Item = (TopicPartitionReplica, String)>,
) -> AdminCall<Results<TopicPartitionReplica, ()>> {
    AdminCall::new(Alter, targets)
}

/// Tells in which folders replicas are.
pub fn describe_replica_log_dirs(
    replicas: impl IntoIterator<Item = TopicPartitionReplica>,
) -> AdminCall<Results<TopicPartitionReplica, ReplicaLogDirs>> {
    AdminCall::new(Find, replicas.into_iter().map(|replica| (replica, ())))
}

fn read_log_dir(result: &DescribeLogDirsResult) -> LogDir {
    let replicas = result.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|found| {
            let replica = ReplicaInLogDir {
                size: found.partition_size,
                offset_lag: found.offset_lag,
                is_future: found.is_future_key,
            };
            (partition(&topic.name, found.partition_index), replica)
        })
    });
    LogDir {
        total_bytes: u64::try_from(result.total_bytes).ok(),
        usable_bytes: u64::try_from(result.usable_bytes).ok(),
        is_cordoned: result.is_cordoned,
        replicas: replicas.collect(),
    }
}

#[derive(Debug)]
struct Describe;

impl Operation for Describe {
    type Key = BrokerId;
    type Input = ();
    type Output = LogDirs;
    type Done = Results<BrokerId, LogDirs>;

    fn about(&self, key: &BrokerId) -> String {
        format!("the folders of broker {key}")
    }

    fn place(&self, key: &BrokerId, (): &(), _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Broker(*key))
    }

    fn request(&self, _items: &[(&BrokerId, &())], _timeout: Duration) -> RequestBody {
        m::DescribeLogDirsRequest::default().with_topics(None).into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&BrokerId, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeLogDirsResponse::try_from(response.body)?;
        if let Err(refusal) = Refusal::check(answer.error_code, None) {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let folders = answer.results.iter().map(|result| {
            let check = Refusal::check(result.error_code, None);
            let folder = check.map(|()| read_log_dir(result)).map_err(|refusal| {
                let about = format!("folder {}", result.log_dir);
                AdminError::Refused { about, code: refusal.code, message: refusal.message }
            });
            (result.log_dir.to_string(), folder)
        });
        let folders: LogDirs = folders.collect();
        let said = asked.iter().take(1);
        Ok(said.map(|(key, ())| (**key, Verdict::Done(folders.clone()))).collect())
    }

    fn merge(self, results: Results<BrokerId, LogDirs>) -> Self::Done {
        results
    }
}

#[derive(Debug)]
struct Alter;

impl Operation for Alter {
    type Key = TopicPartitionReplica;
    type Input = String;
    type Output = ();
    type Done = Results<TopicPartitionReplica, ()>;

    fn about(&self, key: &TopicPartitionReplica) -> String {
        format!("moving the {key}")
    }

    fn place(&self, key: &TopicPartitionReplica, _path: &String, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Broker(key.broker))
    }

    fn request(
        &self,
        items: &[(&TopicPartitionReplica, &String)],
        _timeout: Duration,
    ) -> RequestBody {
        let mut folders: BTreeMap<&str, Vec<&TopicPartition>> = BTreeMap::new();
        for (replica, path) in items {
            folders.entry(path).or_default().push(&replica.partition);
        }
        let folders = folders.into_iter().map(|(path, partitions)| {
            let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
                AlterReplicaLogDirTopic::default()
                    .with_name(topic_name(topic))
                    .with_partitions(numbers)
            });
            AlterReplicaLogDir::default().with_path(text(path)).with_topics(topics.collect())
        });
        m::AlterReplicaLogDirsRequest::default().with_dirs(folders.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicPartitionReplica, &String)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::AlterReplicaLogDirsResponse::try_from(response.body)?;
        let broker = asked.first().map_or(BrokerId(-1), |(replica, _)| replica.broker);
        let said = answer.results.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |result| {
                let partition = partition(&topic.topic_name, result.partition_index);
                let check = Refusal::check(result.error_code, None);
                (TopicPartitionReplica { partition, broker }, check.into())
            })
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartitionReplica, ()>) -> Self::Done {
        results
    }
}

#[derive(Debug)]
struct Find;

impl Operation for Find {
    type Key = TopicPartitionReplica;
    type Input = ();
    type Output = ReplicaLogDirs;
    type Done = Results<TopicPartitionReplica, ReplicaLogDirs>;

    fn about(&self, key: &TopicPartitionReplica) -> String {
        format!("the folders of the {key}")
    }

    fn place(&self, key: &TopicPartitionReplica, (): &(), _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::Broker(key.broker))
    }

    fn request(&self, items: &[(&TopicPartitionReplica, &())], _timeout: Duration) -> RequestBody {
        let partitions = items.iter().map(|(replica, ())| &replica.partition);
        let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
            DescribableLogDirTopic::default().with_topic(topic_name(topic)).with_partitions(numbers)
        });
        m::DescribeLogDirsRequest::default().with_topics(Some(topics.collect())).into()
    }

    /// A folder that cannot be read may hold a replica that is in no other: that is its error.
    fn read(
        &self,
        response: Response,
        asked: &[(&TopicPartitionReplica, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeLogDirsResponse::try_from(response.body)?;
        if let Err(refusal) = Refusal::check(answer.error_code, None) {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let mut found: BTreeMap<TopicPartition, ReplicaLogDirs> = BTreeMap::new();
        let mut unreadable = None;
        for result in &answer.results {
            if let Err(refusal) = Refusal::check(result.error_code, None) {
                let message = Some(format!("folder {}", result.log_dir));
                unreadable = Some(Refusal { message, ..refusal });
                continue;
            }
            for (partition, replica) in read_log_dir(result).replicas {
                let folders = found.entry(partition).or_default();
                let path = result.log_dir.to_string();
                let folder = Some(ReplicaLogDir { path, offset_lag: replica.offset_lag });
                if replica.is_future {
                    folders.future = folder;
                } else {
                    folders.current = folder;
                }
            }
        }
        let said = asked.iter().map(|(replica, ())| {
            let folders = found.remove(&replica.partition);
            let verdict = match (folders, &unreadable) {
                (Some(folders), _) => Verdict::Done(folders),
                (None, Some(refusal)) => Verdict::Refused(refusal.clone()),
                (None, None) => Verdict::Done(ReplicaLogDirs::default()),
            };
            ((*replica).clone(), verdict)
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartitionReplica, ReplicaLogDirs>) -> Self::Done {
        results
    }
}
