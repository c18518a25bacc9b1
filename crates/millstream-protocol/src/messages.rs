//! The messages of Kafka's protocol, as plain structs.

pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
