//! Configuration: typed builders with Java's defaults, and Kafka's property names beside them.

mod aliases;
mod client;
mod error;
mod names;
mod properties;
mod reader;

pub(crate) use aliases::translate;
pub use client::ClientConfig;
pub(crate) use client::client_setters;
pub use error::ConfigError;
pub use properties::Properties;
pub(crate) use reader::PropertyReader;
