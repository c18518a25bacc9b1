//! Reading.

use millstream_protocol::messages as m;
use millstream_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};

use crate::peer::{Peer, Wire, batch, name, topic_name};
use crate::produce;

fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(index)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(1 << 20)
}

pub(crate) fn request(topic: &str, partitions: Vec<FetchPartition>) -> m::FetchRequest {
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions);
    let topics = if topic.partitions.is_empty() { Vec::new() } else { vec![topic] };
    m::FetchRequest::default()
        .with_cluster_id(None)
        .with_replica_id(m::BrokerId(-1))
        .with_max_wait_ms(50)
        .with_min_bytes(1)
        .with_max_bytes(1 << 24)
        .with_session_epoch(-1)
        .with_topics(topics)
}

pub(crate) fn from(topic: &str, offset: i64) -> m::FetchRequest {
    request(topic, vec![partition(0, offset)])
}

pub(crate) fn said(answer: &m::FetchResponse) -> String {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let mut partitions: Vec<_> = partitions
        .map(|data| {
            let bytes = data.records.as_ref().map_or(0, bytes::Bytes::len);
            let code = name(data.error_code);
            let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
            format!(
                "{} {code}: {bytes} bytes of {}..{} (stable {}), diverging {diverging:?}",
                data.partition_index,
                data.log_start_offset,
                data.high_watermark,
                data.last_stable_offset
            )
        })
        .collect();
    partitions.sort_unstable();
    let session = if answer.session_id == 0 { "no session" } else { "a session" };
    format!("{}, {session}: {}", name(answer.error_code), partitions.join("; "))
}

pub(crate) fn reads(peer: &mut Peer) {
    let topic = peer.topic("reads", 1, &[]);
    let (mut wire, leader) = peer.leader(&topic);
    let empty = wire.ask(12, &from(&topic, 0));
    peer.tell("an empty log", said(&empty));
    for _ in 0..2 {
        wire.ask(9, &produce::request(&topic, 0, batch(&["a", "b"], None)));
    }
    for version in [4, 5, 7, 11, 12] {
        let answer = wire.ask(version, &from(&topic, 0));
        peer.tell(&format!("version {version}"), said(&answer));
    }
    for offset in [1, 2, 4, 5, -1] {
        let answer = wire.ask(12, &from(&topic, offset));
        peer.tell(&format!("from {offset}"), said(&answer));
    }
    let mut ask = |what: &str, wire: &mut Wire, request: &m::FetchRequest| {
        let answer = wire.ask(12, request);
        peer.tell(what, said(&answer));
    };
    ask("no such topic", &mut wire, &from("none", 0));
    ask("no such partition", &mut wire, &request(&topic, vec![partition(9, 0)]));
    let one = |partition: FetchPartition| request(&topic, vec![partition]);
    ask("a leader epoch to come", &mut wire, &one(partition(0, 0).with_current_leader_epoch(5)));
    ask("the last epoch fetched", &mut wire, &one(partition(0, 2).with_last_fetched_epoch(0)));
    ask("an epoch unknown", &mut wire, &one(partition(0, 2).with_last_fetched_epoch(7)));
    ask("further than its epoch", &mut wire, &one(partition(0, 9).with_last_fetched_epoch(0)));
    ask("one byte", &mut wire, &from(&topic, 0).with_max_bytes(1));
    ask("one byte of it", &mut wire, &one(partition(0, 0).with_partition_max_bytes(1)));
    ask("read committed", &mut wire, &from(&topic, 0).with_isolation_level(1));
    let elsewhere = peer.other(leader).ask(12, &from(&topic, 0));
    peer.tell("elsewhere", said(&elsewhere));
    let mut unknown = from(&topic, 0);
    unknown.topics[0].topic = topic_name("");
    unknown.topics[0].topic_id = "c0ffee00-0000-4000-8000-000000000001".parse().unwrap();
    let answer = wire.ask(16, &unknown);
    peer.tell("an unknown id", said(&answer));
}

pub(crate) fn sessions(peer: &mut Peer) {
    let topic = peer.topic("sessions", 1, &[]);
    let (mut wire, _) = peer.leader(&topic);
    let write = produce::request(&topic, 0, batch(&["a", "b"], None));
    wire.ask(9, &write);
    let full = wire.ask(12, &from(&topic, 0).with_session_epoch(0));
    peer.tell("begun", said(&full));
    let id = full.session_id;
    let go_on = |epoch, partitions| {
        request(&topic, partitions).with_session_id(id).with_session_epoch(epoch)
    };
    let forget = |epoch, index| {
        let forgotten =
            ForgottenTopic::default().with_topic(topic_name(&topic)).with_partitions(vec![index]);
        go_on(epoch, vec![]).with_forgotten_topics_data(vec![forgotten])
    };
    let mut ask = |what: &str, version, request: &m::FetchRequest| {
        let answer = wire.ask(version, request);
        peer.tell(what, said(&answer));
    };
    ask("not moved", 12, &go_on(1, vec![]));
    ask("moved to the end", 12, &go_on(2, vec![partition(0, 2)]));
    ask("no news", 12, &go_on(3, vec![]));
    ask("a wrong epoch", 12, &go_on(9, vec![]));
    ask("the right one still", 12, &go_on(4, vec![]));
    ask("one more partition, which is not there", 12, &go_on(5, vec![partition(9, 0)]));
    ask("the error again", 12, &go_on(6, vec![]));
    ask("by id", 16, &go_on(7, vec![]));
    ask("forgotten", 12, &forget(7, 9));
    ask("all forgotten", 12, &forget(8, 0));
    ask("after the end", 12, &go_on(9, vec![]));
    let stranger = request(&topic, vec![]).with_session_id(id ^ 1).with_session_epoch(1);
    ask("a session of nobody", 12, &stranger);
}
