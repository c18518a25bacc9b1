//! Connections: lanes, idleness, backoff, absent brokers.

use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client_core::admin::{self as ask, AdminError, OffsetSpec};
use millstream_client_core::consumer::IsolationLevel;
use millstream_types::{BrokerId, TopicPartition};

use millstream_tests::sim::calls::Calls;
use millstream_tests::sim::client::ClientId;

/// How many brokers a client finds.
fn describe(calls: &mut Calls, client: ClientId) -> Result<usize, AdminError> {
    let result = calls.call(client, ask::describe_cluster(ask::ClusterScope::Brokers, false));
    result.map(|cluster| cluster.brokers.len())
}

#[test]
fn an_idle_client_is_silent_and_closes_its_connections() {
    let mut calls = Calls::new(1, 3);
    let client = calls.client(|config| config.metadata_max_age = Duration::from_secs(100_000));
    assert_eq!(describe(&mut calls, client).unwrap(), 3);
    assert!(calls.world.connections(client) > 0);
    calls.run_for(Duration::from_secs(1));
    let sent = calls.world.requests_sent(client);
    calls.run_for(Duration::from_secs(530));
    assert!(calls.world.connections(client) > 0, "closed before connections.max.idle");
    calls.run_for(Duration::from_secs(20));
    assert_eq!(calls.world.connections(client), 0);
    assert_eq!(calls.world.requests_sent(client), sent);
}

#[test]
fn metadata_is_fetched_again_by_age() {
    let mut calls = Calls::new(2, 1);
    let client = calls.client(|_| {});
    calls.run_for(Duration::from_secs(1));
    let sent = calls.world.requests_sent(client);
    assert_eq!(sent, 1, "one request at the start");
    calls.run_for(Duration::from_secs(3000));
    assert_eq!(calls.world.requests_sent(client) - sent, 10);
}

#[test]
fn dead_brokers_are_asked_rarely_and_found_when_they_return() {
    for seed in 0..5 {
        let mut calls = Calls::new(seed, 3);
        let client = calls.client(|_| {});
        assert_eq!(describe(&mut calls, client).unwrap(), 3);
        for node in 1..=3 {
            calls.world.crash_node(BrokerId(node));
        }
        let error = describe(&mut calls, client).unwrap_err().to_string();
        assert!(error.contains("no final answer within 60s"), "{error}");
        // Three brokers and three bootstrap servers, a second apart each.
        let rate = calls.world.dials() / 60;
        assert!(rate < 8, "{rate} attempts a second");
        calls.world.restart_node(BrokerId(2));
        let begun = calls.world.now();
        assert!(describe(&mut calls, client).is_ok());
        assert!(calls.world.now() - begun < Duration::from_secs(10));
    }
}

#[test]
fn one_live_bootstrap_server_is_enough() {
    for seed in 0..10 {
        let mut calls = Calls::new(seed, 3);
        for node in [1, 3] {
            calls.world.crash_node(BrokerId(node));
        }
        let client = calls.client(|_| {});
        assert_eq!(describe(&mut calls, client).unwrap(), 1);
        assert!(calls.world.elapsed() < Duration::from_secs(2), "{:?}", calls.world.elapsed());
    }
}

#[test]
fn an_old_broker_is_asked_for_versions_again_on_the_same_connection() {
    let connections = |refused: u64| {
        let mut calls = Calls::new(4, 1);
        let old = Fault::on(ApiKey::ApiVersions).times(refused);
        calls.world.cluster().fault(old.error(ErrorCode::UnsupportedVersion));
        let client = calls.client(|_| {});
        assert_eq!(describe(&mut calls, client).unwrap(), 1);
        calls.world.dials()
    };
    assert_eq!(connections(1), connections(0));
}

#[test]
fn a_silent_peer_is_given_up_after_the_setup_timeout() {
    let mut calls = Calls::new(5, 1);
    calls.world.cluster().fault(Fault::on(ApiKey::ApiVersions).always().drop());
    let client = calls.client(|_| {});
    let error = describe(&mut calls, client).unwrap_err().to_string();
    assert!(error.contains("did not answer ApiVersions in time"), "{error}");
    // 10 s, 20 s, then 30 s each, give or take a fifth (KIP-601).
    assert!((2..=5).contains(&calls.world.dials()), "{}", calls.world.dials());
}

#[test]
fn wrong_advertised_addresses_are_named() {
    let mut calls = Calls::new(6, 1);
    calls.world.cluster().create_topic("t", 1).unwrap();
    calls.world.cluster().set_address(BrokerId(1), "node-99", 9092).unwrap();
    let client = calls.client(|_| {});
    let specs = [(TopicPartition::new("t", 0), OffsetSpec::Latest)];
    let mut results = calls.call(client, ask::list_offsets(specs, IsolationLevel::ReadUncommitted));
    let (_, result) = results.pop_first().unwrap();
    let error = result.unwrap_err().to_string();
    assert!(error.contains("broker 1 (node-99:9092)"), "{error}");
}
