//! A stream thread: joins the group, runs the tasks it is given, commits them together.
//!
//! ```text
//!            ┌── events: records, assignments, revocations ◄── consumer (I/O thread)
//!  the loop ─┼── restored stores ◄── state updater
//!            ├── process: every running task in turn ──► producer (I/O thread)
//!            └── commit: flush caches, await acknowledgements, commit offsets, freeze
//! ```

mod batch;
mod collector;
mod commit;
mod events;
mod purge;
mod start;
mod tasks;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_client::Consumer;
use millstream_core::{Now, TaskConfig};
use millstream_types::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::StreamsError;
use crate::application::Application;
use crate::lifecycle::ThreadState;
use crate::updater::{Updater, UpdaterEvent};
use collector::Collector;
use purge::Purge;
use tasks::Tasks;

pub(crate) use start::run;

/// Records that a task processes before the next task has its turn.
const RECORDS_PER_TURN: usize = 1_000;

/// A stream thread between its start and its end. It never leaves its OS thread.
struct StreamThread {
    index: usize,
    app: Arc<Application>,
    consumer: Consumer,
    collector: Collector,
    updater: Updater,
    updates: UnboundedReceiver<UpdaterEvent>,
    tasks: Tasks,
    purge: Purge,
    task_config: TaskConfig,
    last_commit: Instant,
    /// Commits that failed since the last one that did not.
    commit_failures: u32,
    /// Whether the last turn found nothing to process.
    is_idle: bool,
    /// What was last reported, so that only changes are.
    state: ThreadState,
}

impl StreamThread {
    /// Lives until the application stops or something fails.
    async fn live(&mut self) -> Result<(), StreamsError> {
        let topics = self.app.input_topics();
        self.consumer
            .subscribe(topics)
            .await
            .map_err(|error| StreamsError::Consumer(Arc::new(error)))?;
        while !self.app.is_stopping() {
            self.take_events().await?;
            if self.is_idle {
                self.tasks.update_inputs(&self.consumer)?;
            }
            self.process()?;
            if self.commit_due() {
                self.commit_or_revive().await?;
            }
        }
        Ok(())
    }

    /// Gives every running task a turn.
    fn process(&mut self) -> Result<(), StreamsError> {
        let now = now();
        let processed = self.tasks.process(now, RECORDS_PER_TURN, &mut self.collector)?;
        self.is_idle = processed == 0;
        if processed > 0 {
            self.app.counters().add_processed(processed);
        }
        let dropped = self.tasks.take_dropped();
        if dropped > 0 {
            self.app.counters().add_dropped(dropped);
        }
        let limit = self.app.config().buffered_records_per_partition;
        let free = self.tasks.take_partitions_with_room(limit);
        if !free.is_empty() {
            self.consumer.resume(free).map_err(|error| StreamsError::Consumer(Arc::new(error)))?;
        }
        Ok(())
    }

    fn commit_due(&self) -> bool {
        self.next_commit() <= Instant::now() || self.tasks.wants_commit()
    }

    fn next_commit(&self) -> Instant {
        self.last_commit + self.app.config().commit_interval
    }

    /// Commits what was done, closes everything, and leaves the group.
    ///
    /// What cannot be committed before `deadline` is done again by whoever takes over.
    async fn close(mut self, deadline: Instant) {
        let left = || deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left(), self.commit()).await {
            Ok(Ok(_)) => self.tasks.close_all(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last commit failed");
                self.tasks.close_all_dirty();
            }
            Err(_) => {
                tracing::warn!("the last commit did not end in time");
                self.tasks.close_all_dirty();
            }
        }
        self.end(left()).await;
    }

    /// Closes without a commit, after an error.
    async fn close_dirty(mut self) {
        self.tasks.close_all_dirty();
        self.end(CLOSE_AFTER_ERROR).await;
    }

    async fn end(self, timeout: Duration) {
        self.app.report().set_running(self.index, []);
        self.updater.finish();
        self.collector.close(timeout).await;
        if let Err(error) = self.consumer.close(timeout.max(LEAVE_GROUP)).await {
            tracing::warn!(%error, "the consumer did not close cleanly");
        }
    }
}

/// A thread that failed gives its clients this long to end.
const CLOSE_AFTER_ERROR: Duration = Duration::from_secs(5);
/// Leaving the group spares the others a session timeout, so there is always time for it.
const LEAVE_GROUP: Duration = Duration::from_millis(500);

/// Both clocks, read once per turn and not per record.
fn now() -> Now {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    Now { monotonic: Instant::now(), wall: Timestamp(millis) }
}
