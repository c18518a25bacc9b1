//! Where a transaction stands, and which way it may go.

use std::fmt;

/// Where a transactional id stands (`TransactionState` in Kafka's transaction coordinator).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TransactionState {
    /// No transaction since the producer was initialised.
    Empty,
    /// Partitions were added.
    Ongoing,
    /// It will be committed; markers are being written.
    PrepareCommit,
    /// It will be aborted; markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
    /// The id expired and is about to be forgotten.
    Dead,
    /// The producer is being fenced; the abort follows at once, so nobody ever sees this.
    PrepareEpochFence,
}

impl TransactionState {
    /// All states, by their number in Kafka's transaction log.
    pub(crate) const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// Whether a transaction may go from this state to `next`. From Empty and the complete states to
    /// PrepareAbort leads only version 2, where an empty transaction can be aborted.
    pub(crate) const fn may_become(self, next: Self) -> bool {
        let is_idle = matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort);
        match next {
            Self::Empty | Self::Dead => is_idle,
            Self::Ongoing => is_idle || matches!(self, Self::Ongoing),
            Self::PrepareCommit | Self::PrepareEpochFence => matches!(self, Self::Ongoing),
            Self::PrepareAbort => {
                is_idle || matches!(self, Self::Ongoing | Self::PrepareEpochFence)
            }
            Self::CompleteCommit => matches!(self, Self::PrepareCommit),
            Self::CompleteAbort => matches!(self, Self::PrepareAbort),
        }
    }

    /// Kafka's name of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether markers are outstanding.
    pub(crate) const fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    /// Whether an id in this state is forgotten when it is not used for long.
    pub(crate) const fn may_expire(self) -> bool {
        self.may_become(Self::Dead)
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn transitions() {
        let mut table = String::new();
        for from in TransactionState::ALL {
            let next = TransactionState::ALL.into_iter().filter(|next| from.may_become(*next));
            let next: Vec<_> = next.map(TransactionState::name).collect();
            writeln!(table, "{from} -> {}", next.join(" | ")).unwrap();
        }
        expect![[r#"
            Empty -> Empty | Ongoing | PrepareAbort | Dead
            Ongoing -> Ongoing | PrepareCommit | PrepareAbort | PrepareEpochFence
            PrepareCommit -> CompleteCommit
            PrepareAbort -> CompleteAbort
            CompleteCommit -> Empty | Ongoing | PrepareAbort | Dead
            CompleteAbort -> Empty | Ongoing | PrepareAbort | Dead
            Dead -> 
            PrepareEpochFence -> PrepareAbort
        "#]]
        .assert_eq(&table);
    }
}
