//! Every error code of every request of a transaction, through the machine: what the application is
//! told, what the log shows, and whether the producer goes on.

use std::fmt::Write;

use expect_test::expect_file;
use millstream_protocol::{ApiKey, ErrorCode};

use super::life::{begin, begun, committed, ready};
use super::model::Mark;
use super::world::{Fate, World};
use crate::transaction::{CommitFailure, TransactionCompletion, TransactionState};

/// How one transaction ends in which the first request of `api` is answered with `code`.
fn end(api: ApiKey, code: ErrorCode, is_v2: bool) -> String {
    let mut world = begun(is_v2);
    world.refuse_first(api, code);
    drop(world.enqueue(0, "a").unwrap());
    let offsets = world.offsets(7);
    drop(world.call(offsets));
    let told = match committed(world.commit()) {
        Ok(()) => "committed".to_owned(),
        Err(CommitFailure::NotCommitted(error)) => format!("not committed, {}", error.class()),
        Err(CommitFailure::Unknown(error)) => format!("unknown, {}", error.class()),
    };
    let goes_on = goes_on(&mut world, &format!("{api}, {code}, version 2: {is_v2}, {told}"));
    let marks = world.model.logs.values().flatten().filter(|entry| entry.value == "a");
    let visible = marks.filter(|entry| entry.mark == Mark::Committed).count();
    assert_eq!(visible == 1, told == "committed", "{api}, {code}, version 2: {is_v2}");
    format!("{told}; {goes_on}")
}

/// Whether another transaction can be begun, and made.
fn goes_on(world: &mut World, what: &str) -> &'static str {
    match world.begin() {
        TransactionCompletion::Begun(Ok(_)) => {
            drop(world.enqueue(0, "after").unwrap());
            let again = committed(world.commit());
            again.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            "goes on"
        }
        TransactionCompletion::Begun(Err(error)) => {
            assert_eq!(world.machine.state(), TransactionState::Fatal, "{error}");
            "ends"
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_code_of_every_request_has_its_end() {
    let mut table = String::new();
    for (api, is_v2) in [
        (ApiKey::AddPartitionsToTxn, false),
        (ApiKey::AddOffsetsToTxn, false),
        (ApiKey::TxnOffsetCommit, false),
        (ApiKey::TxnOffsetCommit, true),
        (ApiKey::Produce, false),
        (ApiKey::Produce, true),
        (ApiKey::EndTxn, false),
        (ApiKey::EndTxn, true),
    ] {
        let version = if is_v2 { 2 } else { 1 };
        writeln!(table, "# {api}, version {version}").unwrap();
        let codes = ErrorCode::ALL.iter().copied().chain([ErrorCode::Unrecognized(9_999)]);
        for code in codes.filter(|code| !code.is_ok()) {
            writeln!(table, "{:42} {}", code.name(), end(api, code, is_v2)).unwrap();
        }
    }
    expect_file!["ends.txt"].assert_eq(&table);
}

#[test]
fn every_code_of_init_producer_id_is_retried_or_final() {
    let mut table = String::new();
    for code in ErrorCode::ALL.iter().copied().chain([ErrorCode::Unrecognized(9_999)]) {
        let mut world = World::new(super::model::Model::new(true, 0));
        world.fates = [Fate::Refuse(code)].into();
        let told = match world.initialize() {
            TransactionCompletion::Initialized(Ok(())) => {
                begin(&mut world);
                "initialized".to_owned()
            }
            TransactionCompletion::Initialized(Err(error)) => {
                assert_eq!(world.machine.state(), TransactionState::Fatal, "{code}");
                format!("refused, {}", error.class())
            }
            other => panic!("{other:?}"),
        };
        if !code.is_ok() {
            writeln!(table, "{:42} {told}", code.name()).unwrap();
        }
    }
    expect_file!["inits.txt"].assert_eq(&table);
}

#[test]
fn a_fenced_producer_is_told_so_at_every_call() {
    for is_v2 in [false, true] {
        let mut world = ready(is_v2);
        world.model.fence();
        begin(&mut world);
        drop(world.enqueue(0, "a").unwrap());
        let error = committed(world.commit()).unwrap_err();
        assert!(matches!(error, CommitFailure::NotCommitted(_)), "{error}");
        assert_eq!(goes_on(&mut world, "fenced"), "ends");
        assert_eq!(world.model.logs.values().flatten().count(), 0);
    }
}
