//! Transactions that are not as they should be.

use std::time::{Duration, SystemTime};

use millstream_protocol::messages as m;

use super::wire::{Story, batch, id};
use crate::peer::{Peer, Wire, name, topic_name};
use crate::produce;

/// Batches of partitions that were not added, in versions that verify and in those that add.
pub(crate) fn verified(peer: &mut Peer) {
    let mut story = Story::begin(peer, "verified");
    let producer = story.new_producer();
    for version in [9, 10, 11] {
        story.write(&format!("not added, version {version}"), version, producer, 0);
    }
    story.write("a later one, not added", 11, producer, 1);
    story.tell_state("after that");
    let stranger = (producer.0, producer.1 + 1);
    story.write("an epoch that nobody has", 11, stranger, 0);
    story.write("an epoch that nobody has, adding", 12, stranger, 0);
    let other = (producer.0 + 1_000_000, 0);
    story.write("an id that nobody has", 11, other, 0);
    story.write("an id that nobody has, adding", 12, other, 0);
    story.add("added", 3, producer, &[0]);
    story.write("a later one is there first", 11, producer, 1);
    story.write("the lowest that was seen", 11, producer, 0);
    story.write("then the later one", 11, producer, 1);
    story.write_batch("no transaction", 11, batch(producer, 2, false, "v"), true);
    story.write_batch("no transactional id", 11, batch(producer, 2, true, "v"), false);
    story.write_batch("no transactional id, adding", 12, batch(producer, 2, true, "v"), false);
    story.end("of it", 4, producer, true);
    story.tell_state("after the end");
    story.write("after the end", 11, producer, 2);
    story.write_batch("after the end, no transaction", 11, batch(producer, 2, false, "v"), false);
    story.read("in the end", 0);
}

/// A fenced producer that goes on writing does not disturb the one that fenced it.
pub(crate) fn zombies(peer: &mut Peer) {
    let mut story = Story::begin(peer, "zombies");
    let zombie = story.new_producer();
    let producer = story.new_producer();
    story.write("the first", 12, producer, 0);
    story.write("by the zombie", 12, zombie, 0);
    story.write("by the zombie, verified", 11, zombie, 0);
    story.write("the second", 12, producer, 1);
    story.end("of it", 5, producer, true);
}

fn two_producers(story: &mut Story<'_>, first: (i64, i16), second: (i64, i16)) {
    let topic = story.peer.topic("two", 2, &[]);
    let (mut wire, _) = story.peer.leader(&topic);
    let mut request = produce::request(&topic, 0, batch(first, 0, true, "v"))
        .with_transactional_id(Some(id(&story.id)));
    let mut other = request.topic_data[0].partition_data[0].clone();
    other.index = 1;
    other.records = Some(batch(second, 0, true, "v"));
    request.topic_data[0].partition_data.push(other);
    let answer = wire.ask(12, &request);
    let codes = answer.responses[0].partition_responses.iter().map(|it| name(it.error_code));
    story.peer.tell("two producers in one request", format!("{:?}", codes.collect::<Vec<_>>()));
}

/// Requests that name what is not there.
pub(crate) fn refused(peer: &mut Peer) {
    let mut story = Story::begin(peer, "refused");
    let producer = story.new_producer();
    two_producers(&mut story, producer, (producer.0, producer.1 + 1));
    story.add("no such partition", 3, producer, &[0, 7]);
    story.add("an id that nobody has", 3, (producer.0 + 1_000_000, 0), &[0]);
    story.add("an epoch to come", 3, (producer.0, 9), &[0]);
    story.add("an epoch to come", 1, (producer.0, 9), &[0]);
    story.tell_state("after that");
    let (_, node) = story.coordinator_of(&story.id);
    let elsewhere = |story: &Story<'_>| -> Wire { story.peer.other(node) };
    let end = m::EndTxnRequest::default()
        .with_transactional_id(id(&story.id))
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1);
    let answer = elsewhere(&story).ask(4, &end);
    story.peer.tell("an end elsewhere", name(answer.error_code));
    let unknown = story.peer.unique("nobody");
    let nobody = story.coordinator_of(&unknown).1;
    let mut wire = story.peer.node(nobody);
    let answer = wire.ask(4, &end.clone().with_transactional_id(id(&unknown)));
    story.peer.tell("an end of nobody", name(answer.error_code));
    let describe = m::DescribeTransactionsRequest::default()
        .with_transactional_ids(vec![id(&unknown), id("")]);
    let answer = wire.ask(0, &describe);
    let codes = answer.transaction_states.iter().map(|it| name(it.error_code));
    story.peer.tell("nobody described", format!("{:?}", codes.collect::<Vec<_>>()));
    for timeout in [0, -1, 900_001, 900_000] {
        let init = m::InitProducerIdRequest::default()
            .with_transactional_id(Some(id(&story.id)))
            .with_transaction_timeout_ms(timeout)
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = story.settled(4, &init, |answer| answer.error_code);
        story.peer.tell(&format!("a timeout of {timeout}"), name(answer.error_code));
    }
    let init = m::InitProducerIdRequest::default()
        .with_transactional_id(Some(id("")))
        .with_transaction_timeout_ms(1000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = story.coordinator().ask(4, &init);
    story.peer.tell("an empty id", name(answer.error_code));
    let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
        .with_name(topic_name(&story.topic))
        .with_partitions(vec![0]);
    let add = m::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
        .with_transactional_id(id(&story.id))
        .with_producer_id(m::ProducerId(producer.0))
        .with_producer_epoch(producer.1 + 1)
        .with_verify_only(true)
        .with_topics(vec![topic]);
    let add = m::AddPartitionsToTxnRequest::default().with_transactions(vec![add]);
    let answer = story.coordinator().ask(5, &add);
    let results = &answer.results_by_transaction[0].topic_results[0].results_by_partition;
    story.peer.tell("verified only", name(results[0].partition_error_code));
}

/// A transaction that takes too long is aborted, and its producer fenced.
pub(crate) fn fenced(peer: &mut Peer) {
    let mut story = Story::begin(peer, "fenced");
    let init = m::InitProducerIdRequest::default()
        .with_transactional_id(Some(id(&story.id)))
        .with_transaction_timeout_ms(300)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = story.settled(4, &init, |answer| answer.error_code);
    let producer = (answer.producer_id.0, answer.producer_epoch);
    story.write("in time", 12, producer, 0);
    let begun = SystemTime::now();
    while story.state().starts_with("Ongoing") {
        assert!(begun.elapsed().unwrap() < Duration::from_secs(20), "it does not time out");
    }
    story.tell_state("after its time");
    story.read("after its time", 0);
    story.write("too late", 12, producer, 1);
    story.write("too late, verified", 11, producer, 1);
    story.add("too late", 3, producer, &[0]);
    story.end("too late", 5, producer, true);
    story.end("too late", 5, producer, false);
    story.end("too late", 4, producer, true);
    story.end("too late", 4, producer, false);
    story.init("going on", 4, producer);
    story.init("a newcomer", 4, (-1, -1));
}
