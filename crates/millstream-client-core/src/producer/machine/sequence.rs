//! The life of a partition's sequence of batches: flat states, and a table of what leads where.

/// How a partition's sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SequenceState {
    /// Nobody to write as.
    Anonymous,
    /// One batch at a time, until one is written: a broker that has no state of a producer takes
    /// any sequence number for the first (`ProducerAppendInfo.checkSequence`).
    Probing,
    /// Batches follow each other without waiting for answers.
    Flowing,
    /// A batch has to be sent again: nothing is sent until all on its way is answered.
    Draining,
    /// The same, and a batch ended that is not known to be written.
    Doubtful,
    /// Batches that may be written are sent again, one at a time, before anything new: the gap
    /// before them is closed only by a new epoch, and that must wait for them.
    Proving,
    /// The broker has a gap: once all is answered, on in a new epoch.
    Broken,
    /// The epoch is of no use any more: once all is answered, on as another producer.
    Spent,
    /// The topic is another one of the same name: once all is answered, on in a new epoch.
    Outlived,
}

/// What happens to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SequenceEvent {
    /// An identity that the broker may not know here.
    Adopt,
    /// Another epoch of a producer that the broker knows here: it insists on sequence 0.
    AdoptKnown,
    /// A batch is written.
    Write,
    /// The batch is written behind which the sequence was in doubt.
    Clear,
    /// A batch is to be sent again.
    Retry,
    /// A batch ended that is not known to be written.
    Lose,
    /// The oldest batch does not follow what the broker has.
    Break,
    /// Another epoch of the producer has written.
    Spend,
    /// The topic was made anew.
    Outlive,
    /// Nothing was written for so long that the broker may have forgotten the producer.
    Rest,
    /// All is answered: send again what is to be sent again.
    Resume,
    /// All is answered, and batches that may be written have to be sent again.
    Prove,
    /// All is answered: a new epoch of our own.
    Renew,
    /// All is answered, and a new epoch is not ours to begin.
    Forsake,
}

use SequenceEvent as E;
use SequenceState as S;

/// Event, states it changes, state it leads to. A pair that is missing changes nothing.
const TRANSITIONS: &[(E, &[S], S)] = &[
    (E::Adopt, &[S::Anonymous, S::Flowing], S::Probing),
    (E::AdoptKnown, &[S::Anonymous, S::Probing], S::Flowing),
    (E::Write, &[S::Probing], S::Flowing),
    (E::Clear, &[S::Doubtful], S::Draining),
    (E::Clear, &[S::Proving], S::Flowing),
    (E::Retry, &[S::Probing, S::Flowing], S::Draining),
    (E::Retry, &[S::Proving], S::Doubtful),
    (E::Lose, &[S::Probing, S::Flowing, S::Draining, S::Proving], S::Doubtful),
    (
        E::Break,
        &[S::Probing, S::Flowing, S::Draining, S::Doubtful, S::Proving, S::Outlived],
        S::Broken,
    ),
    (
        E::Spend,
        &[S::Probing, S::Flowing, S::Draining, S::Doubtful, S::Proving, S::Broken, S::Outlived],
        S::Spent,
    ),
    (E::Outlive, &[S::Probing, S::Flowing, S::Draining, S::Doubtful, S::Proving], S::Outlived),
    (E::Rest, &[S::Flowing], S::Probing),
    (E::Resume, &[S::Draining], S::Probing),
    (E::Prove, &[S::Doubtful], S::Proving),
    (E::Renew, &[S::Doubtful, S::Proving, S::Broken, S::Outlived], S::Probing),
    (E::Forsake, &[S::Doubtful, S::Proving, S::Broken, S::Spent, S::Outlived], S::Anonymous),
];

impl SequenceState {
    /// The state after `event`.
    #[must_use]
    pub(crate) fn on(self, event: SequenceEvent) -> Self {
        let found = TRANSITIONS.iter().find(|(on, from, _)| *on == event && from.contains(&self));
        found.map_or(self, |(_, _, to)| *to)
    }

    /// Whether nothing is sent until all that is on its way is answered.
    pub(crate) const fn is_draining(self) -> bool {
        matches!(
            self,
            Self::Draining | Self::Doubtful | Self::Broken | Self::Spent | Self::Outlived
        )
    }

    /// Whether one batch is sent at a time.
    pub(crate) const fn is_single(self) -> bool {
        matches!(self, Self::Probing | Self::Proving)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    /// The table and its graph, one line a transition: a change of behaviour is a change here.
    #[test]
    fn transitions() {
        let mut lines = String::new();
        for (event, from, to) in TRANSITIONS {
            for state in *from {
                assert_eq!(state.on(*event), *to, "{state:?} {event:?} stands there twice");
                lines.push_str(&format!("{state:?} --{event:?}--> {to:?}\n"));
            }
        }
        expect![[r#"
            Anonymous --Adopt--> Probing
            Flowing --Adopt--> Probing
            Anonymous --AdoptKnown--> Flowing
            Probing --AdoptKnown--> Flowing
            Probing --Write--> Flowing
            Doubtful --Clear--> Draining
            Proving --Clear--> Flowing
            Probing --Retry--> Draining
            Flowing --Retry--> Draining
            Proving --Retry--> Doubtful
            Probing --Lose--> Doubtful
            Flowing --Lose--> Doubtful
            Draining --Lose--> Doubtful
            Proving --Lose--> Doubtful
            Probing --Break--> Broken
            Flowing --Break--> Broken
            Draining --Break--> Broken
            Doubtful --Break--> Broken
            Proving --Break--> Broken
            Outlived --Break--> Broken
            Probing --Spend--> Spent
            Flowing --Spend--> Spent
            Draining --Spend--> Spent
            Doubtful --Spend--> Spent
            Proving --Spend--> Spent
            Broken --Spend--> Spent
            Outlived --Spend--> Spent
            Probing --Outlive--> Outlived
            Flowing --Outlive--> Outlived
            Draining --Outlive--> Outlived
            Doubtful --Outlive--> Outlived
            Proving --Outlive--> Outlived
            Flowing --Rest--> Probing
            Draining --Resume--> Probing
            Doubtful --Prove--> Proving
            Doubtful --Renew--> Probing
            Proving --Renew--> Probing
            Broken --Renew--> Probing
            Outlived --Renew--> Probing
            Doubtful --Forsake--> Anonymous
            Proving --Forsake--> Anonymous
            Broken --Forsake--> Anonymous
            Spent --Forsake--> Anonymous
            Outlived --Forsake--> Anonymous
        "#]]
        .assert_eq(&lines);
    }

    #[test]
    fn whoever_drains_can_only_be_settled() {
        for state in [S::Draining, S::Doubtful, S::Broken, S::Spent, S::Outlived] {
            assert!(state.is_draining());
            for event in [E::Adopt, E::AdoptKnown, E::Write, E::Rest, E::Retry] {
                assert_eq!(state.on(event), state, "{event:?}");
            }
            let settled = [E::Resume, E::Prove, E::Renew, E::Forsake].map(|event| state.on(event));
            assert!(settled.iter().any(|to| !to.is_draining()), "{state:?} has no way out");
        }
    }
}
