//! What readers of committed records see: the last stable offset, aborted transactions, offsets by
//! time; deleted and truncated records.

use millstream_broker::ErrorCode;
use millstream_protocol::batch::{CheckedBatch, ControlRecord, RawBatches};
use millstream_protocol::compression::Decompressor;
use millstream_protocol::messages as m;
use millstream_types::{Offset, TopicPartition};

use super::{PRODUCE_V1, PRODUCE_V2};
use crate::bench::{Bench, START, topic_name};
use crate::fetch::{VERSION, fetch_one, partition, request};

fn bench() -> Bench {
    Bench::new(1).topic("t", 1)
}

fn end_of(bench: &mut Bench, isolation: i8, time: i64) -> i64 {
    let wanted = m::list_offsets_request::ListOffsetsPartition::default()
        .with_current_leader_epoch(-1)
        .with_timestamp(time);
    let topic = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![wanted]);
    let request = m::ListOffsetsRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    bench.ask(1, 7, &request).topics[0].partitions[0].offset
}

#[test]
fn nobody_reads_committed_records_past_an_open_transaction() {
    let mut bench = bench();
    bench.produce(1, "t", 0, &["plain"]);
    let one = bench.init("one");
    let two = bench.init("two");
    assert_eq!(bench.write("one", one, PRODUCE_V2, 0, &["1"]), (ErrorCode::None, 1));
    assert_eq!(bench.write("two", two, PRODUCE_V2, 0, &["2"]), (ErrorCode::None, 2));
    bench.produce(1, "t", 0, &["plain"]);
    let (stable, aborted, values) = bench.read_committed(0);
    assert_eq!((stable, aborted.len(), values.len()), (1, 0, 1));
    assert_eq!((end_of(&mut bench, 0, -1), end_of(&mut bench, 1, -1)), (4, 1));
    let all = fetch_one(&mut bench, 1, "t", 0, 0);
    assert_eq!((all.last_stable_offset, all.high_watermark), (1, 4));
    assert!(all.aborted_transactions.is_none());
    // The younger one ends first: the older still holds readers.
    assert!(bench.end("two", two, true, 5).is_ok());
    assert_eq!(bench.read_committed(0).0, 1);
    assert!(bench.end("one", one, false, 5).is_ok());
    let (stable, aborted, values) = bench.read_committed(0);
    assert_eq!((stable, aborted, values.len()), (6, vec![(one.0, 1)], 6));
    assert_eq!(bench.read_committed(1).1, [(one.0, 1)]);
    assert!(bench.read_committed(6).1.is_empty(), "nothing was aborted from here on");
}

#[test]
fn offsets_by_time_are_found_among_committed_records_alone() {
    let mut bench = bench();
    let producer = bench.init("x");
    bench.produce(1, "t", 0, &["a"]);
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["b", "c", "d"]).0, ErrorCode::None);
    assert_eq!(end_of(&mut bench, 0, START + 2), 3);
    assert_eq!(end_of(&mut bench, 1, START + 2), -1);
    assert_eq!(end_of(&mut bench, 1, START), 0);
    assert_eq!(end_of(&mut bench, 1, -3), -1);
    assert!(bench.end("x", producer, true, 5).is_ok());
    assert_eq!(end_of(&mut bench, 1, START + 2), 3);
}

#[test]
fn a_waiting_reader_wakes_when_the_transaction_ends() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    let connection = bench.connect(1);
    let wanted = request("t", vec![partition(0, 0)]).with_isolation_level(1);
    let sent = bench.send(connection, VERSION, &wanted);
    assert!(bench.answer::<m::FetchRequest>(sent).is_none());
    bench.produce(1, "t", 0, &["plain"]);
    assert!(bench.answer::<m::FetchRequest>(sent).is_none(), "it is behind the open one");
    assert!(bench.end("x", producer, true, 5).is_ok());
    let answer = bench.answer::<m::FetchRequest>(sent).unwrap();
    let data = &answer.responses[0].partitions[0];
    assert_eq!((data.last_stable_offset, data.high_watermark), (3, 3));
}

#[test]
fn markers_are_control_batches_of_their_producer() {
    let mut bench = bench();
    let producer = bench.init("x");
    let next = bench.transact("x", producer, &["a"], true);
    bench.transact("x", next, &["b"], false);
    let data = fetch_one(&mut bench, 1, "t", 0, 0);
    let mut seen = Vec::new();
    for raw in RawBatches::new(data.records.unwrap()) {
        let batch = CheckedBatch::check(raw.unwrap(), &mut Decompressor::new(1 << 20)).unwrap();
        let header = *batch.header();
        if header.attributes.is_control() {
            let record = batch.records().next().unwrap();
            seen.push((
                ControlRecord::read(&record),
                header.producer_epoch.0,
                header.base_sequence,
            ));
            assert_eq!(header.producer_id.0, producer.0);
            assert!(header.attributes.is_transactional());
        }
    }
    let coordinator_epoch = 0;
    assert_eq!(
        seen,
        [
            (ControlRecord::Commit { coordinator_epoch }, producer.1 + 1, -1),
            (ControlRecord::Abort { coordinator_epoch }, producer.1 + 2, -1),
        ]
    );
}

#[test]
fn aborted_transactions_are_told_for_the_batches_that_are_sent() {
    let mut bench = bench();
    let mut producer = bench.init("x");
    for _ in 0..3 {
        producer = bench.transact("x", producer, &["a"], false);
    }
    let size = fetch_one(&mut bench, 1, "t", 0, 5).records.unwrap().len() as i32;
    // Two batches: the first transaction and no more.
    let mut wanted =
        request("t", vec![partition(0, 0)]).with_isolation_level(1).with_max_wait_ms(0);
    wanted.topics[0].partitions[0].partition_max_bytes = 2 * size;
    let answer = bench.ask(1, VERSION, &wanted);
    let data = &answer.responses[0].partitions[0];
    let told: Vec<_> =
        data.aborted_transactions.iter().flatten().map(|it| it.first_offset).collect();
    assert_eq!(told, [0]);
    let (_, all, _) = bench.read_committed(0);
    assert_eq!(all.iter().map(|it| it.1).collect::<Vec<_>>(), [0, 2, 4]);
    let (_, later, _) = bench.read_committed(3);
    assert_eq!(later.iter().map(|it| it.1).collect::<Vec<_>>(), [2, 4]);
}

fn delete_before(bench: &mut Bench, offset: i64) -> i64 {
    let wanted = m::delete_records_request::DeleteRecordsPartition::default().with_offset(offset);
    let topic = m::delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![wanted]);
    let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]);
    bench.ask(1, 2, &request).topics[0].partitions[0].low_watermark
}

#[test]
fn deleted_records_of_an_open_transaction_hold_readers_at_the_start() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    bench.produce(1, "t", 0, &["b", "c"]);
    assert_eq!(delete_before(&mut bench, 2), 2);
    assert_eq!(bench.read_committed(2).0, 2);
    assert!(bench.end("x", producer, false, 5).is_ok());
    let (stable, aborted, _) = bench.read_committed(2);
    assert_eq!((stable, aborted), (4, vec![(producer.0, 0)]));
    assert_eq!(delete_before(&mut bench, 4), 4);
    assert!(bench.read_committed(4).1.is_empty());
    // The producer is remembered though nothing of it is left.
    assert_eq!(
        bench.write("x", producer, PRODUCE_V1, 1, &["d"]).0,
        ErrorCode::InvalidProducerEpoch
    );
}

#[test]
fn a_truncated_log_forgets_the_ends_it_lost() {
    let mut bench = bench();
    let producer = bench.init("x");
    let next = bench.transact("x", producer, &["a"], false);
    assert_eq!(bench.read_committed(0).0, 2);
    bench.cluster.truncate(&TopicPartition::new("t", 0), Offset(1), bench.now).unwrap();
    // The marker is gone, and with it the end: the transaction is open again.
    let (stable, aborted, _) = bench.read_committed(0);
    assert_eq!((stable, aborted.len()), (0, 0));
    let found = super::administration::describe_producers(&mut bench, "t", 0).unwrap();
    assert_eq!(
        (found[0].producer_epoch, found[0].current_txn_start_offset),
        (producer.1.into(), 0)
    );
    let last = bench.transact("x", next, &["b"], true);
    assert_eq!(last.1, next.1 + 1);
    let (stable, aborted, _) = bench.read_committed(0);
    assert_eq!((stable, aborted.len()), (3, 0));
}
