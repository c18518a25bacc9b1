//! DescribeLogDirs 1 to the newest: one directory per node, "memory", with the sizes of its logs.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use millstream_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{Api, Call, Served, text, topic_name};
use crate::core::state::State;

/// The name of the one directory.
const DIRECTORY: &str = "memory";

impl Api for DescribeLogDirsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeLogDirsResponse> {
        let wants = |name: &str, index: i32| match &self.topics {
            None => true,
            Some(topics) => topics
                .iter()
                .any(|topic| topic.topic.as_str() == name && topic.partitions.contains(&index)),
        };
        let topics = state.topics.iter().filter_map(|topic| {
            let partitions: Vec<_> = topic
                .partitions
                .iter()
                .zip(0..)
                .filter(|(partition, index)| {
                    partition.replicas.contains(&call.node) && wants(topic.name.as_str(), *index)
                })
                .map(|(partition, index)| {
                    DescribeLogDirsPartition::default()
                        .with_partition_index(index)
                        .with_partition_size(
                            i64::try_from(partition.log.size()).unwrap_or(i64::MAX),
                        )
                })
                .collect();
            (!partitions.is_empty()).then(|| {
                DescribeLogDirsTopic::default()
                    .with_name(topic_name(topic.name.as_str()))
                    .with_partitions(partitions)
            })
        });
        let directory = DescribeLogDirsResult::default()
            .with_log_dir(text(DIRECTORY))
            .with_topics(topics.collect());
        Served::Now(DescribeLogDirsResponse::default().with_results(vec![directory]))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DescribeLogDirsResponse {
        if version >= 3 {
            return DescribeLogDirsResponse::default().with_error_code(code.code());
        }
        let directory = DescribeLogDirsResult::default()
            .with_log_dir(text(DIRECTORY))
            .with_error_code(code.code());
        DescribeLogDirsResponse::default().with_results(vec![directory])
    }
}
