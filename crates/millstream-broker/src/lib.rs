//! An in-process Kafka broker for development and tests.
