//! State stores of a stream processor: traits, key layouts, layers, an in-memory engine, a conformance suite.
