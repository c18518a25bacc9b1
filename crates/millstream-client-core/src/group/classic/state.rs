//! The life cycle of a classic group member: flat states, and a table of what leads where.

use thiserror::Error;

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// In no group, and nothing under way.
    Unjoined,
    /// Waiting before the next try to join.
    BackingOff,
    /// About to join: the application gives partitions up first.
    RevokingToJoin,
    /// About to join: the assignors' user data is being asked for.
    Describing,
    /// JoinGroup is on its way; the coordinator holds it until the members are together.
    Joining,
    /// Elected leader: the assignor computes.
    Assigning,
    /// SyncGroup is on its way; the coordinator holds it until the leader has assigned.
    Syncing,
    /// The new assignment is known; the application gives up what it lost (cooperative).
    RevokingToAdopt,
    /// A member with an assignment.
    Stable,
    /// Left because the application did not ask for records in time; joins when it does.
    Expired,
    /// LeaveGroup is on its way; nothing follows.
    Leaving,
    /// The coordinator refused for good. A new subscription tries again.
    Failed,
}

/// What moves a member from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberEvent {
    /// There is a reason to join, and something must be given up first.
    RevokeToJoin,
    /// There is a reason to join, and nothing stands before it.
    Describe,
    /// The join request went out.
    Join,
    /// The coordinator wants the same again, with the member id it gave (KIP-394).
    JoinAgain,
    /// The answer made this member the leader.
    Lead,
    /// The synchronising request went out.
    Sync,
    /// An assignment came that takes something away.
    RevokeToAdopt,
    /// An assignment is in effect.
    Adopt,
    /// A request failed in a way that passes.
    BackOff,
    /// The application did not ask for records in time.
    Expire,
    /// The application wants no more of this group.
    Leave,
    /// The leave request is answered, or there was no need of one.
    Left,
    /// The coordinator refused for good.
    Fail,
}

/// An event that cannot happen in a state: a bug of this client.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{event:?} cannot happen to a member that is {state:?}")]
pub struct InvalidTransition {
    /// The state.
    pub state: MemberState,
    /// The event.
    pub event: MemberEvent,
}

use MemberEvent as E;
use MemberState as S;

/// Event, states it may happen in, state it leads to.
const TRANSITIONS: &[(E, &[S], S)] = &[
    (
        E::RevokeToJoin,
        &[S::Unjoined, S::BackingOff, S::Stable, S::Expired, S::Syncing, S::Assigning],
        S::RevokingToJoin,
    ),
    (
        E::Describe,
        &[
            S::Unjoined,
            S::BackingOff,
            S::RevokingToJoin,
            S::Stable,
            S::Expired,
            S::Syncing,
            S::Assigning,
        ],
        S::Describing,
    ),
    (E::Join, &[S::Describing], S::Joining),
    (E::JoinAgain, &[S::Joining], S::Joining),
    (E::Lead, &[S::Joining], S::Assigning),
    (E::Sync, &[S::Joining, S::Assigning], S::Syncing),
    (E::RevokeToAdopt, &[S::Syncing], S::RevokingToAdopt),
    (E::Adopt, &[S::Syncing, S::RevokingToAdopt], S::Stable),
    (
        E::BackOff,
        &[
            S::Describing,
            S::Joining,
            S::Assigning,
            S::Syncing,
            S::Stable,
            S::RevokingToJoin,
            S::RevokingToAdopt,
        ],
        S::BackingOff,
    ),
    (
        E::Expire,
        &[
            S::BackingOff,
            S::RevokingToJoin,
            S::Describing,
            S::Joining,
            S::Assigning,
            S::Syncing,
            S::RevokingToAdopt,
            S::Stable,
        ],
        S::Expired,
    ),
    (
        E::Leave,
        &[
            S::BackingOff,
            S::RevokingToJoin,
            S::Describing,
            S::Joining,
            S::Assigning,
            S::Syncing,
            S::RevokingToAdopt,
            S::Stable,
        ],
        S::Leaving,
    ),
    (E::Left, &[S::Leaving, S::Unjoined, S::Expired, S::Failed, S::BackingOff], S::Unjoined),
    (
        E::Fail,
        &[
            S::Describing,
            S::Joining,
            S::Assigning,
            S::Syncing,
            S::Stable,
            S::RevokingToJoin,
            S::RevokingToAdopt,
        ],
        S::Failed,
    ),
];

impl MemberState {
    /// Every state.
    pub const ALL: [Self; 12] = [
        Self::Unjoined,
        Self::BackingOff,
        Self::RevokingToJoin,
        Self::Describing,
        Self::Joining,
        Self::Assigning,
        Self::Syncing,
        Self::RevokingToAdopt,
        Self::Stable,
        Self::Expired,
        Self::Leaving,
        Self::Failed,
    ];

    /// The state that `event` leads to.
    ///
    /// # Errors
    /// [`InvalidTransition`] if the event cannot happen here.
    pub fn on(self, event: MemberEvent) -> Result<Self, InvalidTransition> {
        TRANSITIONS
            .iter()
            .find(|(e, from, _)| *e == event && from.contains(&self))
            .map(|(_, _, to)| *to)
            .ok_or(InvalidTransition { state: self, event })
    }

    /// Whether the coordinator expects heartbeats. While it holds a join it does not.
    #[must_use]
    pub const fn beats(self) -> bool {
        matches!(
            self,
            Self::RevokingToJoin
                | Self::Describing
                | Self::Assigning
                | Self::Syncing
                | Self::RevokingToAdopt
                | Self::Stable
        )
    }

    /// Whether the coordinator takes commits of this member's generation now. While it holds the
    /// join or waits for the assignment it answers REBALANCE_IN_PROGRESS.
    #[must_use]
    pub const fn commits(self) -> bool {
        matches!(
            self,
            Self::RevokingToJoin | Self::Describing | Self::RevokingToAdopt | Self::Stable
        )
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
                assert_eq!(state.on(*event), Ok(*to));
                lines.push_str(&format!("{state:?} --{event:?}--> {to:?}\n"));
            }
        }
        expect![[r#"
            Unjoined --RevokeToJoin--> RevokingToJoin
            BackingOff --RevokeToJoin--> RevokingToJoin
            Stable --RevokeToJoin--> RevokingToJoin
            Expired --RevokeToJoin--> RevokingToJoin
            Syncing --RevokeToJoin--> RevokingToJoin
            Assigning --RevokeToJoin--> RevokingToJoin
            Unjoined --Describe--> Describing
            BackingOff --Describe--> Describing
            RevokingToJoin --Describe--> Describing
            Stable --Describe--> Describing
            Expired --Describe--> Describing
            Syncing --Describe--> Describing
            Assigning --Describe--> Describing
            Describing --Join--> Joining
            Joining --JoinAgain--> Joining
            Joining --Lead--> Assigning
            Joining --Sync--> Syncing
            Assigning --Sync--> Syncing
            Syncing --RevokeToAdopt--> RevokingToAdopt
            Syncing --Adopt--> Stable
            RevokingToAdopt --Adopt--> Stable
            Describing --BackOff--> BackingOff
            Joining --BackOff--> BackingOff
            Assigning --BackOff--> BackingOff
            Syncing --BackOff--> BackingOff
            Stable --BackOff--> BackingOff
            RevokingToJoin --BackOff--> BackingOff
            RevokingToAdopt --BackOff--> BackingOff
            BackingOff --Expire--> Expired
            RevokingToJoin --Expire--> Expired
            Describing --Expire--> Expired
            Joining --Expire--> Expired
            Assigning --Expire--> Expired
            Syncing --Expire--> Expired
            RevokingToAdopt --Expire--> Expired
            Stable --Expire--> Expired
            BackingOff --Leave--> Leaving
            RevokingToJoin --Leave--> Leaving
            Describing --Leave--> Leaving
            Joining --Leave--> Leaving
            Assigning --Leave--> Leaving
            Syncing --Leave--> Leaving
            RevokingToAdopt --Leave--> Leaving
            Stable --Leave--> Leaving
            Leaving --Left--> Unjoined
            Unjoined --Left--> Unjoined
            Expired --Left--> Unjoined
            Failed --Left--> Unjoined
            BackingOff --Left--> Unjoined
            Describing --Fail--> Failed
            Joining --Fail--> Failed
            Assigning --Fail--> Failed
            Syncing --Fail--> Failed
            Stable --Fail--> Failed
            RevokingToJoin --Fail--> Failed
            RevokingToAdopt --Fail--> Failed
        "#]]
        .assert_eq(&lines);
    }

    #[test]
    fn every_other_pair_is_refused() {
        assert_eq!(
            S::Unjoined.on(E::Adopt),
            Err(InvalidTransition { state: S::Unjoined, event: E::Adopt })
        );
    }

    #[test]
    fn every_state_can_be_reached_and_left() {
        for state in S::ALL {
            let reached = TRANSITIONS.iter().any(|(_, from, to)| *to == state && *from != [state]);
            assert!(reached, "{state:?} cannot be reached");
            let left =
                TRANSITIONS.iter().any(|(_, from, to)| *to != state && from.contains(&state));
            assert!(left, "{state:?} cannot be left");
        }
    }
}
