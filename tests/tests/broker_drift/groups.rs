//! Classic groups.

use bytes::Bytes;
use millstream_protocol::messages as m;
use millstream_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use crate::peer::{Peer, Wire, name, text};

/// An empty subscription, as Kafka's `ConsumerProtocol` writes it: real Kafka looks into it.
const SUBSCRIPTION: &[u8] = b"\0\x01\0\0\0\0\xff\xff\xff\xff";

struct Member {
    wire: Wire,
    group: String,
    id: String,
    instance: Option<String>,
    generation: i32,
    protocol: &'static str,
}

impl Member {
    fn new(peer: &Peer, group: &str, instance: Option<&str>) -> Self {
        Self {
            wire: peer.coordinator(group).0,
            group: group.to_owned(),
            id: String::new(),
            instance: instance.map(str::to_owned),
            generation: -1,
            protocol: "range",
        }
    }

    fn join_request(&self) -> m::JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(self.protocol))
            .with_metadata(Bytes::from_static(SUBSCRIPTION));
        m::JoinGroupRequest::default()
            .with_group_id(m::GroupId(text(&self.group)))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
            .with_reason(None)
    }

    fn send_join(&mut self) {
        let request = self.join_request();
        self.wire.send(9, &request);
    }

    fn joined(&mut self, peer: &mut Peer, what: &str) {
        let answer = self.wire.receive::<m::JoinGroupRequest>(9).unwrap();
        if !answer.member_id.is_empty() {
            self.id = answer.member_id.to_string();
        }
        if answer.error_code == 0 {
            self.generation = answer.generation_id;
        }
        peer.tell(what, told(&answer));
    }

    fn join(&mut self, peer: &mut Peer, what: &str) {
        self.send_join();
        self.joined(peer, what);
    }

    fn sync_request(&self, assignments: &[(&str, &'static str)]) -> m::SyncGroupRequest {
        let assignments = assignments.iter().map(|(id, assignment)| {
            m::sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::from_static(assignment.as_bytes()))
        });
        m::SyncGroupRequest::default()
            .with_group_id(m::GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(assignments.collect())
    }

    fn synced(&mut self, peer: &mut Peer, what: &str) {
        let answer = self.wire.receive::<m::SyncGroupRequest>(5).unwrap();
        let code = name(answer.error_code);
        let protocol = answer.protocol_name.as_deref().unwrap_or_default().to_owned();
        peer.tell(what, format!("{code} {protocol:?} {:?}", answer.assignment));
    }

    fn sync(&mut self, peer: &mut Peer, what: &str, assignments: &[(&str, &'static str)]) {
        let request = self.sync_request(assignments);
        self.wire.send(5, &request);
        self.synced(peer, what);
    }

    fn heartbeat(&mut self, peer: &mut Peer, what: &str) {
        let request = m::HeartbeatRequest::default()
            .with_group_id(m::GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text));
        peer.tell(what, name(self.wire.ask(4, &request).error_code));
    }

    fn leave(&mut self, peer: &mut Peer, what: &str) {
        let member = m::leave_group_request::MemberIdentity::default()
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_reason(None);
        let request = m::LeaveGroupRequest::default()
            .with_group_id(m::GroupId(text(&self.group)))
            .with_members(vec![member]);
        let answer = self.wire.ask(5, &request);
        let members: Vec<_> = answer.members.iter().map(|left| name(left.error_code)).collect();
        peer.tell(what, format!("{} {members:?}", name(answer.error_code)));
    }
}

fn told(answer: &m::JoinGroupResponse) -> String {
    let leads = !answer.leader.is_empty() && answer.leader == answer.member_id;
    format!(
        "{} generation {}, protocol {:?}, leads {leads}, members {}, skips {}",
        name(answer.error_code),
        answer.generation_id,
        answer.protocol_name.as_deref(),
        answer.members.len(),
        answer.skip_assignment
    )
}

fn describe(peer: &mut Peer, what: &str, group: &str) {
    let (mut wire, _) = peer.coordinator(group);
    let request = m::DescribeGroupsRequest::default()
        .with_groups(vec![m::GroupId(text(group))])
        .with_include_authorized_operations(true);
    let answer = wire.ask(6, &request);
    let group = &answer.groups[0];
    let members: Vec<_> = group.members.iter().map(|member| member.member_metadata.len()).collect();
    let said = format!(
        "{} {}, type {:?}, protocol {:?}, operations {}, members {members:?}",
        name(group.error_code),
        &*group.group_state,
        &*group.protocol_type,
        &*group.protocol_data,
        group.authorized_operations
    );
    peer.tell(what, said);
}

/// Waits until the group is in a state, which a request on another connection brings about.
fn await_state(peer: &Peer, group: &str, state: &str) {
    let request = m::DescribeGroupsRequest::default().with_groups(vec![m::GroupId(text(group))]);
    let (mut wire, _) = peer.coordinator(group);
    for _ in 0..10_000 {
        if &*wire.ask(5, &request).groups[0].group_state == state {
            return;
        }
    }
    panic!("{group} does not become {state}");
}

fn delete(peer: &mut Peer, what: &str, group: &str) {
    let (mut wire, _) = peer.coordinator(group);
    let request =
        m::DeleteGroupsRequest::default().with_groups_names(vec![m::GroupId(text(group))]);
    peer.tell(what, name(wire.ask(2, &request).results[0].error_code));
}

pub(crate) fn rebalances(peer: &mut Peer) {
    let group = peer.unique("rebalances");
    describe(peer, "described before", &group);
    let mut stranger = Member::new(peer, &group, None);
    (stranger.id, stranger.generation) = ("stranger".to_owned(), 1);
    strange(peer, &mut stranger, "no group");
    let (mut first, mut second) =
        (Member::new(peer, &group, None), Member::new(peer, &group, None));
    first.join(peer, "the first is given an id");
    first.join(peer, "the first joins");
    describe(peer, "described completing", &group);
    first.heartbeat(peer, "the first lives while completing");
    let one = first.id.clone();
    first.sync(peer, "the first syncs", &[(&one, "one")]);
    first.sync(peer, "the first syncs again", &[]);
    describe(peer, "described stable", &group);
    second.join(peer, "the second is given an id");
    second.send_join();
    await_state(peer, &group, "PreparingRebalance");
    first.heartbeat(peer, "the first lives while preparing");
    first.sync(peer, "the first syncs while preparing", &[]);
    first.send_join();
    first.joined(peer, "the first joins again");
    second.joined(peer, "the second joins");
    second.join(peer, "the second joins again while completing");
    let two = second.id.clone();
    first.sync(peer, "the leader assigns", &[(&one, "one"), (&two, "two")]);
    second.sync(peer, "the follower syncs", &[]);
    second.join(peer, "the follower joins again, unchanged");
    strange(peer, &mut stranger, "a stable group");
    stranger.id = one;
    stranger.generation = 1;
    stranger.heartbeat(peer, "an old generation lives");
    stranger.protocol = "other";
    stranger.id = String::new();
    stranger.join(peer, "another protocol");
    delete(peer, "deleted with members", &group);
    first.leave(peer, "the leader leaves");
    first.leave(peer, "the leader leaves again");
    second.heartbeat(peer, "the second lives on");
    second.join(peer, "the second joins alone");
    second.sync(peer, "the second syncs alone", &[]);
    second.leave(peer, "the second leaves");
    second.heartbeat(peer, "the second lives no more");
    second.join(peer, "the second joins with its old id");
    describe(peer, "described empty", &group);
    delete(peer, "deleted", &group);
    delete(peer, "deleted again", &group);
}

fn strange(peer: &mut Peer, stranger: &mut Member, to: &str) {
    stranger.heartbeat(peer, &format!("a stranger lives in {to}"));
    stranger.sync(peer, &format!("a stranger syncs with {to}"), &[]);
    stranger.leave(peer, &format!("a stranger leaves {to}"));
    stranger.join(peer, &format!("a stranger joins {to}"));
    stranger.instance = Some("instance".to_owned());
    stranger.heartbeat(peer, &format!("a strange instance lives in {to}"));
    stranger.instance = None;
    let short = stranger.join_request().with_session_timeout_ms(10);
    let answer = stranger.wire.ask(9, &short);
    peer.tell("a short session", told(&answer));
    let nameless = stranger.join_request().with_group_id(m::GroupId(text("")));
    let answer = stranger.wire.ask(9, &nameless);
    peer.tell("a group without a name", told(&answer));
    let silent = stranger.join_request().with_protocols(Vec::new()).with_member_id(text(""));
    let answer = stranger.wire.ask(9, &silent);
    peer.tell("no protocols", told(&answer));
}

pub(crate) fn static_members(peer: &mut Peer) {
    let group = peer.unique("static");
    let mut first = Member::new(peer, &group, Some("one"));
    first.join(peer, "joins");
    let id = first.id.clone();
    first.sync(peer, "syncs", &[(&id, "kept")]);
    let mut again = Member::new(peer, &group, Some("one"));
    again.join(peer, "comes back");
    peer.tell("under a new id", again.id != first.id);
    again.sync(peer, "syncs again", &[]);
    first.heartbeat(peer, "the old one lives");
    first.sync(peer, "the old one syncs", &[]);
    again.heartbeat(peer, "the new one lives");
    let mut old = Member::new(peer, &group, Some("one"));
    let request = old.join_request();
    let answer = old.wire.ask(6, &request);
    peer.tell("comes back in an old version", told(&answer));
    let mut operator = Member::new(peer, &group, Some("one"));
    operator.leave(peer, "is removed by its instance");
    operator.leave(peer, "is removed again");
    describe(peer, "described", &group);
    delete(peer, "deleted", &group);
}
