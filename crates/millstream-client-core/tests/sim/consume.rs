//! Groups on a bad network: members come, go and die, nodes crash, leaders move; every record is
//! handled, in order, and nothing is committed that was not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use millstream_client_core::admin::{AdminCommand, AdminCompletion};
use millstream_client_core::backoff::Backoff;
use millstream_client_core::consumer::{
    AssignorSpec, Batch, ConsumerCommand, ConsumerConfig, ConsumerEvent, ConsumerMachine,
    ConsumerShared, GroupConfig, Next, OffsetReset, Stamp, Wants,
};
use millstream_client_core::group::{
    Assignment, ClusterView, GroupAssignment, GroupSubscription, RebalanceProtocol,
};
use millstream_client_core::producer::{
    Clock, ProducerConfig, ProducerMachine, ProducerShared, SealJob, SealWorkers,
};
use millstream_client_core::{Completion, Event};
use millstream_types::{BrokerId, GroupId, Offset, Record, Timestamp, TopicPartition};

use crate::world::{ClientId, World};

const PARTITIONS: i32 = 4;
const RECORDS: i64 = 300;

/// A clock that the test sets.
struct VirtualClock(Mutex<Instant>);

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

struct AtOnce;

impl SealWorkers for AtOnce {
    fn submit(&self, job: SealJob) {
        job.run();
    }
}

/// Writes `RECORDS` numbered records to each partition, in batches of a few.
fn fill(world: &mut World, topic: &str) {
    let clock = Arc::new(VirtualClock(Mutex::new(world.now)));
    let config = ProducerConfig { batch_size: 200, ..ProducerConfig::default() };
    let shared = ProducerShared::new(config, clock.clone(), Arc::new(AtOnce)).unwrap();
    let engine = world.config();
    let machine = ProducerMachine::new(Arc::clone(&shared));
    let client = world.client(&engine, Some(machine), None);
    for number in 0..RECORDS {
        for partition in 0..PARTITIONS {
            let value = number.to_string();
            let record = Record::to(topic).partition(partition).value(&value);
            while shared.try_enqueue(&record).is_err() {
                world.run_for(Duration::from_millis(10));
                *clock.0.lock().unwrap() = world.now;
            }
        }
    }
    let last = Some(Offset(RECORDS - 1));
    world.run_until("all is written", |_| {
        (0..PARTITIONS).all(|p| shared.acknowledged_offset(&TopicPartition::new(topic, p)) == last)
    });
    world.kill(client);
}

/// A consumer and what its application has seen.
struct Member {
    client: ClientId,
    shared: Arc<ConsumerShared>,
    /// The next offset of each partition, under each ownership.
    expected: BTreeMap<(i32, Stamp), Offset>,
    alive: bool,
}

fn member(world: &mut World, protocol: RebalanceProtocol) -> Member {
    let mut group = GroupConfig::new("g");
    group.session_timeout = Duration::from_secs(10);
    if protocol == RebalanceProtocol::Cooperative {
        group.assignors = vec![AssignorSpec {
            name: "sim".to_owned(),
            protocols: vec![RebalanceProtocol::Cooperative],
            builtin: None,
        }];
    }
    let shared = ConsumerShared::new(ConsumerConfig {
        group: Some(group),
        auto_offset_reset: OffsetReset::Earliest,
        max_poll_records: Some(10),
        // Small, so that the budget is met.
        buffer_memory: 2_000,
        max_partition_fetch_bytes: 500,
        ..ConsumerConfig::default()
    });
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let seed = world.below(u64::MAX);
    let machine = ConsumerMachine::new(Arc::clone(&shared), backoff, seed);
    let config = world.config();
    let client = world.client(&config, None, Some(machine));
    shared.subscribe(vec!["t".into()]).unwrap();
    Member { client, shared, expected: BTreeMap::new(), alive: true }
}

/// Spreads partitions; what a member owns and another shall have waits until it is given up.
fn assign(cluster: &ClusterView, group: &GroupSubscription) -> GroupAssignment {
    let owners: BTreeMap<_, _> = group
        .members
        .iter()
        .flat_map(|(id, member)| member.owned_partitions.iter().map(move |tp| (tp, id)))
        .collect();
    let ids: Vec<_> = group.members.keys().cloned().collect();
    let mut given: BTreeMap<_, Assignment> =
        ids.iter().map(|id| (id.clone(), Assignment::default())).collect();
    for partition in 0..PARTITIONS {
        if !cluster.topics.contains_key("t") {
            continue;
        }
        let tp = TopicPartition::new("t", partition);
        let wanted = &ids[usize::try_from(partition).unwrap() % ids.len()];
        if owners.get(&tp).is_none_or(|owner| *owner == wanted) {
            given.get_mut(wanted).unwrap().partitions.push(tp);
        }
    }
    GroupAssignment(given)
}

/// What all members together have done.
#[derive(Default)]
struct Ledger {
    handled: BTreeMap<i32, BTreeSet<i64>>,
    committed: BTreeMap<i32, i64>,
}

impl Ledger {
    fn handle(&mut self, member: &mut Member, batch: &Batch) {
        let partition = batch.partition().value();
        let key = (partition, batch.stamp());
        for record in batch {
            let value = std::str::from_utf8(record.value.unwrap()).unwrap();
            assert_eq!(record.offset.value().to_string(), value);
            if let Some(expected) = member.expected.get(&key) {
                assert_eq!(record.offset, *expected, "a gap or a step back in {partition}");
            } else if let Some(committed) = self.committed.get(&partition) {
                // A new owner begins at a commit, or further on if another came in between.
                assert!(record.offset.value() <= RECORDS, "{committed}");
            }
            member.expected.insert(key, record.offset.plus(1));
            self.handled.entry(partition).or_default().insert(record.offset.value());
        }
    }

    /// Asks the coordinator what is committed: it never goes back, and covers nothing unhandled.
    fn check(&mut self, world: &mut World, admin: ClientId) {
        let asked = world.call(admin, AdminCommand::GroupOffsets(GroupId::from("g")));
        let Completion::Admin(AdminCompletion::GroupOffsets(Ok(offsets))) = asked else { return };
        for (tp, offset) in offsets {
            let (partition, offset) = (tp.partition.value(), offset.offset.value());
            let before = self.committed.insert(partition, offset).unwrap_or(0);
            assert!(offset >= before, "commit of {partition} went from {before} to {offset}");
            let handled = self.handled.get(&partition);
            for covered in before..offset {
                assert!(
                    handled.is_some_and(|handled| handled.contains(&covered)),
                    "{covered} of {partition} is committed and was never handled"
                );
            }
        }
    }

    fn is_done(&self) -> bool {
        let all = |p: i32| self.committed.get(&p) == Some(&RECORDS);
        (0..PARTITIONS).all(all)
    }
}

/// The shell of one member: runs the assignor when asked.
fn serve(world: &mut World, client: ClientId) {
    for event in world.events(client) {
        let Event::Consumer(event) = event else { continue };
        match event {
            ConsumerEvent::SubscriptionWanted { round, .. } => {
                let user_data = BTreeMap::from([("sim".to_owned(), None)]);
                world.post(client, ConsumerCommand::Subscription { round, user_data });
            }
            ConsumerEvent::AssignmentWanted { round, cluster, group, .. } => {
                let result = Ok(assign(&cluster, &group));
                world.post(client, ConsumerCommand::Assignment { round, result });
            }
            ConsumerEvent::AssignmentReceived { generation, .. } => {
                world.post(client, ConsumerCommand::AssignmentSeen { generation });
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The application of one member: takes a few batches, handles and commits them.
fn work(world: &mut World, member: &mut Member, ledger: &mut Ledger) {
    // Slow enough that much happens meanwhile.
    for _ in 0..world.below(3) {
        member.shared.enter(world.now).unwrap();
        let next = member.shared.poll_next(Wants::Events, Waker::noop());
        member.shared.leave(world.now);
        let Poll::Ready(Some(next)) = next else { return };
        match next {
            Next::Records(batch) => {
                ledger.handle(member, &batch);
                // Sometimes the commit is skipped: the next one covers it.
                if world.below(4) > 0 {
                    let _ = member.shared.commit_later(&batch);
                }
            }
            Next::Revoking(revocation) if world.below(2) == 0 => {
                member.shared.revoked(revocation.round);
            }
            Next::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// Something happens to the cluster or to a member.
fn strike(world: &mut World, members: &mut Vec<Member>, protocol: RebalanceProtocol) {
    let now = world.now;
    let node = BrokerId(1 + i32::try_from(world.below(3)).unwrap());
    match world.below(12) {
        0 => {
            let _ = world.cluster.crash_node(node, now);
            world.run_for(Duration::from_millis(300));
            let now = world.now;
            let _ = world.cluster.restart_node(node, now);
        }
        1 => {
            let partition = i32::try_from(world.below(4)).unwrap();
            let _ = world.cluster.move_leader(&TopicPartition::new("t", partition), node, now);
        }
        2 if members.iter().filter(|member| member.alive).count() > 1 => {
            let victim = members.iter_mut().find(|member| member.alive).unwrap();
            victim.alive = false;
            world.kill(victim.client);
        }
        3 if members.iter().filter(|member| member.alive).count() > 1 => {
            let leaver = members.iter_mut().rfind(|member| member.alive).unwrap();
            leaver.alive = false;
            let close = ConsumerCommand::Close { timeout: Duration::from_secs(5) };
            world.post(leaver.client, close);
        }
        4 if members.len() < 8 => members.push(member(world, protocol)),
        _ => {}
    }
}

fn group_survives(seed: u64, protocol: RebalanceProtocol) {
    let mut world = World::new(seed, 3);
    world.cluster.create_topic("t", PARTITIONS).unwrap();
    fill(&mut world, "t");
    let config = world.config();
    let admin = world.client(&config, None, None);
    world.network.cut_per_mille = 5;
    let mut members = vec![member(&mut world, protocol), member(&mut world, protocol)];
    let mut ledger = Ledger::default();
    let deadline = world.now + Duration::from_secs(600);
    let mut rounds = 0;
    while !ledger.is_done() {
        assert!(world.now < deadline, "stuck: {:?}", ledger.committed);
        world.run_for(Duration::from_millis(20));
        for member in members.iter_mut().filter(|member| member.alive) {
            serve(&mut world, member.client);
            work(&mut world, member, &mut ledger);
        }
        rounds += 1;
        if rounds % 8 == 0 {
            ledger.check(&mut world, admin);
            strike(&mut world, &mut members, protocol);
        }
        if rounds % 1_000 == 0 {
            // What was handled and never committed again has no batch to commit it: begin anew.
            for gone in members.iter_mut().filter(|member| member.alive) {
                gone.alive = false;
                let close = ConsumerCommand::Close { timeout: Duration::from_secs(5) };
                world.post(gone.client, close);
            }
            members.push(member(&mut world, protocol));
        }
    }
    for partition in 0..PARTITIONS {
        assert_eq!(ledger.handled[&partition].len(), usize::try_from(RECORDS).unwrap());
    }
}

/// The seeds of a run: `MILLSTREAM_SEEDS` of them, or a few.
fn seeds(from: u64) -> std::ops::Range<u64> {
    let count = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|count| count.parse().ok());
    from..from + count.unwrap_or(12)
}

#[test]
fn eager_groups_survive() {
    for seed in seeds(0) {
        group_survives(seed, RebalanceProtocol::Eager);
    }
}

#[test]
fn cooperative_groups_survive() {
    for seed in seeds(10_000) {
        group_survives(seed, RebalanceProtocol::Cooperative);
    }
}

#[test]
fn a_reader_keeps_up_with_moving_leaders() {
    for seed in seeds(20_000) {
        let mut world = World::new(seed, 3);
        world.cluster.create_topic("t", PARTITIONS).unwrap();
        fill(&mut world, "t");
        world.network.cut_per_mille = 10;
        let shared = ConsumerShared::new(ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            max_poll_records: Some(5),
            ..ConsumerConfig::default()
        });
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let machine = ConsumerMachine::new(Arc::clone(&shared), backoff, seed);
        let config = world.config();
        let client = world.client(&config, None, Some(machine));
        let all = (0..PARTITIONS).map(|p| (TopicPartition::new("t", p), None));
        shared.assign(all.collect()).unwrap();
        let mut reader = Member { client, shared, expected: BTreeMap::new(), alive: true };
        let mut ledger = Ledger::default();
        let started = world.now;
        while ledger.handled.values().map(BTreeSet::len).sum::<usize>()
            < usize::try_from(RECORDS * i64::from(PARTITIONS)).unwrap()
        {
            assert!(world.now - started < Duration::from_secs(300), "stuck");
            world.run_for(Duration::from_millis(10));
            work(&mut world, &mut reader, &mut ledger);
            let node = BrokerId(1 + i32::try_from(world.below(3)).unwrap());
            let partition = i32::try_from(world.below(4)).unwrap();
            if world.below(10) == 0 {
                let now = world.now;
                let _ = world.cluster.move_leader(&TopicPartition::new("t", partition), node, now);
            }
        }
        let key = |p| reader.expected.keys().filter(|(partition, _)| *partition == p).count();
        assert!((0..PARTITIONS).all(|p| key(p) == 1), "one ownership");
    }
}
