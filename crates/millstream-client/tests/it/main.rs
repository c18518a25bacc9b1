//! The client over TCP: against the in-process broker, and against peers that are no brokers.
//!
//! With `MILLSTREAM_KAFKA` set to the bootstrap servers of a real cluster, the tests that need no
//! faults run against that too.

mod admin;
mod connection;
mod consume;
mod groups;
mod support;
