//! Connections: lanes, idleness, backoff, absent brokers.

use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client_core::Completion;
use millstream_client_core::admin::{AdminCommand, AdminCompletion, AdminError, OffsetSpec};
use millstream_client_core::consumer::IsolationLevel;
use millstream_types::{BrokerId, TopicPartition};

use crate::world::World;

fn describe(world: &mut World, client: crate::world::ClientId) -> Result<usize, AdminError> {
    let call = world.call(client, AdminCommand::DescribeCluster);
    let Completion::Admin(AdminCompletion::DescribeCluster(result)) = call else {
        panic!("{call:?}");
    };
    result.map(|cluster| cluster.brokers.len())
}

#[test]
fn an_idle_client_is_silent_and_closes_its_connections() {
    let mut world = World::new(1, 3);
    let mut config = world.config();
    config.metadata_max_age = Duration::from_secs(100_000);
    let client = world.client(&config, None, None);
    assert_eq!(describe(&mut world, client).unwrap(), 3);
    assert!(world.connections() > 0);
    world.run_for(Duration::from_secs(1));
    let sent = world.engine(client).requests_sent();
    world.run_for(Duration::from_secs(530));
    assert!(world.connections() > 0, "closed before connections.max.idle");
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.connections(), 0);
    assert_eq!(world.engine(client).requests_sent(), sent);
}

#[test]
fn metadata_is_fetched_again_by_age() {
    let mut world = World::new(2, 1);
    let config = world.config();
    let client = world.client(&config, None, None);
    world.run_for(Duration::from_secs(1));
    let sent = world.engine(client).requests_sent();
    assert_eq!(sent, 1, "one request at the start");
    world.run_for(Duration::from_secs(3000));
    assert_eq!(world.engine(client).requests_sent() - sent, 10);
}

#[test]
fn dead_brokers_are_asked_rarely_and_found_when_they_return() {
    for seed in 0..5 {
        let mut world = World::new(seed, 3);
        let config = world.config();
        let client = world.client(&config, None, None);
        assert_eq!(describe(&mut world, client).unwrap(), 3);
        for node in 1..=3 {
            let now = world.now;
            world.cluster.crash_node(BrokerId(node), now).unwrap();
        }
        let error = describe(&mut world, client).unwrap_err().to_string();
        assert!(error.contains("no final answer within 60s"), "{error}");
        // Three brokers and three bootstrap servers, a second apart each.
        let rate = world.connections_made() / 60;
        assert!(rate < 8, "{rate} attempts a second");
        let now = world.now;
        world.cluster.restart_node(BrokerId(2), now).unwrap();
        let begun = world.now;
        assert!(describe(&mut world, client).is_ok());
        assert!(world.now - begun < Duration::from_secs(10));
    }
}

#[test]
fn one_live_bootstrap_server_is_enough() {
    for seed in 0..10 {
        let mut world = World::new(seed, 3);
        for node in [1, 3] {
            let now = world.now;
            world.cluster.crash_node(BrokerId(node), now).unwrap();
        }
        let config = world.config();
        let client = world.client(&config, None, None);
        assert_eq!(describe(&mut world, client).unwrap(), 1);
        assert!(world.elapsed() < Duration::from_secs(2), "{:?}", world.elapsed());
    }
}

#[test]
fn an_old_broker_is_asked_for_versions_again_on_the_same_connection() {
    let connections = |refused: u64| {
        let mut world = World::new(4, 1);
        let old = Fault::on(ApiKey::ApiVersions).times(refused);
        world.cluster.fault(old.error(ErrorCode::UnsupportedVersion));
        let config = world.config();
        let client = world.client(&config, None, None);
        assert_eq!(describe(&mut world, client).unwrap(), 1);
        world.connections_made()
    };
    assert_eq!(connections(1), connections(0));
}

#[test]
fn a_silent_peer_is_given_up_after_the_setup_timeout() {
    let mut world = World::new(5, 1);
    world.cluster.fault(Fault::on(ApiKey::ApiVersions).always().drop());
    let config = world.config();
    let client = world.client(&config, None, None);
    let error = describe(&mut world, client).unwrap_err().to_string();
    assert!(error.contains("did not answer ApiVersions in time"), "{error}");
    // 10 s, 20 s, then 30 s each, give or take a fifth (KIP-601).
    assert!((2..=5).contains(&world.connections_made()), "{}", world.connections_made());
}

#[test]
fn wrong_advertised_addresses_are_named() {
    let mut world = World::new(6, 1);
    world.cluster.create_topic("t", 1).unwrap();
    world.cluster.set_address(BrokerId(1), "node-99", 9092).unwrap();
    let config = world.config();
    let client = world.client(&config, None, None);
    let specs = vec![(TopicPartition::new("t", 0), OffsetSpec::Latest)];
    let command = AdminCommand::ListOffsets(specs, IsolationLevel::ReadUncommitted);
    let call = world.call(client, command);
    let Completion::Admin(AdminCompletion::ListOffsets(mut results)) = call else {
        panic!("{call:?}");
    };
    let (_, result) = results.pop_first().unwrap();
    let error = result.unwrap_err().to_string();
    assert!(error.contains("broker 1 (node-99:9092)"), "{error}");
}
