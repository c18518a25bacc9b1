//! Fetching: what is in flight, what is kept, what is dropped.

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::ControlRecord;
use millstream_protocol::messages::fetch_response::AbortedTransaction;
use millstream_protocol::messages::{BrokerId as WireBroker, ProducerId as WireProducer};
use millstream_types::{BrokerId, Offset, ProducerEpoch, ProducerId, Timestamp};

use super::bench::{Consumed, asked, at, batch, batch_of, data, fetched, offsets, refused, tp};
use crate::consumer::{ConsumerConfig, FetchError, IsolationLevel, OffsetReset};
use crate::outbox::{Destination, RequestBody};

fn from_zero(config: ConsumerConfig, leaders: &[i32]) -> Consumed {
    let consumed = Consumed::new(config, leaders);
    let partitions = (0..).zip(leaders).map(|(partition, _)| (tp(partition), Some(Offset(0))));
    consumed.shared.assign(partitions.collect()).unwrap();
    consumed
}

#[test]
fn the_next_fetch_leaves_before_the_answer_is_read() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), [(0, 0)].into());
    let records = [batch(0, 10), batch(10, 5)].concat();
    consumed.answer(fetch.id, fetched(data(0, records)));
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), [(0, 15)].into(), "from the headers alone");
    assert!(consumed.sent().is_empty(), "one in flight");
    assert_eq!(offsets(&consumed.batch()), (0..10).collect::<Vec<_>>());
    assert_eq!(offsets(&consumed.batch()), (10..15).collect::<Vec<_>>());
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(15)));
}

#[test]
fn brokers_do_not_wait_for_each_other() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1, 2]);
    let fetches = consumed.sent();
    let destinations: Vec<_> = fetches.iter().map(|fetch| fetch.destination.clone()).collect();
    assert_eq!(destinations, [1, 2].map(|id| Destination::Broker(BrokerId(id))));
    for offset in 0..3 {
        let id = match offset {
            0 => fetches[0].id,
            _ => consumed.bench.outbox.pop().unwrap().id,
        };
        consumed.answer(id, fetched(data(0, batch(offset, 1))));
        consumed.machine.poll(&mut consumed.bench.cx());
    }
    assert_eq!(offsets(&consumed.batch()), [0], "broker 2 has not answered yet");
}

#[test]
fn a_partition_with_nothing_buffered_is_fetched_whatever_the_budget() {
    let config = ConsumerConfig { buffer_memory: 1, ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1, 1]);
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), [(0, 0), (1, 0)].into());
    consumed.answer(fetch.id, fetched(data(0, batch(0, 10))));
    let fetch = consumed.one();
    let RequestBody::Fetch(request) = &fetch.body else { panic!() };
    assert_eq!(request.max_bytes, 1, "one batch");
    assert_eq!(request.forgotten_topics_data[0].partitions, [0], "0 has its batch");
    consumed.answer(fetch.id, fetched(data(1, batch(0, 10))));
    assert!(consumed.sent().is_empty(), "both have");
    let held = consumed.batch();
    assert_eq!(asked(&consumed.one()), [(0, 10)].into(), "0 has none again");
    drop(held);
}

#[test]
fn bytes_given_back_let_fetching_go_on() {
    let one = batch(0, 10).len();
    let config = ConsumerConfig {
        buffer_memory: 2 * one + 50,
        max_partition_fetch_bytes: 100,
        ..ConsumerConfig::default()
    };
    let mut consumed = from_zero(config, &[1]);
    let fetch = consumed.one();
    let records = [batch(0, 10), batch(10, 10)].concat();
    consumed.answer(fetch.id, fetched(data(0, records)));
    assert!(consumed.sent().is_empty());
    let first = consumed.batch();
    assert!(consumed.sent().is_empty(), "still charged while the application holds it");
    drop(first);
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), [(0, 20)].into());
}

#[test]
fn what_was_asked_before_a_seek_is_dropped() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    consumed.shared.seek(&tp(0), Offset(50)).unwrap();
    consumed.answer(fetch.id, fetched(data(0, batch(0, 10))));
    let fetch = consumed.one();
    assert_eq!(asked(&fetch), [(0, 50)].into());
    assert!(consumed.next(crate::consumer::Wants::Records).is_none());
    // A batch that begins before the position gives only what is behind it.
    consumed.answer(fetch.id, fetched(data(0, batch(45, 10))));
    assert_eq!(offsets(&consumed.batch()), [50, 51, 52, 53, 54]);
}

#[test]
fn an_answer_of_the_old_leader_after_the_new_one_is_dropped() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let old = consumed.one();
    consumed.led_by(&[2], 0);
    let new = consumed.one();
    assert_eq!(new.destination, Destination::Broker(BrokerId(2)));
    consumed.answer(new.id, fetched(data(0, batch(0, 3))));
    consumed.answer(old.id, fetched(data(0, batch(0, 3))));
    assert_eq!(offsets(&consumed.batch()), [0, 1, 2]);
    assert!(consumed.next(crate::consumer::Wants::Records).is_none(), "once");
}

#[test]
fn a_leader_that_the_answer_names_is_asked_at_once() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    let mut answer = refused(0, ErrorCode::NotLeaderOrFollower);
    let leader = &mut answer.responses[0].partitions[0].current_leader;
    (leader.leader_id, leader.leader_epoch) = (WireBroker(3), 5);
    consumed.answer(fetch.id, answer);
    assert!(consumed.sent().is_empty(), "backs off a little");
    consumed.wait(200);
    let fetch = consumed.one();
    assert_eq!(fetch.destination, Destination::Broker(BrokerId(3)));
}

#[test]
fn failures_back_off_and_nothing_is_reset() {
    let config =
        ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1]);
    consumed.shared.seek(&tp(0), Offset(500)).unwrap();
    let mut sent = 0;
    for _ in 0..600 {
        for fetch in consumed.sent() {
            sent += 1;
            // Told once in a session.
            assert!(asked(&fetch).values().all(|offset| *offset == 500));
            match sent % 4 {
                0 => consumed.fail(fetch.id),
                1 => consumed.answer(fetch.id, refused(0, ErrorCode::UnknownServerError)),
                2 => consumed.answer(fetch.id, refused(0, ErrorCode::OffsetNotAvailable)),
                _ => consumed.answer(fetch.id, refused(0, ErrorCode::Unrecognized(999))),
            }
        }
        consumed.wait(100);
    }
    assert!((55..90).contains(&sent), "{sent} in a minute");
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(500)));
}

#[test]
fn out_of_range_waits_for_what_is_buffered() {
    let config =
        ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1]);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, batch(0, 3))));
    let fetch = consumed.one();
    consumed.answer(fetch.id, refused(0, ErrorCode::OffsetOutOfRange));
    assert!(consumed.sent().is_empty());
    assert_eq!(offsets(&consumed.batch()), [0, 1, 2]);
    consumed.wait(200);
    let fetch = consumed.one();
    consumed.answer(fetch.id, refused(0, ErrorCode::OffsetOutOfRange));
    let lookup = consumed.one();
    assert!(matches!(lookup.body, RequestBody::ListOffsets(_)));
}

#[test]
fn a_batch_that_an_old_broker_cut_off_is_asked_for_whole() {
    let config = ConsumerConfig { max_partition_fetch_bytes: 70, ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1]);
    let fetch = consumed.one();
    let whole = batch(0, 10);
    consumed.answer(fetch.id, fetched(data(0, whole[..70].to_vec())));
    let fetch = consumed.one();
    let RequestBody::Fetch(request) = &fetch.body else { panic!() };
    let asked = request.topics[0].partitions[0].partition_max_bytes;
    assert_eq!(usize::try_from(asked).unwrap(), whole.len());
    consumed.answer(fetch.id, fetched(data(0, whole)));
    assert_eq!(consumed.batch().len(), 10);
}

#[test]
fn damage_gives_the_good_prefix_and_then_an_error() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    let mut bad = batch(5, 5);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    consumed.answer(fetch.id, fetched(data(0, [batch(0, 5), bad].concat())));
    assert_eq!(consumed.batch().len(), 5);
    let error = consumed.error();
    let FetchError::Corrupt { partition, offset, .. } = &error else { panic!("{error}") };
    assert_eq!((partition, *offset), (&tp(0), Offset(5)));
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(5)));
    assert!(consumed.next(crate::consumer::Wants::Records).is_none(), "told once");
    consumed.shared.seek(&tp(0), Offset(10)).unwrap();
    assert_eq!(asked(&consumed.one()), [(0, 10)].into());
}

#[test]
fn position_only_by_records() {
    // librdkafka #4844: an end of partition or an error moved the application's position.
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, Vec::new())));
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(0)));
    let fetch = consumed.one();
    consumed.answer(fetch.id, refused(0, ErrorCode::NotLeaderOrFollower));
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(0)));
    consumed.wait(500);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, batch(0, 4))));
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(0)), "fetched is not delivered");
    assert_eq!(consumed.batch().next_offset(), Offset(4));
    assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(4)));
}

#[test]
fn paused_partitions_keep_what_they_have() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, [batch(0, 2), batch(2, 2)].concat())));
    assert_eq!(offsets(&consumed.batch()), [0, 1]);
    consumed.shared.pause(&[tp(0)]).unwrap();
    assert!(consumed.next(crate::consumer::Wants::Records).is_none());
    consumed.shared.resume(&[tp(0)]).unwrap();
    assert_eq!(offsets(&consumed.batch()), [2, 3]);
}

#[test]
fn parts_of_a_batch_are_as_good_as_the_whole() {
    let config = ConsumerConfig { max_poll_records: Some(4), ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1]);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, batch(0, 10))));
    for expected in [0..4, 4..8, 8..10] {
        let batch = consumed.batch();
        assert_eq!(offsets(&batch), expected.clone().collect::<Vec<_>>());
        assert_eq!(batch.next_offset(), Offset(expected.end));
        assert_eq!(batch.iter().len(), batch.len());
        let mut cursor = batch.cursor();
        let mut seen = 0;
        while batch.next_record(&mut cursor).is_some() {
            seen += 1;
        }
        assert_eq!(seen, batch.len());
    }
}

fn marker(first: i64, producer: i64, commit: bool) -> Vec<u8> {
    let record = if commit {
        ControlRecord::Commit { coordinator_epoch: 0 }
    } else {
        ControlRecord::Abort { coordinator_epoch: 0 }
    };
    let batch = record.to_batch(ProducerId(producer), ProducerEpoch(0), Timestamp(0)).unwrap();
    at(batch.into_bytes(), first)
}

fn transactional(first: i64, count: i64, producer: i64) -> Vec<u8> {
    batch_of(first, count, |batch| {
        batch.set_producer(ProducerId(producer), ProducerEpoch(0), 0);
        batch.set_transactional(true);
    })
}

fn aborted(list: &[(i64, i64)]) -> Option<Vec<AbortedTransaction>> {
    let list = list.iter().map(|(producer, first)| {
        AbortedTransaction::default()
            .with_producer_id(WireProducer(*producer))
            .with_first_offset(*first)
    });
    Some(list.collect())
}

/// Two producers: 1 aborts 0..2 and commits 6..8; 2 aborts 2..4 and 9..11. Between them a plain batch.
fn transactions() -> Vec<u8> {
    [
        transactional(0, 2, 1),
        transactional(2, 2, 2),
        marker(4, 1, false),
        marker(5, 2, false),
        transactional(6, 2, 1),
        batch(8, 1),
        transactional(9, 2, 2),
        // A marker again, as a coordinator that failed over may write it.
        marker(11, 2, false),
        marker(12, 2, false),
        marker(13, 1, true),
    ]
    .concat()
}

#[test]
fn read_committed_passes_over_aborted_records_in_any_order_of_the_list() {
    // franz-go 1.21.4: an unsorted list leaked aborted records; two abort markers panicked.
    for list in [[(1, 0), (2, 2), (2, 9)], [(2, 9), (2, 2), (1, 0)]] {
        let config = ConsumerConfig {
            isolation_level: IsolationLevel::ReadCommitted,
            ..ConsumerConfig::default()
        };
        let mut consumed = from_zero(config, &[1]);
        let fetch = consumed.one();
        let partition = data(0, transactions()).with_aborted_transactions(aborted(&list));
        consumed.answer(fetch.id, fetched(partition));
        assert_eq!(offsets(&consumed.batch()), [6, 7]);
        assert_eq!(offsets(&consumed.batch()), [8]);
        assert!(consumed.next(crate::consumer::Wants::Records).is_none());
        assert_eq!(consumed.shared.position(&tp(0)), Some(Offset(14)), "behind the last marker");
    }
}

#[test]
fn read_uncommitted_sees_all_but_the_markers() {
    let mut consumed = from_zero(ConsumerConfig::default(), &[1]);
    let fetch = consumed.one();
    consumed.answer(fetch.id, fetched(data(0, transactions())));
    let mut seen = Vec::new();
    while let Some(crate::consumer::Next::Records(batch)) =
        consumed.next(crate::consumer::Wants::Records)
    {
        seen.extend(offsets(&batch));
    }
    assert_eq!(seen, [0, 1, 2, 3, 6, 7, 8, 9, 10]);
}

#[test]
fn a_follower_is_read_from_until_it_fails() {
    let config =
        ConsumerConfig { client_rack: Some("here".to_owned()), ..ConsumerConfig::default() };
    let mut consumed = from_zero(config, &[1]);
    let fetch = consumed.one();
    let sent_on = data(0, Vec::new()).with_preferred_read_replica(WireBroker(2));
    consumed.answer(fetch.id, fetched(sent_on));
    let fetch = consumed.one();
    assert_eq!(fetch.destination, Destination::Broker(BrokerId(2)));
    consumed.answer(fetch.id, refused(0, ErrorCode::OffsetOutOfRange));
    consumed.wait(200);
    let fetch = consumed.one();
    assert_eq!(fetch.destination, Destination::Broker(BrokerId(1)), "the leader knows better");
}
