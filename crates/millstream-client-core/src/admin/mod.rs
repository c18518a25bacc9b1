//! The admin machine: topics, configs, offsets, the cluster.

use std::time::Instant;

use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};

/// A call of an admin client.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminCommand {}

/// What a call of an admin client returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminCompletion {}

/// Runs admin calls.
#[derive(Debug, Default)]
pub struct AdminMachine {}

impl AdminMachine {
    /// A machine.
    #[must_use]
    pub fn new(_config: &crate::EngineConfig, _rng: crate::backoff::Rng) -> Self {
        Self::default()
    }

    /// The application called.
    pub fn handle_command(&mut self, _id: CommandId, command: AdminCommand, _cx: &mut Cx<'_>) {
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
