//! When metadata is asked for, in virtual time.

use millstream_types::TopicId;
use uuid::Uuid;

use super::*;
use crate::outbox::{Owner, Pending, RequestBody};
use crate::testing::{Bench, answer, cluster};

struct Updates {
    machine: MetadataMachine,
    bench: Bench,
}

impl Updates {
    fn new() -> Self {
        let config = EngineConfig::new(Vec::new());
        Self {
            machine: MetadataMachine::new(&config, Rng::new(1)),
            bench: Bench::new(Owner::Metadata),
        }
    }

    /// What the machine sends now: the topics of each request, `None` for all.
    fn asked(&mut self) -> Vec<(RequestId, Option<Vec<String>>)> {
        self.machine.poll(&mut self.bench.cx());
        self.bench.sent().into_iter().map(|pending| (pending.id, topics(&pending))).collect()
    }

    fn one(&mut self) -> (RequestId, Option<Vec<String>>) {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }

    fn answer(&mut self, id: RequestId, response: MetadataResponse) {
        self.machine.handle_response(id, Ok(answer(12, response)), &mut self.bench.cx());
    }

    fn fail(&mut self, id: RequestId) {
        let failure = RequestFailure::DisconnectedUnsent {
            api: millstream_protocol::ApiKey::Metadata,
            broker: "broker".to_owned(),
            reason: "gone".to_owned(),
        };
        self.machine.handle_response(id, Err(failure), &mut self.bench.cx());
    }

    /// Lets time pass until the machine is due; gives how long that was.
    fn wait(&mut self) -> Duration {
        self.machine.poll(&mut self.bench.cx());
        let due = self.machine.next_timeout().expect("nothing is due");
        let wait = due - self.bench.now;
        self.bench.advance(wait);
        wait
    }
}

fn topics(pending: &Pending) -> Option<Vec<String>> {
    let RequestBody::Metadata(request) = &pending.body else {
        panic!("{pending:?}");
    };
    let topics = request.topics.as_ref()?.iter();
    Some(topics.map(|topic| topic.name.as_ref().unwrap().0.to_string()).collect())
}

const ID: TopicId = TopicId(Uuid::from_u128(1));

#[test]
fn only_wanted_topics_are_asked_for_and_new_ones_alone() {
    let mut updates = Updates::new();
    updates.bench.metadata.request_topic(&"a".into(), updates.bench.now);
    let (id, asked) = updates.one();
    assert_eq!(asked, Some(vec!["a".to_owned()]));
    assert!(updates.asked().is_empty(), "one request at a time");
    updates.answer(id, cluster(1, &[("a", ID, &[1], 0)]));
    updates.bench.metadata.request_topic(&"b".into(), updates.bench.now);
    let (_, asked) = updates.one();
    assert_eq!(asked, Some(vec!["b".to_owned()]), "at once, without the known topic");
}

#[test]
fn updates_are_spaced_and_age_brings_one() {
    let mut updates = Updates::new();
    let (id, _) = updates.one();
    updates.answer(id, cluster(1, &[]));
    updates.bench.metadata.request_update();
    let wait = updates.wait();
    assert!(wait >= Duration::from_millis(80), "{wait:?}");
    let (id, _) = updates.one();
    updates.answer(id, cluster(1, &[]));
    assert_eq!(updates.wait(), Duration::from_secs(300));
    assert_eq!(updates.asked().len(), 1);
}

#[test]
fn failures_back_off_to_a_second() {
    let mut updates = Updates::new();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let (id, _) = updates.one();
        updates.fail(id);
        waits.push(updates.wait());
    }
    assert!(waits[0] <= Duration::from_millis(120), "{waits:?}");
    assert!(waits[7] >= Duration::from_millis(800), "{waits:?}");
    assert!(waits[7] <= Duration::from_millis(1200), "{waits:?}");
    let error = updates.bench.metadata.last_error().unwrap();
    assert!(error.contains("gone"), "{error}");
}

#[test]
fn a_missing_topic_is_looked_for_more_and_more_patiently() {
    let mut updates = Updates::new();
    updates.bench.metadata.request_topic(&"t".into(), updates.bench.now);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (id, _) = updates.one();
        updates.answer(id, cluster(1, &[]));
        waits.push(updates.wait());
    }
    assert!(waits[0] <= Duration::from_millis(120), "{waits:?}");
    let last = waits[9];
    assert!(last >= Duration::from_secs(4) && last <= Duration::from_secs(6), "{waits:?}");
}

#[test]
fn another_cluster_is_not_believed() {
    let mut updates = Updates::new();
    let (id, _) = updates.one();
    updates.answer(id, cluster(3, &[]));
    updates.bench.metadata.request_update();
    updates.wait();
    let (id, _) = updates.one();
    let stranger = cluster(1, &[]).with_cluster_id(Some(StrBytes::from_static_str("stranger")));
    updates.answer(id, stranger);
    assert_eq!(updates.bench.metadata.brokers().count(), 3);
    let error = updates.bench.metadata.last_error().unwrap();
    assert!(error.contains("cluster stranger answers for cluster cluster"), "{error}");
}

#[test]
fn after_long_failure_the_bootstrap_servers_are_asked_again() {
    let mut updates = Updates::new();
    let (id, _) = updates.one();
    updates.answer(id, cluster(3, &[]));
    updates.bench.metadata.request_update();
    let mut failing = Duration::ZERO;
    while updates.bench.metadata.brokers().count() > 0 {
        failing += updates.wait();
        let (id, _) = updates.one();
        updates.fail(id);
        assert!(failing < Duration::from_secs(400), "the brokers were never forgotten");
    }
    assert!(failing >= Duration::from_secs(299), "{failing:?}");
}
