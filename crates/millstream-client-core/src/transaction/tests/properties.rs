//! Whatever the network does: what the application was told of a transaction is what the log shows.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode as C;
use proptest::prelude::*;

use super::model::{Mark, Model};
use super::world::{Fate, PATIENCE, World};
use crate::transaction::{
    CommitFailure, TransactionCommand, TransactionCompletion, TransactionError, TransactionOutcome,
};

/// What the application does with one transaction.
#[derive(Clone, Debug)]
struct Script {
    /// The partitions of its records.
    records: Vec<bool>,
    offsets: bool,
    end: End,
    /// Whether another producer takes over before the end.
    is_fenced: bool,
    /// Whether an unknown outcome is asked for, or left to the next begin.
    resolves: bool,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    Abort,
    /// The commit is posted, and nobody waits for it.
    CommitAndForget,
}

/// What the application was told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Committed,
    NotCommitted,
    /// Nobody could say.
    Nothing,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let refusals = prop::sample::select(vec![
        C::CoordinatorLoadInProgress,
        C::ConcurrentTransactions,
        C::NotCoordinator,
        C::CoordinatorNotAvailable,
        C::UnknownServerError,
        C::TransactionAbortable,
        C::InvalidProducerEpoch,
        C::RequestTimedOut,
        C::Unrecognized(9_999),
    ]);
    let after =
        prop::sample::select(vec![C::NotCoordinator, C::RequestTimedOut, C::UnknownServerError]);
    let fate = prop_oneof![
        6 => Just(Fate::Serve),
        1 => Just(Fate::Unsent),
        1 => Just(Fate::Lost),
        2 => Just(Fate::AnswerLost),
        3 => (0..8_u8).prop_map(Fate::Late),
        2 => refusals.prop_map(Fate::Refuse),
        1 => after.prop_map(Fate::ApplyRefuse),
    ];
    prop::collection::vec(fate, 0..40)
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let end = prop_oneof![
        4 => Just(End::Commit),
        1 => Just(End::Abort),
        1 => Just(End::CommitAndForget),
    ];
    let script = (
        prop::collection::vec(any::<bool>(), 0..4),
        any::<bool>(),
        end,
        prop::bool::weighted(0.05),
        any::<bool>(),
    );
    let script = script.prop_map(|(records, offsets, end, is_fenced, resolves)| Script {
        records,
        offsets,
        end,
        is_fenced,
        resolves,
    });
    prop::collection::vec(script, 1..6)
}

/// Runs one transaction; `None` if the producer is of no more use.
fn run(world: &mut World, number: usize, script: &Script) -> Result<Told, TransactionError> {
    for (n, first) in script.records.iter().enumerate() {
        // Refused once the transaction has failed: its commit tells.
        drop(world.enqueue(i32::from(*first), &format!("{number}-{n}")));
    }
    if script.offsets {
        let offsets = world.offsets(i64::try_from(number).unwrap());
        drop(world.call(offsets));
    }
    if script.is_fenced {
        world.model.fence();
    }
    let timeout = PATIENCE;
    let result = match script.end {
        End::Abort => {
            let TransactionCompletion::Aborted(result) = world.abort() else { panic!() };
            return match result {
                Err(error) if error.is_final() => Err(error),
                _ => Ok(Told::NotCommitted),
            };
        }
        End::CommitAndForget => {
            world.post(TransactionCommand::Commit { timeout });
            return Ok(Told::Nothing);
        }
        End::Commit => match world.commit() {
            TransactionCompletion::Committed(result) => result,
            other => panic!("{other:?}"),
        },
    };
    let result = match result {
        Err(CommitFailure::Unknown(error)) if script.resolves && !error.is_final() => {
            let number = u64::try_from(number).unwrap() + 1;
            match world.call(TransactionCommand::Resolve { number, timeout }) {
                TransactionCompletion::Committed(result) => result,
                other => panic!("{other:?}"),
            }
        }
        result => result,
    };
    Ok(match result {
        Ok(()) => Told::Committed,
        Err(CommitFailure::NotCommitted(_)) => Told::NotCommitted,
        Err(CommitFailure::Unknown(_)) => Told::Nothing,
    })
}

/// Runs all of them, begin after begin, and tells what the application knows of each.
fn run_all(world: &mut World, scripts: &[Script]) -> BTreeMap<usize, Told> {
    let mut told = BTreeMap::new();
    assert!(matches!(world.initialize(), TransactionCompletion::Initialized(_)));
    for number in 0..=scripts.len() {
        // A begin may take longer than one call waits: the faults end some day.
        let begun = loop {
            match world.begin() {
                TransactionCompletion::Begun(Ok(begun)) => break Some(begun),
                TransactionCompletion::Begun(Err(TransactionError::TimedOut { .. })) => {}
                TransactionCompletion::Begun(Err(error)) => {
                    assert!(error.is_final(), "{error}");
                    break None;
                }
                other => panic!("{other:?}"),
            }
        };
        let Some(begun) = begun else { return told };
        if let Some(before) = number.checked_sub(1) {
            let before = told.get_mut(&before).unwrap();
            let outcome = match begun.previous.unwrap() {
                TransactionOutcome::Committed => Told::Committed,
                TransactionOutcome::Aborted => Told::NotCommitted,
                TransactionOutcome::Undetermined => Told::Nothing,
            };
            if *before == Told::Nothing {
                *before = outcome;
            }
            assert_eq!(*before, outcome, "transaction {number} was told otherwise before");
        }
        let Some(script) = scripts.get(number) else { return told };
        match run(world, number, script) {
            Ok(known) => drop(told.insert(number, known)),
            Err(_) => {
                told.insert(number, Told::NotCommitted);
                return told;
            }
        }
    }
    told
}

fn check(
    world: &World,
    scripts: &[Script],
    told: &BTreeMap<usize, Told>,
) -> Result<(), TestCaseError> {
    let entries: Vec<_> = world.model.logs.values().flatten().collect();
    for (number, told) in told {
        let script = &scripts[*number];
        let mut visible = Vec::new();
        for n in 0..script.records.len() {
            let value = format!("{number}-{n}");
            let marks = entries.iter().filter(|entry| entry.value == value);
            let committed = marks.filter(|entry| entry.mark == Mark::Committed).count();
            prop_assert!(committed <= 1, "{} is there {} times", value, committed);
            visible.push(committed == 1);
        }
        if script.offsets {
            let value = number.to_string();
            let offsets = world.model.offsets.iter().filter(|entry| entry.value == value);
            let committed = offsets.filter(|entry| entry.mark == Mark::Committed).count();
            visible.push(committed > 0);
        }
        let all = visible.iter().all(|is_visible| *is_visible);
        let none = visible.iter().all(|is_visible| !*is_visible);
        match told {
            Told::Committed => prop_assert!(all, "{}: {:?}", number, visible),
            Told::NotCommitted => prop_assert!(none, "{}: {:?}", number, visible),
            Told::Nothing => prop_assert!(all || none, "{}: torn, {:?}", number, visible),
        }
    }
    Ok(())
}

/// How many cases a run tries, unless `PROPTEST_CASES` says otherwise.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_is_what_the_log_shows(
        is_v2 in any::<bool>(),
        epoch in prop::sample::select(vec![0_i16, 32_763]),
        scripts in scripts(),
        fates in fates(),
    ) {
        let mut world = World::new(Model::new(is_v2, epoch));
        world.fates = fates.into();
        let told = run_all(&mut world, &scripts);
        world.let_late_arrive();
        check(&world, &scripts, &told)?;
    }
}
