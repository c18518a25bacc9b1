//! Kafka's wire protocol: frames, API versions, messages, record batches, compression, error codes.

pub mod messages;
