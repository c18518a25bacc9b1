//! What reaches a stream thread from its consumer and its state updater.

use std::sync::Arc;
use std::time::Instant;

use millstream_client::{Batch, ConsumerEvent, FetchError, Revoking};
use millstream_types::TopicPartition;

use super::tasks::{Added, Inputs};
use super::{StreamThread, now};
use crate::StreamsError;
use crate::assignment::{AssignmentErrorCode, AssignmentInfo, REBALANCE_NOW};
use crate::lifecycle::ThreadState;
use crate::updater::UpdaterEvent;

/// Events taken in one go, so that processing is never put off for long.
const EVENTS_PER_TURN: usize = 64;

/// The next thing that happens.
enum Event {
    Consumer(Result<Option<ConsumerEvent>, FetchError>),
    Updater(UpdaterEvent),
    /// Time to look around: a commit is due, or the application stops.
    Wake,
}

impl StreamThread {
    /// Takes what has come; waits for something only while no task has records.
    pub(super) async fn take_events(&mut self) -> Result<(), StreamsError> {
        let mut may_wait = self.is_idle;
        for _ in 0..EVENTS_PER_TURN {
            match self.next_event(may_wait).await {
                Event::Consumer(event) => self.handle_consumer(event).await?,
                Event::Updater(event) => self.handle_updater(event).await?,
                Event::Wake => break,
            }
            may_wait = false;
        }
        Ok(())
    }

    async fn next_event(&mut self, may_wait: bool) -> Event {
        let until = if may_wait {
            self.next_commit().min(Instant::now() + self.app.config().poll)
        } else {
            Instant::now()
        };
        let mut stop = self.app.stop_signal();
        tokio::select! {
            biased;
            Some(event) = self.updates.recv() => Event::Updater(event),
            event = self.consumer.next_event() => Event::Consumer(event),
            () = std::future::ready(()), if !may_wait => Event::Wake,
            () = tokio::time::sleep_until(until.into()), if may_wait => Event::Wake,
            _ = stop.wait_for(|stopping| *stopping), if may_wait => Event::Wake,
        }
    }

    async fn handle_consumer(
        &mut self,
        event: Result<Option<ConsumerEvent>, FetchError>,
    ) -> Result<(), StreamsError> {
        let event = event.map_err(|error| self.fetch_error(error))?;
        match event {
            Some(ConsumerEvent::Records(batch)) => self.add_batch(batch),
            Some(ConsumerEvent::Assigned { all, user_data, .. }) => {
                self.take_assignment(all, user_data.as_deref().unwrap_or_default()).await
            }
            Some(ConsumerEvent::Revoking(revoking)) => self.revoke(revoking).await,
            Some(ConsumerEvent::Lost(partitions)) => {
                tracing::warn!(?partitions, "partitions lost: their tasks start again elsewhere");
                self.updater.cancel(self.tasks.close_dirty_with(&partitions));
                self.report_state();
                Ok(())
            }
            Some(other) => {
                tracing::info!(event = ?other, "consumer");
                Ok(())
            }
            // Closed from elsewhere: the loop ends with the application.
            None => Ok(()),
        }
    }

    /// A source topic that is not there has an error of its own, whoever finds it out.
    fn fetch_error(&self, error: FetchError) -> StreamsError {
        match error {
            FetchError::UnknownTopic { topic } if self.app.source_topics().contains(&topic) => {
                StreamsError::MissingSourceTopic { topics: vec![topic] }
            }
            error => StreamsError::Fetch(Arc::new(error)),
        }
    }

    fn add_batch(&mut self, batch: Batch) -> Result<(), StreamsError> {
        let partition = batch.topic_partition().clone();
        let first = batch.iter().next().map(|record| record.offset());
        let consumer = |error| StreamsError::Consumer(Arc::new(error));
        match self.tasks.add_batch(&partition, batch, now())? {
            Added::Waiting(count) if count > self.app.config().buffered_records_per_partition => {
                self.tasks.set_full(partition.clone());
                self.consumer.pause([partition]).map_err(consumer)
            }
            Added::Waiting(_) | Added::NotOurs => Ok(()),
            Added::TooSoon => {
                let Some(offset) = first else { return Ok(()) };
                self.consumer.seek(&partition, offset).map_err(consumer)?;
                self.consumer.pause([partition]).map_err(consumer)
            }
        }
    }

    /// Takes on the tasks that the group's leader gave, and lets go of others.
    async fn take_assignment(
        &mut self,
        mut partitions: Vec<TopicPartition>,
        user_data: &[u8],
    ) -> Result<(), StreamsError> {
        let info = AssignmentInfo::decode(user_data)
            .map_err(|error| StreamsError::Assignment(Arc::new(error)))?;
        match info.error_code {
            AssignmentErrorCode::None => {}
            AssignmentErrorCode::ShutdownRequested => return Err(StreamsError::ShutdownRequested),
            AssignmentErrorCode::IncompleteSourceTopicMetadata => {
                return Err(StreamsError::MissingSourceTopic { topics: self.app.source_topics() });
            }
            code => return Err(StreamsError::AssignmentFailed { code: format!("{code:?}") }),
        }
        // The tasks stand in the order of their partitions, by topic and number.
        partitions.sort();
        let mut wanted = Inputs::new();
        for (task, partition) in info.active_tasks.into_iter().zip(partitions) {
            wanted.entry(task).or_default().push(partition);
        }
        if self.tasks.has_others_than(&wanted) {
            self.commit_or_revive().await?;
            self.updater.cancel(self.tasks.close_others_than(&wanted));
        }
        for (task, inputs) in wanted {
            if !self.tasks.contains(task) {
                self.create_task(task, inputs).await?;
            }
        }
        self.report_tasks();
        if info.next_rebalance_ms == REBALANCE_NOW {
            self.consumer.rejoin("tasks are given up that this member will run");
        }
        self.report_state();
        Ok(())
    }

    /// Commits everything, then gives up the tasks of these partitions.
    async fn revoke(&mut self, revoking: Revoking) -> Result<(), StreamsError> {
        let partitions: Vec<TopicPartition> = revoking.partitions().to_vec();
        if self.tasks.run_any_of(&partitions) {
            self.commit_or_revive().await?;
        }
        self.updater.cancel(self.tasks.close_with(&partitions));
        self.report_tasks();
        revoking.done();
        self.set_state(ThreadState::Rebalancing);
        Ok(())
    }

    async fn handle_updater(&mut self, event: UpdaterEvent) -> Result<(), StreamsError> {
        match event {
            UpdaterEvent::Restored { task, incarnation, stores } => {
                self.run_task(task, incarnation, stores).await?;
                self.report_state();
                Ok(())
            }
            UpdaterEvent::Failed(error) => Err(error),
        }
    }

    /// Tells the application whether all tasks run.
    pub(super) fn report_state(&mut self) {
        let state =
            if self.tasks.all_run() { ThreadState::Running } else { ThreadState::Rebalancing };
        self.set_state(state);
    }

    fn set_state(&mut self, state: ThreadState) {
        if state != self.state {
            self.state = state;
            self.app.lifecycle().report(self.index, state);
        }
    }

    /// Tells the group's leader, at the next join, which stateful tasks run here.
    pub(super) fn report_tasks(&self) {
        self.app.report().set_running(self.index, self.tasks.stateful());
    }
}
