//! One client: all machines, its connections, and the routing between them.

use std::collections::VecDeque;
use std::time::Instant;

use crate::admin::AdminMachine;
use crate::config::EngineConfig;
use crate::consumer::ConsumerMachine;
use crate::coordinator::Coordinators;
use crate::cx::{Command, CommandId, Completion, Cx, Event};
use crate::metadata::{Metadata, MetadataMachine};
use crate::outbox::{Outbox, Owner, RequestFailure, RequestId, Response};
use crate::producer::ProducerMachine;
use crate::timer::earliest;

/// One client, without its sockets, clock and threads.
#[derive(Debug)]
pub struct Engine {
    metadata: Metadata,
    coordinators: Coordinators,
    outbox: Outbox,
    events: VecDeque<Event>,
    updates: MetadataMachine,
    admin: AdminMachine,
    producer: Option<ProducerMachine>,
    consumer: Option<ConsumerMachine>,
}

/// The surroundings of a call of `owner`, from the engine's fields.
macro_rules! cx {
    ($self:ident, $now:expr, $owner:ident) => {
        &mut Cx::new(
            $now,
            Owner::$owner,
            &mut $self.metadata,
            &mut $self.coordinators,
            &mut $self.outbox,
            &mut $self.events,
        )
    };
}

impl Engine {
    /// A client with these machines beside the admin machine.
    #[must_use]
    pub fn new(
        config: EngineConfig,
        producer: Option<ProducerMachine>,
        consumer: Option<ConsumerMachine>,
    ) -> Self {
        let mut rng = crate::backoff::Rng::new(config.seed);
        Self {
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(config.request_timeout),
            events: VecDeque::new(),
            updates: MetadataMachine::new(&config, rng.fork()),
            admin: AdminMachine::default(),
            producer,
            consumer,
        }
    }

    /// The application called.
    pub fn handle_command(&mut self, now: Instant, id: CommandId, command: Command) {
        match command {
            Command::Admin(command) => {
                self.admin.handle_command(id, command, cx!(self, now, Admin));
            }
            Command::Producer(command) => match &mut self.producer {
                Some(producer) => producer.handle_command(id, command, cx!(self, now, Producer)),
                None => cx!(self, now, Producer).complete(id, Completion::NotServed),
            },
            Command::Consumer(command) => match &mut self.consumer {
                Some(consumer) => consumer.handle_command(id, command, cx!(self, now, Consumer)),
                None => cx!(self, now, Consumer).complete(id, Completion::NotServed),
            },
        }
    }

    /// Lets every machine act on what has been handled.
    pub fn poll(&mut self, now: Instant) {
        self.updates.poll(cx!(self, now, Metadata));
        self.admin.poll(cx!(self, now, Admin));
        if let Some(producer) = &mut self.producer {
            producer.poll(cx!(self, now, Producer));
        }
        if let Some(consumer) = &mut self.consumer {
            consumer.poll(cx!(self, now, Consumer));
        }
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let producer = self.producer.as_ref().and_then(ProducerMachine::next_timeout);
        let consumer = self.consumer.as_ref().and_then(ConsumerMachine::next_timeout);
        [self.updates.next_timeout(), self.admin.next_timeout(), producer, consumer]
            .into_iter()
            .fold(None, earliest)
    }

    /// What the application shall be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn answer(
        &mut self,
        now: Instant,
        owner: Owner,
        id: RequestId,
        result: Result<Response, RequestFailure>,
    ) {
        match owner {
            Owner::Metadata => self.updates.handle_response(id, result, cx!(self, now, Metadata)),
            Owner::Coordinator => {}
            Owner::Admin => self.admin.handle_response(id, result, cx!(self, now, Admin)),
            Owner::Producer => {
                if let Some(producer) = &mut self.producer {
                    producer.handle_response(id, result, cx!(self, now, Producer));
                }
            }
            Owner::Consumer => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.handle_response(id, result, cx!(self, now, Consumer));
                }
            }
        }
    }
}
