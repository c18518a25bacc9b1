//! Classic groups: joining, syncing, heartbeats, leaving, offsets; the rules of Kafka's coordinator.

use std::time::Duration;

use bytes::Bytes;
use expect_test::expect;
use millstream_broker::ConnectionId;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use crate::bench::{Bench, Sent, text, topic_name};

pub(crate) const GROUP: &str = "g";

/// A member as a client would play it.
#[derive(Clone, Debug)]
struct Player {
    connection: ConnectionId,
    id: String,
    instance: Option<String>,
    generation: i32,
    protocols: Vec<(&'static str, &'static str)>,
}

fn group_id() -> m::GroupId {
    m::GroupId(text(GROUP))
}

impl Player {
    fn new(bench: &mut Bench) -> Self {
        Self {
            connection: bench.connect(1),
            id: String::new(),
            instance: None,
            generation: -1,
            protocols: vec![("range", "")],
        }
    }

    fn join_request(&self) -> m::JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(Bytes::from_static(metadata.as_bytes()))
        });
        m::JoinGroupRequest::default()
            .with_group_id(group_id())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(protocols.collect())
            .with_reason(None)
    }

    fn send_join(&self, bench: &mut Bench) -> Sent {
        bench.send(self.connection, 9, &self.join_request())
    }

    /// Learns its id, as every new member must first (KIP-394).
    fn learn_id(&mut self, bench: &mut Bench) {
        let answer = bench.call(self.connection, 9, &self.join_request());
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::MemberIdRequired);
        self.id = answer.member_id.to_string();
    }

    fn joined(&mut self, bench: &mut Bench, sent: Sent) -> m::JoinGroupResponse {
        let answer = bench.answer::<m::JoinGroupRequest>(sent).expect("the join is answered");
        assert_eq!(answer.error_code, 0, "{answer:?}");
        self.id = answer.member_id.to_string();
        self.generation = answer.generation_id;
        answer
    }

    /// Joins a group that waits for nobody else.
    fn join(&mut self, bench: &mut Bench) -> m::JoinGroupResponse {
        if self.id.is_empty() && self.instance.is_none() {
            self.learn_id(bench);
        }
        let sent = self.send_join(bench);
        self.joined(bench, sent)
    }

    fn sync_request(&self, assignments: &[(&str, &str)]) -> m::SyncGroupRequest {
        let assignments = assignments.iter().map(|(id, assignment)| {
            m::sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::copy_from_slice(assignment.as_bytes()))
        });
        m::SyncGroupRequest::default()
            .with_group_id(group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text(self.protocols[0].0)))
            .with_assignments(assignments.collect())
    }

    fn sync(&self, bench: &mut Bench, assignments: &[(&str, &str)]) -> (ErrorCode, String) {
        let answer = bench.call(self.connection, 5, &self.sync_request(assignments));
        let assignment = String::from_utf8_lossy(&answer.assignment).into_owned();
        (ErrorCode::from(answer.error_code), assignment)
    }

    fn heartbeat(&self, bench: &mut Bench) -> ErrorCode {
        let request = m::HeartbeatRequest::default()
            .with_group_id(group_id())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text));
        ErrorCode::from(bench.call(self.connection, 4, &request).error_code)
    }

    fn leave(&self, bench: &mut Bench) -> ErrorCode {
        let member = m::leave_group_request::MemberIdentity::default()
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_reason(None);
        let request =
            m::LeaveGroupRequest::default().with_group_id(group_id()).with_members(vec![member]);
        let answer = bench.call(self.connection, 5, &request);
        ErrorCode::from(answer.members[0].error_code)
    }

    fn commit(&self, bench: &mut Bench, offset: i64) -> ErrorCode {
        let partition = m::offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(3)
            .with_committed_metadata(Some(text("note")));
        let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let request = m::OffsetCommitRequest::default()
            .with_group_id(group_id())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_topics(vec![topic]);
        let answer = bench.call(self.connection, 8, &request);
        ErrorCode::from(answer.topics[0].partitions[0].error_code)
    }
}

/// A group with one member, in its first generation; gives the member's id.
pub(crate) fn sole_member(bench: &mut Bench) -> String {
    let mut player = Player::new(bench);
    player.join(bench);
    player.sync(bench, &[]);
    assert_eq!(player.generation, 1);
    player.id
}

fn state(bench: &mut Bench) -> String {
    let request = m::DescribeGroupsRequest::default().with_groups(vec![group_id()]);
    let group = bench.ask(1, 5, &request).groups[0].clone();
    format!("{} {}", group.group_state, group.members.len())
}

/// Two members in a stable group; the first leads.
fn two(bench: &mut Bench) -> (Player, Player) {
    let (mut first, mut second) = (Player::new(bench), Player::new(bench));
    first.join(bench);
    first.sync(bench, &[]);
    second.learn_id(bench);
    let second_join = second.send_join(bench);
    let first_join = first.send_join(bench);
    first.joined(bench, first_join);
    second.joined(bench, second_join);
    let assignments = [(first.id.clone(), "one"), (second.id.clone(), "two")];
    let assignments: Vec<_> = assignments.iter().map(|(id, a)| (id.as_str(), *a)).collect();
    assert_eq!(first.sync(bench, &assignments), (ErrorCode::None, "one".to_owned()));
    assert_eq!(second.sync(bench, &[]), (ErrorCode::None, "two".to_owned()));
    assert_eq!(state(bench), "Stable 2");
    (first, second)
}

#[test]
fn a_lone_member_leads_and_is_assigned_what_it_says() {
    let mut bench = Bench::new(1);
    let mut player = Player::new(&mut bench);
    player.protocols = vec![("range", "mine"), ("sticky", "other")];
    let answer = player.join(&mut bench);
    assert_eq!(answer.leader, answer.member_id);
    assert_eq!(answer.generation_id, 1);
    assert_eq!(answer.protocol_name, Some(text("range")));
    assert_eq!(answer.protocol_type, Some(text("consumer")));
    assert_eq!(answer.members.len(), 1);
    assert_eq!(answer.members[0].metadata, Bytes::from_static(b"mine"));
    assert!(player.id.starts_with("bench-"), "{}", player.id);
    assert_eq!(state(&mut bench), "CompletingRebalance 1");
    let id = player.id.clone();
    assert_eq!(player.sync(&mut bench, &[(&id, "all")]), (ErrorCode::None, "all".to_owned()));
    assert_eq!(player.heartbeat(&mut bench), ErrorCode::None);
    assert_eq!(state(&mut bench), "Stable 1");
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut bench = Bench::new(1);
    let (mut first, mut second) = (Player::new(&mut bench), Player::new(&mut bench));
    first.join(&mut bench);
    first.sync(&mut bench, &[]);
    second.learn_id(&mut bench);
    let second_join = second.send_join(&mut bench);
    assert!(bench.answer::<m::JoinGroupRequest>(second_join).is_none());
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
    assert_eq!(first.sync(&mut bench, &[]).0, ErrorCode::RebalanceInProgress);
    let first_join = first.send_join(&mut bench);
    let to_leader = first.joined(&mut bench, first_join);
    let to_follower = second.joined(&mut bench, second_join);
    assert_eq!((to_leader.members.len(), to_follower.members.len()), (2, 0));
    assert_eq!(to_follower.leader, to_leader.member_id);
    assert_eq!((first.generation, second.generation), (2, 2));
    // The follower's sync waits for the leader's.
    let waiting = bench.send(second.connection, 5, &second.sync_request(&[]));
    assert!(bench.answer::<m::SyncGroupRequest>(waiting).is_none());
    let id = second.id.clone();
    first.sync(&mut bench, &[(&id, "yours")]);
    let answer = bench.answer::<m::SyncGroupRequest>(waiting).unwrap();
    assert_eq!(answer.assignment, Bytes::from_static(b"yours"));
}

#[test]
fn who_does_not_join_in_time_is_out() {
    let mut bench = Bench::new(1);
    let (first, second) = two(&mut bench);
    let mut third = Player::new(&mut bench);
    third.learn_id(&mut bench);
    let third_join = third.send_join(&mut bench);
    // The first joins again; the second only sends heartbeats until the rebalance timeout.
    let mut first = first;
    let first_join = first.send_join(&mut bench);
    for _ in 0..11 {
        assert_eq!(second.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
        bench.pass(Duration::from_secs(5));
    }
    assert!(bench.answer::<m::JoinGroupRequest>(third_join).is_none());
    bench.pass(Duration::from_secs(5));
    third.joined(&mut bench, third_join);
    first.joined(&mut bench, first_join);
    assert_eq!(state(&mut bench), "CompletingRebalance 2");
    assert_eq!(second.heartbeat(&mut bench), ErrorCode::UnknownMemberId);
}

#[test]
fn a_silent_member_expires_and_the_others_rebalance() {
    let mut bench = Bench::new(1);
    let (first, second) = two(&mut bench);
    bench.pass(Duration::from_secs(9));
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::None);
    bench.pass(Duration::from_secs(1));
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
    assert_eq!(second.heartbeat(&mut bench), ErrorCode::UnknownMemberId);
    assert_eq!(state(&mut bench), "PreparingRebalance 1");
    let mut first = first;
    let answer = first.join(&mut bench);
    assert_eq!((answer.members.len(), answer.generation_id), (1, 3));
}

#[test]
fn a_waiting_member_does_not_expire() {
    let mut bench = Bench::new(1);
    let (mut first, second) = two(&mut bench);
    let waiting = first.send_join(&mut bench);
    for _ in 0..5 {
        bench.pass(Duration::from_secs(9));
        assert_eq!(second.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
    }
    let mut second = second;
    second.join(&mut bench);
    first.joined(&mut bench, waiting);
}

#[test]
fn who_leaves_is_gone_at_once() {
    let mut bench = Bench::new(1);
    let (first, second) = two(&mut bench);
    assert_eq!(first.leave(&mut bench), ErrorCode::None);
    assert_eq!(first.leave(&mut bench), ErrorCode::UnknownMemberId);
    assert_eq!(second.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
    let mut second = second;
    let answer = second.join(&mut bench);
    assert_eq!(answer.leader, answer.member_id, "the one that is left leads");
    second.sync(&mut bench, &[]);
    assert_eq!(second.leave(&mut bench), ErrorCode::None);
    assert_eq!(state(&mut bench), "Empty 0");
}

#[test]
fn a_leader_that_does_not_sync_is_out() {
    let mut bench = Bench::new(1);
    let (mut first, mut second) = two(&mut bench);
    let second_join = {
        let sent = first.send_join(&mut bench);
        let second_join = second.send_join(&mut bench);
        first.joined(&mut bench, sent);
        second_join
    };
    second.joined(&mut bench, second_join);
    let waiting = bench.send(second.connection, 5, &second.sync_request(&[]));
    for _ in 0..7 {
        bench.pass(Duration::from_secs(9));
        first.heartbeat(&mut bench);
    }
    let answer = bench.answer::<m::SyncGroupRequest>(waiting).unwrap();
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(state(&mut bench), "PreparingRebalance 1");
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::UnknownMemberId);
}

#[test]
fn a_newcomer_that_never_returns_with_its_id_does_not_block() {
    let mut bench = Bench::new(1);
    let (first, second) = two(&mut bench);
    let mut lost = Player::new(&mut bench);
    lost.learn_id(&mut bench);
    let (mut first, mut second) = (first, second);
    let a = first.send_join(&mut bench);
    let b = second.send_join(&mut bench);
    assert!(bench.answer::<m::JoinGroupRequest>(a).is_none());
    bench.pass(Duration::from_secs(10));
    first.joined(&mut bench, a);
    second.joined(&mut bench, b);
    let late = bench.call(lost.connection, 9, &lost.join_request());
    assert_eq!(ErrorCode::from(late.error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn the_protocol_is_one_that_all_speak_and_most_like() {
    let mut bench = Bench::new(1);
    let (mut first, mut second) = (Player::new(&mut bench), Player::new(&mut bench));
    first.protocols = vec![("a", ""), ("b", ""), ("c", "")];
    second.protocols = vec![("c", ""), ("b", "")];
    first.join(&mut bench);
    second.learn_id(&mut bench);
    let second_join = second.send_join(&mut bench);
    let first_join = first.send_join(&mut bench);
    let answer = first.joined(&mut bench, first_join);
    second.joined(&mut bench, second_join);
    // One vote each: the leader's order decides.
    assert_eq!(answer.protocol_name, Some(text("b")));
    let mut odd = Player::new(&mut bench);
    odd.protocols = vec![("a", "")];
    let refused = bench.call(odd.connection, 9, &odd.join_request());
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InconsistentGroupProtocol);
    let other = odd.join_request().with_protocol_type(text("connect"));
    let refused = bench.call(odd.connection, 9, &other);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn old_versions_join_without_an_id() {
    let mut bench = Bench::new(1);
    let player = Player::new(&mut bench);
    let answer = bench.call(player.connection, 3, &player.join_request());
    assert_eq!(answer.error_code, 0);
    assert!(!answer.member_id.is_empty());
    let bad = player.join_request().with_session_timeout_ms(5999);
    let refused = bench.ask(1, 3, &bad);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidSessionTimeout);
    let bad = player.join_request().with_group_id(m::GroupId(text("")));
    let refused = bench.ask(1, 3, &bad);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidGroupId);
}

#[test]
fn the_first_rebalance_waits_for_more_members_if_told_to() {
    let delay = Duration::from_secs(3);
    let mut bench = Bench::with(1, |config| config.groups.initial_rebalance_delay = delay);
    let (mut first, mut second) = (Player::new(&mut bench), Player::new(&mut bench));
    first.learn_id(&mut bench);
    second.learn_id(&mut bench);
    let a = first.send_join(&mut bench);
    bench.pass(Duration::from_secs(2));
    let b = second.send_join(&mut bench);
    bench.pass(Duration::from_secs(1));
    assert!(bench.answer::<m::JoinGroupRequest>(a).is_none(), "a newcomer puts it off");
    bench.pass(delay);
    assert_eq!(first.joined(&mut bench, a).members.len(), 2);
    second.joined(&mut bench, b);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut bench = Bench::new(1);
    let mut first = Player::new(&mut bench);
    first.instance = Some("one".to_owned());
    first.join(&mut bench);
    let id = first.id.clone();
    first.sync(&mut bench, &[(&id, "kept")]);
    let mut again = Player::new(&mut bench);
    again.instance = Some("one".to_owned());
    let answer = again.join(&mut bench);
    assert_ne!(again.id, first.id);
    assert!(answer.skip_assignment);
    assert_eq!(answer.generation_id, 1);
    assert_eq!(again.sync(&mut bench, &[]), (ErrorCode::None, "kept".to_owned()));
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::FencedInstanceId);
    assert_eq!(first.commit(&mut bench, 1), ErrorCode::FencedInstanceId);
    // An operator removes it by its instance alone.
    let mut operator = again.clone();
    operator.id = String::new();
    assert_eq!(operator.leave(&mut bench), ErrorCode::None);
    assert_eq!(state(&mut bench), "Empty 0");
}

#[test]
fn generations_and_members_are_checked() {
    let mut bench = Bench::new(1).topic("t", 1);
    let (first, _) = two(&mut bench);
    let mut stale = first.clone();
    stale.generation -= 1;
    assert_eq!(stale.heartbeat(&mut bench), ErrorCode::IllegalGeneration);
    assert_eq!(stale.sync(&mut bench, &[]).0, ErrorCode::IllegalGeneration);
    assert_eq!(stale.commit(&mut bench, 1), ErrorCode::IllegalGeneration);
    let mut stranger = first.clone();
    stranger.id = "stranger".to_owned();
    assert_eq!(stranger.heartbeat(&mut bench), ErrorCode::UnknownMemberId);
    assert_eq!(stranger.sync(&mut bench, &[]).0, ErrorCode::UnknownMemberId);
    assert_eq!(stranger.commit(&mut bench, 1), ErrorCode::UnknownMemberId);
    let refused = bench.call(stranger.connection, 9, &stranger.join_request());
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::UnknownMemberId);
    let mut outsider = first.clone();
    (outsider.id, outsider.generation) = (String::new(), -1);
    assert_eq!(outsider.commit(&mut bench, 1), ErrorCode::UnknownMemberId);
    assert_eq!(first.commit(&mut bench, 1), ErrorCode::None);
}

fn committed(bench: &mut Bench) -> Vec<(String, i32, i64, i32, String)> {
    let group = m::offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(group_id())
        .with_topics(None);
    let request =
        m::OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
    let answer = bench.ask(1, 8, &request);
    let topics = answer.groups[0].topics.iter();
    let offsets = topics.flat_map(|topic| {
        topic.partitions.iter().map(|p| {
            let note = p.metadata.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = topic.name.to_string();
            (name, p.partition_index, p.committed_offset, p.committed_leader_epoch, note)
        })
    });
    offsets.collect()
}

#[test]
fn offsets_are_kept_with_epoch_and_note() {
    let mut bench = Bench::new(1).topic("t", 1);
    let mut alone = Player::new(&mut bench);
    assert_eq!(committed(&mut bench), []);
    assert_eq!(alone.commit(&mut bench, 5), ErrorCode::None);
    let kept = ("t".to_owned(), 0, 5, 3, "note".to_owned());
    assert_eq!(committed(&mut bench), [kept]);
    // While it rebalances, a member that joined must wait for its assignment.
    alone.join(&mut bench);
    assert_eq!(alone.commit(&mut bench, 6), ErrorCode::RebalanceInProgress);
    alone.sync(&mut bench, &[]);
    assert_eq!(alone.commit(&mut bench, 7), ErrorCode::None);
    assert_eq!(committed(&mut bench)[0].2, 7);
    let wanted = m::offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0, 1]);
    let old =
        m::OffsetFetchRequest::default().with_group_id(group_id()).with_topics(Some(vec![wanted]));
    let answer = bench.ask(1, 5, &old);
    let offsets = answer.topics[0].partitions.iter().map(|p| p.committed_offset);
    assert_eq!(offsets.collect::<Vec<_>>(), [7, -1]);
    // The topic takes its offsets with it.
    let delete = m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]);
    bench.ask(1, 5, &delete);
    assert_eq!(committed(&mut bench), []);
    assert_eq!(alone.commit(&mut bench, 8), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let mut bench = Bench::new(1).topic("t", 1);
    let (first, second) = two(&mut bench);
    let delete = m::DeleteGroupsRequest::default().with_groups_names(vec![group_id()]);
    let deleted =
        |bench: &mut Bench| ErrorCode::from(bench.ask(1, 2, &delete).results[0].error_code);
    assert_eq!(deleted(&mut bench), ErrorCode::NonEmptyGroup);
    let list = m::ListGroupsRequest::default().with_states_filter(vec![text("stable")]);
    let listed = bench.ask(1, 5, &list);
    expect![[r#"
        [("g", "consumer", "Stable", "classic")]
    "#]]
    .assert_debug_eq(&Listed(&listed));
    let none = list.with_states_filter(vec![text("Empty")]);
    assert!(bench.ask(1, 5, &none).groups.is_empty());
    first.leave(&mut bench);
    second.leave(&mut bench);
    assert_eq!(deleted(&mut bench), ErrorCode::None);
    assert_eq!(deleted(&mut bench), ErrorCode::GroupIdNotFound);
    let describe = m::DescribeGroupsRequest::default().with_groups(vec![group_id()]);
    assert_eq!(bench.ask(1, 5, &describe).groups[0].group_state, text("Dead"));
    let code = bench.ask(1, 6, &describe).groups[0].error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::GroupIdNotFound);
}

struct Listed<'a>(&'a m::ListGroupsResponse);

impl std::fmt::Debug for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let groups: Vec<_> = self
            .0
            .groups
            .iter()
            .map(|g| (g.group_id.as_str(), &*g.protocol_type, &*g.group_state, &*g.group_type))
            .collect();
        write!(f, "{groups:?}")
    }
}

#[test]
fn another_node_sends_to_the_coordinator() {
    let mut bench = Bench::new(3);
    let find = m::FindCoordinatorRequest::default().with_key(text(GROUP));
    let home = bench.ask(1, 3, &find).node_id.0;
    let wrong = 1 + home % 3;
    let player = Player::new(&mut bench);
    let code = bench.ask(wrong, 9, &player.join_request()).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::NotCoordinator);
    let right = bench.ask(home, 9, &player.join_request());
    assert_eq!(ErrorCode::from(right.error_code), ErrorCode::MemberIdRequired);
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut bench = Bench::with(1, |config| config.groups.max_size = 2);
    two(&mut bench);
    let third = Player::new(&mut bench);
    let refused = bench.call(third.connection, 9, &third.join_request());
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::GroupMaxSizeReached);
}

#[test]
fn a_note_may_be_so_long_and_no_longer() {
    let change = |config: &mut millstream_broker::ClusterConfig| {
        config.groups.offset_metadata_max_bytes = 3;
    };
    let mut bench = Bench::with(1, change).topic("t", 1);
    let alone = Player::new(&mut bench);
    assert_eq!(alone.commit(&mut bench, 1), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(committed(&mut bench), []);
}

#[test]
fn a_moved_coordinator_sends_those_who_wait_to_the_next() {
    let mut bench = Bench::new(2);
    let home = |bench: &mut Bench| {
        let request = m::FindCoordinatorRequest::default().with_key(text(GROUP));
        bench.ask(1, 3, &request).node_id.0
    };
    // The players are at node 1.
    bench.cluster.move_group_coordinator(GROUP, 1.into(), bench.now).unwrap();
    assert_eq!(home(&mut bench), 1);
    let (first, second) = two(&mut bench);
    let joining = first.send_join(&mut bench);
    bench.cluster.move_group_coordinator(GROUP, 2.into(), bench.now).unwrap();
    assert_eq!(home(&mut bench), 2);
    let answer = bench.answer::<m::JoinGroupRequest>(joining).expect("it is sent on");
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::NotCoordinator);
    assert_eq!(second.heartbeat(&mut bench), ErrorCode::NotCoordinator);
    bench.cluster.move_group_coordinator(GROUP, 1.into(), bench.now).unwrap();
    assert_eq!(second.heartbeat(&mut bench), ErrorCode::RebalanceInProgress);
    let unknown = bench.cluster.move_group_coordinator(GROUP, 7.into(), bench.now);
    assert!(unknown.is_err());
}

#[test]
fn a_loading_coordinator_of_groups_asks_to_come_again() {
    let mut bench = Bench::with(2, |config| {
        config.groups.load_time = Duration::from_millis(30);
    });
    bench.cluster.move_group_coordinator(GROUP, 1.into(), bench.now).unwrap();
    bench.pass(Duration::from_millis(30));
    let (first, _) = two(&mut bench);
    bench.cluster.load_group_coordinator(GROUP, Duration::from_millis(50), bench.now);
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(first.commit(&mut bench, 1), ErrorCode::CoordinatorLoadInProgress);
    bench.pass(Duration::from_millis(50));
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::None);
    bench.cluster.crash_node(2.into(), bench.now).unwrap();
    bench.cluster.restart_node(2.into(), bench.now).unwrap();
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::None, "it was not moved");
    bench.cluster.move_group_coordinator(GROUP, 2.into(), bench.now).unwrap();
    bench.cluster.move_group_coordinator(GROUP, 1.into(), bench.now).unwrap();
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::CoordinatorLoadInProgress);
    bench.pass(Duration::from_millis(30));
    assert_eq!(first.heartbeat(&mut bench), ErrorCode::None);
}
