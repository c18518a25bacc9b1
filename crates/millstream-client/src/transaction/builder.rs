//! The builder of transactional producers: a producer's settings and two more.

use std::time::Duration;

use millstream_client_core::transaction::TransactionConfig;
use millstream_protocol::compression::Compression;

use super::TransactionalProducer;
use crate::IoThread;
use crate::config::{ConfigError, Properties, PropertyReader};
use crate::error::BuildError;
use crate::producer::ProducerBuilder;
use crate::producer::blocking::block_on;

/// When a coordinator aborts a transaction that is still open, unless the builder says otherwise.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Settings of a transactional producer on its way to be built.
///
/// The settings of [`ProducerBuilder`] that are not offered here too can be set there first:
/// [`ProducerBuilder::transactional`] goes on with them.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct TransactionalProducerBuilder {
    producer: ProducerBuilder,
    transactional_id: String,
    transaction_timeout: Duration,
    properties: Properties,
}

/// Setters that hand on to the producer's builder.
macro_rules! producer_setters {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),+);)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, $($argument: $type),+) -> Self {
            self.producer = self.producer.$name($($argument),+);
            self
        }
    )*};
}

impl TransactionalProducerBuilder {
    pub(crate) const fn new(producer: ProducerBuilder, transactional_id: String) -> Self {
        Self {
            producer,
            transactional_id,
            transaction_timeout: TRANSACTION_TIMEOUT,
            properties: Properties::new(),
        }
    }

    /// When the coordinator aborts a transaction that is still open, and fences its producer; brokers
    /// allow 15 minutes at most unless told otherwise. Default: 60 s.
    #[doc(alias = "transaction.timeout.ms")]
    pub const fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_timeout = timeout;
        self
    }

    producer_setters! {
        /// The name by which brokers log and meter this client.
        #[doc(alias = "client.id")]
        client_id(id: impl Into<String>);
        /// How long one request may take. Default: 30 s.
        #[doc(alias = "request.timeout.ms")]
        request_timeout(timeout: Duration);
        /// How long `enqueue` may wait for memory or for a topic, and each of begin, commit, abort
        /// and the commit of offsets for the coordinator. Default: 60 s.
        #[doc(alias = "max.block.ms")]
        max_block(timeout: Duration);
        /// When a record that is not acknowledged is given up, counted from its acceptance; its
        /// transaction can only be aborted then. Default: 120 s.
        #[doc(alias = "delivery.timeout.ms")]
        delivery_timeout(timeout: Duration);
        /// The waits between two tries of a request: from `initial`, doubling, to `max`. Default:
        /// 100 ms to 1 s.
        #[doc(alias = "retry.backoff.ms")]
        retry_backoff(initial: Duration, max: Duration);
        /// How long a batch waits for more records; a commit does not wait. Default: 5 ms.
        #[doc(alias = "linger.ms")]
        linger(linger: Duration);
        /// The size at which a batch is full, before compression. Default: 128 KiB (Java's: 16 KiB).
        #[doc(alias = "batch.size")]
        batch_size(bytes: usize);
        /// The codec of batches. Default: none.
        #[doc(alias = "compression.type")]
        compression(codec: Compression);
        /// The bytes that accepted records may take until they are acknowledged. Default: 32 MiB.
        #[doc(alias = "buffer.memory")]
        buffer_memory(bytes: usize);
        /// How many requests a broker may have unanswered. Default: 5, the most there may be.
        #[doc(alias = "max.in.flight.requests.per.connection")]
        max_in_flight(requests: usize);
        /// Runs the client on this thread, which several clients can share, instead of one of its
        /// own.
        io_thread(thread: &IoThread);
        /// What random choices are drawn from, so that a run can be repeated. Default: random.
        seed(seed: u64);
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

    /// Builds the producer and gets its producer id. That fences whoever held the transactional id
    /// before, and aborts what they left open.
    ///
    /// # Errors
    /// A setting is wrong, or the coordinator gave no producer id within `max.block`.
    ///
    /// # Cancel safety
    /// Dropped after the first poll, an older holder may be fenced all the same.
    pub async fn build(self) -> Result<TransactionalProducer, BuildError> {
        let producer = self.build_now()?;
        producer.initialize().await?;
        Ok(producer)
    }

    /// [`build`](Self::build) for threads without a runtime.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_blocking(self) -> Result<TransactionalProducer, BuildError> {
        let producer = self.build_now()?;
        block_on(producer.initialize())?;
        Ok(producer)
    }

    fn build_now(mut self) -> Result<TransactionalProducer, BuildError> {
        self.read_properties()?;
        if self.transactional_id.is_empty() {
            return Err(ConfigError::Missing { name: "transactional.id" }.into());
        }
        let millis = self.transaction_timeout.as_millis();
        if millis == 0 || millis > i32::MAX as u128 {
            return Err(BuildError::Config(ConfigError::Invalid {
                name: "transaction.timeout.ms",
                value: millis.to_string(),
                expected: format!("a whole number from 1 to {}", i32::MAX),
            }));
        }
        let config = TransactionConfig::new(self.transactional_id, self.transaction_timeout);
        let transactional_id = std::sync::Arc::clone(&config.transactional_id);
        let producer = self.producer.properties(&self.properties).build_with(Some(config))?;
        Ok(TransactionalProducer::new(producer, transactional_id))
    }

    /// Takes over the properties that only transactional producers have.
    fn read_properties(&mut self) -> Result<(), ConfigError> {
        self.producer.give_properties(&mut self.properties);
        if let Some(id) = self.properties.take("transactional.id") {
            id.trim().clone_into(&mut self.transactional_id);
        }
        if let Some(timeout) = self.properties.take("transaction.timeout.ms") {
            let mut properties = Properties::new();
            properties.set("transaction.timeout.ms", timeout);
            let mut reader = PropertyReader::new(&properties);
            let millis = reader.millis("transaction.timeout.ms")?;
            self.transaction_timeout = millis.unwrap_or(self.transaction_timeout);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millstream_client_core::outbox::Acks;
    use millstream_protocol::ErrorClass;

    use super::*;

    fn builder() -> TransactionalProducerBuilder {
        TransactionalProducer::builder(["localhost:9"], "billing")
    }

    fn error_of(builder: TransactionalProducerBuilder) -> String {
        match builder.build_now() {
            Ok(_) => "built".to_owned(),
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::InvalidConfiguration);
                error.to_string()
            }
        }
    }

    #[test]
    fn javas_names_are_read_and_stand_above_the_typed_settings() {
        let mut builder = ProducerBuilder::new(["localhost:9"])
            .property("transaction.timeout.ms", "7000")
            .property("max.block.ms", "5")
            .transactional("typed")
            .transaction_timeout(Duration::from_secs(1))
            .property("transactional.id", "from a file");
        builder.read_properties().unwrap();
        assert_eq!(builder.transactional_id, "from a file");
        assert_eq!(builder.transaction_timeout, Duration::from_secs(7));
        assert_eq!(builder.properties.get("max.block.ms"), Some("5"));
        let producer = builder.build_now().unwrap();
        assert_eq!(producer.transactional_id(), "from a file");
        assert_eq!(producer.max_block, Duration::from_millis(5));
    }

    #[test]
    fn what_transactions_cannot_be_had_with_is_refused() {
        for (builder, named) in [
            (builder().property("acks", "1"), "acks=1"),
            (builder().property("enable.idempotence", "false"), "enable.idempotence"),
            (builder().max_in_flight(6), "max.in.flight.requests.per.connection=6"),
            (builder().transaction_timeout(Duration::ZERO), "transaction.timeout.ms = \"0\""),
            (builder().property("transaction.timeout.ms", "long"), "transaction.timeout.ms"),
            (builder().property("transactional.id", " "), "transactional.id is not set"),
            (builder().property("linger.msec", "1"), "linger.ms"),
        ] {
            let message = error_of(builder);
            assert!(message.contains(named), "{named}: {message}");
        }
        let plain = ProducerBuilder::new(["localhost:9"]).acks(Acks::Leader).transactional("x");
        assert!(error_of(plain).contains("acks=1"));
        let plain = ProducerBuilder::new(["localhost:9"]).property("transactional.id", "x");
        let error = plain.build_blocking().map(drop).unwrap_err().to_string();
        assert!(error.contains("TransactionalProducer"), "{error}");
    }
}
