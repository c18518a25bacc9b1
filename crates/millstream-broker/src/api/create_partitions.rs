//! CreatePartitions 0 to 3: gives topics more partitions.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use millstream_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use millstream_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use millstream_types::BrokerId;

use super::create_topics::check_replicas;
use super::{Api, Call, Served, text};
use crate::core::state::{Refused, State};
use crate::core::topic::Partition;

/// The first version that is refused rather than throttled over the quota (KIP-599).
const STRICT: i16 = 3;

impl Api for CreatePartitionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<CreatePartitionsResponse> {
        let results = self.topics.iter().map(|topic| {
            let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
            match grow(state, call, topic, self.validate_only) {
                Ok(()) => result,
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(CreatePartitionsResponse::default().with_results(results.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreatePartitionsResponse {
        let results = self.topics.iter().map(|topic| {
            CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(code.code())
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    }
}

fn grow(
    state: &mut State,
    call: &Call,
    wanted: &CreatePartitionsTopic,
    dry: bool,
) -> Result<(), Refused> {
    let Some(topic) = state.topics.get(&wanted.name) else {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err(Refused::new(code, ""));
    };
    let (have, factor) = (topic.partitions.len(), topic.replication_factor());
    let count = usize::try_from(wanted.count).unwrap_or(0);
    let invalid = |why: String| Err(Refused::new(ErrorCode::InvalidPartitions, why));
    if count == have {
        return invalid(format!("Topic already has {have} partition(s)."));
    }
    if count < have {
        return invalid(format!(
            "The topic {} currently has {have} partition(s); {} would not be an increase.",
            wanted.name.as_str(),
            wanted.count
        ));
    }
    if wanted.count > state.config.limits.partitions_per_topic {
        return invalid(format!("{} partitions are more than this broker keeps.", wanted.count));
    }
    let added = count - have;
    let replicas = match &wanted.assignments {
        None => state.place_replicas(added, usize::from(factor.unsigned_abs())),
        Some(assignments) => {
            if assignments.len() != added {
                return Err(Refused::new(
                    ErrorCode::InvalidReplicaAssignment,
                    format!(
                        "Attempted to add {added} additional partition(s), but only {} \
                         assignment(s) were specified.",
                        assignments.len()
                    ),
                ));
            }
            let mut all = Vec::with_capacity(added);
            for assignment in assignments {
                let ids = assignment.broker_ids.iter();
                let replicas: Vec<_> = ids.map(|id| BrokerId(id.0)).collect();
                check_replicas(state, &replicas, usize::from(factor.unsigned_abs()))?;
                all.push(replicas);
            }
            all
        }
    };
    state.mutate(&call.client_id, added, call.version >= STRICT, call.now)?;
    if dry {
        return Ok(());
    }
    let State { topics, nodes, .. } = state;
    if let Some(topic) = topics.topic_mut(&wanted.name) {
        let new = replicas.into_iter();
        topic.partitions.extend(new.map(|replicas| Partition::new(replicas, nodes)));
    }
    Ok(())
}
