//! Faults on parts of requests, and those that throttle, cut or answer wrongly.

use std::time::Duration;

use bytes::BytesMut;
use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_protocol::codec::encode_request;
use millstream_protocol::messages as m;
use millstream_types::TopicPartition;

use crate::bench::{Bench, batch, produce_request, text, topic_name};
use crate::fetch::{VERSION, fetch_one, partition, request};

/// A request that writes one record to partitions 0 and 1 of each topic.
fn to_all(topics: &[&str]) -> m::ProduceRequest {
    let mut whole = produce_request("", 0, batch(&["a"]));
    whole.topic_data = topics
        .iter()
        .map(|name| {
            let mut topic = produce_request(name, 0, batch(&["a"])).topic_data.remove(0);
            let second = topic.partition_data[0].clone().with_index(1);
            topic.partition_data.push(second);
            topic
        })
        .collect();
    whole
}

/// Topic, partition, error and offset, sorted.
fn told(answer: &m::ProduceResponse) -> Vec<(String, i32, ErrorCode, i64)> {
    let mut told: Vec<_> = answer
        .responses
        .iter()
        .flat_map(|topic| {
            topic.partition_responses.iter().map(|one| {
                let code = ErrorCode::from(one.error_code);
                (topic.name.to_string(), one.index, code, one.base_offset)
            })
        })
        .collect();
    told.sort();
    told
}

fn ok(topic: &str, index: i32, offset: i64) -> (String, i32, ErrorCode, i64) {
    (topic.to_owned(), index, ErrorCode::None, offset)
}

fn bad(topic: &str, index: i32, code: ErrorCode) -> (String, i32, ErrorCode, i64) {
    (topic.to_owned(), index, code, -1)
}

#[test]
fn an_error_strikes_one_partition_and_the_others_are_written() {
    let mut bench = Bench::new(1).topic("t", 2).topic("u", 2);
    let code = ErrorCode::NotEnoughReplicasAfterAppend;
    let one = TopicPartition::new("t", 1);
    bench.cluster.fault(Fault::on(ApiKey::Produce).partition(&one).error(code));
    let only_u = bench.ask(1, 9, &to_all(&["u"]));
    assert_eq!(told(&only_u), [ok("u", 0, 0), ok("u", 1, 0)], "the fault waits for its partition");
    let hit = bench.ask(1, 9, &to_all(&["t", "u"]));
    assert_eq!(told(&hit), [ok("t", 0, 0), bad("t", 1, code), ok("u", 0, 1), ok("u", 1, 1)]);
    let after = bench.ask(1, 9, &to_all(&["t"]));
    assert_eq!(told(&after), [ok("t", 0, 1), ok("t", 1, 0)]);
}

#[test]
fn an_error_strikes_a_topic_or_every_item() {
    let mut bench = Bench::new(1).topic("t", 2).topic("u", 2);
    let code = ErrorCode::TopicAuthorizationFailed;
    bench.cluster.fault(Fault::on(ApiKey::Produce).topic("u").error(code));
    let hit = bench.ask(1, 9, &to_all(&["t", "u"]));
    assert_eq!(told(&hit), [ok("t", 0, 0), ok("t", 1, 0), bad("u", 0, code), bad("u", 1, code)]);
    bench.cluster.fault(Fault::on(ApiKey::Metadata).each_item().error(code));
    let wanted =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("t")));
    let wanted = m::MetadataRequest::default().with_topics(Some(vec![wanted]));
    let refused = bench.ask(1, 13, &wanted);
    assert_eq!((refused.error_code, refused.topics[0].error_code), (0, code.code()));
    let rebootstrap = ErrorCode::RebootstrapRequired;
    bench.cluster.fault(Fault::on(ApiKey::Metadata).error(rebootstrap));
    assert_eq!(bench.ask(1, 13, &wanted).error_code, rebootstrap.code());
}

#[test]
fn topics_are_found_by_their_ids_too() {
    let mut bench = Bench::new(1).topic("t", 2);
    let all = m::MetadataRequest::default().with_topics(None);
    let id = bench.ask(1, 12, &all).topics[0].topic_id;
    let mut by_id = to_all(&["t"]);
    by_id.topic_data[0].name = topic_name("");
    by_id.topic_data[0].topic_id = id;
    let code = ErrorCode::UnknownTopicId;
    let zero = TopicPartition::new("t", 0);
    bench.cluster.fault(Fault::on(ApiKey::Produce).partition(&zero).error(code));
    let hit = bench.ask(1, 13, &by_id);
    assert_eq!(told(&hit), [bad("", 0, code), ok("", 1, 0)]);
}

#[test]
fn a_partition_of_a_fetch_session_is_refused_though_it_is_not_named() {
    let mut bench = Bench::new(1).topic("t", 2);
    bench.produce(1, "t", 0, &["a"]);
    let connection = bench.connect(1);
    let full = request("t", vec![partition(0, 0), partition(1, 0)]).with_session_epoch(0);
    let begun = bench.call(connection, VERSION, &full);
    let zero = TopicPartition::new("t", 0);
    let code = ErrorCode::NotLeaderOrFollower;
    bench.cluster.fault(Fault::on(ApiKey::Fetch).partition(&zero).error(code));
    let next = m::FetchRequest::default()
        .with_session_id(begun.session_id)
        .with_session_epoch(1)
        .with_max_wait_ms(60_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20);
    let told = bench.call(connection, VERSION, &next);
    let partitions = &told.responses[0].partitions;
    assert_eq!(partitions.len(), 1);
    assert_eq!((partitions[0].partition_index, partitions[0].error_code), (0, code.code()));
}

#[test]
fn a_key_is_refused_among_others() {
    let mut bench = Bench::new(1);
    let keys = ["a", "b"].map(text).to_vec();
    let find = m::FindCoordinatorRequest::default().with_coordinator_keys(keys);
    let code = ErrorCode::CoordinatorLoadInProgress;
    bench.cluster.fault(Fault::on(ApiKey::FindCoordinator).key("b").error(code));
    let found = bench.ask(1, 6, &find);
    let codes: Vec<_> =
        found.coordinators.iter().map(|one| (one.key.as_str(), one.error_code)).collect();
    assert_eq!(codes, [("a", 0), ("b", code.code())]);
    bench.cluster.fault(Fault::on(ApiKey::Heartbeat).key("g").error(code));
    let beat = |id: &str| {
        m::HeartbeatRequest::default()
            .with_group_id(m::GroupId(text(id)))
            .with_group_instance_id(None)
    };
    assert_ne!(bench.ask(1, 4, &beat("h")).error_code, code.code());
    assert_eq!(bench.ask(1, 4, &beat("g")).error_code, code.code());
}

#[test]
fn what_was_done_may_be_answered_with_an_error() {
    let mut bench = Bench::new(1).topic("t", 2);
    let code = ErrorCode::RequestTimedOut;
    bench.cluster.fault(Fault::on(ApiKey::Produce).apply_then_error(code));
    let hit = bench.ask(1, 9, &to_all(&["t"]));
    assert_eq!(told(&hit), [bad("t", 0, code), bad("t", 1, code)]);
    assert_eq!(fetch_one(&mut bench, 1, "t", 0, 0).high_watermark, 1);
    bench.cluster.fault(Fault::on(ApiKey::Produce).apply_then_error(code));
    let connection = bench.connect(1);
    bench.send(connection, 9, &to_all(&["t"]).with_acks(0));
    assert!(bench.is_closed(connection), "an error without an answer closes");
    assert_eq!(fetch_one(&mut bench, 1, "t", 0, 0).high_watermark, 2);
}

#[test]
fn an_error_without_acks_closes() {
    let mut bench = Bench::new(1).topic("t", 2);
    for fault in [Fault::on(ApiKey::Produce), Fault::on(ApiKey::Produce).topic("t")] {
        bench.cluster.fault(fault.error(ErrorCode::NotLeaderOrFollower));
        let connection = bench.connect(1);
        let sent = bench.send(connection, 9, &to_all(&["t"]).with_acks(0));
        assert!(bench.is_closed(connection));
        assert!(bench.answer::<m::ProduceRequest>(sent).is_none());
    }
}

#[test]
fn a_throttled_client_is_told_and_then_waits() {
    let mut bench = Bench::new(1).topic("t", 2);
    let time = Duration::from_secs(2);
    bench.cluster.fault(Fault::on(ApiKey::Produce).throttle(time));
    let connection = bench.connect(1);
    let first = bench.send(connection, 9, &to_all(&["t"]));
    let behind = bench.send(connection, 9, &to_all(&["t"]));
    let answer = bench.answer::<m::ProduceRequest>(first).unwrap();
    assert_eq!(answer.throttle_time_ms, 2000);
    assert_eq!(told(&answer), [ok("t", 0, 0), ok("t", 1, 0)]);
    bench.pass(time - Duration::from_millis(1));
    assert!(bench.answer::<m::ProduceRequest>(behind).is_none(), "the connection is mute");
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.answer::<m::ProduceRequest>(behind).unwrap().throttle_time_ms, 0);
}

#[test]
fn a_request_is_cut_where_only_its_head_arrived() {
    let mut bench = Bench::new(1).topic("t", 2);
    bench.cluster.fault(Fault::on(ApiKey::Produce).times(2).cut());
    let mut frame = BytesMut::new();
    encode_request(9, 1, Some("bench"), &to_all(&["t"]), &mut frame).unwrap();
    let connection = bench.connect(1);
    bench.cluster.handle_partial_frame(connection, &frame[4..10]);
    assert!(!bench.is_closed(connection), "the head is not whole");
    bench.cluster.handle_partial_frame(connection, &frame[4..40]);
    assert!(bench.is_closed(connection));
    assert!(bench.cluster.was_reset(connection) && !bench.cluster.was_reset(connection));
    let connection = bench.connect(1);
    bench.send_frame(connection, frame.split_off(4).freeze());
    assert!(bench.is_closed(connection) && bench.cluster.was_reset(connection));
    assert_eq!(fetch_one(&mut bench, 1, "t", 0, 0).high_watermark, 0);
}

#[test]
fn the_connections_of_one_client_are_closed_on_demand() {
    let mut bench = Bench::new(1);
    let idle = bench.connect(1);
    bench.call(idle, 4, &m::ListGroupsRequest::default());
    bench.cluster.disconnect_clients("somebody else");
    assert!(!bench.is_closed(idle));
    bench.cluster.disconnect_clients("bench");
    assert!(bench.is_closed(idle));
}
