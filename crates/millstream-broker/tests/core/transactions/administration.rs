//! What administrators see and do, and every version of every API.

use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_producers_request::TopicRequest;
use millstream_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};

use super::{PRODUCE_V2, Producer, id, init_request};
use crate::bench::{Bench, START, text, topic_name};
use crate::versions::sweep;

#[test]
fn every_version_is_served() {
    sweep(
        &init_request("x"),
        |version, request| {
            if version < 3 { request.with_producer_id(m::ProducerId(-1)) } else { request }
        },
        |version, answer| {
            assert_eq!((answer.error_code, answer.producer_epoch), (0, 0), "{version}")
        },
    );
    let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![0, 1]);
    let old = m::AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id("x"))
        .with_v3_and_below_topics(vec![topic.clone()]);
    let new = m::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
        .with_transactional_id(id("x"))
        .with_topics(vec![topic]);
    let fit = |version, request: m::AddPartitionsToTxnRequest| {
        let batched = m::AddPartitionsToTxnRequest::default().with_transactions(vec![new.clone()]);
        if version >= 4 { batched } else { request }
    };
    let unknown = ErrorCode::InvalidProducerIdMapping.code();
    sweep(&old, fit, |version, answer| {
        let topics = match version {
            4.. => &answer.results_by_transaction[0].topic_results,
            _ => &answer.results_by_topic_v3_and_below,
        };
        let partitions = &topics[0].results_by_partition;
        assert_eq!(partitions.len(), 2);
        assert!(partitions.iter().all(|it| it.partition_error_code == unknown), "{version}");
    });
    let same = |_, request| request;
    let offsets = m::AddOffsetsToTxnRequest::default().with_transactional_id(id("x"));
    sweep(&offsets, |_, request| request, |_, answer| assert_eq!(answer.error_code, unknown));
    let end = m::EndTxnRequest::default().with_transactional_id(id("x"));
    sweep(&end, same, |_, answer| assert_eq!(answer.error_code, unknown));
}

#[test]
fn every_version_of_an_offset_in_a_transaction_is_served() {
    let topic = crate::versions::topic_id("t");
    let fit = |version, mut request: m::TxnOffsetCommitRequest| {
        if version < 3 {
            request.generation_id_or_member_epoch = -1;
        }
        if version >= 6 {
            request.topics[0].name = topic_name("");
            request.topics[0].topic_id = topic;
        }
        request
    };
    sweep(&super::offsets::request((7, 0), 1), fit, |version, answer| {
        let code = ErrorCode::from(answer.topics[0].partitions[0].error_code);
        assert_eq!(code, ErrorCode::InvalidProducerIdMapping, "{version}");
    });
}

#[test]
fn every_version_that_looks_is_served() {
    let describe = m::DescribeTransactionsRequest::default().with_transactional_ids(vec![id("x")]);
    sweep(
        &describe,
        |_, request| request,
        |_, answer| {
            let code = ErrorCode::from(answer.transaction_states[0].error_code);
            assert_eq!(code, ErrorCode::TransactionalIdNotFound);
        },
    );
    let list = m::ListTransactionsRequest::default();
    sweep(
        &list,
        |_, request| request,
        |_, answer| assert_eq!((answer.error_code, answer.transaction_states.len()), (0, 0)),
    );
    let topic = TopicRequest::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
    let producers = m::DescribeProducersRequest::default().with_topics(vec![topic]);
    sweep(
        &producers,
        |_, request| request,
        |_, answer| assert_eq!(answer.topics[0].partitions[0].error_code, 0),
    );
    let request = markers_request((7, 0), false, 0);
    sweep(
        &request,
        |version, mut request: m::WriteTxnMarkersRequest| {
            if version < 2 {
                request.markers[0].transaction_version = 0;
            }
            request
        },
        |_, answer| assert_eq!(answer.markers[0].topics[0].partitions[0].error_code, 0),
    );
}

fn markers_request(producer: Producer, commit: bool, epoch: i32) -> m::WriteTxnMarkersRequest {
    let topic = WritableTxnMarkerTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_transaction_result(commit)
        .with_coordinator_epoch(epoch)
        .with_topics(vec![topic]);
    m::WriteTxnMarkersRequest::default().with_markers(vec![marker])
}

fn mark(bench: &mut Bench, producer: Producer, epoch: i32) -> ErrorCode {
    let answer = bench.ask(1, 1, &markers_request(producer, false, epoch));
    ErrorCode::from(answer.markers[0].topics[0].partitions[0].error_code)
}

#[test]
fn an_administrator_aborts_a_hanging_transaction() {
    let mut bench = Bench::new(1).topic("t", 1);
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]), (ErrorCode::None, 0));
    let found = describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].current_txn_start_offset, found[0].last_sequence), (0, 0));
    assert_eq!((found[0].coordinator_epoch, found[0].last_timestamp), (-1, START));
    assert_eq!(mark(&mut bench, producer, 3), ErrorCode::None);
    let found = describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!((found[0].current_txn_start_offset, found[0].coordinator_epoch), (-1, 3));
    assert_eq!(bench.read_committed(0).0, 2);
    // A coordinator of before, and an epoch of before, are refused.
    assert_eq!(mark(&mut bench, producer, 2), ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(mark(&mut bench, (producer.0, -1), 3), ErrorCode::InvalidProducerEpoch);
    // By the rules of version 2 a marker's epoch is above that of the records (KIP-1228).
    let mut strict = markers_request(producer, false, 3);
    strict.markers[0].transaction_version = 2;
    let answer = bench.ask(1, 2, &strict);
    let code = ErrorCode::from(answer.markers[0].topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::InvalidProducerEpoch);
}

#[test]
fn markers_go_to_leaders_of_partitions_that_are_there() {
    let mut bench = Bench::with(2, |config| config.default_replication_factor = Some(1));
    bench.cluster.create_topic("t", 2).unwrap();
    let mut request = markers_request((1, 0), true, 0);
    request.markers[0].topics[0].partition_indexes = vec![0, 1, 9];
    let answer = bench.ask(1, 1, &request);
    let partitions = &answer.markers[0].topics[0].partitions;
    let codes: Vec<_> = partitions.iter().map(|it| ErrorCode::from(it.error_code)).collect();
    let missing = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [ErrorCode::None, missing, missing]);
}

pub(super) fn describe_producers(
    bench: &mut Bench,
    topic: &str,
    partition: i32,
) -> Result<Vec<m::describe_producers_response::ProducerState>, ErrorCode> {
    let topic = TopicRequest::default()
        .with_name(topic_name(topic))
        .with_partition_indexes(vec![partition]);
    let request = m::DescribeProducersRequest::default().with_topics(vec![topic]);
    let answer = bench.ask(1, 0, &request);
    let partition = &answer.topics[0].partitions[0];
    match ErrorCode::from(partition.error_code) {
        ErrorCode::None => Ok(partition.active_producers.clone()),
        code => Err(code),
    }
}

#[test]
fn producers_are_described_where_their_partition_is_led() {
    let mut bench = Bench::new(2).topic("t", 2);
    let mut refused = |topic, partition| describe_producers(&mut bench, topic, partition).err();
    assert_eq!(refused("none", 0), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(refused("t", 9), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(refused("t", 1), Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(refused("?", 1), Some(ErrorCode::InvalidTopic));
    assert_eq!(refused("t", 0), None);
}

fn describe(bench: &mut Bench, name: &str) -> m::describe_transactions_response::TransactionState {
    let request = m::DescribeTransactionsRequest::default().with_transactional_ids(vec![id(name)]);
    let node = bench.coordinator(name);
    bench.ask(node, 0, &request).transaction_states[0].clone()
}

#[test]
fn a_transaction_is_described_by_its_coordinator() {
    let mut bench = Bench::new(3).topic("t", 3);
    let producer = bench.init("x");
    let found = describe(&mut bench, "x");
    assert_eq!((found.error_code, found.transaction_start_time_ms), (0, -1));
    assert_eq!(found.transaction_state, text("Empty"));
    bench.pass(Duration::from_millis(7));
    assert_eq!(bench.add("x", producer, "t", 2), ErrorCode::None);
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    let found = describe(&mut bench, "x");
    assert_eq!(found.transaction_state, text("Ongoing"));
    assert_eq!(found.transaction_start_time_ms, START + 7);
    assert_eq!((found.producer_id.0, found.producer_epoch), producer);
    assert_eq!(found.transaction_timeout_ms, 60_000);
    assert_eq!(found.topics[0].partitions, [0, 2]);
    assert_eq!(ErrorCode::from(describe(&mut bench, "").error_code), ErrorCode::InvalidRequest);
    let request = m::DescribeTransactionsRequest::default().with_transactional_ids(vec![id("x")]);
    let other = 1 + bench.coordinator("x") % 3;
    let refused = bench.ask(other, 0, &request).transaction_states[0].error_code;
    assert_eq!(ErrorCode::from(refused), ErrorCode::NotCoordinator);
}

fn list(bench: &mut Bench, request: &m::ListTransactionsRequest) -> Vec<String> {
    let answer = bench.ask(1, 2, request);
    assert_eq!(answer.error_code, 0);
    answer.transaction_states.iter().map(|it| it.transactional_id.to_string()).collect()
}

#[test]
fn transactions_are_listed_by_filters() {
    let mut bench = Bench::new(1).topic("t", 1);
    let old = bench.init("old-1");
    assert_eq!(bench.add("old-1", old, "t", 0), ErrorCode::None);
    bench.pass(Duration::from_secs(5));
    let new = bench.init("new-1");
    assert_eq!(bench.add("new-1", new, "t", 0), ErrorCode::None);
    bench.init("idle");
    let all = m::ListTransactionsRequest::default().with_duration_filter(-1);
    assert_eq!(list(&mut bench, &all), ["idle", "new-1", "old-1"]);
    let ongoing = all.clone().with_state_filters(vec![text("Ongoing"), text("Odd")]);
    assert_eq!(list(&mut bench, &ongoing), ["new-1", "old-1"]);
    assert_eq!(bench.ask(1, 2, &ongoing).unknown_state_filters, [text("Odd")]);
    let odd = all.clone().with_state_filters(vec![text("Odd")]);
    assert!(list(&mut bench, &odd).is_empty());
    let long = ongoing.clone().with_duration_filter(4_999);
    assert_eq!(list(&mut bench, &long), ["old-1"]);
    let own = all.clone().with_producer_id_filters(vec![m::ProducerId(new.0)]);
    assert_eq!(list(&mut bench, &own), ["new-1"]);
    let pattern = all.clone().with_transactional_id_pattern(Some(text("(old|new)-[0-9]")));
    assert_eq!(list(&mut bench, &pattern), ["new-1", "old-1"]);
    let part = all.clone().with_transactional_id_pattern(Some(text("old")));
    assert!(list(&mut bench, &part).is_empty(), "a pattern is for the whole id");
    let wrong = all.with_transactional_id_pattern(Some(text("(")));
    let code = ErrorCode::from(bench.ask(1, 2, &wrong).error_code);
    assert_eq!(code, ErrorCode::InvalidRegularExpression);
}

#[test]
fn a_node_lists_what_it_coordinates() {
    let mut bench = Bench::new(3);
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        bench.init(name);
    }
    let request = m::ListTransactionsRequest::default().with_duration_filter(-1);
    let mut all = Vec::new();
    for node in 1..=3 {
        let own = bench.ask(node, 1, &request).transaction_states;
        assert!(!own.is_empty() && own.len() < names.len());
        all.extend(own.into_iter().map(|it| it.transactional_id.to_string()));
    }
    all.sort();
    assert_eq!(all, names);
}
