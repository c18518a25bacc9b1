//! What `cargo xtask codegen` wrote from Kafka's message schemas.

pub(crate) mod apis;
mod requests;
