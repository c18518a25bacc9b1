//! A Kafka client in pure Rust: producer, consumer groups, admin.

pub mod config;
mod driver;
pub mod error;
mod net;
mod observe;

pub use config::{ConfigError, Properties};
pub use driver::IoThread;
pub use error::BuildError;
