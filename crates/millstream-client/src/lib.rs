//! A Kafka client in pure Rust: producer, consumer groups, admin.
