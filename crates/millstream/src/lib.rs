//! A stream processor for Kafka of Kafka Streams' class, in Rust.
