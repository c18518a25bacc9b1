//! CreateTopics 2 to 7: new topics, all checks as `ReplicationControlManager.createTopics` makes
//! them, a result per topic.
//!
//! Any node takes it (Kafka forwards it to the controller). The answer does not wait, since a topic
//! is there at once. A policy and the quota on creations are heeded.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::create_topics_request::CreatableTopic;
use millstream_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use millstream_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use millstream_types::BrokerId;

use super::{Api, Call, Served, text};
use crate::core::configs::{TOPIC_CONFIGS, TopicConfigs, check};
use crate::core::state::{Refused, State, check_topic_name};

/// The first version that is refused rather than throttled over the quota (KIP-599).
const STRICT: i16 = 6;
/// The most partitions that one request may create (`ReplicationControlManager`).
const MAX_PARTITIONS_PER_REQUEST: i64 = 10_000;

/// The source of a value that was set on the topic itself (`DescribeConfigsResponse.ConfigSource`).
const SOURCE_TOPIC: i8 = 1;
/// The source of a value that nobody set.
const SOURCE_DEFAULT: i8 = 5;

impl Api for CreateTopicsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<CreateTopicsResponse> {
        let asked = self.topics.iter().map(|topic| match topic.assignments.len() {
            0 => i64::from(topic.num_partitions.max(1)),
            assigned => i64::try_from(assigned).unwrap_or(i64::MAX),
        });
        let asked = asked.fold(0_i64, i64::saturating_add);
        let too_many = asked > MAX_PARTITIONS_PER_REQUEST && self.topics.len() > 1;
        let mut times = BTreeMap::<&str, usize>::new();
        for topic in &self.topics {
            *times.entry(&topic.name).or_default() += 1;
        }
        let mut results = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let twice = times.get(topic.name.as_str()).is_some_and(|count| *count > 1);
            let result = if twice {
                Err(Refused::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else if too_many {
                let why = "Excessively large number of partitions per request.";
                Err(Refused::new(ErrorCode::PolicyViolation, why))
            } else {
                create(state, call, topic, self.validate_only)
            };
            results.push(match result {
                Ok(plan) => created(state, topic, &plan, call.version),
                Err(refused) => failed(topic, refused.code, &refused.message),
            });
        }
        Served::Now(CreateTopicsResponse::default().with_topics(results))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreateTopicsResponse {
        let results = self.topics.iter().map(|topic| failed(topic, code, code.message()));
        CreateTopicsResponse::default().with_topics(results.collect())
    }
}

/// What a topic will be.
struct Plan {
    partitions: usize,
    replication_factor: usize,
    configs: TopicConfigs,
}

fn create(
    state: &mut State,
    call: &Call,
    topic: &CreatableTopic,
    dry: bool,
) -> Result<Plan, Refused> {
    check_topic_name(&topic.name)?;
    if state.topics.get(&topic.name).is_some() {
        let why = format!("Topic '{}' already exists.", topic.name.as_str());
        return Err(Refused::new(ErrorCode::TopicAlreadyExists, why));
    }
    state.check_collision(&topic.name)?;
    let mut set = BTreeMap::new();
    for config in &topic.configs {
        check(&config.name, config.value.as_deref())?;
        let value = config.value.as_deref().unwrap_or_default();
        set.insert(config.name.to_string(), value.to_owned());
    }
    let configs = TopicConfigs::new(set);
    let replicas =
        if topic.assignments.is_empty() { automatic(state, topic)? } else { manual(state, topic)? };
    let plan = Plan {
        partitions: replicas.len(),
        replication_factor: replicas.first().map_or(0, Vec::len),
        configs: configs.clone(),
    };
    if let Some(policy) = state.config.create_topic_policy {
        let judged = policy(&topic.name, plan.partitions, plan.replication_factor);
        judged.map_err(|why| Refused::new(ErrorCode::PolicyViolation, why))?;
    }
    state.mutate(&call.client_id, plan.partitions, call.version >= STRICT, call.now)?;
    if !dry {
        state.add_topic(topic.name.as_str().into(), replicas, configs);
    }
    Ok(plan)
}

fn automatic(state: &mut State, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    let count = match topic.num_partitions {
        -1 => state.config.default_partitions,
        count => count,
    };
    if count < 1 || count > state.config.limits.partitions_per_topic {
        return Err(Refused::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let factor = match topic.replication_factor {
        -1 => state.config.replication_factor(),
        factor => factor,
    };
    if factor < 1 {
        return Err(Refused::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    let (count, factor) = (count.unsigned_abs() as usize, usize::from(factor.unsigned_abs()));
    let alive = state.nodes.alive().count();
    if factor > alive {
        return Err(Refused::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {factor} time(s): The target replication \
                 factor of {factor} cannot be reached because only {alive} broker(s) are registered."
            ),
        ));
    }
    Ok(state.place_replicas(count, factor))
}

fn manual(state: &State, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refused> {
    if topic.replication_factor != -1 {
        return Err(Refused::new(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ));
    }
    if topic.num_partitions != -1 {
        return Err(Refused::new(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let mut assigned = BTreeMap::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let replicas: Vec<_> = assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect();
        check_replicas(state, &replicas, *factor.get_or_insert(replicas.len()))?;
        if assigned.insert(assignment.partition_index, replicas).is_some() {
            let why = format!(
                "Found multiple manual partition assignments for partition {}",
                assignment.partition_index
            );
            return Err(Refused::new(ErrorCode::InvalidReplicaAssignment, why));
        }
    }
    if !assigned.keys().copied().eq(0..assigned.len() as i32) {
        return Err(Refused::new(
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(assigned.into_values().collect())
}

/// Checks the replicas that a client chose for a partition.
pub(super) fn check_replicas(
    state: &State,
    replicas: &[BrokerId],
    factor: usize,
) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused::new(ErrorCode::InvalidReplicaAssignment, why));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    for (index, id) in replicas.iter().enumerate() {
        if replicas[..index].contains(id) {
            return refuse(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        if state.nodes.get(*id).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
    }
    if replicas.len() != factor {
        return refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {factor} replica(s).",
            replicas.len()
        ));
    }
    Ok(())
}

fn created(
    state: &mut State,
    topic: &CreatableTopic,
    plan: &Plan,
    version: i16,
) -> CreatableTopicResult {
    let id = state.topics.get(&topic.name).map(|topic| topic.id);
    // A dry run shows an id too, of a topic that will never be.
    let id = id.unwrap_or_else(|| state.rng.kafka_uuid());
    let mut result =
        CreatableTopicResult::default().with_name(topic.name.clone()).with_topic_id(id);
    if version >= 5 {
        result.num_partitions = i32::try_from(plan.partitions).unwrap_or(i32::MAX);
        result.replication_factor = i16::try_from(plan.replication_factor).unwrap_or(i16::MAX);
        let configs = TOPIC_CONFIGS.iter().map(|config| {
            let set = plan.configs.set().get(config.name);
            CreatableTopicConfigs::default()
                .with_name(text(config.name))
                .with_value(Some(text(set.map_or(config.default, String::as_str))))
                .with_config_source(if set.is_some() { SOURCE_TOPIC } else { SOURCE_DEFAULT })
        });
        result.configs = Some(configs.collect());
    }
    result
}

fn failed(topic: &CreatableTopic, code: ErrorCode, why: &str) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(code.code())
        .with_error_message(Some(text(why)))
        .with_configs(Some(Vec::new()))
}
