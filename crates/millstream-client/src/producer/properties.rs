//! The properties of producers by Kafka's names, and by librdkafka's.

use millstream_client_core::outbox::Acks;
use millstream_client_core::producer::{Partitioner, ProducerConfig, TopicCompression};
use millstream_protocol::compression::Compression;

use super::config::ProducerBuilder;
use crate::config::{ConfigError, PropertyReader, translate};

/// `topic.compression.type.<topic>`: the codec of one topic.
const TOPIC_CODEC: &str = "topic.compression.type.";

/// `topic.compression.level.<topic>`: the level of one topic's codec.
const TOPIC_LEVEL: &str = "topic.compression.level.";

/// Where Java's own partitioners are.
const JAVA_PARTITIONERS: &str = "org.apache.kafka.clients.producer.";

impl ProducerBuilder {
    /// Takes over the properties.
    ///
    /// # Errors
    /// One is wrong, or asks for what this client cannot do.
    pub(super) fn read_properties(&mut self) -> Result<(), ConfigError> {
        let properties = translate(&std::mem::take(&mut self.properties))?;
        let mut reader = PropertyReader::of(&properties);
        self.client.read(&mut reader)?;
        if let Some(on) = reader.flag("enable.idempotence")? {
            self.idempotence = Some(on);
        }
        let idle = &mut self.client.engine.metadata_max_idle;
        set(idle, reader.millis("metadata.max.idle.ms")?);
        let auto_create = reader.flag("allow.auto.create.topics")?;
        set(&mut self.auto_create_topics, auto_create);
        read_delivery(&mut self.config, &mut reader)?;
        read_batches(&mut self.config, &mut reader)?;
        read_partitioner(&mut self.config, &mut reader)?;
        read_compression(&mut self.config, &mut reader)?;
        read_what_cannot_be(&mut reader)?;
        reader.finish()
    }
}

/// When a record counts as written, and when it is given up.
fn read_delivery(
    config: &mut ProducerConfig,
    reader: &mut PropertyReader<'_>,
) -> Result<(), ConfigError> {
    let acks = [("all", Acks::All), ("-1", Acks::All), ("1", Acks::Leader), ("0", Acks::None)];
    set(&mut config.acks, reader.one_of("acks", &acks)?);
    set(&mut config.retries, reader.number("retries", 0..=i32::MAX as u32)?);
    set(&mut config.max_block, reader.millis("max.block.ms")?);
    set(&mut config.delivery_timeout, reader.millis("delivery.timeout.ms")?);
    let name = "max.in.flight.requests.per.connection";
    set(&mut config.max_in_flight, reader.number(name, 1..=i32::MAX as usize)?);
    Ok(())
}

/// What a batch and a request hold.
fn read_batches(
    config: &mut ProducerConfig,
    reader: &mut PropertyReader<'_>,
) -> Result<(), ConfigError> {
    let size = 1..=i32::MAX as usize;
    set(&mut config.linger, reader.millis("linger.ms")?);
    // As in Java, 0 means batches of one record.
    let batch_size = reader.number("batch.size", 0..=i32::MAX as usize)?;
    set(&mut config.batch_size, batch_size.map(|bytes| bytes.max(1)));
    set(&mut config.buffer_memory, reader.number("buffer.memory", 1..=usize::MAX)?);
    set(&mut config.max_request_size, reader.number("max.request.size", size)?);
    Ok(())
}

/// How partitions are chosen.
fn read_partitioner(
    config: &mut ProducerConfig,
    reader: &mut PropertyReader<'_>,
) -> Result<(), ConfigError> {
    let ignore_keys = reader.flag("partitioner.ignore.keys")?;
    set(&mut config.ignore_keys, ignore_keys);
    let name = "partitioner.adaptive.partitioning.enable";
    set(&mut config.adaptive_partitioning, reader.flag(name)?);
    let name = "partitioner.availability.timeout.ms";
    set(&mut config.availability_timeout, reader.millis(name)?);
    let names = Partitioner::NAMED.map(|(name, _)| name).join(", ");
    let by_name = |text: &str| {
        let found = Partitioner::NAMED.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, partitioner)| partitioner)
    };
    let expected = format!("one of {names}");
    let chosen = reader.value("partitioner", &expected, by_name)?;
    let is_chosen = chosen.is_some();
    set(&mut config.partitioner, chosen);
    let expected = format!(
        "{JAVA_PARTITIONERS}RoundRobinPartitioner, or one of {names}; give a partitioner of your \
         own by the builder's `partitioner`"
    );
    // Java's class names; the classes that 4.0 removed mean settings of the built-in one.
    let class = reader.value("partitioner.class", &expected, |text| {
        match text.strip_prefix(JAVA_PARTITIONERS) {
            Some("RoundRobinPartitioner") => Some((Partitioner::RoundRobin, false)),
            Some("internals.DefaultPartitioner") => Some((Partitioner::Sticky, false)),
            Some("UniformStickyPartitioner") => Some((Partitioner::Sticky, true)),
            Some(_) => None,
            None if text.is_empty() => Some((Partitioner::Sticky, false)),
            None => by_name(text).map(|partitioner| (partitioner, false)),
        }
    })?;
    if let Some((partitioner, ignores_keys)) = class {
        if is_chosen && partitioner != config.partitioner {
            return Err(ConfigError::Conflict {
                first: "partitioner",
                second: "partitioner.class",
                reason: "they are two names of one setting; keep one".to_owned(),
            });
        }
        config.partitioner = partitioner;
        config.ignore_keys |= ignores_keys;
    }
    Ok(())
}

/// How batches are compressed, of all topics and of some.
fn read_compression(
    config: &mut ProducerConfig,
    reader: &mut PropertyReader<'_>,
) -> Result<(), ConfigError> {
    let codecs = Compression::ALL.map(|codec| (codec.name(), codec));
    set(&mut config.compression, reader.one_of("compression.type", &codecs)?);
    // As in Java, the levels of other codecs are checked and of no use.
    for (codec, name, levels) in [
        (Compression::Gzip, "compression.gzip.level", -1..=9),
        (Compression::Lz4, "compression.lz4.level", 1..=17),
        (Compression::Zstd, "compression.zstd.level", -131_072..=22),
    ] {
        let level = reader.number(name, levels)?;
        if level.is_some() && codec == config.compression {
            config.compression_level = level;
        }
    }
    // librdkafka's one level for all codecs; -1 is each codec's default.
    if let Some(level) = reader.number("compression.level", -1..=12)? {
        config.compression_level = Some(level).filter(|level| *level != -1);
    }
    for (topic, text) in reader.with_prefix(TOPIC_CODEC) {
        let codec = Compression::ALL.into_iter().find(|codec| codec.name() == text);
        let codec = codec.ok_or_else(|| ConfigError::InvalidNamed {
            name: format!("{TOPIC_CODEC}{topic}"),
            value: text.to_owned(),
            expected: "one of none, gzip, snappy, lz4, zstd",
        })?;
        topic_compression(config, topic).codec = Some(codec);
    }
    for (topic, text) in reader.with_prefix(TOPIC_LEVEL) {
        let level = text.parse().map_err(|_| ConfigError::InvalidNamed {
            name: format!("{TOPIC_LEVEL}{topic}"),
            value: text.to_owned(),
            expected: "a level of the topic's codec",
        })?;
        topic_compression(config, topic).level = Some(level);
    }
    Ok(())
}

/// Properties of which only the value that changes nothing can be had.
fn read_what_cannot_be(reader: &mut PropertyReader<'_>) -> Result<(), ConfigError> {
    for (name, harmless, reason) in [
        ("interceptor.classes", "", "interceptors are given by the builder's `interceptor`"),
        ("transactional.id", "", "build a `TransactionalProducer`"),
        ("transaction.two.phase.commit.enable", "false", "two-phase commit is not built in"),
        ("metadata.cluster.check.enable", "false", "clusters are not compared (KIP-1242)"),
        ("enable.gapless.guarantee", "false", "a batch that fails ends alone; see `abort`"),
        ("socket.nagle.disable", "true", "small requests are never held back"),
        ("socket.keepalive.enable", "true", "keep-alive is always on"),
        ("broker.address.family", "any", "all addresses of a host are tried"),
    ] {
        reader.only(name, harmless, reason)?;
    }
    Ok(())
}

/// The compression of one topic, to be changed.
pub(super) fn topic_compression<'c>(
    config: &'c mut ProducerConfig,
    topic: &str,
) -> &'c mut TopicCompression {
    config.topic_compression.entry(topic.into()).or_default()
}

fn set<T>(into: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *into = read;
    }
}
