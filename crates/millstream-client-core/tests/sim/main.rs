//! Deterministic simulation: client engines against the broker's core, in virtual time.
//!
//! Each test runs for several seeds and prints the one it runs; what a seed does, it does again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a failing test shows its seed")]

mod admin;
mod connections;
mod consume;
mod world;
