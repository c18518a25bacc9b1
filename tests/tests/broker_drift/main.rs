//! The in-process broker beside real Kafka, frame by frame: the same requests must get the same
//! answers. A difference is a bug of the in-process broker.
//!
//! A story sends requests by hand and tells what came back, in codes and numbers; it is told by both
//! and the two tellings are compared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

mod cluster;
mod fetch;
mod groups;
mod offsets;
mod peer;
mod produce;
mod quotas;
mod resources;
mod security;
mod topics;
mod transactions;

use std::env;

use millstream_broker::Broker;
use peer::Peer;
use xtask::kafka::DEFAULT_VERSION;

/// Has both tell a story.
fn same(story: fn(&mut Peer)) {
    if let Ok(version) = env::var("MILLSTREAM_KAFKA_VERSION") {
        assert_eq!(version, DEFAULT_VERSION, "the stories are those of this version alone");
    }
    let Ok(bootstrap) = env::var("MILLSTREAM_KAFKA") else {
        panic!(
            "this test needs real Kafka: run `cargo xtask test`, or start a cluster with \
             `cargo xtask kafka up` and set MILLSTREAM_KAFKA to the address that it prints"
        );
    };
    let ours = Broker::in_process().nodes(3).configure(|config| {
        config.auto_create_topics = false;
        config.security.authorizer = true;
        config.security.super_users.push("User:ANONYMOUS".to_owned());
    });
    let ours = ours.start_blocking().unwrap();
    let told = |bootstrap: &str| {
        let mut peer = Peer::new(bootstrap);
        story(&mut peer);
        peer.told()
    };
    let (real, ours) = (told(&bootstrap), told(&ours.bootstrap()));
    let differs = real.lines().zip(ours.lines()).find(|(real, ours)| real != ours);
    assert!(real == ours, "real Kafka, then ours: {differs:#?}\n\nin whole:\n{real}\n\n{ours}");
}

#[test]
fn batches_are_appended_or_refused_alike() {
    same(produce::appends);
}

#[test]
fn idempotence_is_judged_alike() {
    same(produce::idempotence);
}

#[test]
fn reads_are_answered_alike() {
    same(fetch::reads);
}

#[test]
fn fetch_sessions_go_alike() {
    same(fetch::sessions);
}

#[test]
fn offsets_are_found_alike() {
    same(offsets::looked_up);
}

#[test]
fn committed_offsets_are_kept_alike() {
    same(offsets::committed);
}

#[test]
fn groups_rebalance_alike() {
    same(groups::rebalances);
}

#[test]
fn static_members_return_alike() {
    same(groups::static_members);
}

#[test]
fn topics_are_created_and_deleted_alike() {
    same(topics::life);
}

#[test]
fn configurations_are_described_and_altered_alike() {
    same(topics::configurations);
}

#[test]
fn transactions_of_version_1_go_alike() {
    same(transactions::version_1);
}

#[test]
fn transactions_of_version_2_go_alike() {
    same(transactions::version_2);
}

#[test]
fn producers_are_initialised_alike() {
    same(transactions::epochs);
}

#[test]
fn batches_outside_a_transaction_are_judged_alike() {
    same(transactions::verified);
}

#[test]
fn requests_of_transactions_are_refused_alike() {
    same(transactions::refused);
}

#[test]
fn transactions_time_out_alike() {
    same(transactions::fenced);
}

#[test]
fn offsets_in_transactions_are_kept_alike() {
    same(transactions::offsets);
}

#[test]
fn transactions_are_shown_and_aborted_alike() {
    same(transactions::administration);
}

#[test]
fn fenced_producers_disturb_alike() {
    same(transactions::zombies);
}

#[test]
fn rules_of_access_are_kept_alike() {
    same(security::rules);
}

#[test]
fn unknown_rules_are_met_alike() {
    same(security::unknown_rules);
}

#[test]
fn scram_users_are_kept_alike() {
    same(security::scram);
}

#[test]
fn delegation_tokens_are_refused_alike() {
    same(security::tokens);
}

#[test]
fn quotas_are_kept_alike() {
    same(quotas::quotas);
}

#[test]
fn partitions_move_alike() {
    same(cluster::reassignments);
}

#[test]
fn replicas_change_directories_alike() {
    same(cluster::directories);
}

#[test]
fn features_are_changed_alike() {
    same(cluster::features);
}

#[test]
fn the_quorum_is_described_alike() {
    same(cluster::quorum);
}

#[test]
fn consumer_groups_are_described_alike() {
    same(cluster::consumer_groups);
}

#[test]
fn groups_and_metrics_are_configured_alike() {
    same(resources::groups_and_metrics);
}

#[test]
fn nodes_are_configured_alike() {
    same(resources::nodes);
}
