//! The life of a task: states, events, and the table of what is allowed (Java's `Task.State`).
//!
//! ```text
//!   created ──restore──▶ restoring ──run──▶ running
//!      │                  │     ▲              │
//!      └─────suspend──────┴──▶ suspended ◀─────┘ suspend
//!                          restore └──close──▶ closed
//! ```

use std::fmt;

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Assigned; its stores are not open.
    Created,
    /// Its stores are being restored elsewhere.
    Restoring,
    /// It processes records.
    Running,
    /// Its partitions are revoked; it may come back or be closed.
    Suspended,
    /// Gone.
    Closed,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskEvent {
    /// Its stores are handed to whoever restores them.
    Restore,
    /// Its stores are ready: processing starts.
    Run,
    /// Its partitions are taken away.
    Suspend,
    /// It ends.
    Close,
}

/// Every transition there is.
const TRANSITIONS: &[(TaskState, TaskEvent, TaskState)] = &[
    (TaskState::Created, TaskEvent::Restore, TaskState::Restoring),
    (TaskState::Created, TaskEvent::Suspend, TaskState::Suspended),
    (TaskState::Restoring, TaskEvent::Run, TaskState::Running),
    (TaskState::Restoring, TaskEvent::Suspend, TaskState::Suspended),
    (TaskState::Running, TaskEvent::Suspend, TaskState::Suspended),
    (TaskState::Suspended, TaskEvent::Restore, TaskState::Restoring),
    (TaskState::Suspended, TaskEvent::Close, TaskState::Closed),
];

impl TaskState {
    /// The state after `event`, if it is allowed.
    #[must_use]
    pub fn after(self, event: TaskEvent) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, on, _)| (*from, *on) == (self, event)).map(|(_, _, to)| *to)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Restoring => "restoring",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for TaskEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Restore => "restore",
            Self::Run => "run",
            Self::Suspend => "suspend",
            Self::Close => "close",
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn table_of_transitions() {
        let states = [
            TaskState::Created,
            TaskState::Restoring,
            TaskState::Running,
            TaskState::Suspended,
            TaskState::Closed,
        ];
        let events = [TaskEvent::Restore, TaskEvent::Run, TaskEvent::Suspend, TaskEvent::Close];
        let mut table = String::new();
        for state in states {
            for event in events {
                let to = state.after(event).map_or_else(|| "-".to_owned(), |to| to.to_string());
                table.push_str(&format!("{state:<10} {event:<8} {to}\n"));
            }
        }
        expect![[r#"
            created    restore  restoring
            created    run      -
            created    suspend  suspended
            created    close    -
            restoring  restore  -
            restoring  run      running
            restoring  suspend  suspended
            restoring  close    -
            running    restore  -
            running    run      -
            running    suspend  suspended
            running    close    -
            suspended  restore  restoring
            suspended  run      -
            suspended  suspend  -
            suspended  close    closed
            closed     restore  -
            closed     run      -
            closed     suspend  -
            closed     close    -
        "#]]
        .assert_eq(&table);
    }
}
