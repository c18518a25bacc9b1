//! The client over TCP: against the in-process broker, and against peers that are no brokers.
//!
//! Tests that need no fault hooks also run on real Kafka, whose bootstrap servers `MILLSTREAM_KAFKA`
//! names: `cargo xtask test` sets it, and without it they fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod connection;
mod consume;
mod front;
mod groups;
mod lifecycle;
mod produce;
mod support;
mod transaction_faults;
mod transactions;
