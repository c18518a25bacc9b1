//! Tests of the classic member: rounds by script, then any order of events.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use millstream_protocol::messages::join_group_response::JoinGroupResponseMember;
use millstream_protocol::messages::{
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, SyncGroupResponse,
};
use millstream_types::{GroupInstanceId, MemberId};
use proptest::prelude::*;

use super::*;
use crate::backoff::Rng;
use crate::consumer::AssignorSpec;
use crate::group::RANGE;
use crate::outbox::RequestFailure;

/// A member under test; its effects are written down as lines.
struct Script {
    now: Instant,
    member: ClassicMember,
    log: String,
    round: u64,
    joins: usize,
}

impl Script {
    fn new(protocol: RebalanceProtocol) -> Self {
        let mut config = GroupConfig::new("g");
        config.assignors =
            vec![AssignorSpec { protocols: vec![protocol], ..AssignorSpec::range() }];
        Self::with(config)
    }

    #[allow(clippy::disallowed_methods, reason = "the start of virtual time")]
    fn with(config: GroupConfig) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let member = ClassicMember::new(config, None, backoff, Rng::new(1));
        Self { now: Instant::now(), member, log: String::new(), round: 0, joins: 0 }
    }

    fn subscribed(protocol: RebalanceProtocol) -> Self {
        let mut script = Self::new(protocol);
        script.member.subscribe(vec!["t".into()]);
        script.step();
        script
    }

    /// Polls, and writes what the member wants done.
    fn step(&mut self) {
        self.member.poll(self.now);
        while let Some(effect) = self.member.poll_effect() {
            let line = match effect {
                Effect::Join(request, _) => {
                    self.joins += 1;
                    format!("join as {:?}", request.member_id.as_str())
                }
                Effect::Sync(request, _) => format!(
                    "sync in {} with {} assignments",
                    request.generation_id,
                    request.assignments.len()
                ),
                Effect::Heartbeat(request) => format!("heartbeat in {}", request.generation_id),
                Effect::Leave(request) => {
                    format!("leave as {:?}", request.members[0].member_id.as_str())
                }
                Effect::FindCoordinator => "find coordinator".to_owned(),
                Effect::Describe { round } => {
                    self.round = round;
                    "describe".to_owned()
                }
                Effect::Assign { round, group, .. } => {
                    self.round = round;
                    format!("assign for {} members", group.members.len())
                }
                Effect::Revoke { round, partitions } => {
                    self.round = round;
                    format!("revoke {}", requests::describe(&partitions))
                }
                Effect::Lost(partitions) => format!("lost {}", requests::describe(&partitions)),
                Effect::Adopt { assignment, generation, .. } => format!(
                    "adopt [{}] in {generation}",
                    requests::describe(&assignment.partitions)
                ),
                Effect::Refused { reason, .. } => format!("refused: {reason}"),
                Effect::Left => "left".to_owned(),
            };
            writeln!(self.log, "{line}").unwrap();
        }
    }

    fn check(&mut self, expected: &Expect) {
        self.step();
        writeln!(self.log, "= {:?}", self.member.state()).unwrap();
        expected.assert_eq(&std::mem::take(&mut self.log));
    }

    fn described(&mut self) {
        self.step();
        self.member.described(self.round, &BTreeMap::new());
        self.step();
    }

    fn joined(&mut self, generation: i32, leads: bool) {
        let leader = if leads { "m1" } else { "m0" };
        let metadata = protocol::encode_subscription(
            &Subscription { topics: vec!["t".into()], ..Subscription::default() },
            protocol::VERSION,
        );
        let member = |id: &str| {
            JoinGroupResponseMember::default()
                .with_member_id(text(id))
                .with_metadata(metadata.clone())
        };
        let members = if leads { vec![member("m0"), member("m1")] } else { Vec::new() };
        let answer = JoinGroupResponse::default()
            .with_generation_id(generation)
            .with_protocol_name(Some(text(RANGE)))
            .with_leader(text(leader))
            .with_member_id(text("m1"))
            .with_members(members);
        self.member.handle_join(self.now, Ok(answer));
        self.step();
    }

    fn join_refused(&mut self, error: ErrorCode) {
        let answer =
            JoinGroupResponse::default().with_error_code(error.code()).with_member_id(text("m1"));
        self.member.handle_join(self.now, Ok(answer));
        self.step();
    }

    fn synced(&mut self, partitions: &[i32]) {
        let assignment = Assignment {
            partitions: partitions.iter().map(|p| TopicPartition::new("t", *p)).collect(),
            user_data: None,
        };
        let bytes = protocol::encode_assignment(&assignment, protocol::VERSION);
        self.member.handle_sync(self.now, Ok(SyncGroupResponse::default().with_assignment(bytes)));
        self.step();
    }

    fn sync_refused(&mut self, error: ErrorCode) {
        let answer = SyncGroupResponse::default().with_error_code(error.code());
        self.member.handle_sync(self.now, Ok(answer));
        self.step();
    }

    fn beaten(&mut self, error: ErrorCode) {
        let answer = HeartbeatResponse::default().with_error_code(error.code());
        self.member.handle_heartbeat(self.now, Ok(answer));
        self.step();
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.step();
    }

    /// A stable member of generation 1 that owns `partitions`.
    fn stable(protocol: RebalanceProtocol, partitions: &[i32]) -> Self {
        let mut script = Self::subscribed(protocol);
        script.described();
        script.joined(1, false);
        script.synced(partitions);
        assert_eq!(script.member.state(), MemberState::Stable);
        script.log.clear();
        script
    }
}

use RebalanceProtocol::{Cooperative, Eager};

#[test]
fn a_first_join_uses_the_member_id_that_it_is_given() {
    let mut script = Script::subscribed(Eager);
    script.described();
    script.join_refused(ErrorCode::MemberIdRequired);
    script.joined(1, false);
    script.synced(&[0, 1]);
    script.check(&expect![[r#"
        describe
        join as ""
        join as "m1"
        sync in 1 with 0 assignments
        adopt [t-0, t-1] in 1
        = Stable
    "#]]);
}

#[test]
fn the_leader_assigns_while_heartbeats_go_on() {
    let mut script = Script::subscribed(Eager);
    script.described();
    script.joined(1, true);
    script.wait(3_000);
    script.beaten(ErrorCode::RebalanceInProgress);
    script.check(&expect![[r#"
        describe
        join as ""
        assign for 2 members
        heartbeat in 1
        = Assigning
    "#]]);
    let all = ["m0", "m1"].map(|id| (MemberId::from(id), Assignment::default()));
    script.member.assigned(script.now, script.round, Ok(GroupAssignment(all.into())));
    script.sync_refused(ErrorCode::RebalanceInProgress);
    script.check(&expect![[r#"
        sync in 1 with 2 assignments
        describe
        = Describing
    "#]]);
}

#[test]
fn an_assignor_that_fails_is_told_and_tried_again() {
    let mut script = Script::subscribed(Eager);
    script.described();
    script.joined(1, true);
    let error = AssignorError { assignor: RANGE.to_owned(), reason: "no topics".to_owned() };
    script.member.assigned(script.now, script.round, Err(error));
    script.wait(200);
    script.check(&expect![[r#"
        describe
        join as ""
        assign for 2 members
        refused: assignor range could not assign: no topics
        describe
        = Describing
    "#]]);
}

#[test]
fn eager_members_give_everything_up_before_they_join() {
    let mut script = Script::stable(Eager, &[0, 1]);
    script.wait(3_000);
    script.beaten(ErrorCode::RebalanceInProgress);
    script.check(&expect![[r#"
        heartbeat in 1
        revoke t-0, t-1
        = RevokingToJoin
    "#]]);
    // The application takes its time: heartbeats go on.
    script.wait(3_000);
    script.member.revoked(script.now, script.round);
    script.described();
    script.check(&expect![[r#"
        heartbeat in 1
        describe
        join as "m1"
        = Joining
    "#]]);
    script.wait(10_000);
    script.joined(2, false);
    script.synced(&[1]);
    script.check(&expect![[r#"
        sync in 2 with 0 assignments
        adopt [t-1] in 2
        = Stable
    "#]]);
}

#[test]
fn cooperative_members_give_up_what_goes_and_join_again() {
    let mut script = Script::stable(Cooperative, &[0, 1]);
    script.wait(3_000);
    script.beaten(ErrorCode::RebalanceInProgress);
    script.described();
    script.joined(2, false);
    script.synced(&[0]);
    script.check(&expect![[r#"
        heartbeat in 1
        describe
        join as "m1"
        sync in 2 with 0 assignments
        revoke t-1
        = RevokingToAdopt
    "#]]);
    script.member.revoked(script.now, script.round);
    script.described();
    script.joined(3, false);
    script.synced(&[0, 2]);
    script.check(&expect![[r#"
        adopt [t-0] in 2
        describe
        join as "m1"
        sync in 3 with 0 assignments
        adopt [t-0, t-2] in 3
        = Stable
    "#]]);
}

#[test]
fn a_lost_generation_keeps_the_member_id_and_a_forgotten_member_does_not() {
    let mut script = Script::stable(Cooperative, &[0]);
    script.wait(3_000);
    script.beaten(ErrorCode::IllegalGeneration);
    script.described();
    script.check(&expect![[r#"
        heartbeat in 1
        lost t-0
        describe
        join as "m1"
        = Joining
    "#]]);
    let mut script = Script::stable(Cooperative, &[0]);
    script.wait(3_000);
    script.beaten(ErrorCode::UnknownMemberId);
    script.described();
    script.check(&expect![[r#"
        heartbeat in 1
        lost t-0
        describe
        join as ""
        = Joining
    "#]]);
}

#[test]
fn a_revocation_is_overtaken_by_the_loss_of_the_partitions() {
    let mut script = Script::stable(Eager, &[0]);
    script.member.request_rejoin("test");
    script.step();
    let round = script.round;
    script.wait(3_000);
    script.beaten(ErrorCode::UnknownMemberId);
    script.member.revoked(script.now, round);
    script.check(&expect![[r#"
        revoke t-0
        heartbeat in 1
        lost t-0
        describe
        = Describing
    "#]]);
}

#[test]
fn a_moved_coordinator_is_looked_for() {
    let mut script = Script::stable(Eager, &[0]);
    script.wait(3_000);
    script.beaten(ErrorCode::NotCoordinator);
    script.wait(200);
    script.beaten(ErrorCode::None);
    script.check(&expect![[r#"
        heartbeat in 1
        find coordinator
        heartbeat in 1
        = Stable
    "#]]);
    let mut script = Script::subscribed(Eager);
    script.described();
    script.join_refused(ErrorCode::NotCoordinator);
    script.wait(200);
    script.described();
    script.check(&expect![[r#"
        describe
        join as ""
        find coordinator
        describe
        join as ""
        = Joining
    "#]]);
}

#[test]
fn an_idle_application_loses_its_place_until_it_asks_again() {
    let mut script = Script::stable(Eager, &[0]);
    script.member.expire();
    script.wait(100_000);
    script.check(&expect![[r#"
        leave as "m1"
        lost t-0
        = Expired
    "#]]);
    script.member.resume();
    script.described();
    script.check(&expect![[r#"
        describe
        join as ""
        = Joining
    "#]]);
}

#[test]
fn static_members_keep_their_place_when_they_leave() {
    let mut config = GroupConfig::new("g");
    config.instance = Some(GroupInstanceId::from("one"));
    let mut script = Script::with(config);
    script.member.subscribe(vec!["t".into()]);
    script.step();
    script.described();
    script.joined(1, false);
    script.synced(&[0]);
    script.member.leave("test");
    script.check(&expect![[r#"
        describe
        join as ""
        sync in 1 with 0 assignments
        adopt [t-0] in 1
        left
        = Unjoined
    "#]]);
}

#[test]
fn dynamic_members_say_that_they_leave() {
    let mut script = Script::stable(Eager, &[0]);
    script.member.leave("test");
    script.member.handle_leave(Ok(LeaveGroupResponse::default()));
    script.check(&expect![[r#"
        leave as "m1"
        left
        = Unjoined
    "#]]);
}

#[test]
fn a_refusal_ends_it_until_a_new_subscription() {
    let mut script = Script::subscribed(Eager);
    script.described();
    script.join_refused(ErrorCode::GroupAuthorizationFailed);
    script.wait(100_000);
    assert_eq!(script.joins, 1);
    assert_eq!(script.member.state(), MemberState::Failed);
    script.log.clear();
    script.member.subscribe(vec!["t".into()]);
    script.described();
    script.check(&expect![[r#"
        describe
        join as ""
        = Joining
    "#]]);
}

/// What can happen to a member, in any order.
#[derive(Clone, Debug)]
enum Happening {
    Described,
    Joined(bool),
    JoinFails(ErrorCode),
    Disconnected,
    Assigned(bool),
    Synced(Vec<i32>),
    SyncFails(ErrorCode),
    Beaten(ErrorCode),
    Revoked,
    Expire,
    Resume,
    Rejoin,
    Subscribe(bool),
    Wait(u64),
    Fenced(ErrorCode),
    Leave,
}

fn happening() -> impl Strategy<Value = Happening> {
    let code = || prop::sample::select(ErrorCode::ALL);
    prop_oneof![
        6 => Just(Happening::Described),
        6 => any::<bool>().prop_map(Happening::Joined),
        1 => code().prop_map(Happening::JoinFails),
        1 => Just(Happening::Disconnected),
        4 => any::<bool>().prop_map(Happening::Assigned),
        6 => prop::collection::vec(0_i32..4, 0..4).prop_map(Happening::Synced),
        1 => code().prop_map(Happening::SyncFails),
        2 => code().prop_map(Happening::Beaten),
        4 => Just(Happening::Revoked),
        1 => Just(Happening::Expire),
        2 => Just(Happening::Resume),
        2 => Just(Happening::Rejoin),
        1 => any::<bool>().prop_map(Happening::Subscribe),
        6 => (0_u64..5_000).prop_map(Happening::Wait),
        1 => code().prop_map(Happening::Fenced),
        1 => Just(Happening::Leave),
    ]
}

fn happen(script: &mut Script, happening: Happening) {
    let now = script.now;
    let lost = || RequestFailure::Disconnected {
        api: millstream_protocol::ApiKey::JoinGroup,
        broker: "b".to_owned(),
        reason: "test".to_owned(),
    };
    match happening {
        Happening::Described => script.described(),
        Happening::Joined(leads) => {
            let generation = script.member.identity().generation.value().max(0) + 1;
            script.joined(generation, leads);
        }
        Happening::JoinFails(ErrorCode::None) | Happening::SyncFails(ErrorCode::None) => {}
        Happening::JoinFails(error) => script.join_refused(error),
        Happening::Disconnected => {
            script.member.handle_join(now, Err(lost()));
            script.member.handle_sync(now, Err(lost()));
            script.member.handle_heartbeat(now, Err(lost()));
            script.member.handle_leave(Err(lost()));
        }
        Happening::Assigned(true) => {
            script.member.assigned(now, script.round, Ok(GroupAssignment::default()));
        }
        Happening::Assigned(false) => {
            let error = AssignorError { assignor: String::new(), reason: String::new() };
            script.member.assigned(now, script.round, Err(error));
        }
        Happening::Synced(partitions) => script.synced(&partitions),
        Happening::SyncFails(error) => script.sync_refused(error),
        Happening::Beaten(error) => script.beaten(error),
        Happening::Revoked => script.member.revoked(now, script.round),
        Happening::Expire => script.member.expire(),
        Happening::Resume => script.member.resume(),
        Happening::Rejoin => script.member.request_rejoin("test"),
        Happening::Subscribe(other) => {
            script.member.subscribe(vec![if other { "u".into() } else { "t".into() }]);
        }
        Happening::Wait(millis) => script.wait(millis),
        Happening::Fenced(error) => {
            let generation = script.member.identity().generation;
            script.member.fenced(now, generation, error);
        }
        Happening::Leave => script.member.leave("test"),
    }
    script.step();
}

proptest! {
    /// Whatever happens, no transition is missing from the table, nothing is owned outside a
    /// generation, and a member that is let be gets its assignment in the end.
    #[test]
    fn any_order_of_events(
        cooperative: bool,
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let protocol = if cooperative { Cooperative } else { Eager };
        let mut script = Script::subscribed(protocol);
        for happening in happenings {
            happen(&mut script, happening);
            let identity = script.member.identity();
            if identity.generation == GenerationId::NONE {
                prop_assert!(script.member.owned().is_empty());
            }
        }
        script.member.subscribe(vec!["t".into()]);
        for _ in 0..40 {
            match script.member.state() {
                MemberState::Stable if script.member.owned().is_empty() => {
                    script.member.request_rejoin("test");
                }
                MemberState::Expired => script.member.resume(),
                MemberState::Unjoined | MemberState::Failed => {
                    script.member.subscribe(vec!["t".into()]);
                }
                MemberState::Leaving => script.member.handle_leave(Ok(LeaveGroupResponse::default())),
                _ => {}
            }
            script.wait(2_000);
            script.beaten(ErrorCode::None);
            script.member.revoked(script.now, script.round);
            script.step();
            script.described();
            script.joined(1_000, false);
            script.member.assigned(script.now, script.round, Ok(GroupAssignment::default()));
            script.synced(&[0]);
        }
        prop_assert_eq!(script.member.state(), MemberState::Stable);
        prop_assert!(!script.member.owned().is_empty());
    }
}
