//! The life cycle of a transactional producer: a flat enum and the table of its transitions.

use std::fmt;

/// What a transactional producer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransactionState {
    /// No producer id was asked for yet.
    Uninitialized,
    /// A producer id, or the next epoch of one, is being asked for.
    Initializing,
    /// Between transactions.
    Ready,
    /// In a transaction.
    InTransaction,
    /// In a transaction that can only be aborted, and waits for the application to do so.
    Failed,
    /// Records are sent to the end, then the commit itself.
    Committing,
    /// As [`Committing`](Self::Committing), but the application was told that the outcome is
    /// unknown: the same commit goes on until it is definite.
    InDoubt,
    /// What is on its way is awaited, then the abort itself is sent.
    Aborting,
    /// Nothing goes on: another producer has taken over, or the coordinator refuses for good.
    Fatal,
}

impl TransactionState {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Self::Uninitialized,
        Self::Initializing,
        Self::Ready,
        Self::InTransaction,
        Self::Failed,
        Self::Committing,
        Self::InDoubt,
        Self::Aborting,
        Self::Fatal,
    ];

    /// Whether a commit is under way.
    #[must_use]
    pub const fn is_committing(self) -> bool {
        matches!(self, Self::Committing | Self::InDoubt)
    }

    /// Whether the machine may go from `self` to `to`.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        TRANSITIONS.iter().any(|(from, next, _)| *from == self && *next == to)
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uninitialized => "uninitialized",
            Self::Initializing => "initializing",
            Self::Ready => "ready",
            Self::InTransaction => "in a transaction",
            Self::Failed => "in a failed transaction",
            Self::Committing => "committing",
            Self::InDoubt => "in doubt about a commit",
            Self::Aborting => "aborting",
            Self::Fatal => "unusable",
        })
    }
}

use TransactionState as S;

/// Every transition there is, with what causes it.
pub const TRANSITIONS: &[(TransactionState, TransactionState, &str)] = &[
    (S::Uninitialized, S::Initializing, "the application builds the producer"),
    (S::Initializing, S::Ready, "the coordinator gave a producer id and epoch"),
    (S::Initializing, S::Fatal, "fenced, or refused for good"),
    (S::Ready, S::InTransaction, "begin"),
    (S::InTransaction, S::Failed, "a record, a partition or offsets failed"),
    (S::InTransaction, S::Committing, "commit"),
    (S::InTransaction, S::Aborting, "abort, or dropped"),
    (S::InTransaction, S::Fatal, "fenced, or refused for good"),
    (S::Failed, S::Aborting, "abort, or dropped, or a commit that is refused"),
    (S::Failed, S::Fatal, "fenced, or refused for good"),
    (S::Committing, S::Ready, "committed"),
    (S::Committing, S::Initializing, "committed, and the next transaction needs a new epoch"),
    (S::Committing, S::Aborting, "it cannot be committed"),
    (S::Committing, S::InDoubt, "no definite answer in time"),
    (S::Committing, S::Fatal, "fenced, or refused for good"),
    (S::InDoubt, S::Ready, "committed after all"),
    (S::InDoubt, S::Initializing, "decided, and the next transaction needs a new epoch"),
    (S::InDoubt, S::Aborting, "it was not committed"),
    (S::InDoubt, S::Fatal, "fenced, or refused for good"),
    (S::Aborting, S::Ready, "aborted"),
    (S::Aborting, S::Initializing, "aborted, and the next transaction needs a new epoch"),
    (S::Aborting, S::Fatal, "fenced, or refused for good"),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_table_is_as_declared() {
        let mut table = String::new();
        for (from, to, cause) in TRANSITIONS {
            writeln!(table, "{from:?} -> {to:?}: {cause}").unwrap();
        }
        expect_file!["tests/transitions.txt"].assert_eq(&table);
    }

    #[test]
    fn every_state_can_be_reached_and_only_fatal_cannot_be_left() {
        for state in TransactionState::ALL {
            let reached = TRANSITIONS.iter().any(|(_, to, _)| to == state);
            let left = TRANSITIONS.iter().any(|(from, _, _)| from == state);
            assert_eq!(reached, *state != S::Uninitialized, "{state}");
            assert_eq!(left, *state != S::Fatal, "{state}");
        }
    }
}
