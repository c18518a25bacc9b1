//! What an application can be told: Kafka Streams' settings under their own names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millstream_client::Properties;
use millstream_core::{DeserializationHandler, LogAndContinue, LogAndFail, TaskConfig, TaskIdle};
use millstream_state::ByteBudget;

use crate::error::StreamsConfigError;

/// The settings of an application (`StreamsConfig`), with Java's defaults.
#[derive(Clone)]
pub(crate) struct StreamsConfig {
    pub(crate) application_id: String,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) state_dir: PathBuf,
    pub(crate) threads: usize,
    pub(crate) commit_interval: Duration,
    pub(crate) poll: Duration,
    pub(crate) purge_interval: Duration,
    pub(crate) cache_bytes_max: u64,
    pub(crate) uncommitted_bytes_max: u64,
    pub(crate) buffered_records_per_partition: usize,
    pub(crate) max_task_idle: TaskIdle,
    pub(crate) replication_factor: Option<i16>,
    pub(crate) deserialization: Arc<dyn DeserializationHandler>,
    /// Settings of the embedded clients and of internal topics, by their prefix.
    pub(crate) clients: ClientProperties,
}

/// Properties handed on to the clients that an application embeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientProperties {
    pub(crate) common: BTreeMap<String, String>,
    pub(crate) consumer: BTreeMap<String, String>,
    pub(crate) main_consumer: BTreeMap<String, String>,
    pub(crate) restore_consumer: BTreeMap<String, String>,
    pub(crate) producer: BTreeMap<String, String>,
    pub(crate) admin: BTreeMap<String, String>,
    pub(crate) topic: BTreeMap<String, String>,
}

impl StreamsConfig {
    pub(crate) fn new(application_id: String, bootstrap: Vec<String>) -> Self {
        Self {
            application_id,
            bootstrap,
            client_id: None,
            state_dir: std::env::temp_dir().join("kafka-streams"),
            threads: 1,
            commit_interval: Duration::from_secs(30),
            poll: Duration::from_millis(100),
            purge_interval: Duration::from_secs(30),
            cache_bytes_max: 10 * 1024 * 1024,
            uncommitted_bytes_max: 64 * 1024 * 1024,
            buffered_records_per_partition: 1_000,
            max_task_idle: TaskIdle::For(Duration::ZERO),
            replication_factor: None,
            deserialization: Arc::new(LogAndFail),
            clients: ClientProperties::default(),
        }
    }

    /// Sets one property by its Kafka name.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), StreamsConfigError> {
        match name {
            "application.id" => value.clone_into(&mut self.application_id),
            "bootstrap.servers" => self.bootstrap = value.split(',').map(str::to_owned).collect(),
            "client.id" => self.client_id = Some(value.to_owned()),
            "state.dir" => self.state_dir = PathBuf::from(value),
            "num.stream.threads" => self.threads = number(name, value)?,
            "commit.interval.ms" => self.commit_interval = millis(name, value)?,
            "poll.ms" => self.poll = millis(name, value)?,
            "repartition.purge.interval.ms" => self.purge_interval = millis(name, value)?,
            "statestore.cache.max.bytes" | "cache.max.bytes.buffering" => {
                self.cache_bytes_max = number(name, value)?;
            }
            "statestore.uncommitted.max.bytes" => {
                self.uncommitted_bytes_max = number(name, value)?;
            }
            "buffered.records.per.partition" => {
                self.buffered_records_per_partition = number(name, value)?;
            }
            "max.task.idle.ms" => self.max_task_idle = task_idle(name, value)?,
            "replication.factor" => {
                let factor: i16 = number(name, value)?;
                self.replication_factor = (factor != -1).then_some(factor);
            }
            "deserialization.exception.handler" => {
                self.deserialization = deserialization(name, value)?;
            }
            "processing.guarantee" => only(name, value, "at_least_once")?,
            "group.protocol" => only(name, value, "classic")?,
            other => self.clients.set(other, value)?,
        }
        Ok(())
    }

    /// Finds what no single setting shows.
    pub(crate) fn check(&self) -> Result<(), StreamsConfigError> {
        let id = &self.application_id;
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if id.is_empty() || !id.chars().all(legal) {
            let reason = "it is part of topic names: letters, digits, '.', '_' and '-' only";
            return Err(StreamsConfigError::invalid("application.id", id, reason));
        }
        if self.threads == 0 {
            let reason = "a stream thread is needed";
            return Err(StreamsConfigError::invalid("num.stream.threads", "0", reason));
        }
        if self.buffered_records_per_partition == 0 {
            let reason = "at least one record must fit";
            return Err(StreamsConfigError::invalid("buffered.records.per.partition", "0", reason));
        }
        if self.bootstrap.iter().all(|server| server.trim().is_empty()) {
            let reason = "at least one host:port is needed";
            return Err(StreamsConfigError::invalid("bootstrap.servers", "", reason));
        }
        Ok(())
    }
}

impl StreamsConfig {
    /// What the tasks of one thread are told: each thread has an equal part of the caches.
    pub(crate) fn task_config(&self) -> TaskConfig {
        let threads = u64::try_from(self.threads).unwrap_or(u64::MAX);
        TaskConfig::new(self.application_id.as_str())
            .cache(Arc::new(ByteBudget::new(self.cache_bytes_max / threads)))
            .uncommitted(Arc::new(ByteBudget::new(self.uncommitted_bytes_max)))
            .deserialization_handler(self.deserialization.clone())
            .max_task_idle(self.max_task_idle)
    }
}

impl fmt::Debug for StreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsConfig")
            .field("application_id", &self.application_id)
            .field("bootstrap", &self.bootstrap)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl ClientProperties {
    /// Files a property under the client that its prefix names.
    fn set(&mut self, name: &str, value: &str) -> Result<(), StreamsConfigError> {
        let prefixes = [
            ("main.consumer.", &mut self.main_consumer),
            ("restore.consumer.", &mut self.restore_consumer),
            ("consumer.", &mut self.consumer),
            ("producer.", &mut self.producer),
            ("admin.", &mut self.admin),
            ("topic.", &mut self.topic),
        ];
        for (prefix, properties) in prefixes {
            if let Some(rest) = name.strip_prefix(prefix) {
                // Streams depends on these: a program that sets them would lose records.
                let locked = ["enable.auto.commit", "group.id", "group.protocol", "acks"];
                if locked.contains(&rest) {
                    let reason = "the stream processor sets it itself";
                    return Err(StreamsConfigError::invalid(name, value, reason));
                }
                properties.insert(rest.to_owned(), value.to_owned());
                return Ok(());
            }
        }
        self.common.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// What the consumer of a stream thread is told.
    pub(crate) fn main_consumer(&self) -> Properties {
        merged([&self.common, &self.consumer, &self.main_consumer])
    }

    /// What the consumer that restores state is told.
    pub(crate) fn restore_consumer(&self) -> Properties {
        merged([&self.common, &self.consumer, &self.restore_consumer])
    }

    /// What the producer of a stream thread is told.
    pub(crate) fn producer(&self) -> Properties {
        merged([&self.common, &self.producer])
    }

    /// What the admin client is told.
    pub(crate) fn admin(&self) -> Properties {
        merged([&self.common, &self.admin])
    }
}

/// Later maps win.
fn merged<const N: usize>(maps: [&BTreeMap<String, String>; N]) -> Properties {
    let mut merged = Properties::new();
    for (name, value) in maps.into_iter().flatten() {
        merged.set(name, value);
    }
    merged
}

/// Settings of which one value is supported so far.
fn only(name: &str, value: &str, supported: &str) -> Result<(), StreamsConfigError> {
    if value.trim() == supported {
        return Ok(());
    }
    let reason = format!("only `{supported}` is supported");
    Err(StreamsConfigError::invalid(name, value, reason))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, StreamsConfigError> {
    value.trim().parse().map_err(|_| {
        StreamsConfigError::invalid(
            name,
            value,
            "a whole number within the setting's range is needed",
        )
    })
}

fn millis(name: &str, value: &str) -> Result<Duration, StreamsConfigError> {
    number(name, value).map(Duration::from_millis)
}

fn task_idle(name: &str, value: &str) -> Result<TaskIdle, StreamsConfigError> {
    match value.trim() {
        "-1" => Ok(TaskIdle::Disabled),
        _ => millis(name, value).map(TaskIdle::For),
    }
}

/// Java names a class here: the two that it ships are understood by their names.
fn deserialization(
    name: &str,
    value: &str,
) -> Result<Arc<dyn DeserializationHandler>, StreamsConfigError> {
    match value.rsplit('.').next() {
        Some("LogAndFailExceptionHandler") => Ok(Arc::new(LogAndFail)),
        Some("LogAndContinueExceptionHandler") => Ok(Arc::new(LogAndContinue)),
        _ => {
            let reason = "LogAndFailExceptionHandler or LogAndContinueExceptionHandler is needed";
            Err(StreamsConfigError::invalid(name, value, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> StreamsConfig {
        StreamsConfig::new("app".to_owned(), vec!["localhost:9092".to_owned()])
    }

    #[track_caller]
    fn check_refused(name: &str, value: &str, message: &str) {
        let mut config = config();
        let error = config.set(name, value).and_then(|()| config.check()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn properties_reach_their_fields_and_clients() {
        let mut config = config();
        for (name, value) in [
            ("num.stream.threads", "4"),
            ("commit.interval.ms", "200"),
            ("max.task.idle.ms", "-1"),
            ("replication.factor", "-1"),
            ("request.timeout.ms", "5000"),
            ("consumer.fetch.min.bytes", "2"),
            ("main.consumer.fetch.min.bytes", "3"),
        ] {
            config.set(name, value).unwrap();
        }
        assert_eq!((config.threads, config.commit_interval.as_millis()), (4, 200));
        assert_eq!((config.max_task_idle, config.replication_factor), (TaskIdle::Disabled, None));
        let main = config.clients.main_consumer();
        assert_eq!(main.get("fetch.min.bytes"), Some("3"));
        assert_eq!(config.clients.restore_consumer().get("fetch.min.bytes"), Some("2"));
        assert_eq!(config.clients.producer().get("request.timeout.ms"), Some("5000"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        check_refused(
            "num.stream.threads",
            "0",
            "`num.stream.threads` cannot be `0`: a stream thread is needed",
        );
        check_refused(
            "commit.interval.ms",
            "soon",
            "`commit.interval.ms` cannot be `soon`: a whole number within the setting's range is needed",
        );
        check_refused(
            "application.id",
            "a b",
            "`application.id` cannot be `a b`: it is part of topic names: letters, digits, '.', '_' and '-' only",
        );
        check_refused(
            "consumer.enable.auto.commit",
            "true",
            "`consumer.enable.auto.commit` cannot be `true`: the stream processor sets it itself",
        );
        check_refused(
            "processing.guarantee",
            "exactly_once_v2",
            "`processing.guarantee` cannot be `exactly_once_v2`: only `at_least_once` is supported",
        );
    }
}
