//! Every API that is served, in every version: a request is understood and its answer readable.

use std::fmt::Debug;
use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_protocol::api::supported_versions;
use millstream_protocol::messages::{self as m, Request};
use uuid::Uuid;

use crate::bench::{Bench, batch, produce_request, text, topic_name};
use crate::fetch::{partition, request};

/// What a cluster does with the requests of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Serve,
    Refuse,
    RefuseItems,
    Throttle,
}

/// Sends a request in every version in which it can be said, to a cluster that does what is asked
/// and to such that refuse it or throttle the client; `fit` makes it sayable.
pub(crate) fn sweep<R: Request<Response: Debug> + Clone>(
    request: &R,
    fit: impl Fn(i16, R) -> R,
    check: impl Fn(i16, R::Response),
) {
    for mood in [Mood::Serve, Mood::Refuse, Mood::RefuseItems, Mood::Throttle] {
        let versions = supported_versions(R::KEY);
        for version in versions.min..=versions.max {
            let mut bench = Bench::new(1).topic("t", 2);
            bench.produce(1, "t", 0, &["a"]);
            let fault = Fault::on(R::KEY);
            match mood {
                Mood::Serve => {}
                Mood::Refuse => bench.cluster.fault(fault.error(ErrorCode::UnknownServerError)),
                Mood::RefuseItems => {
                    bench.cluster.fault(fault.each_item().error(ErrorCode::UnknownServerError));
                }
                Mood::Throttle => {
                    bench.cluster.fault(fault.throttle(Duration::from_millis(250)));
                }
            }
            let connection = bench.connect(1);
            let sent = bench.send(connection, version, &fit(version, request.clone()));
            let answer = bench.answer::<R>(sent);
            let Some(answer) = answer else {
                let closed = bench.is_closed(connection);
                panic!("{} {version}: not answered (closed: {closed}, {mood:?})", R::KEY);
            };
            match mood {
                Mood::Serve => check(version, answer),
                Mood::Throttle => {
                    assert_throttled(R::KEY, version, &format!("{answer:?}"));
                    check(version, answer);
                }
                Mood::Refuse | Mood::RefuseItems => {}
            }
        }
    }
}

/// Every answer has a place for the throttle time since version 3 at the latest.
fn assert_throttled(api: ApiKey, version: i16, answer: &str) {
    let told = answer.contains("throttle_time_ms: 250");
    let can_tell = version >= 3 && answer.contains("throttle_time_ms");
    assert!(told || !can_tell, "{api} {version}: {answer}");
}

pub(crate) fn topic_id(bench_topic: &str) -> Uuid {
    let mut bench = Bench::new(1).topic("t", 2);
    let all = m::MetadataRequest::default().with_topics(None);
    let response = bench.ask(1, 12, &all);
    let found = response.topics.iter().find(|topic| topic.name == Some(topic_name(bench_topic)));
    found.unwrap().topic_id
}

#[test]
fn api_versions_lists_what_is_served() {
    let named = m::ApiVersionsRequest::default()
        .with_client_software_name(text("bench"))
        .with_client_software_version(text("1.0"));
    let fit = |version, request: m::ApiVersionsRequest| {
        if version >= 3 { request } else { m::ApiVersionsRequest::default() }
    };
    sweep(&named, fit, |version, answer| {
        assert_eq!(answer.error_code, 0, "{version}");
        let keys: Vec<_> = answer.api_keys.iter().map(|api| api.api_key).collect();
        assert!(keys.contains(&ApiKey::Fetch.code()));
        let told = answer.finalized_features.first().map(|it| it.max_version_level);
        assert_eq!(told, (version >= 3).then_some(2), "{version}");
        let supported = answer.supported_features.first().map(|it| it.max_version);
        assert_eq!(supported, (version >= 4).then_some(2), "{version}");
        assert!(keys.is_sorted());
    });
    let mut bench = Bench::new(1);
    let unnamed = named.with_client_software_name(text("b?"));
    let refused = bench.ask(1, 3, &unnamed);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidRequest);
}

#[test]
fn produce() {
    let id = topic_id("t");
    let fit = |version, mut request: m::ProduceRequest| {
        request.transactional_id = None;
        if version >= 13 {
            request.topic_data[0].name = topic_name("");
            request.topic_data[0].topic_id = id;
        }
        request
    };
    sweep(&produce_request("t", 0, batch(&["b"])), fit, |version, answer| {
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, 1), "{version}");
    });
    // And what older versions cannot say of a failure is left out.
    let wrong = |version, mut request: m::ProduceRequest| {
        request.transactional_id = None;
        if version >= 13 {
            request.topic_data[0].name = topic_name("");
            request.topic_data[0].topic_id = id;
        }
        request.topic_data[0].partition_data[0].index = 9;
        request
    };
    sweep(&produce_request("t", 0, batch(&["b"])), wrong, |version, answer| {
        let code = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(ErrorCode::from(code), ErrorCode::UnknownTopicOrPartition, "{version}");
    });
}

#[test]
fn fetch() {
    let id = topic_id("t");
    let wanted = request("t", vec![partition(0, 0), partition(1, 0)]);
    let fit = |version, mut request: m::FetchRequest| {
        request.cluster_id = None;
        if version < 7 {
            request.session_epoch = -1;
        }
        if version < 15 {
            request.replica_id = m::BrokerId(-1);
        }
        if version >= 13 {
            request.topics[0].topic = topic_name("");
            request.topics[0].topic_id = id;
        }
        request
    };
    sweep(&wanted, fit, |version, answer| {
        let partitions = &answer.responses[0].partitions;
        assert_eq!(partitions[0].high_watermark, 1, "{version}");
        let records = crate::bench::records(partitions[0].records.as_ref());
        assert_eq!(records, [(0, "a".to_owned())]);
        assert!(crate::bench::records(partitions[1].records.as_ref()).is_empty());
    });
}

#[test]
fn offsets() {
    let wanted = m::list_offsets_request::ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_current_leader_epoch(-1)
        .with_timestamp(0);
    let topic = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![wanted]);
    let list =
        m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![topic]);
    sweep(
        &list,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].partitions[0].offset, 0, "{version}");
        },
    );
    let wanted = m::offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(-1);
    let topic = m::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic_name("t"))
        .with_partitions(vec![wanted]);
    let epoch = m::OffsetForLeaderEpochRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_topics(vec![topic]);
    sweep(
        &epoch,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].partitions[0].end_offset, 1, "{version}");
        },
    );
    let topic = m::delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![
            m::delete_records_request::DeleteRecordsPartition::default().with_offset(1),
        ]);
    let delete = m::DeleteRecordsRequest::default().with_topics(vec![topic]);
    sweep(
        &delete,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].partitions[0].low_watermark, 1, "{version}");
        },
    );
}

#[test]
fn metadata() {
    let all = m::MetadataRequest::default().with_topics(None);
    let fit = |version, mut request: m::MetadataRequest| {
        if version == 0 {
            request.topics = Some(Vec::new());
        }
        request
    };
    sweep(&all, fit, |version, answer| {
        assert_eq!(answer.brokers[0].port, 9001, "{version}");
        assert_eq!(answer.topics[0].partitions.len(), 2, "{version}");
    });
    let missing =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("missing")));
    let some = m::MetadataRequest::default()
        .with_topics(Some(vec![missing]))
        .with_allow_auto_topic_creation(true);
    sweep(
        &some,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].error_code, 0, "{version}");
        },
    );
    let describe = m::DescribeClusterRequest::default();
    sweep(
        &describe,
        |_, request| request.with_endpoint_type(1),
        |version, answer| {
            assert_eq!(answer.brokers.len(), 1, "{version}");
        },
    );
    let describe = m::DescribeTopicPartitionsRequest::default().with_response_partition_limit(10);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].partitions.len(), 2, "{version}");
        },
    );
}

#[test]
fn coordinators_and_ids() {
    let find = m::FindCoordinatorRequest::default();
    let fit = |version, request: m::FindCoordinatorRequest| {
        if version >= 4 {
            request.with_coordinator_keys(vec![text("g")])
        } else {
            request.with_key(text("g"))
        }
    };
    sweep(&find, fit, |version, answer| {
        let node = match answer.coordinators.first() {
            Some(found) => found.node_id,
            None => answer.node_id,
        };
        assert_eq!(node, m::BrokerId(1), "{version}");
    });
    let init = m::InitProducerIdRequest::default().with_transactional_id(None);
    sweep(
        &init,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, 0, "{version}");
        },
    );
}

fn group_id() -> m::GroupId {
    m::GroupId(text("g"))
}

#[test]
fn group_members() {
    let protocol = m::join_group_request::JoinGroupRequestProtocol::default().with_name(text("p"));
    let join = m::JoinGroupRequest::default()
        .with_group_id(group_id())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let fit = |version, request: m::JoinGroupRequest| {
        let request = request.with_group_instance_id(None).with_reason(None);
        if version >= 1 { request.with_rebalance_timeout_ms(10_000) } else { request }
    };
    sweep(&join, fit, |version, answer| {
        let wanted = if version >= 4 { ErrorCode::MemberIdRequired } else { ErrorCode::None };
        assert_eq!(ErrorCode::from(answer.error_code), wanted, "{version}");
    });
    let unknown = ErrorCode::UnknownMemberId;
    let sync = m::SyncGroupRequest::default()
        .with_group_id(group_id())
        .with_protocol_type(None)
        .with_protocol_name(None)
        .with_group_instance_id(None);
    let fit = |version, request: m::SyncGroupRequest| {
        if version < 5 {
            return request;
        }
        request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("p")))
    };
    sweep(&sync, fit, |version, answer| {
        assert_eq!(ErrorCode::from(answer.error_code), unknown, "{version}");
    });
    let heartbeat =
        m::HeartbeatRequest::default().with_group_id(group_id()).with_group_instance_id(None);
    sweep(
        &heartbeat,
        |_, request| request,
        |version, answer| {
            assert_eq!(ErrorCode::from(answer.error_code), unknown, "{version}");
        },
    );
    let leave = m::LeaveGroupRequest::default().with_group_id(group_id());
    let fit = |version, request: m::LeaveGroupRequest| {
        if version < 3 {
            return request.with_member_id(text("m"));
        }
        let member = m::leave_group_request::MemberIdentity::default()
            .with_member_id(text("m"))
            .with_group_instance_id(None)
            .with_reason(None);
        request.with_members(vec![member])
    };
    sweep(&leave, fit, |version, answer| {
        let code = answer.members.first().map_or(answer.error_code, |member| member.error_code);
        assert_eq!(ErrorCode::from(code), unknown, "{version}");
    });
}

#[test]
fn group_offsets() {
    let id = topic_id("t");
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default();
    let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_partitions(vec![partition]);
    let commit = m::OffsetCommitRequest::default()
        .with_group_id(group_id())
        .with_group_instance_id(None)
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let fit = |version, mut request: m::OffsetCommitRequest| {
        if version >= 10 {
            request.topics[0].topic_id = id;
        } else {
            request.topics[0].name = topic_name("t");
        }
        request
    };
    sweep(&commit, fit, |version, answer| {
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{version}");
    });
    let fetch = m::OffsetFetchRequest::default();
    let fit = |version, request: m::OffsetFetchRequest| {
        if version < 8 {
            let topic = m::offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]);
            return request.with_group_id(group_id()).with_topics(Some(vec![topic]));
        }
        let topic = m::offset_fetch_request::OffsetFetchRequestTopics::default()
            .with_partition_indexes(vec![0]);
        let topic =
            if version >= 10 { topic.with_topic_id(id) } else { topic.with_name(topic_name("t")) };
        let group = m::offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(group_id())
            .with_member_id(None)
            .with_member_epoch(-1)
            .with_topics(Some(vec![topic]));
        request.with_groups(vec![group])
    };
    sweep(&fetch, fit, |version, answer| {
        let offset = match answer.groups.first() {
            Some(group) => group.topics[0].partitions[0].committed_offset,
            None => answer.topics[0].partitions[0].committed_offset,
        };
        assert_eq!(offset, -1, "{version}");
    });
    let delete = m::OffsetDeleteRequest::default().with_group_id(group_id());
    sweep(
        &delete,
        |_, request| request,
        |version, answer| {
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::GroupIdNotFound, "{version}");
        },
    );
}

#[test]
fn group_administration() {
    let list = m::ListGroupsRequest::default();
    sweep(
        &list,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, 0, "{version}");
        },
    );
    let describe = m::DescribeGroupsRequest::default().with_groups(vec![group_id()]);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.groups[0].group_state, text("Dead"), "{version}");
        },
    );
    let delete = m::DeleteGroupsRequest::default().with_groups_names(vec![group_id()]);
    sweep(
        &delete,
        |_, request| request,
        |version, answer| {
            let code = ErrorCode::from(answer.results[0].error_code);
            assert_eq!(code, ErrorCode::GroupIdNotFound, "{version}");
        },
    );
}

#[test]
fn topics() {
    let topic = m::create_topics_request::CreatableTopic::default()
        .with_name(topic_name("new"))
        .with_num_partitions(3)
        .with_replication_factor(1);
    let create = m::CreateTopicsRequest::default().with_topics(vec![topic]);
    sweep(
        &create,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.topics[0].error_code, 0, "{version}");
        },
    );
    let delete = m::DeleteTopicsRequest::default();
    let fit = |version, request: m::DeleteTopicsRequest| {
        if version < 6 {
            return request.with_topic_names(vec![topic_name("t")]);
        }
        let topic =
            m::delete_topics_request::DeleteTopicState::default().with_name(Some(topic_name("t")));
        request.with_topics(vec![topic])
    };
    sweep(&delete, fit, |version, answer| {
        assert_eq!(answer.responses[0].error_code, 0, "{version}");
    });
    let grow = m::create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic_name("t"))
        .with_count(5)
        .with_assignments(None);
    let grow = m::CreatePartitionsRequest::default().with_topics(vec![grow]);
    sweep(
        &grow,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].error_code, 0, "{version}");
        },
    );
}

#[test]
fn configs_and_directories() {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configuration_keys(None);
    let broker = resource.clone().with_resource_type(4).with_resource_name(text("1"));
    let describe = m::DescribeConfigsRequest::default()
        .with_resources(vec![resource, broker])
        .with_include_synonyms(true);
    sweep(
        &describe,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].configs.len(), 33, "{version}");
            assert_eq!(answer.results[1].error_code, 0, "{version}");
        },
    );
    let config = m::incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1")));
    let resource = m::incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configs(vec![config]);
    let alter = m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    sweep(
        &alter,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.responses[0].error_code, 0, "{version}");
        },
    );
    let resource = m::alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"));
    let alter = m::AlterConfigsRequest::default().with_resources(vec![resource]);
    sweep(
        &alter,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.responses[0].error_code, 0, "{version}");
        },
    );
    let list = m::ListConfigResourcesRequest::default();
    sweep(
        &list,
        |_, request| request,
        |version, answer| {
            let found = if version >= 1 { 3 } else { 0 };
            assert_eq!(answer.config_resources.len(), found, "{version}");
        },
    );
    let reassignments = m::ListPartitionReassignmentsRequest::default().with_topics(None);
    sweep(
        &reassignments,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.error_code, 0, "{version}");
        },
    );
    let directories = m::DescribeLogDirsRequest::default().with_topics(None);
    sweep(
        &directories,
        |_, request| request,
        |version, answer| {
            assert_eq!(answer.results[0].topics[0].partitions.len(), 2, "{version}");
        },
    );
}
