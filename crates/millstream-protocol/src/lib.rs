//! Kafka's wire protocol: frames, API versions, messages, record batches, compression, error codes.
//!
//! * [`frame`] cuts a byte stream into frames under a size cap,
//! * [`codec`] turns whole frames into messages and back, behind the shape guard,
//! * [`messages`] are the plain structs, [`api`] names the APIs and their versions,
//! * [`batch`] writes and reads record batches, [`compression`] their codecs,
//! * [`embedded`] are messages inside others, such as group subscriptions,
//! * [`negotiate`] chooses the versions one connection speaks,
//! * [`error_code`] are the broker's error codes with their classes,
//! * [`wire`] are the primitive types, for the few messages that are written by hand.

pub mod api;
pub mod batch;
pub mod codec;
pub mod compression;
pub mod embedded;
pub mod error;
pub mod error_code;
mod fields;
pub mod frame;
mod generated;
mod guard;
pub mod messages;
pub mod negotiate;
pub mod wire;

pub use api::ApiKey;
pub use error::{DecodeError, EncodeError};
pub use error_code::{ErrorClass, ErrorCode};
