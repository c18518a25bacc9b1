//! The admin machine by itself: where requests go, what becomes of answers, what is tried again.

mod families;
mod tries;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::StrBytes;
use millstream_types::{BrokerId, TopicId};

use super::{AdminCall, AdminMachine, CALLS_MAX};
use crate::backoff::Rng;
use crate::config::{Endpoint, EngineConfig};
use crate::cx::{CommandId, Completion, Event};
use crate::outbox::{Owner, Pending, RequestFailure, RequestId, Response, ResponseBody};
use crate::testing::Bench;

/// A machine on a bench, with what it has sent.
struct Desk {
    bench: Bench,
    machine: AdminMachine,
    next: u64,
    done: BTreeMap<CommandId, Completion>,
}

impl Desk {
    /// Three brokers; topic `t` has partitions 0, 1, 2 led by brokers 1, 2, 3.
    fn new() -> Self {
        let config = EngineConfig::new(vec![Endpoint { host: "broker".to_owned(), port: 9000 }]);
        let mut bench = Bench::new(Owner::Admin);
        bench.learn(3, &[("t", TopicId::ZERO, &[1, 2, 3], 0)]);
        let machine = AdminMachine::new(&config, Rng::new(1));
        Self { bench, machine, next: 0, done: BTreeMap::new() }
    }

    fn post<T: 'static>(&mut self, call: AdminCall<T>) -> CommandId {
        let id = CommandId(self.next);
        self.next += 1;
        self.machine.handle_command(id, call.into(), &mut self.bench.cx());
        self.poll();
        id
    }

    fn poll(&mut self) {
        self.machine.poll(&mut self.bench.cx());
        while let Some(event) = self.bench.events.pop_front() {
            if let Event::Completed(id, completion) = event {
                self.done.insert(id, completion);
            }
        }
    }

    /// The requests sent since the last look, with where each went.
    fn sent(&mut self) -> Vec<Pending> {
        self.bench.sent()
    }

    /// The one request sent since the last look.
    fn one(&mut self) -> Pending {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// Answers from broker 1 in the newest version.
    fn answer(&mut self, id: RequestId, body: impl Into<ResponseBody>) {
        self.answer_in(id, i16::MAX, body);
    }

    fn answer_in(&mut self, id: RequestId, version: i16, body: impl Into<ResponseBody>) {
        let response = Response { from: Some(BrokerId(1)), version, body: body.into() };
        self.machine.handle_response(id, Ok(response), &mut self.bench.cx());
        self.poll();
    }

    fn fail(&mut self, id: RequestId, failure: RequestFailure) {
        self.machine.handle_response(id, Err(failure), &mut self.bench.cx());
        self.poll();
    }

    /// Lets time pass until the machine sends, at most to the end of the call.
    fn wait(&mut self) -> Vec<Pending> {
        for _ in 0..10 {
            let Some(at) = self.machine.next_timeout() else { break };
            self.bench.now = self.bench.now.max(at);
            self.poll();
            let sent = self.sent();
            if !sent.is_empty() {
                return sent;
            }
        }
        Vec::new()
    }

    fn wait_for_one(&mut self) -> Pending {
        let mut sent = self.wait();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// What came of a call.
    fn take<T: 'static>(&mut self, id: CommandId) -> Option<T> {
        match self.done.remove(&id)? {
            Completion::Admin(completion) => AdminCall::<T>::read(completion),
            other => panic!("{other:?}"),
        }
    }
}

/// A broker that is cut off while it has the request.
fn lost(pending: &Pending) -> RequestFailure {
    RequestFailure::Disconnected {
        api: pending.body.api_key(),
        broker: "broker 1".to_owned(),
        reason: "reset".to_owned(),
    }
}

/// A broker that does not know the API, or not in a version that will do.
fn unsupported(pending: &Pending) -> RequestFailure {
    RequestFailure::UnsupportedVersion {
        api: pending.body.api_key(),
        broker: "broker 1".to_owned(),
        reason: "it knows no such API".to_owned(),
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

fn group(name: &str) -> m::GroupId {
    m::GroupId(text(name))
}

fn destinations(sent: &[Pending]) -> Vec<String> {
    sent.iter().map(|pending| pending.destination.to_string()).collect()
}

/// A minute, the time of a call.
const API_TIMEOUT: Duration = Duration::from_secs(60);

fn show<T: Debug, E: std::fmt::Display>(result: &Result<T, E>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}
