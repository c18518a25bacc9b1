//! Admin calls, and what becomes of them on a bad network.

use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client_core::Completion;
use millstream_client_core::admin::{
    AdminCommand, AdminCompletion, AdminError, NewTopic, OffsetSpec,
};
use millstream_client_core::consumer::IsolationLevel;
use millstream_types::{BrokerId, GroupId, Offset, TopicName, TopicPartition};

use crate::world::{ClientId, World};

fn admin(world: &mut World) -> ClientId {
    let config = world.config();
    world.client(&config, None, None)
}

fn create(world: &mut World, client: ClientId, topics: Vec<NewTopic>) -> Vec<Option<ErrorCode>> {
    let call = world.call(client, AdminCommand::CreateTopics(topics));
    let Completion::Admin(AdminCompletion::CreateTopics(results)) = call else {
        panic!("{call:?}");
    };
    let code = |result: Result<_, AdminError>| {
        result.err().map(|error| error.code().unwrap_or_else(|| panic!("{error}")))
    };
    results.into_values().map(code).collect()
}

fn offsets(world: &mut World, client: ClientId, topic: &str) -> Vec<Option<Offset>> {
    let specs = (0..3).map(|p| (TopicPartition::new(topic, p), OffsetSpec::Latest)).collect();
    let command = AdminCommand::ListOffsets(specs, IsolationLevel::ReadUncommitted);
    let call = world.call(client, command);
    let Completion::Admin(AdminCompletion::ListOffsets(results)) = call else {
        panic!("{call:?}");
    };
    results.into_values().map(|result| result.unwrap().offset).collect()
}

#[test]
fn calls_succeed_on_a_bad_network() {
    for seed in 0..30 {
        let mut world = World::new(seed, 3);
        world.network.cut_per_mille = 50;
        let client = admin(&mut world);
        let topics = ["a", "b"].map(|name| NewTopic::new(name, 3)).to_vec();
        let codes = create(&mut world, client, topics);
        // A lost answer makes the next try find the topic that the first one made.
        let fine =
            |code: &Option<ErrorCode>| matches!(code, None | Some(ErrorCode::TopicAlreadyExists));
        assert!(codes.iter().all(fine), "{codes:?}");
        assert_eq!(offsets(&mut world, client, "a"), [Some(Offset(0)); 3]);
        let call = world.call(client, AdminCommand::DeleteTopics(vec![TopicName::from("a")]));
        let Completion::Admin(AdminCompletion::DeleteTopics(results)) = call else {
            panic!("{call:?}");
        };
        assert!(results.values().all(Result::is_ok), "{results:?}");
    }
}

#[test]
fn a_lost_answer_to_a_deletion_is_no_failure() {
    let mut world = World::new(1, 1);
    let client = admin(&mut world);
    create(&mut world, client, vec![NewTopic::new("gone", 1)]);
    world.cluster.fault(Fault::on(ApiKey::DeleteTopics).nth(1).apply_then_disconnect());
    let call = world.call(client, AdminCommand::DeleteTopics(vec!["gone".into()]));
    let Completion::Admin(AdminCompletion::DeleteTopics(results)) = call else {
        panic!("{call:?}");
    };
    assert!(results.values().all(Result::is_ok), "{results:?}");
}

#[test]
fn a_call_ends_at_its_deadline_and_says_why() {
    let mut world = World::new(2, 1);
    let client = admin(&mut world);
    world.cluster.fault(Fault::on(ApiKey::CreateTopics).always().error(ErrorCode::NotController));
    let begun = world.now;
    let call = world.call(client, AdminCommand::CreateTopics(vec![NewTopic::new("t", 1)]));
    assert_eq!(world.now - begun, Duration::from_secs(60));
    let Completion::Admin(AdminCompletion::CreateTopics(mut results)) = call else {
        panic!("{call:?}");
    };
    let error = results.remove("t").unwrap().unwrap_err().to_string();
    assert!(error.starts_with("topic t: no final answer within 60s; last error: "), "{error}");
    assert!(error.contains("NOT_CONTROLLER"), "{error}");
    // Backoff doubles to a second: about 60 tries, not thousands.
    assert!(world.engine(client).requests_sent() < 200);
}

#[test]
fn a_broker_that_never_answers_costs_a_request_timeout() {
    let mut world = World::new(3, 3);
    let client = admin(&mut world);
    create(&mut world, client, vec![NewTopic::new("t", 3)]);
    world.cluster.fault(Fault::on(ApiKey::ListOffsets).nth(1).drop());
    let begun = world.now;
    assert_eq!(offsets(&mut world, client, "t"), [Some(Offset(0)); 3]);
    let took = world.now - begun;
    assert!((30..32).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn leaders_and_coordinators_are_followed() {
    for seed in 0..10 {
        let mut world = World::new(seed, 3);
        let client = admin(&mut world);
        create(&mut world, client, vec![NewTopic::new("t", 3).replication(3)]);
        assert_eq!(offsets(&mut world, client, "t"), [Some(Offset(0)); 3]);
        let group = || AdminCommand::GroupOffsets(GroupId::from("g"));
        let call = world.call(client, group());
        let is_empty = |call: &Completion| {
            matches!(call, Completion::Admin(AdminCompletion::GroupOffsets(Ok(offsets)))
                if offsets.is_empty())
        };
        assert!(is_empty(&call), "{call:?}");
        for node in 1..=3 {
            let now = world.now;
            world.cluster.crash_node(BrokerId(node), now).unwrap();
            assert_eq!(offsets(&mut world, client, "t"), [Some(Offset(0)); 3]);
            let call = world.call(client, group());
            assert!(is_empty(&call), "{call:?}");
            let now = world.now;
            world.cluster.restart_node(BrokerId(node), now).unwrap();
        }
        assert!(world.elapsed() < Duration::from_secs(20), "{:?}", world.elapsed());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed, 3);
        world.network.cut_per_mille = 100;
        let client = admin(&mut world);
        create(&mut world, client, vec![NewTopic::new("t", 3)]);
        offsets(&mut world, client, "t");
        (world.elapsed(), world.engine(client).requests_sent(), world.below(u64::MAX))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn more_calls_at_once_than_may_wait_are_served_in_turn() {
    let mut world = World::new(9, 1);
    let client = admin(&mut world);
    let calls: Vec<_> =
        (0..1500).map(|_| world.post(client, AdminCommand::DescribeCluster)).collect();
    let last = *calls.last().unwrap();
    world.run_until("all calls return", |world| world.is_complete(client, last));
    world.run_for(Duration::from_secs(60));
    for call in calls {
        let completion = world.take(client, call);
        let good =
            matches!(completion, Some(Completion::Admin(AdminCompletion::DescribeCluster(Ok(_)))));
        assert!(good, "{completion:?}");
    }
}
