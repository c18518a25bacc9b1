//! Appending.

use bytes::Bytes;
use millstream_protocol::messages as m;

use crate::peer::{Peer, batch, name, topic_name};

pub(crate) fn request(topic: &str, partition: i32, batch: Bytes) -> m::ProduceRequest {
    let partition = m::produce_request::PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let topic = m::produce_request::TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![partition]);
    m::ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

fn said(answer: Option<m::ProduceResponse>) -> String {
    let Some(answer) = answer else {
        return "closed".to_owned();
    };
    let partition = &answer.responses[0].partition_responses[0];
    let code = name(partition.error_code);
    let timed = partition.log_append_time_ms >= 0;
    let records: Vec<_> = partition.record_errors.iter().map(|error| error.batch_index).collect();
    format!("{code} at {}, timed {timed}, records {records:?}", partition.base_offset)
}

fn send(peer: &mut Peer, what: &str, topic: &str, request: &m::ProduceRequest) {
    let (mut wire, _) = peer.leader(topic);
    wire.send(9, request);
    let answer = wire.receive::<m::ProduceRequest>(9);
    peer.tell(what, said(answer));
}

pub(crate) fn appends(peer: &mut Peer) {
    let topic = peer.topic("appends", 1, &[]);
    let good = batch(&["a", "b"], None);
    let (_, leader) = peer.leader(&topic);
    for _ in 0..2 {
        send(peer, "a good batch", &topic, &request(&topic, 0, good.clone()));
    }
    send(peer, "no such topic", &topic, &request("none", 0, good.clone()));
    send(peer, "no such partition", &topic, &request(&topic, 9, good.clone()));
    let elsewhere = peer.other(leader).ask(12, &request(&topic, 0, good.clone()));
    let told = elsewhere.responses[0].partition_responses[0].current_leader.leader_epoch;
    let endpoints = elsewhere.node_endpoints.len();
    peer.tell("the leader told elsewhere", format!("epoch {told}, endpoints {endpoints}"));
    let mut bytes = |what: &str, bytes: Bytes| {
        send(peer, what, &topic, &request(&topic, 0, bytes));
    };
    bytes("no bytes", Bytes::new());
    bytes("a cut batch", good.slice(..good.len() - 1));
    bytes("two batches", [&good[..], &good[..]].concat().into());
    let changed = |at: usize, value: u8| {
        let mut copy = good.to_vec();
        copy[at] = value;
        Bytes::from(copy)
    };
    bytes("a flipped bit", changed(65, good[65] ^ 1));
    bytes("an old format", changed(16, 1));
    bytes("an unknown format", changed(16, 9));
    bytes("too large", batch(&[&"x".repeat(1_100_000)], None));
    bytes("a producer without a sequence", batch(&["a"], Some((7, 0, -1))));
    let wrong = request(&topic, 0, good.clone()).with_acks(2);
    send(peer, "acks 2", &topic, &wrong);
    let unanswered = request(&topic, 0, good.clone()).with_acks(0);
    let (mut wire, _) = peer.leader(&topic);
    wire.send(9, &unanswered);
    let next = wire.ask(9, &request(&topic, 0, good.clone()));
    peer.tell("after acks 0", said(Some(next)));
    wire.send(9, &request("none", 0, good.clone()).with_acks(0));
    wire.send(9, &request(&topic, 0, good.clone()));
    let after = wire.receive::<m::ProduceRequest>(9);
    peer.tell("after a failed acks 0", said(after));
    let compacted = peer.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    send(peer, "no key", &compacted, &request(&compacted, 0, good.clone()));
    let stamped = peer.topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    send(peer, "stamped", &stamped, &request(&stamped, 0, good.clone()));
    dated(peer);
    let few = peer.topic("few", 1, &[("min.insync.replicas", "3")]);
    send(peer, "fewer replicas than in-sync ones wanted", &few, &request(&few, 0, good));
}

/// Records whose time is too far from now.
fn dated(peer: &mut Peer) {
    use millstream_protocol::batch::{BatchBuilder, HeaderView};
    const HOUR: i64 = 3_600_000;
    let of = |hours: &[i64]| -> Bytes {
        let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
        let none: [HeaderView<'_>; 0] = [];
        for hour in hours {
            let time = millstream_types::Timestamp(crate::peer::base_time() + hour * HOUR);
            builder.append(time, Some(b"k"), None, none).unwrap();
        }
        builder.seal().into_bytes().into()
    };
    let any = peer.topic("dated", 1, &[]);
    send(peer, "of tomorrow", &any, &request(&any, 0, of(&[0, 24, 0, 48])));
    send(peer, "of last month", &any, &request(&any, 0, of(&[-720, 0])));
    let recent = peer.topic("recent", 1, &[("message.timestamp.before.max.ms", "36000000")]);
    send(peer, "of yesterday", &recent, &request(&recent, 0, of(&[-24, 0])));
    send(peer, "of today", &recent, &request(&recent, 0, of(&[-2, 0])));
}

pub(crate) fn idempotence(peer: &mut Peer) {
    let topic = peer.topic("idempotence", 1, &[]);
    let init = m::InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let first = peer.any().ask(4, &init);
    peer.tell("an id", format!("{}, epoch {}", name(first.error_code), first.producer_epoch));
    let id = first.producer_id.0;
    let again = init.with_producer_id(m::ProducerId(id)).with_producer_epoch(0);
    let second = peer.any().ask(4, &again);
    let differs = second.producer_id != first.producer_id;
    peer.tell("another id", format!("epoch {}, differs {differs}", second.producer_epoch));
    let mut send = |what: &str, id: i64, epoch: i16, sequence: i32, values: &[&str]| {
        let batch = batch(values, Some((id, epoch, sequence)));
        send(peer, what, &topic, &request(&topic, 0, batch));
    };
    for sequence in 0..6 {
        send("in order", id, 0, sequence, &["a"]);
    }
    send("the newest again", id, 0, 5, &["a"]);
    send("the fifth newest again", id, 0, 1, &["a"]);
    send("an older one again", id, 0, 0, &["a"]);
    send("a gap", id, 0, 7, &["a"]);
    send("the newest, but longer", id, 0, 5, &["a", "b"]);
    send("a new epoch not from 0", id, 1, 3, &["a"]);
    send("a new epoch", id, 1, 0, &["a", "b"]);
    send("the old epoch", id, 0, 6, &["a"]);
    send("the new epoch goes on", id, 1, 2, &["a"]);
    let unknown = second.producer_id.0;
    send("an unknown producer, not from 0", unknown, 0, i32::MAX - 1, &["a", "b", "c"]);
    send("behind the wrap", unknown, 0, 1, &["d"]);
    send("over the wrap again", unknown, 0, i32::MAX - 1, &["a", "b", "c"]);
}
