//! Deterministic simulation: client engines and the broker's core against each other in memory.
//!
//! A [`World`] holds one broker cluster, any number of client engines, one virtual clock and the
//! network between them. Nothing in it reads a real clock, starts a thread or waits: a minute of
//! retries and time-outs passes in milliseconds, and the same seed gives the same events, which
//! every test asserts by running each seed twice. [`check`] judges what came of it.
//!
//! * [`net`] and `wire`: bytes between clients and nodes, with latency, in pieces, breaking;
//! * [`nemesis`]: what goes wrong and when;
//! * [`inspect`]: the logs and committed offsets as they are, past all clients;
//! * [`produce`] and its neighbours: workloads, each a function from a seed to what was wrong;
//! * [`plant`]: deliberate defects, which the judges must find.

pub mod admin;
pub mod atomicity;
pub mod calls;
pub mod check;
#[cfg(test)]
mod check_tests;
pub mod client;
pub mod consuming;
pub mod group;
pub mod history;
pub mod inspect;
pub mod member;
pub mod nemesis;
pub mod net;
pub mod plant;
pub mod produce;
pub mod read;
pub mod run;
pub mod trace;
pub mod transact;
mod wire;
pub mod world;

pub use run::{Outcome, seeds};
pub use world::{Script, World};
