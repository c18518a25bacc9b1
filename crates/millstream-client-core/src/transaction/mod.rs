//! Transactions: all of a producer's records and a group's offsets between begin and commit become
//! visible together, or not at all.
//!
//! The [`TransactionMachine`] stands beside the producer machine and holds its gate: it says who
//! the batches are written as, which partitions may be written to, and when all that was accepted
//! has its end. It speaks to the transaction coordinator, and to a group's for offsets.
//!
//! * `state`: the states and the table of transitions,
//! * `action`: what each error code of each API means,
//! * `version`: which version of the protocol a transaction uses (KIP-890),
//! * `machine`: calls in and the life cycle, `waiting`: calls that wait, `calls`: requests,
//!   `answers`: their answers.
//!
//! What no one may break:
//!
//! * One request of the machine is on its way at a time; an end of transaction is sent when nothing
//!   else is on its way, batches included.
//! * Whether a commit took effect is told only when it is certain. Until then the same request is
//!   sent again, and no transaction begins.
//! * With version 1 no transaction begins in an epoch in which a request without an answer may
//!   still arrive (KAFKA-17754): it would act on the new transaction.

mod action;
mod answers;
mod calls;
mod command;
mod error;
mod machine;
mod state;
#[cfg(test)]
mod tests;
mod version;
mod waiting;

pub use command::{Begun, OffsetsSource, TransactionCommand, TransactionCompletion};
pub use error::{CommitFailure, TransactionError, TransactionOutcome};
pub use machine::{TransactionConfig, TransactionMachine};
pub use state::{TRANSITIONS, TransactionState};
pub use version::TransactionVersion;
