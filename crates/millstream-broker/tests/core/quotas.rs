//! Quotas that act: byte rates, request time, mutations.

use std::time::Duration;

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;

use crate::bench::{Bench, batch, produce_request, text, topic_name};
use crate::fetch::{VERSION, partition, request};

fn limit(bench: &mut Bench, key: &str, value: f64) {
    use m::alter_client_quotas_request::{EntityData, EntryData, OpData};
    let entity = EntityData::default()
        .with_entity_type(text("client-id"))
        .with_entity_name(Some(text("bench")));
    let op = OpData::default().with_key(text(key)).with_value(value);
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let request = m::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    assert_eq!(bench.ask(1, 1, &request).entries[0].error_code, 0);
}

#[test]
fn a_producer_over_its_rate_is_told_and_its_connection_is_mute() {
    let mut bench = Bench::new(1).topic("t", 1);
    limit(&mut bench, "producer_byte_rate", 10.0);
    let connection = bench.connect(1);
    let write = produce_request("t", 0, batch(&["a"]));
    let first = bench.send(connection, 9, &write);
    let first = bench.answer::<m::ProduceRequest>(first).unwrap();
    assert_eq!(first.responses[0].partition_responses[0].error_code, 0, "it was written");
    assert!(first.throttle_time_ms > 0, "{first:?}");
    let second = bench.send(connection, 9, &write);
    let wait = Duration::from_millis(first.throttle_time_ms.unsigned_abs().into());
    bench.pass(wait - Duration::from_millis(1));
    assert!(bench.answer::<m::ProduceRequest>(second).is_none());
    bench.pass(Duration::from_millis(1));
    assert!(bench.answer::<m::ProduceRequest>(second).is_some());
    let other = bench.connect(1);
    bench.client = "another";
    assert_eq!(bench.call(other, 9, &write).throttle_time_ms, 0, "others have their own rate");
}

#[test]
fn a_consumer_over_its_rate_gets_nothing_until_it_waited() {
    let mut bench = Bench::new(1).topic("t", 1);
    bench.produce(1, "t", 0, &["a"]);
    limit(&mut bench, "consumer_byte_rate", 1.0);
    let connection = bench.connect(1);
    let read = request("t", vec![partition(0, 0)]);
    let first = bench.call(connection, VERSION, &read);
    assert!(first.throttle_time_ms > 0 && first.responses.is_empty(), "{first:?}");
    assert_eq!(first.error_code, 0);
    bench.pass(Duration::from_millis(first.throttle_time_ms.unsigned_abs().into()));
    limit(&mut bench, "consumer_byte_rate", 1e6);
    let second = bench.call(connection, VERSION, &read);
    assert_eq!((second.throttle_time_ms, second.responses.len()), (0, 1));
}

#[test]
fn request_time_is_counted_as_configured() {
    let mut bench =
        Bench::with(1, |config| config.quotas.request_time = Duration::from_millis(100));
    limit(&mut bench, "request_percentage", 1.0);
    let list = m::ListGroupsRequest::default();
    let connection = bench.connect(1);
    // A tenth of a second of a thread is 1 % of ten seconds, and was used by setting the limit.
    assert_eq!(bench.call(connection, 4, &list).throttle_time_ms, 10_000);
}

#[test]
fn mutations_over_the_rate_are_refused_or_delayed() {
    let mut bench = Bench::new(1);
    limit(&mut bench, "controller_mutation_rate", 1.0);
    let create = |name: &str, partitions| {
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        m::CreateTopicsRequest::default().with_topics(vec![topic])
    };
    assert_eq!(bench.ask(1, 7, &create("a", 13)).topics[0].error_code, 0);
    let refused = bench.ask(1, 7, &create("b", 1));
    let code = ErrorCode::from(refused.topics[0].error_code);
    assert_eq!((code, refused.throttle_time_ms), (ErrorCode::ThrottlingQuotaExceeded, 2000));
    let old = bench.ask(1, 5, &create("c", 1));
    assert_eq!((old.topics[0].error_code, old.throttle_time_ms), (0, 3000));
}

#[test]
fn a_policy_and_the_size_of_a_request_bound_creations() {
    let mut bench = Bench::with(1, |config| {
        config.create_topic_policy =
            Some(|name, _, _| if name.starts_with('x') { Err("no x".to_owned()) } else { Ok(()) });
    });
    let topic = |name: &str, partitions| {
        m::create_topics_request::CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
    };
    let topics = vec![topic("x", 1), topic("y", 1)];
    let answer = bench.ask(1, 7, &m::CreateTopicsRequest::default().with_topics(topics));
    let refused = &answer.topics[0];
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::PolicyViolation);
    assert_eq!(refused.error_message.as_deref(), Some("no x"));
    assert_eq!(answer.topics[1].error_code, 0);
    let topics = vec![topic("a", 6000), topic("b", 6000)];
    let answer = bench.ask(1, 7, &m::CreateTopicsRequest::default().with_topics(topics));
    for topic in &answer.topics {
        assert_eq!(ErrorCode::from(topic.error_code), ErrorCode::PolicyViolation);
    }
}
