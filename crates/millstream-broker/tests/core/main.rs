//! The broker's core through its public face: frames in, frames out, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

mod admin;
mod admin_versions;
mod bench;
mod discard;
mod faults;
mod fetch;
mod groups;
mod hostile;
mod moves;
mod offset_delete;
mod produce;
mod quotas;
mod security;
mod sessions;
mod targets;
mod transactions;
mod versions;
