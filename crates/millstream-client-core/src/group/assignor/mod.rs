//! Assignors that come with the client: pure functions from cluster and subscriptions to assignments.

mod range;

pub use range::{RANGE, assign_range};
