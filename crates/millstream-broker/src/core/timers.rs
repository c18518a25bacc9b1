//! The one queue of deadlines: what is due is popped in order of time, then of arming.

use std::collections::BTreeMap;
use std::time::Instant;

use millstream_types::GroupId;

use super::connection::ConnectionId;

/// What a deadline belongs to. Owners check on firing whether it is really due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The parked request of a connection.
    Connection(ConnectionId),
    /// The members and the rebalance of a group.
    Group(GroupId),
    /// A coordinator of groups has loaded.
    GroupsLoaded,
    /// The timeout or the markers of a transaction, by its id.
    Transaction(String),
    /// Partitions that move to other replicas.
    Reassignments,
}

/// The handle of an armed deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Instant, u64);

impl TimerKey {
    /// When it is due.
    pub(crate) const fn at(self) -> Instant {
        self.0
    }
}

/// Armed deadlines, earliest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    armed: BTreeMap<TimerKey, Timer>,
    next: u64,
}

impl Timers {
    /// Arms a deadline.
    pub(crate) fn arm(&mut self, at: Instant, timer: Timer) -> TimerKey {
        let key = TimerKey(at, self.next);
        self.next += 1;
        self.armed.insert(key, timer);
        key
    }

    /// Takes a deadline back; one that fired already is no harm.
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.armed.remove(&key);
    }

    /// The earliest deadline.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.armed.first_key_value().map(|(key, _)| key.0)
    }

    /// Removes and gives the earliest deadline that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let entry = self.armed.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn deadlines_fire_in_order_and_can_be_taken_back() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let late = timers.arm(at(20), Timer::Group("late".into()));
        timers.arm(at(10), Timer::Group("first".into()));
        timers.arm(at(10), Timer::Group("second".into()));
        assert_eq!(timers.next_timeout(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(30)), Some(Timer::Group("first".into())));
        assert_eq!(timers.pop_due(at(30)), Some(Timer::Group("second".into())));
        timers.cancel(late);
        assert_eq!(timers.pop_due(at(30)), None);
        assert_eq!(timers.next_timeout(), None);
    }
}
