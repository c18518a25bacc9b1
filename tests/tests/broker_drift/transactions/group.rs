//! Offsets of groups inside transactions, and what administrators see.

use millstream_protocol::messages as m;

use super::wire::{Producer, Story, id};
use crate::offsets::{commit, committed_of};
use crate::peer::{Peer, Wire, name, text, topic_name};

fn group_id(name: &str) -> m::GroupId {
    m::GroupId(text(name))
}

fn txn_commit(
    story: &mut Story<'_>,
    wire: &mut Wire,
    what: &str,
    version: i16,
    producer: Producer,
    offset: i64,
) {
    let partition = m::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("in a transaction")));
    let missing = partition.clone().with_partition_index(9);
    let long = partition
        .clone()
        .with_partition_index(1)
        .with_committed_metadata(Some(text(&"x".repeat(5000))));
    let topic = m::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
        .with_name(topic_name(&story.topic))
        .with_partitions(vec![partition, long, missing]);
    let request = m::TxnOffsetCommitRequest::default()
        .with_transactional_id(id(&story.id))
        .with_group_id(group_id(&story.peer.unique("of-offsets")))
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_generation_id_or_member_epoch(-1)
        .with_group_instance_id(None)
        .with_topics(vec![topic]);
    let code = loop {
        let answer = wire.ask(version, &request);
        let mut codes: Vec<_> = answer.topics[0]
            .partitions
            .iter()
            .map(|it| (it.partition_index, name(it.error_code)))
            .collect();
        codes.sort_unstable();
        if codes[0].1 != "CONCURRENT_TRANSACTIONS" && !codes[0].1.contains("LOAD") {
            break format!("{codes:?}");
        }
    };
    story.peer.tell(&format!("{what}, version {version}"), code);
}

fn add_group(story: &mut Story<'_>, what: &str, version: i16, producer: Producer) {
    let request = m::AddOffsetsToTxnRequest::default()
        .with_transactional_id(id(&story.id))
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_group_id(group_id(&story.peer.unique("of-offsets")));
    let answer = story.settled(version, &request, |answer| answer.error_code);
    story.peer.tell(&format!("{what}, version {version}"), name(answer.error_code));
}

pub(crate) fn offsets(peer: &mut Peer) {
    let group = peer.unique("of-offsets");
    let (mut wire, _) = peer.coordinator(&group);
    let mut story = Story::begin(peer, "offsets");
    let topic = story.topic.clone();
    let producer = story.new_producer();
    let look = |story: &mut Story<'_>, what: &str| {
        story.state();
        let (mut wire, _) = story.peer.coordinator(&group);
        committed_of(story.peer, &mut wire, what, &group, Some(&topic));
        committed_of(story.peer, &mut wire, what, &group, None);
    };
    for version in [2, 3, 4] {
        txn_commit(&mut story, &mut wire, "not added", version, producer, 1);
    }
    look(&mut story, "nothing yet");
    add_group(&mut story, "added", 3, producer);
    txn_commit(&mut story, &mut wire, "added", 3, producer, 5);
    look(&mut story, "pending");
    story.end("of the first", 4, producer, true);
    look(&mut story, "committed");
    txn_commit(&mut story, &mut wire, "after the end", 3, producer, 6);
    txn_commit(&mut story, &mut wire, "adding", 5, producer, 7);
    look(&mut story, "pending again");
    let next = story.end("of the second", 5, producer, false);
    look(&mut story, "aborted");
    txn_commit(&mut story, &mut wire, "by the old epoch", 5, producer, 8);
    txn_commit(&mut story, &mut wire, "by the new epoch", 5, next, 9);
    let plain =
        story.peer.coordinator(&group).0.ask(8, &commit(&group, &topic, 0, (-1, ""), "plain"));
    story.peer.tell("a plain commit meanwhile", name(plain.topics[0].partitions[0].error_code));
    look(&mut story, "pending beside a plain one");
    let last = story.end("of the third", 5, next, true);
    look(&mut story, "the later commit stands");
    add_group(&mut story, "by the old epoch", 1, producer);
    add_group(&mut story, "by the old epoch", 4, producer);
    txn_commit(&mut story, &mut wire, "in an empty transaction", 5, last, 10);
    story.init("a newcomer aborts it", 4, (-1, -1));
    look(&mut story, "in the end");
}

fn producers(story: &mut Story<'_>, what: &str) {
    let topic = m::describe_producers_request::TopicRequest::default()
        .with_name(topic_name(&story.topic))
        .with_partition_indexes(vec![0]);
    let request = m::DescribeProducersRequest::default().with_topics(vec![topic]);
    story.state();
    let (mut wire, _) = story.peer.leader(&story.topic);
    let answer = wire.ask(0, &request);
    let partition = &answer.topics[0].partitions[0];
    let found = partition.active_producers.iter().map(|it| {
        let new = it.coordinator_epoch < 0;
        format!(
            "epoch {}, sequence {}, first offset {}, no coordinator yet {new}",
            it.producer_epoch, it.last_sequence, it.current_txn_start_offset
        )
    });
    let found: Vec<_> = found.collect();
    story.peer.tell(what, format!("{} {found:?}", name(partition.error_code)));
}

fn mark(story: &mut Story<'_>, what: &str, version: i16, producer: Producer, rules: i8) {
    use m::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
    let topic = WritableTxnMarkerTopic::default()
        .with_name(topic_name(&story.topic))
        .with_partition_indexes(vec![0, 9]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_coordinator_epoch(1_000)
        .with_transaction_version(rules)
        .with_topics(vec![topic]);
    let request = m::WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let (mut wire, _) = story.peer.leader(&story.topic);
    let answer = wire.ask(version, &request);
    let mut codes: Vec<_> = answer.markers[0].topics[0]
        .partitions
        .iter()
        .map(|it| (it.partition_index, name(it.error_code)))
        .collect();
    codes.sort_unstable();
    story.peer.tell(what, format!("{codes:?}"));
}

fn listed(story: &mut Story<'_>, what: &str, change: fn(&mut m::ListTransactionsRequest, &str)) {
    let mut request = m::ListTransactionsRequest::default().with_duration_filter(-1);
    change(&mut request, &story.id);
    story.state();
    let answer = story.coordinator().ask(2, &request);
    let mut own = answer.transaction_states.iter();
    let found = own.find(|it| it.transactional_id.as_str() == story.id);
    let found = found.map(|it| it.transaction_state.to_string());
    let unknown = &answer.unknown_state_filters;
    let said = format!("{} {found:?}, unknown {unknown:?}", name(answer.error_code));
    story.peer.tell(&format!("listed {what}"), said);
}

pub(crate) fn administration(peer: &mut Peer) {
    let mut story = Story::begin(peer, "administration");
    let producer = story.new_producer();
    producers(&mut story, "no producer");
    story.write("written", 12, producer, 0);
    producers(&mut story, "one with a transaction");
    listed(&mut story, "all", |_, _| {});
    listed(&mut story, "by state", |request, _| {
        request.state_filters = vec![text("Ongoing"), text("Odd")];
    });
    listed(&mut story, "by another state", |request, _| {
        request.state_filters = vec![text("Empty")];
    });
    listed(&mut story, "by a state that is none", |request, _| {
        request.state_filters = vec![text("Odd")];
    });
    listed(&mut story, "by a producer", |request, _| {
        request.producer_id_filters = vec![m::ProducerId(i64::MAX)];
    });
    listed(&mut story, "that go on for long", |request, _| request.duration_filter = 60_000);
    listed(&mut story, "by a pattern", |request, _| {
        request.transactional_id_pattern = Some(text("administration-[0-9]+"));
    });
    listed(&mut story, "by a pattern of a part", |request, _| {
        request.transactional_id_pattern = Some(text("administration"));
    });
    listed(&mut story, "by the whole id", |request, id| {
        request.transactional_id_pattern = Some(text(id));
    });
    listed(&mut story, "by no pattern", |request, _| {
        request.transactional_id_pattern = Some(text("("));
    });
    let next = story.end("of it", 5, producer, true);
    listed(&mut story, "after the end", |_, _| {});
    producers(&mut story, "after the commit");
    story.write("the next", 12, next, 0);
    mark(&mut story, "an old epoch", 1, producer, 0);
    mark(&mut story, "the same epoch, by strict rules", 2, next, 2);
    mark(&mut story, "a marker of an administrator", 1, next, 0);
    producers(&mut story, "after the marker");
    story.read("after the marker", 0);
    story.write("after the marker", 12, next, 1);
    story.end("after the marker", 5, next, true);
}
