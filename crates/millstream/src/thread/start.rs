//! From an OS thread's first line to its last: building the clients, living, dying, being
//! replaced.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant};

use millstream_client::{BuildError, Consumer, ConsumerEvent, IoThread, OffsetReset, Producer};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;

use super::StreamThread;
use super::collector::Collector;
use super::purge::Purge;
use super::tasks::Tasks;
use crate::application::Application;
use crate::assignment::{AssignmentErrorCode, AssignmentInfo, StreamsAssignor};
use crate::internal_topics::InternalTopics;
use crate::lifecycle::ThreadState;
use crate::uncaught::UncaughtResponse;
use crate::updater::{Updater, UpdaterParts};
use crate::{KafkaStreamsState, StreamsError};

/// Java's default for the producer of a stream thread: throughput before latency.
const PRODUCER_LINGER: Duration = Duration::from_millis(100);
/// How long a thread that asks all instances to close waits until they have heard.
const SHUTDOWN_SPREAD: Duration = Duration::from_secs(30);
/// Between a thread's death and its replacement, so that a lasting error does not spin.
const REPLACE_DELAY: Duration = Duration::from_millis(500);

/// How one incarnation of a thread ended.
enum End {
    Closed,
    Died(StreamsError, UncaughtResponse),
}

/// The whole life of stream thread `index`, from 0: replacements included.
pub(crate) fn run(app: &Arc<Application>, index: usize, runtime: &Runtime) {
    runtime.block_on(async {
        while let End::Died(error, response) = live_once(app, index).await {
            if app.is_stopping() {
                break;
            }
            match response {
                UncaughtResponse::ReplaceThread => {
                    tracing::error!(thread = index + 1, %error, "the stream thread is replaced");
                    app.lifecycle().set_failure(error);
                    app.lifecycle().report(index, ThreadState::Rebalancing);
                    app.counters().add_thread_replaced();
                    tokio::time::sleep(REPLACE_DELAY).await;
                }
                UncaughtResponse::ShutdownClient => {
                    tracing::error!(thread = index + 1, %error, "the application closes");
                    fail(app, error);
                }
                UncaughtResponse::ShutdownApplication => {
                    tracing::error!(thread = index + 1, %error, "all instances close");
                    fail(app, error);
                }
            }
            if app.is_stopping() {
                break;
            }
        }
    });
    app.end_thread(index);
}

/// Ends the application with an error: the other threads close what they have.
fn fail(app: &Application, error: StreamsError) {
    app.lifecycle().set_failure(error);
    app.lifecycle().become_state(KafkaStreamsState::PendingError);
    app.stop(SHUTDOWN_SPREAD);
}

async fn live_once(app: &Arc<Application>, index: usize) -> End {
    let mut thread = match build(app, index).await {
        Ok(thread) => thread,
        Err(error) => {
            let response = app.uncaught.decide(&error);
            if response == UncaughtResponse::ShutdownApplication && !app.is_stopping() {
                spread_shutdown_anew(app, index).await;
            }
            return End::Died(error, response);
        }
    };
    app.lifecycle().report(index, ThreadState::Rebalancing);
    match thread.live().await {
        Ok(()) => {
            thread.close(app.deadline()).await;
            End::Closed
        }
        Err(StreamsError::ShutdownRequested) => {
            tracing::warn!("another instance asked the application to shut down");
            fail(app, StreamsError::ShutdownRequested);
            thread.close(app.deadline()).await;
            End::Closed
        }
        Err(error) => {
            let response = app.uncaught.decide(&error);
            if response == UncaughtResponse::ShutdownApplication && !app.is_stopping() {
                thread.spread_shutdown().await;
            }
            thread.close_dirty().await;
            End::Died(error, response)
        }
    }
}

async fn build(app: &Arc<Application>, index: usize) -> Result<StreamThread, StreamsError> {
    let name = format!("{}-StreamThread-{}", app.client_id, index + 1);
    let io = IoThread::start(&format!("{name}-io"))
        .map_err(|error| StreamsError::Updater(error.to_string()))?;
    let client = |error| StreamsError::Client(Arc::new(error));
    let consumer = group_consumer(app, index, &name, &io).await.map_err(client)?;
    let config = app.config();
    let producer = Producer::builder(config.bootstrap.iter().map(String::as_str))
        .client_id(format!("{name}-producer"))
        .linger(PRODUCER_LINGER)
        .properties(&config.clients.producer())
        .io_thread(&io)
        .build()
        .await
        .map_err(client)?;
    let reader = Consumer::reader(config.bootstrap.iter().map(String::as_str))
        .client_id(format!("{name}-restore-consumer"))
        .auto_offset_reset(OffsetReset::None)
        .auto_create_topics(false)
        .properties(&config.clients.restore_consumer())
        .io_thread(&io)
        .build()
        .await
        .map_err(client)?;
    let (events, updates) = unbounded_channel();
    let updater = Updater::start(UpdaterParts {
        name: format!("{}-StateUpdater-{}", app.client_id, index + 1),
        engine: app.engine().ok_or(StreamsError::Closed)?,
        admin: app.admin.clone(),
        cluster_id: app.cluster_id.clone(),
        reader,
        counters: app.counters.clone(),
        events,
    })
    .map_err(|error| StreamsError::Updater(error.to_string()))?;
    Ok(StreamThread {
        index,
        app: app.clone(),
        consumer,
        collector: Collector::new(producer),
        updater,
        updates,
        tasks: Tasks::default(),
        purge: Purge::new(app.admin.clone(), &app.subtopologies, config.purge_interval),
        task_config: config.task_config(),
        last_commit: Instant::now(),
        commit_failures: 0,
        is_idle: true,
        state: ThreadState::Rebalancing,
    })
}

/// The consumer that is the group's member for this thread.
async fn group_consumer(
    app: &Arc<Application>,
    index: usize,
    name: &str,
    io: &IoThread,
) -> Result<Consumer, BuildError> {
    let config = app.config();
    let topics = config.clients.topic.clone();
    let assignor = StreamsAssignor {
        subtopologies: app.subtopologies.clone(),
        process_id: app.process_id,
        thread: index,
        report: app.report.clone(),
        internal_topics: InternalTopics::new(app.admin.clone(), config.replication_factor, topics),
        joins: AtomicU8::new(0),
    };
    Consumer::builder(config.bootstrap.iter().map(String::as_str))
        .group(config.application_id.as_str())
        .client_id(format!("{name}-consumer"))
        .auto_offset_reset(OffsetReset::Earliest)
        // A repartition topic that a broker made by itself would have the wrong partitions.
        .auto_create_topics(false)
        .properties(&config.clients.main_consumer())
        .assignors([Arc::new(assignor)])
        .io_thread(io)
        .build()
        .await
}

impl StreamThread {
    /// Joins once more, so that the group's leader hears that all are to close. The thread stays a
    /// member until then: nobody else is given what it died of.
    async fn spread_shutdown(&mut self) {
        self.tasks.close_all_dirty();
        self.app.report().request_shutdown();
        self.consumer.rejoin("the application is to shut down");
        wait_for_shutdown(&self.consumer).await;
    }
}

/// The same for a thread that could not be built: with a consumer for nothing else.
async fn spread_shutdown_anew(app: &Arc<Application>, index: usize) {
    app.report().request_shutdown();
    let name = format!("{}-StreamThread-{}-shutdown", app.client_id, index + 1);
    let Ok(io) = IoThread::start(&format!("{name}-io")) else { return };
    let Ok(consumer) = group_consumer(app, index, &name, &io).await else { return };
    if consumer.subscribe(app.input_topics()).await.is_ok() {
        wait_for_shutdown(&consumer).await;
    }
    let _ = consumer.close(Duration::from_secs(1)).await;
}

/// Waits until the group's leader has told its members to close.
async fn wait_for_shutdown(consumer: &Consumer) {
    let heard = async {
        loop {
            match consumer.next_event().await {
                Ok(Some(ConsumerEvent::Assigned { user_data, .. })) => {
                    let info = AssignmentInfo::decode(user_data.as_deref().unwrap_or_default());
                    if info.is_ok_and(|i| i.error_code == AssignmentErrorCode::ShutdownRequested) {
                        break;
                    }
                }
                Ok(Some(ConsumerEvent::Revoking(revoking))) => revoking.done(),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    };
    if tokio::time::timeout(SHUTDOWN_SPREAD, heard).await.is_err() {
        tracing::warn!("the other instances could not be told to close");
    }
}
