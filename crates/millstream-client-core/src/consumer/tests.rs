//! Tests of the consumer machine.
