//! The client over TCP: against the in-process broker, and against peers that are no brokers.
//!
//! With `MILLSTREAM_KAFKA` set to the bootstrap servers of a real cluster, the tests that need no
//! faults run against that too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod connection;
mod consume;
mod groups;
mod lifecycle;
mod produce;
mod support;
