//! One client: all machines, its connections, and the routing between them.

mod links;
mod node;
mod route;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;

use crate::admin::AdminMachine;
use crate::backoff::Rng;
use crate::config::EngineConfig;
use crate::connection::{Answer, ConnectionId, Dial, Transmit};
use crate::consumer::ConsumerMachine;
use crate::coordinator::{CoordinatorFinder, Coordinators};
use crate::cx::{Command, CommandId, Completion, Cx, Event};
use crate::metadata::{Metadata, MetadataMachine};
use crate::outbox::{Destination, Outbox, Owner, RequestFailure};
use crate::producer::ProducerMachine;
use crate::timer::earliest;
use crate::transaction::TransactionMachine;
use links::Links;
use route::Parked;

pub use links::Throttling;

/// What the caller must do to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect, and report by [`Engine::handle_connected`] or [`Engine::handle_disconnected`].
    Dial(Dial),
    /// Close the connection, or give up making it. It is already forgotten: report nothing.
    Close(ConnectionId),
}

/// How many rounds of "machines send, requests fail at once" one [`Engine::poll`] makes before it
/// lets the caller look at its sockets again.
const ROUNDS_MAX: usize = 32;

/// One client, without its sockets, clock and threads. The crate's documentation says how it is
/// driven.
#[derive(Debug)]
pub struct Engine {
    metadata: Metadata,
    coordinators: Coordinators,
    outbox: Outbox,
    events: VecDeque<Event>,
    links: Links,
    parked: Parked,
    /// Answers that no machine has seen yet.
    answers: Vec<Answer>,
    updates: MetadataMachine,
    finder: CoordinatorFinder,
    admin: AdminMachine,
    producer: Option<ProducerMachine>,
    consumer: Option<ConsumerMachine>,
    transactions: Option<TransactionMachine>,
    /// The last poll stopped at [`ROUNDS_MAX`].
    unfinished: Option<Instant>,
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
    /// A client with these machines beside the admin machine, which every client has.
    #[must_use]
    pub fn new(
        config: &EngineConfig,
        producer: Option<ProducerMachine>,
        consumer: Option<ConsumerMachine>,
    ) -> Self {
        let mut rng = Rng::new(config.seed);
        Self {
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(config.request_timeout),
            events: VecDeque::new(),
            links: Links::new(config, rng.fork()),
            parked: Parked::default(),
            answers: Vec::new(),
            updates: MetadataMachine::new(config, rng.fork()),
            finder: CoordinatorFinder::new(config, rng.fork()),
            admin: AdminMachine::new(config, rng.fork()),
            producer,
            consumer,
            transactions: None,
            unfinished: None,
        }
    }

    /// Puts the producer's records into transactions, as `transactions` says. To be called once,
    /// before anything else.
    #[must_use]
    pub fn with_transactions(mut self, transactions: TransactionMachine) -> Self {
        self.producer = self.producer.map(|producer| transactions.hold(producer));
        self.transactions = Some(transactions);
        self
    }

    /// What is known of the cluster.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How many requests were ever put on the wire.
    #[must_use]
    pub const fn requests_sent(&self) -> u64 {
        self.links.requests_sent()
    }

    /// How often and for how long brokers asked to be left alone (KIP-219).
    #[must_use]
    pub const fn throttling(&self) -> Throttling {
        self.links.throttling()
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
            Command::Transaction(command) => match (&mut self.transactions, &mut self.producer) {
                (Some(transactions), Some(producer)) => {
                    let cx = cx!(self, now, Transaction);
                    transactions.handle_command(id, command, producer, cx);
                }
                _ => cx!(self, now, Transaction).complete(id, Completion::NotServed),
            },
        }
    }

    /// A dialled connection has its socket.
    pub fn handle_connected(&mut self, now: Instant, id: ConnectionId) {
        self.links.handle_connected(now, id, &mut self.answers);
    }

    /// A connection ended, or could not be made; `reason` in words.
    pub fn handle_disconnected(&mut self, now: Instant, id: ConnectionId, reason: &str) {
        self.links.handle_disconnected(now, id, reason, &mut self.answers);
    }

    /// The buffer to read a connection's socket into; tell [`Engine::handle_received`] afterwards.
    /// `None` if the connection is closed.
    pub fn receive_buffer(&mut self, id: ConnectionId) -> Option<&mut BytesMut> {
        self.links.receive_buffer(id)
    }

    /// Bytes were read into a connection's buffer.
    pub fn handle_received(&mut self, now: Instant, id: ConnectionId) {
        self.links.handle_received(now, id, &mut self.metadata, &mut self.answers);
    }

    /// Bytes came on a connection: for callers without a socket to read from.
    pub fn handle_bytes(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        if let Some(buffer) = self.links.receive_buffer(id) {
            buffer.extend_from_slice(bytes);
            self.handle_received(now, id);
        }
    }

    /// The first `count` bytes of [`Engine::transmit`] were written.
    pub fn handle_written(&mut self, id: ConnectionId, count: usize) {
        self.links.handle_written(id, count, &mut self.answers);
    }

    /// Lets every machine act on what has been handled and on the time that has passed.
    pub fn poll(&mut self, now: Instant) {
        self.unfinished = None;
        self.links.handle_timeouts(now, &mut self.answers);
        self.parked.expire(now, &self.metadata, &mut self.answers);
        for _ in 0..ROUNDS_MAX {
            self.answer(now);
            if self.metadata.take_rebootstrap() {
                self.links.close_all(now, &mut self.answers);
            }
            self.poll_machines(now);
            self.route(now);
            self.links.drive(now, &mut self.metadata, &mut self.answers);
            if self.answers.is_empty() && self.outbox.is_empty() {
                return;
            }
        }
        self.unfinished = Some(now);
    }

    fn poll_machines(&mut self, now: Instant) {
        if let Some(producer) = &mut self.producer {
            if let Some(transactions) = &mut self.transactions {
                transactions.poll(producer, cx!(self, now, Transaction));
            }
            producer.poll(cx!(self, now, Producer));
            if let Some(transactions) = &mut self.transactions {
                // Partitions to add and batches that have ended since.
                transactions.poll(producer, cx!(self, now, Transaction));
            }
        }
        if let Some(consumer) = &mut self.consumer {
            consumer.poll(cx!(self, now, Consumer));
        }
        self.admin.poll(cx!(self, now, Admin));
        self.updates.poll(cx!(self, now, Metadata));
    }

    /// Hands every answer to the machine that asked.
    fn answer(&mut self, now: Instant) {
        for answer in std::mem::take(&mut self.answers) {
            let Answer { owner, id, destination, result } = answer;
            if let Err(failure) = &result {
                self.learn_from_failure(&destination, failure);
            }
            match owner {
                Owner::Metadata => {
                    self.updates.handle_response(id, result, cx!(self, now, Metadata));
                }
                Owner::Coordinator => {
                    self.finder.handle_response(id, result, cx!(self, now, Coordinator));
                }
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
                Owner::Transaction => {
                    if let (Some(transactions), Some(producer)) =
                        (&mut self.transactions, &mut self.producer)
                    {
                        let cx = cx!(self, now, Transaction);
                        transactions.handle_response(id, result, producer, cx);
                    }
                }
            }
        }
    }

    /// A broker that is out of reach may have given its roles away: look again.
    fn learn_from_failure(&mut self, destination: &Destination, failure: &RequestFailure) {
        if failure.is_of_connection() {
            if let Destination::Coordinator(key) = destination {
                self.coordinators.invalidate(key);
            }
            self.metadata.request_update();
        }
    }

    /// Gives each request in the outbox its connection, or parks it until its place is known.
    fn route(&mut self, now: Instant) {
        self.parked.unpark(&mut self.outbox);
        while let Some(pending) = self.outbox.pop() {
            route::route(
                now,
                pending,
                &mut self.metadata,
                &self.coordinators,
                &mut self.links,
                &mut self.parked,
                &mut self.answers,
            );
        }
        self.parked.refuse(&self.finder, &mut self.answers);
        self.finder.poll(self.parked.coordinators(), cx!(self, now, Coordinator));
    }

    /// What to do to a socket next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.links.poll_action()
    }

    /// A connection that has bytes to write since the last call. Write until it would block; what
    /// is left then goes out when the socket is writable again, without another word from here.
    pub fn poll_writable(&mut self) -> Option<ConnectionId> {
        self.links.poll_writable()
    }

    /// The bytes that wait to be written to a connection.
    #[must_use]
    pub fn transmit(&self, id: ConnectionId) -> Option<&Transmit> {
        self.links.transmit(id)
    }

    /// What the application shall be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Engine::poll`] must be called though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.unfinished,
            self.links.next_timeout(),
            self.parked.next_timeout(),
            self.updates.next_timeout(),
            self.finder.next_timeout(),
            self.admin.next_timeout(),
            self.producer.as_ref().and_then(ProducerMachine::next_timeout),
            self.consumer.as_ref().and_then(ConsumerMachine::next_timeout),
            self.transactions.as_ref().and_then(TransactionMachine::next_timeout),
        ]
        .into_iter()
        .fold(None, earliest)
    }
}

#[cfg(test)]
mod tests;
