//! What the suites across crates share.
