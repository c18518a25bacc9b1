//! Admin calls, and what becomes of them on a bad network.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client_core::admin::{
    self as ask, AdminError, Cluster, GroupOffsetsSpec, NewTopic, OffsetSpec, Results,
};
use millstream_client_core::consumer::IsolationLevel;
use millstream_types::{BrokerId, GroupId, Offset, OffsetAndMetadata, TopicName, TopicPartition};

use millstream_tests::sim::calls::Calls;
use millstream_tests::sim::client::ClientId;
use millstream_tests::sim::net::NetProfile;

fn create(calls: &mut Calls, client: ClientId, topics: Vec<NewTopic>) -> Vec<Option<ErrorCode>> {
    let results = calls.call(client, ask::create_topics(topics, false));
    let code = |result: Result<_, AdminError>| {
        result.err().map(|error| error.code().unwrap_or_else(|| panic!("{error}")))
    };
    results.into_values().map(code).collect()
}

fn offsets(calls: &mut Calls, client: ClientId, topic: &str) -> Vec<Option<Offset>> {
    let specs = (0..3).map(|p| (TopicPartition::new(topic, p), OffsetSpec::Latest));
    let results = calls.call(client, ask::list_offsets(specs, IsolationLevel::ReadUncommitted));
    results.into_values().map(|result| result.unwrap().offset).collect()
}

#[test]
fn calls_succeed_on_a_bad_network() {
    for seed in 0..30 {
        let bad = NetProfile { breaks: 50_000, ..NetProfile::calm() };
        let mut calls = Calls::over(seed, 3, bad);
        let client = calls.client(|_| {});
        let topics = ["a", "b"].map(|name| NewTopic::new(name, 3)).to_vec();
        let codes = create(&mut calls, client, topics);
        // A lost answer makes the next try find the topic that the first one made.
        let fine =
            |code: &Option<ErrorCode>| matches!(code, None | Some(ErrorCode::TopicAlreadyExists));
        assert!(codes.iter().all(fine), "{codes:?}");
        assert_eq!(offsets(&mut calls, client, "a"), [Some(Offset(0)); 3]);
        let results = calls.call(client, ask::delete_topics([TopicName::from("a")]));
        assert!(results.values().all(Result::is_ok), "{results:?}");
    }
}

#[test]
fn a_lost_answer_to_a_deletion_is_no_failure() {
    let mut calls = Calls::new(1, 1);
    let client = calls.client(|_| {});
    create(&mut calls, client, vec![NewTopic::new("gone", 1)]);
    calls.world.cluster().fault(Fault::on(ApiKey::DeleteTopics).nth(1).apply_then_disconnect());
    let results = calls.call(client, ask::delete_topics(["gone".into()]));
    assert!(results.values().all(Result::is_ok), "{results:?}");
}

#[test]
fn a_call_ends_at_its_deadline_and_says_why() {
    let mut calls = Calls::new(2, 1);
    let client = calls.client(|_| {});
    calls
        .world
        .cluster()
        .fault(Fault::on(ApiKey::CreateTopics).always().error(ErrorCode::NotController));
    let begun = calls.world.now();
    let mut results = calls.call(client, ask::create_topics([NewTopic::new("t", 1)], false));
    assert_eq!(calls.world.now() - begun, Duration::from_secs(60));
    let error = results.remove("t").unwrap().unwrap_err().to_string();
    assert!(error.starts_with("topic t: no final answer within 60s; last error: "), "{error}");
    assert!(error.contains("NOT_CONTROLLER"), "{error}");
    // Backoff doubles to a second: about 60 tries, not thousands.
    assert!(calls.world.requests_sent(client) < 200);
}

#[test]
fn a_broker_that_never_answers_costs_a_request_timeout() {
    let mut calls = Calls::new(3, 3);
    let client = calls.client(|_| {});
    create(&mut calls, client, vec![NewTopic::new("t", 3)]);
    calls.world.cluster().fault(Fault::on(ApiKey::ListOffsets).nth(1).drop());
    let begun = calls.world.now();
    assert_eq!(offsets(&mut calls, client, "t"), [Some(Offset(0)); 3]);
    let took = calls.world.now() - begun;
    assert!((30..32).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn leaders_and_coordinators_are_followed() {
    for seed in 0..10 {
        let mut calls = Calls::new(seed, 3);
        let client = calls.client(|_| {});
        create(&mut calls, client, vec![NewTopic::new("t", 3).replication(3)]);
        assert_eq!(offsets(&mut calls, client, "t"), [Some(Offset(0)); 3]);
        let group =
            || ask::list_group_offsets([(GroupId::from("g"), GroupOffsetsSpec::default())], false);
        let call = calls.call(client, group());
        let is_empty = |results: &Results<GroupId, BTreeMap<_, OffsetAndMetadata>>| matches!(results.values().next(), Some(Ok(offsets)) if offsets.is_empty());
        assert!(is_empty(&call), "{call:?}");
        for node in 1..=3 {
            calls.world.crash_node(BrokerId(node));
            assert_eq!(offsets(&mut calls, client, "t"), [Some(Offset(0)); 3]);
            let call = calls.call(client, group());
            assert!(is_empty(&call), "{call:?}");
            calls.world.restart_node(BrokerId(node));
        }
        assert!(calls.world.elapsed() < Duration::from_secs(20), "{:?}", calls.world.elapsed());
    }
}

#[test]
fn more_calls_at_once_than_may_wait_are_served_in_turn() {
    let mut calls = Calls::new(9, 1);
    let client = calls.client(|_| {});
    let posted: Vec<_> = (0..1500)
        .map(|_| calls.post(client, ask::describe_cluster(ask::ClusterScope::Brokers, false)))
        .collect();
    calls.run_for(Duration::from_secs(60));
    for call in posted {
        let result: Option<Result<Cluster, AdminError>> = calls.take(client, call);
        assert!(matches!(result, Some(Ok(_))), "{result:?}");
    }
}
