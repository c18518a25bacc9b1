//! The life of a batch that the machine has taken: flat states, and a table of what leads where.

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Taken from its partition's queue, and about to be sent.
    Taken,
    /// In a request without an answer.
    OnTheWay,
    /// To be sent again.
    ToResend,
    /// In a request without an answer, which counts for the sequence only: its records have their
    /// end.
    GivenUp,
    /// It goes on in parts.
    Split,
    /// Its records have their end.
    Ended,
}

/// What happens to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StageEvent {
    /// A request takes it along.
    Send,
    /// The answer, or the lack of one, asks for another try.
    SendAgain,
    /// Its time is up, or the application wants no more of it, while it is on its way.
    GiveUp,
    /// It is too large for the broker.
    Divide,
    /// It is written, refused, or not tried again; or the answer to one that was given up came.
    End,
}

use Stage as S;
use StageEvent as E;

/// Event, states it may happen in, state it leads to.
const TRANSITIONS: &[(E, &[S], S)] = &[
    (E::Send, &[S::Taken, S::ToResend], S::OnTheWay),
    (E::SendAgain, &[S::OnTheWay], S::ToResend),
    (E::GiveUp, &[S::OnTheWay], S::GivenUp),
    (E::Divide, &[S::OnTheWay], S::Split),
    (E::End, &[S::OnTheWay, S::ToResend, S::GivenUp], S::Ended),
];

impl Stage {
    /// The stage after `event`. One that cannot happen is a bug, and changes nothing.
    #[must_use]
    pub(crate) fn on(self, event: StageEvent) -> Self {
        let found = TRANSITIONS.iter().find(|(on, from, _)| *on == event && from.contains(&self));
        debug_assert!(found.is_some(), "{event:?} cannot happen to a batch that is {self:?}");
        found.map_or(self, |(_, _, to)| *to)
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
            for stage in *from {
                assert_eq!(stage.on(*event), *to);
                lines.push_str(&format!("{stage:?} --{event:?}--> {to:?}\n"));
            }
        }
        expect![[r#"
            Taken --Send--> OnTheWay
            ToResend --Send--> OnTheWay
            OnTheWay --SendAgain--> ToResend
            OnTheWay --GiveUp--> GivenUp
            OnTheWay --Divide--> Split
            OnTheWay --End--> Ended
            ToResend --End--> Ended
            GivenUp --End--> Ended
        "#]]
        .assert_eq(&lines);
    }

    #[test]
    #[should_panic(expected = "cannot happen to a batch that is Ended")]
    fn an_end_is_an_end() {
        let _ = S::Ended.on(E::Send);
    }
}
