//! Incremental fetch sessions (KIP-227).

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::fetch_request::ForgottenTopic;

use crate::bench::{Bench, records, topic_name};
use crate::fetch::{VERSION, partition, request};

/// What an answer says of each partition: its number and how many records came.
fn told(response: &m::FetchResponse) -> Vec<(i32, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|data| (data.partition_index, records(data.records.as_ref()).len())).collect()
}

fn begin(bench: &mut Bench, partitions: i32) -> i32 {
    let all = (0..partitions).map(|index| partition(index, 0)).collect();
    let full = request("t", all).with_session_epoch(0).with_max_wait_ms(0);
    let response = bench.ask(1, VERSION, &full);
    assert_ne!(response.session_id, 0);
    assert_eq!(told(&response).len(), partitions as usize, "a full answer names all");
    response.session_id
}

fn go_on(id: i32, epoch: i32, changed: Vec<m::fetch_request::FetchPartition>) -> m::FetchRequest {
    request("t", changed).with_session_id(id).with_session_epoch(epoch).with_max_wait_ms(0)
}

#[test]
fn an_incremental_answer_names_what_changed() {
    let mut bench = Bench::new(1).topic("t", 3);
    let id = begin(&mut bench, 3);
    assert_eq!(told(&bench.ask(1, VERSION, &go_on(id, 1, vec![]))), []);
    bench.produce(1, "t", 1, &["a"]);
    assert_eq!(told(&bench.ask(1, VERSION, &go_on(id, 2, vec![]))), [(1, 1)]);
    // The position did not move, so the records come again.
    assert_eq!(told(&bench.ask(1, VERSION, &go_on(id, 3, vec![]))), [(1, 1)]);
    let moved = go_on(id, 4, vec![partition(1, 1)]);
    assert_eq!(told(&bench.ask(1, VERSION, &moved)), []);
}

#[test]
fn partitions_that_gave_records_go_to_the_end() {
    let mut bench = Bench::new(1).topic("t", 3);
    let id = begin(&mut bench, 3);
    for index in 0..3 {
        bench.produce(1, "t", index, &["a"]);
    }
    let only_one = go_on(id, 1, vec![]).with_max_bytes(1);
    // The others are told too: their high watermark is news.
    assert_eq!(told(&bench.ask(1, VERSION, &only_one)), [(0, 1), (1, 0), (2, 0)]);
    let only_one = go_on(id, 2, vec![]).with_max_bytes(1);
    assert_eq!(told(&bench.ask(1, VERSION, &only_one)), [(1, 1)]);
    let only_one = go_on(id, 3, vec![]).with_max_bytes(1);
    assert_eq!(told(&bench.ask(1, VERSION, &only_one)), [(2, 1)]);
}

#[test]
fn forgotten_partitions_leave_and_an_empty_session_ends() {
    let mut bench = Bench::new(1).topic("t", 2);
    let id = begin(&mut bench, 2);
    bench.produce(1, "t", 0, &["a"]);
    bench.produce(1, "t", 1, &["a"]);
    let forget = |indexes: Vec<i32>| {
        vec![ForgottenTopic::default().with_topic(topic_name("t")).with_partitions(indexes)]
    };
    let first = go_on(id, 1, vec![]).with_forgotten_topics_data(forget(vec![0]));
    assert_eq!(told(&bench.ask(1, VERSION, &first)), [(1, 1)]);
    let last = go_on(id, 2, vec![]).with_forgotten_topics_data(forget(vec![1]));
    assert_eq!(bench.ask(1, VERSION, &last).session_id, 0);
    let after = bench.ask(1, VERSION, &go_on(id, 3, vec![]));
    assert_eq!(ErrorCode::from(after.error_code), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn a_wrong_epoch_or_id_is_refused() {
    let mut bench = Bench::new(2).topic("t", 1);
    let id = begin(&mut bench, 1);
    let code = |response: m::FetchResponse| ErrorCode::from(response.error_code);
    let wrong = bench.ask(1, VERSION, &go_on(id, 2, vec![]));
    assert_eq!(code(wrong), ErrorCode::InvalidFetchSessionEpoch);
    let right = bench.ask(1, VERSION, &go_on(id, 1, vec![]));
    assert_eq!(code(right), ErrorCode::None);
    let unknown = bench.ask(1, VERSION, &go_on(id.wrapping_add(1), 2, vec![]));
    assert_eq!(code(unknown), ErrorCode::FetchSessionIdNotFound);
    let elsewhere = bench.ask(2, VERSION, &go_on(id, 2, vec![]));
    assert_eq!(code(elsewhere), ErrorCode::FetchSessionIdNotFound);
    let by_id = bench.ask(1, 16, &go_on(id, 2, vec![]));
    assert_eq!(code(by_id), ErrorCode::FetchSessionTopicIdError);
    // The last epoch ends the session.
    bench.ask(1, VERSION, &go_on(id, -1, vec![]));
    let ended = bench.ask(1, VERSION, &go_on(id, 2, vec![]));
    assert_eq!(code(ended), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn an_incremental_fetch_waits_and_wakes() {
    let mut bench = Bench::new(1).topic("t", 2);
    let id = begin(&mut bench, 2);
    let connection = bench.connect(1);
    let waiting = go_on(id, 1, vec![]).with_max_wait_ms(500);
    let sent = bench.send(connection, VERSION, &waiting);
    assert!(bench.answer::<m::FetchRequest>(sent).is_none());
    bench.produce(1, "t", 1, &["a"]);
    assert_eq!(told(&bench.answer::<m::FetchRequest>(sent).unwrap()), [(1, 1)]);
    let waiting = go_on(id, 2, vec![partition(1, 1)]).with_max_wait_ms(500);
    let sent = bench.send(connection, VERSION, &waiting);
    bench.pass(Duration::from_millis(500));
    assert_eq!(told(&bench.answer::<m::FetchRequest>(sent).unwrap()), []);
}

#[test]
fn the_session_unused_longest_makes_room() {
    let mut bench = Bench::with(1, |config| config.limits.fetch_sessions = 2).topic("t", 1);
    let (first, second) = (begin(&mut bench, 1), begin(&mut bench, 1));
    bench.ask(1, VERSION, &go_on(first, 1, vec![]));
    let third = begin(&mut bench, 1);
    let mut code = |id, epoch| {
        let response = bench.ask(1, VERSION, &go_on(id, epoch, vec![]));
        ErrorCode::from(response.error_code)
    };
    assert_eq!(code(second, 1), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(code(first, 2), ErrorCode::None);
    assert_eq!(code(third, 1), ErrorCode::None);
}

#[test]
fn an_error_is_told_again_and_so_is_its_end() {
    let mut bench = Bench::new(2).topic("t", 1);
    let id = begin(&mut bench, 1);
    let partition = millstream_types::TopicPartition::new("t", 0);
    bench.cluster.move_leader(&partition, 2.into(), bench.now).unwrap();
    for epoch in 1..3 {
        let response = bench.ask(1, VERSION, &go_on(id, epoch, vec![]));
        let code = ErrorCode::from(response.responses[0].partitions[0].error_code);
        assert_eq!(code, ErrorCode::NotLeaderOrFollower);
    }
    bench.cluster.move_leader(&partition, 1.into(), bench.now).unwrap();
    let response = bench.ask(1, VERSION, &go_on(id, 3, vec![]));
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
    assert_eq!(told(&bench.ask(1, VERSION, &go_on(id, 4, vec![]))), []);
}
