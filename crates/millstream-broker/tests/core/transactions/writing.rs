//! Transactional batches: verified up to version 11, adding their partition from 12 on.

use millstream_broker::ErrorCode;
use millstream_protocol::messages as m;

use super::{PRODUCE_V1, PRODUCE_V2, Producer, batch, id};
use crate::bench::{Bench, batch_of, produce_request};

fn bench() -> Bench {
    Bench::new(1).topic("t", 2)
}

#[test]
fn a_partition_that_was_not_added_is_refused() {
    let mut bench = bench();
    let producer = bench.init("x");
    for (version, code) in [
        (9, ErrorCode::InvalidTxnState),
        (10, ErrorCode::InvalidTxnState),
        (11, ErrorCode::TransactionAbortable),
    ] {
        assert_eq!(bench.write("x", producer, version, 0, &["a"]), (code, -1));
    }
    assert_eq!(bench.state("x"), "Empty");
    assert_eq!(bench.add("x", producer, "t", 0), ErrorCode::None);
    assert_eq!(bench.write("x", producer, PRODUCE_V1, 0, &["a"]), (ErrorCode::None, 0));
    // Once it is open, batches pass without asking.
    assert_eq!(bench.write("x", producer, 9, 1, &["b"]), (ErrorCode::None, 1));
}

#[test]
fn producing_adds_the_partition_from_version_12_on() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]), (ErrorCode::None, 0));
    assert_eq!(bench.state("x"), "Ongoing");
    assert_eq!(bench.snapshot("x").partitions.len(), 1);
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]), (ErrorCode::None, 0));
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 1, &["b"]), (ErrorCode::None, 1));
}

#[test]
fn who_is_not_the_producer_writes_nothing() {
    let mut bench = bench();
    let producer = bench.init("x");
    for version in [PRODUCE_V1, PRODUCE_V2] {
        let mut code = |producer| bench.write("x", producer, version, 0, &["a"]).0;
        assert_eq!(code((producer.0, 7)), ErrorCode::InvalidProducerEpoch);
        assert_eq!(code((producer.0 + 7, 0)), ErrorCode::InvalidProducerIdMapping);
        let nobody = bench.write("y", producer, version, 0, &["a"]).0;
        assert_eq!(nobody, ErrorCode::InvalidProducerIdMapping);
    }
}

fn send(bench: &mut Bench, version: i16, request: &m::ProduceRequest) -> Vec<ErrorCode> {
    let answer = bench.ask(1, version, request);
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|it| ErrorCode::from(it.error_code)).collect()
}

#[test]
fn a_transactional_batch_needs_the_transactional_id() {
    let mut bench = bench();
    let producer = bench.init("x");
    let nameless = produce_request("t", 0, batch(producer, 0, &["a"]));
    let refused = [ErrorCode::TransactionalIdAuthorizationFailed];
    for version in [PRODUCE_V1, PRODUCE_V2] {
        assert_eq!(send(&mut bench, version, &nameless), refused);
    }
    let connection = bench.connect(1);
    bench.send(connection, PRODUCE_V1, &nameless.with_acks(0));
    assert!(bench.is_closed(connection));
}

fn both(first: Producer, second: Producer) -> m::ProduceRequest {
    let mut request = produce_request("t", 0, batch(first, 0, &["a"]));
    let mut other = request.topic_data[0].partition_data[0].clone();
    other.index = 1;
    other.records = Some(batch(second, 0, &["b"]));
    request.topic_data[0].partition_data.push(other);
    request.with_transactional_id(Some(id("x")))
}

#[test]
fn one_request_is_of_one_producer() {
    let mut bench = bench();
    let producer = bench.init("x");
    let mapping = ErrorCode::InvalidProducerIdMapping;
    let mixed = both(producer, (producer.0, 1));
    assert_eq!(send(&mut bench, PRODUCE_V2, &mixed), [mapping, mapping]);
    assert_eq!(bench.state("x"), "Empty");
    let alike = both(producer, producer);
    assert_eq!(send(&mut bench, PRODUCE_V2, &alike), [ErrorCode::None, ErrorCode::None]);
    assert_eq!(bench.snapshot("x").partitions.len(), 2);
}

#[test]
fn plain_batches_of_the_producer_wait_for_the_end() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    let plain = batch_of(producer.0, producer.1, 1, &["b"]);
    let answer = bench.produce_batch(1, "t", 0, plain);
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidTxnState);
    let next = bench.end("x", producer, true, 5).unwrap();
    let plain = batch_of(next.0, next.1, 0, &["b"]);
    assert_eq!(bench.produce_batch(1, "t", 0, plain).error_code, 0);
}

#[test]
fn the_first_batch_of_an_epoch_is_number_0() {
    let mut bench = bench();
    let producer = bench.init("x");
    let gap = ErrorCode::OutOfOrderSequenceNumber;
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 3, &["a"]).0, gap);
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 0, &["a"]).0, ErrorCode::None);
    assert_eq!(bench.write("x", producer, PRODUCE_V2, 2, &["c"]).0, gap);
    let next = bench.end("x", producer, true, 5).unwrap();
    assert_eq!(bench.write("x", next, PRODUCE_V2, 1, &["d"]).0, gap);
    assert_eq!(bench.write("x", next, PRODUCE_V2, 0, &["d"]).0, ErrorCode::None);
}

#[test]
fn partitions_that_are_not_there_refuse_the_whole() {
    let mut bench = bench();
    let producer = bench.init("x");
    assert_eq!(bench.add("x", producer, "t", 9), ErrorCode::UnknownTopicOrPartition);
    let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
        .with_name(crate::bench::topic_name("t"))
        .with_partitions(vec![0, 9]);
    let request = m::AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id("x"))
        .with_v3_and_below_producer_id(m::ProducerId(producer.0))
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(vec![topic]);
    let answer = bench.ask(1, 3, &request);
    let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
    let codes: Vec<_> = results.iter().map(|it| ErrorCode::from(it.partition_error_code)).collect();
    assert_eq!(codes, [ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(bench.state("x"), "Empty");
}

#[test]
fn brokers_verify_and_add_for_several_transactions_at_once() {
    use m::add_partitions_to_txn_request::{
        AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
    };
    let mut bench = bench();
    let (one, two) = (bench.init("x"), bench.init("y"));
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(crate::bench::topic_name("t"))
        .with_partitions(vec![0]);
    let of = |name, producer: Producer, verify_only| {
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id(name))
            .with_producer_id(m::ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_verify_only(verify_only)
            .with_topics(vec![topic.clone()])
    };
    let request = m::AddPartitionsToTxnRequest::default().with_transactions(vec![
        of("x", one, true),
        of("y", two, false),
        of("z", two, true),
    ]);
    let answer = bench.ask(1, 5, &request);
    let codes: Vec<_> = answer
        .results_by_transaction
        .iter()
        .map(|it| it.topic_results[0].results_by_partition[0].partition_error_code)
        .map(ErrorCode::from)
        .collect();
    let (abortable, mapping) =
        (ErrorCode::TransactionAbortable, ErrorCode::InvalidProducerIdMapping);
    assert_eq!(codes, [abortable, ErrorCode::None, mapping]);
    assert_eq!((bench.state("x"), bench.state("y")), ("Empty", "Ongoing"));
}

#[test]
fn transactions_are_ended_where_records_are_thrown_away() {
    let mut bench = Bench::with(1, |config| config.discard = true).topic("t", 1);
    let producer = bench.init("x");
    let next = bench.transact("x", producer, &["a"], true);
    assert_eq!(bench.state("x"), "CompleteCommit");
    bench.transact("x", next, &["b"], false);
    // Two records and two markers.
    let fetched = crate::fetch::fetch_one(&mut bench, 1, "t", 0, 4);
    assert_eq!((fetched.error_code, fetched.high_watermark), (0, 4));
}

#[test]
fn topics_go_by_id_in_version_13() {
    let mut bench = bench();
    let producer = bench.init("x");
    let metadata = bench.ask(1, 12, &m::MetadataRequest::default().with_topics(None));
    let mut request =
        produce_request("t", 0, batch(producer, 0, &["a"])).with_transactional_id(Some(id("x")));
    request.topic_data[0].name = crate::bench::topic_name("");
    request.topic_data[0].topic_id = metadata.topics[0].topic_id;
    assert_eq!(send(&mut bench, 13, &request), [ErrorCode::None]);
    assert_eq!(bench.snapshot("x").partitions[0].topic.as_str(), "t");
    request.topic_data[0].topic_id = uuid::Uuid::from_u128(1);
    assert_eq!(send(&mut bench, 13, &request), [ErrorCode::UnknownTopicId]);
}
