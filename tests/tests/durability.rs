//! A million numbered records over six partitions of real Kafka, while its nodes are killed with
//! SIGKILL, stopped with SIGSTOP and restarted in turn, read back by Java's consumer: none is lost,
//! none comes twice, each partition keeps its order, and what the producer was told is what is there.
//!
//! CI runs a shortened form. The whole: `MILLSTREAM_NEMESIS_RECORDS=1000000
//! MILLSTREAM_NEMESIS_ROUNDS=24 cargo test -p millstream-tests --test durability numbered`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_tests::cluster::TestCluster;
use millstream_tests::deadline;
use millstream_tests::java::{self, Isolation};
use millstream_tests::numbered::{PARTITIONS, Plan, write_under_strikes};
use millstream_tests::sim::check::{Logged, Promise, check_writes};
use millstream_types::TopicPartition;

/// What CI runs: each strike once.
const SHORT: Plan = Plan { records: 100_000, rounds: 4 };
/// A round of the whole takes some 15 s.
const DEADLINE: Duration = Duration::from_secs(1800);

#[test]
fn numbered_records_outlive_kills_pauses_and_restarts() {
    deadline::run("numbered_records", DEADLINE, || async {
        let plan = Plan::or_env(SHORT);
        let cluster = TestCluster::own_kafka("durability");
        let begun = Instant::now();
        let (topic, told) = write_under_strikes(&cluster, plan).await;
        let [written, not_written, unknown] = told.counts();
        let took = begun.elapsed().as_secs();
        println!(
            "{} records, strikes {:?}, {took} s: {written} written, {not_written} not written, \
             {unknown} unknown",
            plan.records, told.strikes
        );
        let records = java::read(&cluster.bootstrap(), Isolation::ReadUncommitted, &[&topic]).await;
        println!("Java read {} records", records.len());
        let mut logs: BTreeMap<TopicPartition, Vec<Logged>> = (0..PARTITIONS)
            .map(|partition| (TopicPartition::new(&*topic, partition), Vec::new()))
            .collect();
        for record in &records {
            let log = logs.get_mut(&TopicPartition::new(&*topic, record.partition));
            let value = record.text().parse().expect("a number");
            log.expect("of six").push(Logged { offset: record.offset, value });
        }
        let found = check_writes(Promise::Idempotent, &told.lanes, &logs);
        assert!(
            found.is_empty(),
            "{} violations: {:?}",
            found.len(),
            &found[..found.len().min(20)]
        );
        assert_eq!((written as u64, records.len() as u64), (plan.records, plan.records));
    });
}
