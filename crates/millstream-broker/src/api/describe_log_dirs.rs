//! DescribeLogDirs 1 to the newest: two directories per node, of memory, with the sizes of the logs
//! in them. Space is not told.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use millstream_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{Api, Call, Served, text, topic_name};
use crate::core::state::State;

/// The names of the directories.
pub(super) const DIRECTORIES: [&str; 2] = ["/memory/0", "/memory/1"];

impl Api for DescribeLogDirsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeLogDirsResponse> {
        let wants = |name: &str, index: i32| match &self.topics {
            None => true,
            Some(topics) => topics
                .iter()
                .any(|topic| topic.topic.as_str() == name && topic.partitions.contains(&index)),
        };
        let results = DIRECTORIES.iter().zip(0..).map(|(path, number)| {
            let topics = state.topics.iter().filter_map(|topic| {
                let partitions = topic.partitions.iter().zip(0..).filter(|(partition, index)| {
                    partition.replicas.contains(&call.node)
                        && partition.directories.get(&call.node).copied().unwrap_or(0) == number
                        && wants(topic.name.as_str(), *index)
                });
                let partitions: Vec<_> = partitions
                    .map(|(partition, index)| {
                        let size = i64::try_from(partition.log.size()).unwrap_or(i64::MAX);
                        DescribeLogDirsPartition::default()
                            .with_partition_index(index)
                            .with_partition_size(size)
                    })
                    .collect();
                (!partitions.is_empty()).then(|| {
                    DescribeLogDirsTopic::default()
                        .with_name(topic_name(topic.name.as_str()))
                        .with_partitions(partitions)
                })
            });
            DescribeLogDirsResult::default().with_log_dir(text(path)).with_topics(topics.collect())
        });
        Served::Now(DescribeLogDirsResponse::default().with_results(results.collect()))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DescribeLogDirsResponse {
        if version >= 3 {
            return DescribeLogDirsResponse::default().with_error_code(code.code());
        }
        let directory = DescribeLogDirsResult::default()
            .with_log_dir(text(DIRECTORIES[0]))
            .with_error_code(code.code());
        DescribeLogDirsResponse::default().with_results(vec![directory])
    }
}
