//! Every decision of a Kafka client as pure state machines, without sockets, clocks or a runtime.
//!
//! # The contract
//!
//! An [`Engine`] is one client. Its methods are of four kinds, as in every sans-io core:
//!
//! 1. *getters*, which change nothing;
//! 2. `handle_*`: something happened outside (a connection opened, bytes came, time passed, the
//!    application called), told with the time `now`;
//! 3. `poll(now)`: lets the machines act on what has been handled;
//! 4. `poll_*`: hands out what the caller must now do: dial or close a connection
//!    ([`Engine::poll_action`]), write bytes ([`Engine::poll_writable`], [`Engine::transmit`]),
//!    wake at a time ([`Engine::poll_timeout`]), tell the application ([`Engine::poll_event`]).
//!
//! After any number of `handle_*` calls comes one `poll(now)`, and after it the `poll_*` methods are
//! called until each has nothing left. The same inputs give the same outputs, always: `now` is an
//! argument, randomness is drawn from [`EngineConfig::seed`], and nothing iterates a hash map of
//! random order.
//!
//! # Two kinds of machine
//!
//! The *byte machine* ([`connection`]) turns bytes into typed answers and back: framing,
//! correlation, version choice. *Request machines* ([`metadata`], [`coordinator`], [`admin`],
//! [`producer`], [`consumer`], [`transaction`]) never see a byte: they are called with a [`Cx`], send typed requests
//! to a [`Destination`](outbox::Destination) and get each answered exactly once. All have the same
//! shape, without a trait, because the engine names each:
//!
//! ```text
//! fn handle_command (&mut self, id: CommandId, command, cx: &mut Cx<'_>)       the application called
//! fn handle_response(&mut self, id: RequestId, result: Result<Response, RequestFailure>, cx)
//! fn poll           (&mut self, cx)          do what is due; called after every mutation: keep it cheap
//! fn next_timeout   (&self) -> Option<Instant>    when `poll` must be called though nothing happened
//! ```

pub mod admin;
pub mod backoff;
pub mod config;
pub mod connection;
pub mod consumer;
pub mod coordinator;
mod cx;
pub mod engine;
pub mod group;
mod listing;
pub mod metadata;
pub mod outbox;
pub mod producer;
#[cfg(test)]
pub(crate) mod testing;
pub mod timer;
pub mod transaction;

pub use config::{Endpoint, EngineConfig};
pub use cx::{Command, CommandId, Completion, Cx, Event};
pub use engine::Engine;
