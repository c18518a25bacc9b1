//! Workload: an admin client that creates, deletes, describes and lists topics under faults.
//!
//! Every call ends in time, and what it says agrees with what the calls before it did. A call that
//! failed without a word from the cluster leaves its topic unknown until the next one tells.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_broker::{ApiKey, ErrorCode};
use millstream_client_core::admin::{self as ask, AdminCompletion, AdminError, NewTopic, Results};
use millstream_client_core::backoff::Rng;
use millstream_client_core::metadata::Topic;
use millstream_client_core::{Command, CommandId, Completion, Engine, Event};
use millstream_types::TopicName;

use super::check::Violation;
use super::client::ClientId;
use super::nemesis::Nemesis;
use super::net::{NetProfile, below, one_of};
use super::run::Outcome;
use super::world::{Script, World};

const NEMESIS: u64 = 1_000;
const CALL: u64 = 1;

/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(40);

/// How long a call may take, and what it may overstay.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
const SLACK: Duration = Duration::from_millis(50);

/// The topics that calls are about.
const TOPICS: [&str; 3] = ["one", "two", "three"];

/// What an admin client asks for.
const ADMIN: &[(ApiKey, &[ErrorCode])] = &[
    (ApiKey::CreateTopics, &[ErrorCode::NotController, ErrorCode::RequestTimedOut]),
    (ApiKey::DeleteTopics, &[ErrorCode::NotController, ErrorCode::RequestTimedOut]),
    (ApiKey::DescribeTopicPartitions, &[]),
    (ApiKey::Metadata, &[]),
];

/// What the test knows of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Absent,
    Present,
    /// The last call that changed it may or may not have done so.
    Unknown,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
enum Call {
    Create(&'static str),
    Delete(&'static str),
    Describe(&'static str),
    List,
}

/// A run of an admin client.
struct Run {
    client: ClientId,
    rng: Rng,
    nemesis: Nemesis,
    topics: BTreeMap<&'static str, Known>,
    under_way: Option<(CommandId, Call, Instant)>,
    /// Whether everything must succeed.
    is_calm: bool,
    calls: u64,
    wrong: Vec<Violation>,
}

impl Run {
    fn call(&mut self, world: &mut World) {
        let topic = one_of(&mut self.rng, &TOPICS);
        let name = TopicName::from(topic);
        let (call, command): (_, Command) = match self.rng.below(4) {
            0 => {
                let topic_made = NewTopic::new(name, 2);
                (Call::Create(topic), ask::create_topics([topic_made], false).into())
            }
            1 => (Call::Delete(topic), ask::delete_topics([name]).into()),
            2 => (Call::Describe(topic), ask::describe_topics([name]).into()),
            _ => (Call::List, ask::list_topics().into()),
        };
        world.note(format_args!("call {call:?} with {:?}", self.topics));
        let id = world.command(self.client, command);
        self.under_way = Some((id, call, world.now()));
    }

    fn finished(&mut self, world: &mut World, call: Call, completion: AdminCompletion) {
        let text = match call {
            Call::Create(topic) => {
                let results: Option<Results<TopicName, ask::CreatedTopic>> = completion.take();
                let text = format!("{results:?}");
                let result = results.and_then(|results| results.into_values().next());
                self.changed(call, topic, result.map(|result| result.map(drop)), Known::Present);
                text
            }
            Call::Delete(topic) => {
                let results: Option<Results<TopicName, ()>> = completion.take();
                let text = format!("{results:?}");
                let result = results.and_then(|results| results.into_values().next());
                self.changed(call, topic, result, Known::Absent);
                text
            }
            Call::Describe(topic) => {
                let results: Option<Results<TopicName, Topic>> = completion.take();
                let text = format!("{results:?}");
                match results.and_then(|results| results.into_values().next()) {
                    Some(Ok(_)) => self.saw(call, topic, Known::Present),
                    Some(Err(error)) if is(&error, ErrorCode::UnknownTopicOrPartition) => {
                        self.saw(call, topic, Known::Absent);
                    }
                    _ => self.failed(call, &text),
                }
                text
            }
            Call::List => {
                let result: Option<Result<BTreeMap<TopicName, Topic>, AdminError>> =
                    completion.take();
                let text = format!("{result:?}");
                let Some(Ok(all)) = result else { return self.failed(call, &text) };
                for topic in TOPICS {
                    let found = all.keys().any(|name| name.as_str() == topic);
                    self.saw(call, topic, if found { Known::Present } else { Known::Absent });
                }
                text
            }
        };
        world.note(format_args!("{call:?}: {text}"));
    }

    /// A call that changes a topic is answered. Where the cluster says that it is as wanted
    /// already, an earlier try of the same call may have done it.
    fn changed(
        &mut self,
        call: Call,
        topic: &'static str,
        result: Option<Result<(), AdminError>>,
        wanted: Known,
    ) {
        let before = self.topics.get(topic).copied().unwrap_or(Known::Absent);
        let after = match result {
            // The answer to a first try was lost, so the client takes the second one's for success.
            Some(Ok(())) if before == wanted && self.is_calm => {
                let text = format!("{call:?} succeeded, but {topic} was {before:?} already");
                self.wrong.push(Violation::Unfounded(text));
                wanted
            }
            Some(Ok(())) => wanted,
            Some(Err(error))
                if is(&error, ErrorCode::TopicAlreadyExists)
                    || is(&error, ErrorCode::UnknownTopicOrPartition) =>
            {
                if self.is_calm && before != wanted && before != Known::Unknown {
                    self.failed(call, &error.to_string());
                }
                wanted
            }
            other => {
                self.failed(call, &format!("{other:?}"));
                Known::Unknown
            }
        };
        self.topics.insert(topic, after);
    }

    /// The cluster says how it is with a topic.
    fn saw(&mut self, call: Call, topic: &'static str, seen: Known) {
        let before = self.topics.get(topic).copied().unwrap_or(Known::Absent);
        if before != Known::Unknown && before != seen {
            let text = format!("{call:?} says that {topic} is {seen:?}, but it is {before:?}");
            self.wrong.push(Violation::Unfounded(text));
        }
        self.topics.insert(topic, seen);
    }

    /// A call failed: allowed while things go wrong.
    fn failed(&mut self, call: Call, why: &str) {
        if self.is_calm {
            self.wrong.push(Violation::Unfounded(format!("{call:?} failed in calm: {why}")));
        }
    }
}

impl Script for Run {
    fn timer(&mut self, world: &mut World, timer: u64) {
        if timer == NEMESIS {
            if let Some(wait) = self.nemesis.draw_wait() {
                self.nemesis.strike(world);
                world.set_timer(wait, NEMESIS);
            }
            return;
        }
        if let Some((_, call, since)) = &self.under_way {
            if world.now() > *since + CALL_TIMEOUT + SLACK {
                self.wrong.push(Violation::Late(format!("{call:?}")));
                self.under_way = None;
            }
        } else {
            self.call(world);
        }
        let wait = Duration::from_millis(1 + self.rng.below(300));
        world.set_timer(wait, CALL);
    }

    fn event(&mut self, world: &mut World, _client: ClientId, event: Event) {
        if let Event::Completed(id, Completion::Admin(completion)) = event
            && let Some((_, call, _)) = self.under_way.take_if(|(call, _, _)| *call == id)
        {
            self.calls += 1;
            self.finished(world, call, completion);
        }
    }
}

/// One seed of admin calls under faults.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let mut rng = Rng::new(seed ^ 0xad01);
    let profile = NetProfile::drawn(&mut rng);
    let mut world = World::new(seed, 1 + below(&mut rng, 3) as i32, profile);
    // What is held up and applied long after its caller gave up would change topics behind the
    // test's back, as it would on a real network.
    let nemesis = Nemesis::new(rng.fork(), &[ADMIN, ADMIN], Vec::new()).without_cuts();
    let parts = world.parts();
    let mut config = world.engine_config("admin");
    config.api_timeout = CALL_TIMEOUT;
    let client = world.add_client(Engine::new(&config, None, None), parts);
    let mut run = Run {
        client,
        rng,
        nemesis,
        topics: BTreeMap::new(),
        under_way: None,
        is_calm: false,
        calls: 0,
        wrong: Vec::new(),
    };
    world.set_timer(Duration::from_millis(1), CALL);
    world.set_timer(Duration::from_millis(1), NEMESIS);
    world.run(&mut run, CHAOS);
    run.nemesis.heal(&mut world);
    // Calls that met faults, and requests that hang, come to their end.
    world.run(&mut run, CALL_TIMEOUT + SLACK);
    run.is_calm = true;
    let before = run.calls;
    world.run(&mut run, Duration::from_secs(10));
    if run.calls < before + 10 {
        run.wrong.push(Violation::Late(format!("{} calls in calm", run.calls - before)));
    }
    world.count_seen("admin calls", run.calls);
    Outcome::of(&world, run.wrong)
}

fn is(error: &AdminError, code: ErrorCode) -> bool {
    error.code() == Some(code)
}
