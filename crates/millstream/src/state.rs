//! The life of an application: Java's `KafkaStreams.State`, with its transitions.

use std::fmt;

/// What a streams application is doing.
///
/// ```text
/// Created ──► Rebalancing ◄──► Running
///    │             │              │
///    │             ├──────────────┤
///    │             ▼              ▼
///    └──► PendingShutdown    PendingError
///                 │               │
///                 ▼               ▼
///            NotRunning         Error
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KafkaStreamsState {
    /// Built, not started.
    Created,
    /// Joining its group, being given tasks, or restoring their state.
    Rebalancing,
    /// Processing records.
    Running,
    /// Closing: no new records are taken.
    PendingShutdown,
    /// Closed.
    NotRunning,
    /// Closing because all threads failed.
    PendingError,
    /// Closed because all threads failed.
    Error,
}

use KafkaStreamsState::{
    Created, Error, NotRunning, PendingError, PendingShutdown, Rebalancing, Running,
};

/// Every state with those that may follow it (`KafkaStreams.State` in Kafka 4.3).
pub(crate) const TRANSITIONS: [(KafkaStreamsState, &[KafkaStreamsState]); 7] = [
    (Created, &[Rebalancing, PendingShutdown]),
    (Rebalancing, &[Running, PendingShutdown, PendingError]),
    (Running, &[Rebalancing, PendingShutdown, PendingError]),
    (PendingShutdown, &[NotRunning]),
    (NotRunning, &[]),
    (PendingError, &[Error]),
    (Error, &[]),
];

impl KafkaStreamsState {
    /// Whether `next` may follow this state.
    pub(crate) fn may_become(self, next: Self) -> bool {
        TRANSITIONS.iter().any(|(from, to)| *from == self && to.contains(&next))
    }

    /// Whether nothing follows any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, NotRunning | Error)
    }
}

impl fmt::Display for KafkaStreamsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Created => "created",
            Rebalancing => "rebalancing",
            Running => "running",
            PendingShutdown => "pending shutdown",
            NotRunning => "not running",
            PendingError => "pending error",
            Error => "error",
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn transitions() {
        let lines: Vec<_> = TRANSITIONS
            .iter()
            .map(|(from, to)| {
                let to: Vec<_> = to.iter().map(ToString::to_string).collect();
                format!("{from} -> {}", to.join(" | "))
            })
            .collect();
        expect![[r#"
            created -> rebalancing | pending shutdown
            rebalancing -> running | pending shutdown | pending error
            running -> rebalancing | pending shutdown | pending error
            pending shutdown -> not running
            not running -> 
            pending error -> error
            error -> "#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn final_states_are_those_without_successor() {
        for (state, next) in TRANSITIONS {
            assert_eq!(state.is_final(), next.is_empty(), "{state}");
        }
    }
}
