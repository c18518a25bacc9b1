//! The builder of producers: Kafka's words, Java's defaults, and its property names beside them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_client_core::Engine;
use millstream_client_core::outbox::Acks;
use millstream_client_core::producer::{
    Clock, Partitioner, ProducerConfig, ProducerConfigError, ProducerInterceptor, ProducerMachine,
    ProducerShared,
};
use millstream_client_core::transaction::{TransactionConfig, TransactionMachine};
use millstream_protocol::compression::Compression;
use millstream_types::Timestamp;

use super::Producer;
use super::properties::topic_compression;
use super::workers::CompressionThreads;
use crate::config::{ClientConfig, ConfigError, Properties, client_setters};
use crate::driver;
use crate::error::BuildError;
use crate::metrics::ProducerPublisher;
use crate::net::TcpConnector;
use crate::transaction::TransactionalProducerBuilder;

/// Settings of a producer on its way to be built.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct ProducerBuilder {
    pub(super) client: ClientConfig,
    pub(super) config: ProducerConfig,
    /// As the caller said; Java turns idempotence off by itself where it cannot be had.
    pub(super) idempotence: Option<bool>,
    pub(super) auto_create_topics: bool,
    pub(super) properties: Properties,
}

impl ProducerBuilder {
    pub(crate) fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            client: ClientConfig::new(bootstrap, "millstream-producer"),
            config: ProducerConfig::default(),
            idempotence: None,
            auto_create_topics: true,
            properties: Properties::new(),
        }
    }

    client_setters!();

    /// How many replicas must have a record before it counts as written. Default: all in sync.
    pub const fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether brokers drop the duplicates that retries make. Default: on, unless other settings
    /// rule it out.
    #[doc(alias = "enable.idempotence")]
    pub const fn idempotence(mut self, on: bool) -> Self {
        self.idempotence = Some(on);
        self
    }

    /// How long a batch waits for more records. Default: 5 ms.
    #[doc(alias = "linger.ms")]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The size at which a batch is full, before compression. Default: 128 KiB (Java's: 16 KiB).
    #[doc(alias = "batch.size")]
    pub const fn batch_size(mut self, bytes: usize) -> Self {
        self.config.batch_size = bytes;
        self
    }

    /// The codec of batches. Default: none.
    #[doc(alias = "compression.type")]
    pub const fn compression(mut self, codec: Compression) -> Self {
        self.config.compression = codec;
        self
    }

    /// The level of the codec. A level that the codec does not have here is refused.
    #[doc(alias = "compression.gzip.level")]
    #[doc(alias = "compression.zstd.level")]
    pub const fn compression_level(mut self, level: i32) -> Self {
        self.config.compression_level = Some(level);
        self
    }

    /// The codec of one topic's batches, instead of that of all topics.
    pub fn topic_compression(mut self, topic: &str, codec: Compression) -> Self {
        topic_compression(&mut self.config, topic).codec = Some(codec);
        self
    }

    /// The level of one topic's codec. A level that the codec does not have here is refused.
    pub fn topic_compression_level(mut self, topic: &str, level: i32) -> Self {
        topic_compression(&mut self.config, topic).level = Some(level);
        self
    }

    /// The bytes that accepted records may take until they are acknowledged. Default: 32 MiB.
    #[doc(alias = "buffer.memory")]
    pub const fn buffer_memory(mut self, bytes: usize) -> Self {
        self.config.buffer_memory = bytes;
        self
    }

    /// How long `enqueue` may wait for memory or for a topic. Default: 60 s.
    #[doc(alias = "max.block.ms")]
    pub const fn max_block(mut self, timeout: Duration) -> Self {
        self.config.max_block = timeout;
        self
    }

    /// When a record that is not acknowledged is given up, counted from its acceptance. Default: 120 s.
    #[doc(alias = "delivery.timeout.ms")]
    pub const fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// How often a batch is sent again after an answer that asks for it, or none. Default: as often
    /// as the delivery timeout allows.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// How many requests a broker may have unanswered. Default: 5, the most with idempotence.
    #[doc(alias = "max.in.flight.requests.per.connection")]
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.config.max_in_flight = requests;
        self
    }

    /// The largest request, and with it the largest record. Default: 1 MiB.
    #[doc(alias = "max.request.size")]
    pub const fn max_request_size(mut self, bytes: usize) -> Self {
        self.config.max_request_size = bytes;
        self
    }

    /// How the partition of a record is chosen that names none. Default: Java's built-in way.
    ///
    /// ```
    /// use millstream_client::{Partitioner, Producer, Record};
    /// use millstream_client::producer::TopicPartitions;
    /// use millstream_types::PartitionId;
    ///
    /// let by_length = |record: &Record<'_>, topic: &TopicPartitions<'_>| {
    ///     let length = record.value_bytes().map_or(0, <[u8]>::len);
    ///     PartitionId((length % topic.count() as usize) as i32)
    /// };
    /// let builder = Producer::builder(["localhost:9092"]).partitioner(Partitioner::custom(by_length));
    /// ```
    #[doc(alias = "partitioner.class")]
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// Appends a hook of the application's.
    #[doc(alias = "interceptor.classes")]
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor) -> Self {
        self.config.interceptors.add(Arc::new(interceptor));
        self
    }

    /// Whether records with a key are spread like those without one. Default: no.
    #[doc(alias = "partitioner.ignore.keys")]
    pub const fn partitioner_ignore_keys(mut self, ignore: bool) -> Self {
        self.config.ignore_keys = ignore;
        self
    }

    /// Whether partitions with longer queues get fewer of the records without a key (KIP-794).
    /// Default: yes.
    #[doc(alias = "partitioner.adaptive.partitioning.enable")]
    pub const fn adaptive_partitioning(mut self, on: bool) -> Self {
        self.config.adaptive_partitioning = on;
        self
    }

    /// When a broker that answers no request gets no more of the records without a key (KIP-794);
    /// zero: never. Default: never.
    #[doc(alias = "partitioner.availability.timeout.ms")]
    pub const fn availability_timeout(mut self, timeout: Duration) -> Self {
        self.config.availability_timeout = timeout;
        self
    }

    /// Whether naming a topic may create it, where the brokers allow it
    /// (`auto.create.topics.enable`). Default: yes, as Java's producer.
    pub const fn auto_create_topics(mut self, on: bool) -> Self {
        self.auto_create_topics = on;
        self
    }

    /// Sets a property by Kafka's name. Properties stand above the typed settings.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.set(name, value);
        self
    }

    /// Sets properties by Kafka's names, as from a file. They stand above the typed settings.
    pub fn properties(mut self, properties: &Properties) -> Self {
        self.properties.extend(properties.iter());
        self
    }

    /// Builds the producer. Brokers are met when the first record needs them.
    ///
    /// # Errors
    /// A setting is wrong, or the I/O thread cannot be started.
    ///
    /// # Cancel safety
    /// Nothing is waited for: dropped before the first poll, nothing was built.
    #[allow(clippy::unused_async)] // Room to meet the cluster here, without a change for callers.
    pub async fn build(self) -> Result<Producer, BuildError> {
        self.build_with(None)
    }

    /// [`build`](Self::build) for threads without a runtime. It does not block either.
    ///
    /// # Errors
    /// A setting is wrong, or the I/O thread cannot be started.
    pub fn build_blocking(self) -> Result<Producer, BuildError> {
        self.build_with(None)
    }

    /// Goes on to build a producer whose records go in transactions, under this name.
    pub fn transactional(
        self,
        transactional_id: impl Into<String>,
    ) -> TransactionalProducerBuilder {
        TransactionalProducerBuilder::new(self, transactional_id.into())
    }

    /// Moves the properties set so far below those in `into`.
    pub(crate) fn give_properties(&mut self, into: &mut Properties) {
        let mut properties = std::mem::take(&mut self.properties);
        properties.extend(into.iter());
        *into = properties;
    }

    /// Builds the producer; with `transactions` its records wait for one to be begun.
    pub(crate) fn build_with(
        mut self,
        transactions: Option<TransactionConfig>,
    ) -> Result<Producer, BuildError> {
        self.read_properties()?;
        let mut engine_config = self.client.engine()?;
        engine_config.allow_auto_create_topics = self.auto_create_topics;
        let mut config = self.config;
        config.request_timeout = engine_config.request_timeout;
        config.retry_backoff = engine_config.retry_backoff;
        config.seed = engine_config.seed;
        config.idempotence = match self.idempotence {
            Some(on) => on,
            None if transactions.is_some() => true,
            None => config.acks == Acks::All && config.max_in_flight <= 5 && config.retries > 0,
        };
        if transactions.is_some() && !config.idempotence {
            return Err(BuildError::Config(ConfigError::Conflict {
                first: "enable.idempotence",
                second: "transactional.id",
                reason: "transactions need an idempotent producer: leave it true".to_owned(),
            }));
        }
        let workers = Arc::new(CompressionThreads::new(&config));
        let delivery_timeout = config.delivery_timeout;
        let shared =
            ProducerShared::new(config, Arc::new(SystemClock), workers).map_err(invalid)?;
        let machine = ProducerMachine::new(Arc::clone(&shared));
        let mut engine = Engine::new(&engine_config, Some(machine), None);
        if let Some(transactions) = transactions {
            engine = engine.with_transactions(TransactionMachine::new(TransactionConfig {
                retry_backoff: engine_config.retry_backoff,
                // Another stream of choices than the engine's own.
                seed: engine_config.seed.rotate_left(1),
                ..transactions
            }));
        }
        let connector = TcpConnector { options: self.client.socket.clone() };
        let thread = self.client.thread()?;
        let publisher = ProducerPublisher::new(Arc::clone(&shared), engine_config.client_id);
        let handle = driver::spawn(&thread, engine, Arc::new(connector), publisher);
        shared.set_driver_waker(handle.waker());
        Ok(Producer::new(shared, handle, delivery_timeout))
    }
}

/// Puts what the core found wrong into the words of all clients.
fn invalid(error: ProducerConfigError) -> BuildError {
    BuildError::Config(ConfigError::Producer(error))
}

/// The clocks of the operating system.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 is set wrong; 0 is the nearest valid time.
        let millis = since_epoch.map_or(0, |since| since.as_millis());
        Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}
