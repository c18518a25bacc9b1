//! Deterministic simulation: client engines against the broker's core, in virtual time.
//!
//! Each test runs for several seeds and prints the one it runs; what a seed does, it does again.

mod admin;
mod connections;
mod world;
