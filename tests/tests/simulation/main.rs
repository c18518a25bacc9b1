//! Simulations of clients and broker in memory, under faults and virtual time.
//!
//! Every test runs each seed twice and names the seed that fails. `MILLSTREAM_SEED=n` runs that
//! seed alone, `MILLSTREAM_SEEDS=a..b` those, and `MILLSTREAM_TRACE=n` shows the last `n` events.

mod admin_calls;
mod connections;

use millstream_client_core::group::RebalanceProtocol;
use millstream_tests::sim::check::{Promise, Violation};
use millstream_tests::sim::plant::Plant;
use millstream_tests::sim::produce::{self, Setup};
use millstream_tests::sim::run::{Outcome, check_seeds, finds};
use millstream_tests::sim::{admin, group, read, transact};

/// What must have happened in some seed or other of each test.
const FAULTS: [&str; 14] = [
    "broken links",
    "cuts",
    "delays",
    "disconnects",
    "disconnects after the deed",
    "drops",
    "errors",
    "leader moves",
    "node crashes",
    "node pauses",
    "refusals",
    "silence after the deed",
    "silent links",
    "unanswered dials",
];

#[test]
fn accepted_records_end_once_and_truly() {
    let ends = ["written records", "records not written", "records of unknown end"];
    let wanted = [&FAULTS[..], &ends].concat();
    check_seeds("accepted_records_end_once_and_truly", 30, &wanted, |seed| {
        produce::run(seed, Setup::default())
    });
}

#[test]
fn readers_skip_and_repeat_nothing() {
    check_seeds("readers_skip_and_repeat_nothing", 16, &FAULTS, |seed| {
        read::run(seed, Plant::Nothing)
    });
}

#[test]
fn eager_groups_process_everything_at_least_once() {
    check_groups("eager_groups_process_everything_at_least_once", RebalanceProtocol::Eager);
}

#[test]
fn cooperative_groups_process_everything_at_least_once() {
    check_groups(
        "cooperative_groups_process_everything_at_least_once",
        RebalanceProtocol::Cooperative,
    );
}

fn check_groups(name: &str, protocol: RebalanceProtocol) {
    let events = [
        "assignments",
        "revocations",
        "losses",
        "commits",
        "killed clients",
        "records processed again",
    ];
    let wanted = [&FAULTS[..], &events].concat();
    check_seeds(name, 10, &wanted, |seed| group::run(seed, protocol, Plant::Nothing));
}

#[test]
fn transactions_are_all_or_nothing() {
    let ends = [
        "committed transactions",
        "aborted transactions",
        "fenced producers",
        "killed clients",
        "coordinator moves",
        "loading coordinators",
    ];
    let wanted = [&FAULTS[..], &ends].concat();
    check_seeds("transactions_are_all_or_nothing", 16, &wanted, transact::run);
}

#[test]
fn admin_calls_tell_the_truth() {
    check_seeds("admin_calls_tell_the_truth", 20, &["admin calls", "node crashes"], admin::run);
}

/// Without idempotence a produce request that arrives twice is written twice.
#[test]
fn the_judge_finds_a_doubled_produce() {
    let setup = Setup {
        promise: Promise::AtLeastOnce,
        plant: Plant::DoublesProduce { left: 10, every: 10 },
        ..Setup::default()
    };
    let run = |seed| produce::run(seed, setup);
    assert_finds(run, |found| matches!(found, Violation::Duplicate(..)));
}

/// The broker recognises a doubled produce of an idempotent producer.
#[test]
fn idempotence_withstands_a_doubled_produce() {
    let setup = Setup { plant: Plant::DoublesProduce { left: 3, every: 3 }, ..Setup::default() };
    check_seeds("idempotence_withstands_a_doubled_produce", 10, &[], |seed| {
        produce::run(seed, setup)
    });
}

#[test]
fn the_judge_finds_a_lost_batch() {
    let setup = Setup { plant: Plant::LogLosesTail(0), ..Setup::default() };
    let run = |seed| produce::run(seed, setup);
    assert_finds(run, |found| matches!(found, Violation::Lost(..)));
}

#[test]
fn the_judge_finds_a_skipped_batch() {
    let run = |seed| read::run(seed, Plant::ReaderDropsBatch(2));
    assert_finds(run, |found| matches!(found, Violation::Skipped(..)));
}

#[test]
fn the_judge_finds_a_repeated_batch() {
    let run = |seed| read::run(seed, Plant::ReaderRepeatsBatch);
    assert_finds(run, |found| matches!(found, Violation::Repeated(..)));
}

#[test]
fn the_judge_finds_a_commit_ahead_of_processing() {
    let run = |seed| group::run(seed, RebalanceProtocol::Eager, Plant::MemberCommitsAhead);
    assert_finds(run, |found| matches!(found, Violation::CommittedAhead(..)));
}

/// One of a few seeds must show the planted defect.
fn assert_finds(run: impl Fn(u64) -> Outcome, wanted: fn(&Violation) -> bool) {
    assert!(finds(5, run, wanted), "the planted defect was not found");
}
