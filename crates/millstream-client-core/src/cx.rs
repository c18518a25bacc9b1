//! What a machine is given when it is called, and what leaves the engine.

use std::collections::VecDeque;
use std::time::Instant;

use crate::admin::{AdminCommand, AdminCompletion};
use crate::consumer::{ConsumerCommand, ConsumerCompletion, ConsumerEvent};
use crate::coordinator::Coordinators;
use crate::metadata::Metadata;
use crate::outbox::{Outbox, Owner, Request, RequestId};
use crate::producer::{ProducerCommand, ProducerCompletion, ProducerEvent};
use crate::transaction::{TransactionCommand, TransactionCompletion};

/// The surroundings of a machine during one call: the time, what is known of the cluster, and
/// where its effects go.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The time of this call.
    pub now: Instant,
    /// What is known of the cluster; machines ask it for topics and updates.
    pub metadata: &'a mut Metadata,
    /// Which broker coordinates what; machines report coordinators that moved.
    pub coordinators: &'a mut Coordinators,
    owner: Owner,
    outbox: &'a mut Outbox,
    events: &'a mut VecDeque<Event>,
}

impl<'a> Cx<'a> {
    /// The surroundings for one call of `owner`.
    pub const fn new(
        now: Instant,
        owner: Owner,
        metadata: &'a mut Metadata,
        coordinators: &'a mut Coordinators,
        outbox: &'a mut Outbox,
        events: &'a mut VecDeque<Event>,
    ) -> Self {
        Self { now, metadata, coordinators, owner, outbox, events }
    }

    /// Sends a request; its one answer comes to the calling machine's `handle_response`.
    pub fn send(&mut self, request: Request) -> RequestId {
        self.outbox.send(self.now, self.owner, request)
    }

    /// Completes a command: the application's call returns.
    pub fn complete(&mut self, id: CommandId, completion: impl Into<Completion>) {
        self.events.push_back(Event::Completed(id, completion.into()));
    }

    /// Tells the shell something that no command asked for.
    pub fn emit(&mut self, event: impl Into<Event>) {
        self.events.push_back(event.into());
    }

    /// Says that this client's work is done: the shell closes its connections and its driver ends.
    pub fn finish(&mut self) {
        self.events.push_back(Event::Finished);
    }
}

/// Names a call of the application; the shell draws them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// A call of the application.
#[derive(Debug)]
pub enum Command {
    /// For the admin machine, which every engine has.
    Admin(AdminCommand),
    /// For the producer machine.
    Producer(ProducerCommand),
    /// For the consumer machine.
    Consumer(ConsumerCommand),
    /// For the transaction machine.
    Transaction(TransactionCommand),
}

/// What a call of the application returns.
#[derive(Debug)]
pub enum Completion {
    /// From the admin machine.
    Admin(AdminCompletion),
    /// From the producer machine.
    Producer(ProducerCompletion),
    /// From the consumer machine.
    Consumer(ConsumerCompletion),
    /// From the transaction machine.
    Transaction(TransactionCompletion),
    /// This engine has no machine for the command.
    NotServed,
}

/// What the engine tells the shell.
#[derive(Debug)]
pub enum Event {
    /// A command is done.
    Completed(CommandId, Completion),
    /// The producer machine says something.
    Producer(ProducerEvent),
    /// The consumer machine says something.
    Consumer(ConsumerEvent),
    /// The client's work is done: end the driver.
    Finished,
}

/// Wraps what one machine says into the enum of all machines.
macro_rules! wrap {
    ($($enum:ident::$variant:ident($inner:ty)),* $(,)?) => {$(
        impl From<$inner> for $enum {
            fn from(inner: $inner) -> Self {
                Self::$variant(inner)
            }
        }
    )*};
}

wrap! {
    Command::Admin(AdminCommand),
    Command::Producer(ProducerCommand),
    Command::Consumer(ConsumerCommand),
    Command::Transaction(TransactionCommand),
    Completion::Admin(AdminCompletion),
    Completion::Producer(ProducerCompletion),
    Completion::Consumer(ConsumerCompletion),
    Completion::Transaction(TransactionCompletion),
    Event::Producer(ProducerEvent),
    Event::Consumer(ConsumerEvent),
}
