//! AlterReplicaLogDirs 1 to the newest: moves this node's replicas between its two directories
//! (KIP-113). A move is done at once, so no future replica is ever seen.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use millstream_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use millstream_types::BrokerId;

use super::describe_log_dirs::DIRECTORIES;
use super::{Api, Call, Served};
use crate::core::state::State;

impl Api for AlterReplicaLogDirsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<AlterReplicaLogDirsResponse> {
        let mut results = Vec::new();
        for wanted in &self.dirs {
            let directory = DIRECTORIES.iter().position(|path| *path == wanted.path.as_str());
            for topic in &wanted.topics {
                let partitions = topic.partitions.iter().map(|index| {
                    let moved = place(state, call.node, &topic.name, *index, directory);
                    result(*index, moved.err().unwrap_or(ErrorCode::None))
                });
                results.push(
                    AlterReplicaLogDirTopicResult::default()
                        .with_topic_name(topic.name.clone())
                        .with_partitions(partitions.collect()),
                );
            }
        }
        Served::Now(AlterReplicaLogDirsResponse::default().with_results(results))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterReplicaLogDirsResponse {
        let topics = self.dirs.iter().flat_map(|directory| &directory.topics);
        let results = topics.map(|topic| {
            let partitions = topic.partitions.iter().map(|index| result(*index, code));
            AlterReplicaLogDirTopicResult::default()
                .with_topic_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        AlterReplicaLogDirsResponse::default().with_results(results.collect())
    }
}

fn result(index: i32, code: ErrorCode) -> AlterReplicaLogDirPartitionResult {
    AlterReplicaLogDirPartitionResult::default()
        .with_partition_index(index)
        .with_error_code(code.code())
}

fn place(
    state: &mut State,
    node: BrokerId,
    topic: &str,
    index: i32,
    directory: Option<usize>,
) -> Result<(), ErrorCode> {
    let directory = directory.ok_or(ErrorCode::LogDirNotFound)?;
    let found = state.topics.topic_mut(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = found.partition_mut(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if !partition.replicas.contains(&node) {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    partition.directories.insert(node, directory);
    Ok(())
}
