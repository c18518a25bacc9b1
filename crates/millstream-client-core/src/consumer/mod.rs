//! The consumer: what is assigned, fetched, handed out and committed.
//!
//! [`ConsumerMachine`] is the engine's side and does all that takes time; [`ConsumerShared`] is the
//! application's side, whose verbs act at once on the table that both share. Records wait in that
//! table as they were fetched and are checked when they are handed out, on the application's
//! thread. Between the two hops a batch, never a record.

mod budget;
mod command;
mod commits;
mod config;
mod delivery;
mod error;
mod fetcher;
mod intake;
mod lookup;
mod machine;
mod membership;
mod notice;
mod partition;
mod shared;
mod table;
mod topics;

pub use command::{ConsumerCommand, ConsumerCompletion, ConsumerEvent, OffsetSpec, OffsetToCommit};
pub use config::{
    AssignorSpec, BuiltinAssignor, ConsumerConfig, GroupConfig, IsolationLevel, OffsetReset,
};
pub use delivery::{Batch, BatchRecords, ConsumerRecord};
pub use error::{CommitError, ConsumerError, FetchError};
pub use intake::Wants;
pub use machine::ConsumerMachine;
pub use notice::{Assigned, Next, Revocation};
pub use partition::{Position, ResetCause, Stamp};
pub use shared::ConsumerShared;

#[cfg(test)]
mod tests;
