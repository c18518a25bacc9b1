//! Tests of fetch sessions, against a model of the broker's side.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn want(offset: i64, id: u128) -> Wanted {
    Wanted {
        topic_id: TopicId(Uuid::from_u128(id)),
        offset: Offset(offset),
        leader_epoch: Some(LeaderEpoch(0)),
        max_bytes: 1 << 20,
        stamp: Stamp(1),
        version: 0,
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn wanted(offsets: &[(i32, i64)]) -> IndexMap<TopicPartition, Wanted> {
    offsets.iter().map(|(partition, offset)| (tp(*partition), want(*offset, 1))).collect()
}

fn told(ask: &Ask) -> (i32, i32, Vec<i32>, Vec<i32>) {
    (
        ask.session_id,
        ask.epoch,
        ask.told.iter().map(|tp| tp.partition.value()).collect(),
        ask.forgotten.iter().map(|(tp, _)| tp.partition.value()).collect(),
    )
}

#[test]
fn only_changes_are_told_once_a_session_stands() {
    let mut session = FetchSession::default();
    let ask = session.ask(wanted(&[(0, 0), (1, 0), (2, 0)]));
    assert_eq!(told(&ask), (0, 0, vec![0, 1, 2], vec![]));
    session.answered(ErrorCode::None, 77).unwrap();
    let ask = session.ask(wanted(&[(0, 5), (1, 0), (3, 0)]));
    assert_eq!(told(&ask), (77, 1, vec![0, 3], vec![2]));
    session.answered(ErrorCode::None, 77).unwrap();
    let ask = session.ask(wanted(&[(0, 5), (1, 0), (3, 0)]));
    assert_eq!(told(&ask), (77, 2, vec![], vec![]));
}

#[test]
fn an_evicted_session_begins_anew() {
    let mut session = FetchSession::default();
    session.ask(wanted(&[(0, 0)]));
    session.answered(ErrorCode::None, 77).unwrap();
    session.ask(wanted(&[(0, 0)]));
    session.answered(ErrorCode::FetchSessionIdNotFound, 0).unwrap_err();
    let ask = session.ask(wanted(&[(0, 0)]));
    assert_eq!(told(&ask), (0, 0, vec![0], vec![]));
}

#[test]
fn a_wrong_epoch_and_a_lost_answer_replace_the_session() {
    for lost in [false, true] {
        let mut session = FetchSession::default();
        session.ask(wanted(&[(0, 0)]));
        session.answered(ErrorCode::None, 77).unwrap();
        session.ask(wanted(&[(0, 0)]));
        if lost {
            session.failed();
        } else {
            session.answered(ErrorCode::InvalidFetchSessionEpoch, 0).unwrap_err();
        }
        let ask = session.ask(wanted(&[(0, 0), (1, 4)]));
        assert_eq!(told(&ask), (77, 0, vec![0, 1], vec![]), "the old session is ended");
        session.answered(ErrorCode::None, 78).unwrap();
        assert_eq!(told(&session.ask(wanted(&[(0, 0), (1, 4)]))), (78, 1, vec![], vec![]));
    }
}

#[test]
fn a_broker_without_room_for_sessions_gets_full_requests() {
    let mut session = FetchSession::default();
    for _ in 0..3 {
        let ask = session.ask(wanted(&[(0, 0), (1, 0)]));
        assert_eq!(told(&ask), (0, 0, vec![0, 1], vec![]));
        session.answered(ErrorCode::None, 0).unwrap();
    }
}

#[test]
fn a_topic_made_anew_is_forgotten_by_its_old_id() {
    let mut session = FetchSession::default();
    session.ask(IndexMap::from([(tp(0), want(9, 1))]));
    session.answered(ErrorCode::None, 77).unwrap();
    let ask = session.ask(IndexMap::from([(tp(0), want(9, 2))]));
    assert_eq!(told(&ask), (77, 1, vec![0], vec![0]));
    assert_eq!(ask.forgotten[0].1, TopicId(Uuid::from_u128(1)));
}

#[test]
fn ids_that_turn_up_late_replace_the_session() {
    let mut session = FetchSession::default();
    let ask = session.ask(IndexMap::from([(tp(0), want(9, 0))]));
    assert!(!ask.by_id);
    session.answered(ErrorCode::None, 77).unwrap();
    let ask = session.ask(IndexMap::from([(tp(0), want(9, 1))]));
    assert!(ask.by_id);
    assert_eq!(told(&ask), (77, 0, vec![0], vec![]));
}

#[test]
fn the_epoch_wraps_to_one() {
    assert_eq!(next_epoch(i32::MAX), 1);
}

/// The broker's side (`FetchManager.newContext`), as far as a client can tell.
#[derive(Default)]
struct Broker {
    sessions: BTreeMap<i32, (i32, BTreeMap<TopicPartition, Offset>)>,
    next: i32,
}

impl Broker {
    fn serve(
        &mut self,
        ask: &Ask,
        wanted: &IndexMap<TopicPartition, Wanted>,
    ) -> (ErrorCode, i32, BTreeMap<TopicPartition, Offset>) {
        if ask.epoch == 0 {
            self.sessions.remove(&ask.session_id);
            self.next += 1;
            let all = ask.told.iter().map(|tp| (tp.clone(), wanted[tp].offset)).collect();
            self.sessions.insert(self.next, (1, all));
            return (ErrorCode::None, self.next, self.sessions[&self.next].1.clone());
        }
        let Some((epoch, known)) = self.sessions.get_mut(&ask.session_id) else {
            return (ErrorCode::FetchSessionIdNotFound, 0, BTreeMap::new());
        };
        if *epoch != ask.epoch {
            return (ErrorCode::InvalidFetchSessionEpoch, 0, BTreeMap::new());
        }
        *epoch += 1;
        for (tp, _) in &ask.forgotten {
            known.remove(tp);
        }
        for tp in &ask.told {
            known.insert(tp.clone(), wanted[tp].offset);
        }
        (ErrorCode::None, ask.session_id, known.clone())
    }
}

#[derive(Clone, Debug)]
enum Fault {
    None,
    RequestLost,
    AnswerLost,
    Evicted,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RequestLost),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::Evicted),
    ]
}

proptest! {
    /// Whatever is lost, a request that is served is served for exactly what is wanted.
    #[test]
    fn the_broker_serves_what_is_wanted(
        steps in proptest::collection::vec(
            (proptest::collection::btree_map(0_i32..6, 0_i64..4, 0..6), fault()), 1..40),
    ) {
        let mut session = FetchSession::default();
        let mut broker = Broker::default();
        let mut refused = 0;
        for (offsets, fault) in steps {
            let offsets: Vec<_> = offsets.into_iter().collect();
            let wants = wanted(&offsets);
            let ask = session.ask(wants.clone());
            if matches!(fault, Fault::RequestLost) {
                session.failed();
                continue;
            }
            if matches!(fault, Fault::Evicted) {
                broker.sessions.clear();
            }
            let (error, id, served) = broker.serve(&ask, &wants);
            if matches!(fault, Fault::AnswerLost) {
                session.failed();
                continue;
            }
            if session.answered(error, id).is_ok() {
                refused = 0;
                let expected: BTreeMap<_, _> =
                    wants.iter().map(|(tp, want)| (tp.clone(), want.offset)).collect();
                prop_assert_eq!(served, expected);
            } else {
                refused += 1;
                prop_assert!(refused <= 1 || matches!(fault, Fault::Evicted));
            }
        }
    }
}
