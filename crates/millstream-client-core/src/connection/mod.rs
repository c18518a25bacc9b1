//! The byte machine: one connection to one broker.
