//! The producer machine.

use std::time::Instant;

use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};

/// A call of a producer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerCommand {}

/// What a call of a producer returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerCompletion {}

/// What the producer machine tells unasked.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProducerEvent {}

/// Sends the batches of one producer.
#[derive(Debug)]
pub struct ProducerMachine {}

impl ProducerMachine {
    /// The application called.
    pub fn handle_command(&mut self, _id: CommandId, command: ProducerCommand, _cx: &mut Cx<'_>) {
        match command {}
    }

    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        _id: RequestId,
        _result: Result<Response, RequestFailure>,
        _cx: &mut Cx<'_>,
    ) {
    }

    /// Does what is due.
    pub fn poll(&mut self, _cx: &mut Cx<'_>) {}

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }
}
