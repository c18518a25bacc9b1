//! Offsets: looked up, deleted, committed.

use millstream_protocol::messages as m;

use crate::peer::{Peer, Wire, base_time, batch, name, text, topic_name};
use crate::{fetch, produce};

pub(crate) fn list(topic: &str, time: i64) -> m::ListOffsetsRequest {
    let partition = m::list_offsets_request::ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_current_leader_epoch(-1)
        .with_timestamp(time);
    let topic = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![topic])
}

fn look(peer: &mut Peer, wire: &mut Wire, what: &str, version: i16, topic: &str, time: i64) {
    let answer = wire.ask(version, &list(topic, time));
    let found = &answer.topics[0].partitions[0];
    let (base, time) = (base_time(), if time < 0 { time } else { time - base_time() });
    let at = if found.timestamp < 0 { -1 } else { found.timestamp - base };
    let code = name(found.error_code);
    let said = format!("{code}, {} at {at}, epoch {}", found.offset, found.leader_epoch);
    peer.tell(&format!("{what}, {time} in version {version}"), said);
}

fn epoch_end(peer: &mut Peer, wire: &mut Wire, epoch: i32, current: i32) {
    let partition = m::offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let topic = m::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic_name(&peer.unique("looked-up")))
        .with_partitions(vec![partition]);
    let request = m::OffsetForLeaderEpochRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_topics(vec![topic]);
    let answer = wire.ask(4, &request);
    let end = &answer.topics[0].partitions[0];
    let said = format!("{} {} {}", name(end.error_code), end.leader_epoch, end.end_offset);
    peer.tell(&format!("the end of epoch {epoch} ({current})"), said);
}

fn delete(peer: &mut Peer, wire: &mut Wire, topic: &str, before: i64) {
    let partition =
        m::delete_records_request::DeleteRecordsPartition::default().with_offset(before);
    let topic = m::delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request =
        m::DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
    let answer = wire.ask(2, &request);
    let result = &answer.topics[0].partitions[0];
    let said = format!("{} {}", name(result.error_code), result.low_watermark);
    peer.tell(&format!("deleted before {before}"), said);
}

pub(crate) fn looked_up(peer: &mut Peer) {
    let topic = peer.topic("looked-up", 1, &[]);
    let (mut wire, leader) = peer.leader(&topic);
    for time in [-1, -2, -3, base_time()] {
        look(peer, &mut wire, "in an empty log", 7, &topic, time);
    }
    wire.ask(9, &produce::request(&topic, 0, batch(&["a", "b", "c"], None)));
    let times = [0, 1, 2, 3].map(|after| base_time() + after);
    for time in [-1, -2, -3, -4, -5, -9].into_iter().chain(times) {
        look(peer, &mut wire, "among three", 9, &topic, time);
    }
    look(peer, &mut wire, "among three", 7, &topic, -4);
    look(peer, &mut wire, "among three", 6, &topic, -3);
    look(peer, &mut peer.other(leader), "elsewhere", 7, &topic, -1);
    for (epoch, current) in [(0, -1), (3, -1), (-1, -1), (0, 4)] {
        epoch_end(peer, &mut wire, epoch, current);
    }
    for before in [2, 1, 9, -2] {
        delete(peer, &mut wire, &topic, before);
    }
    for offset in [1, 2] {
        let answer = wire.ask(12, &fetch::from(&topic, offset));
        peer.tell(&format!("fetched from {offset}"), fetch::said(&answer));
    }
    look(peer, &mut wire, "among one", 7, &topic, -2);
    delete(peer, &mut wire, &topic, -1);
    for time in [-1, -2, base_time()] {
        look(peer, &mut wire, "among none", 7, &topic, time);
    }
    epoch_end(peer, &mut wire, 0, -1);
    let compacted = peer.topic("kept", 1, &[("cleanup.policy", "compact")]);
    let (mut wire, _) = peer.leader(&compacted);
    delete(peer, &mut wire, &compacted, 0);
}

pub(crate) fn commit(
    group: &str,
    topic: &str,
    index: i32,
    who: (i32, &str),
    note: &str,
) -> m::OffsetCommitRequest {
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default()
        .with_partition_index(index)
        .with_committed_offset(5)
        .with_committed_leader_epoch(0)
        .with_committed_metadata(Some(text(note)));
    let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    m::OffsetCommitRequest::default()
        .with_group_id(m::GroupId(text(group)))
        .with_generation_id_or_member_epoch(who.0)
        .with_member_id(text(who.1))
        .with_group_instance_id(None)
        .with_topics(vec![topic])
}

pub(crate) fn committed_of(
    peer: &mut Peer,
    wire: &mut Wire,
    what: &str,
    group: &str,
    topic: Option<&str>,
) {
    use m::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    let topics = topic.map(|topic| {
        let known = OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0, 1, 9]);
        let unknown = OffsetFetchRequestTopics::default()
            .with_name(topic_name("none"))
            .with_partition_indexes(vec![0]);
        vec![known, unknown]
    });
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(m::GroupId(text(group)))
        .with_member_id(None)
        .with_member_epoch(-1)
        .with_topics(topics);
    let request =
        m::OffsetFetchRequest::default().with_groups(vec![wanted]).with_require_stable(true);
    let answer = wire.ask(8, &request);
    let found = &answer.groups[0];
    let offsets = found.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |p| {
            let note = p.metadata.as_deref().unwrap_or_default().to_owned();
            let (topic, code) = (topic.name.to_string(), name(p.error_code));
            (code, topic, p.partition_index, p.committed_offset, p.committed_leader_epoch, note)
        })
    });
    let offsets: Vec<_> = offsets.collect();
    peer.tell(what, format!("{} {offsets:?}", name(found.error_code)));
}

pub(crate) fn committed(peer: &mut Peer) {
    let (group, topic) = (peer.unique("committed"), peer.topic("committed", 2, &[]));
    peer.leader(&topic);
    let (mut wire, _) = peer.coordinator(&group);
    committed_of(peer, &mut wire, "of no group", &group, None);
    committed_of(peer, &mut wire, "of no group, by name", &group, Some(&topic));
    let long = "x".repeat(5000);
    for (what, topic, index, who, note) in [
        ("a generation of no group", &*topic, 0, (3, "x"), ""),
        ("by nobody", &topic, 0, (-1, ""), "note"),
        ("by a member of no generation", &topic, 1, (-1, "x"), ""),
        ("no such topic", "none", 0, (-1, ""), ""),
        ("no such partition", &topic, 9, (-1, ""), ""),
        ("a long note", &topic, 1, (-1, ""), &long),
        ("a generation of an empty group", &topic, 0, (3, "x"), ""),
    ] {
        let answer = wire.ask(8, &commit(&group, topic, index, who, note));
        peer.tell(what, name(answer.topics[0].partitions[0].error_code));
    }
    committed_of(peer, &mut wire, "kept", &group, None);
    committed_of(peer, &mut wire, "kept, by name", &group, Some(&topic));
    for (what, topic, index) in
        [("deleted", &*topic, 0), ("deleted again", &topic, 0), ("of no topic", "none", 0)]
    {
        use m::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(index);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = m::OffsetDeleteRequest::default()
            .with_group_id(m::GroupId(text(&group)))
            .with_topics(vec![topic]);
        let answer = wire.ask(0, &request);
        let code = name(answer.topics[0].partitions[0].error_code);
        peer.tell(what, format!("{} {code}", name(answer.error_code)));
    }
}
