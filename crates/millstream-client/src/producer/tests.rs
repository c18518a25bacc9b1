//! What a producer's configuration takes, refuses and says.

use std::time::Duration;

use millstream_client_core::outbox::Acks;
use millstream_client_core::producer::{Partitioner, ProducerConfig};
use millstream_protocol::compression::Compression;

use super::ProducerBuilder;

fn builder() -> ProducerBuilder {
    ProducerBuilder::new(["localhost:9"])
}

fn with(properties: &[(&str, &str)]) -> ProducerBuilder {
    properties.iter().fold(builder(), |builder, (name, value)| builder.property(*name, *value))
}

/// The core's settings that properties make.
fn read(properties: &[(&str, &str)]) -> ProducerConfig {
    let mut builder = with(properties);
    match builder.read_properties() {
        Ok(()) => builder.config,
        Err(error) => panic!("{properties:?}: {error}"),
    }
}

/// What building says.
fn said(builder: ProducerBuilder) -> String {
    match builder.build_blocking() {
        Ok(_) => "built".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_property_of_javas_producer_is_heard() {
    let millis = Duration::from_millis;
    type Check = fn(&ProducerConfig) -> bool;
    let checks: [(&str, &str, Check); 18] = [
        ("acks", "1", |config| config.acks == Acks::Leader),
        ("retries", "7", |config| config.retries == 7),
        ("max.in.flight.requests.per.connection", "3", |config| config.max_in_flight == 3),
        ("delivery.timeout.ms", "31000", |config| config.delivery_timeout.as_millis() == 31_000),
        ("linger.ms", "7", |config| config.linger.as_millis() == 7),
        ("batch.size", "100", |config| config.batch_size == 100),
        ("batch.size", "0", |config| config.batch_size == 1),
        ("buffer.memory", "200000", |config| config.buffer_memory == 200_000),
        ("max.block.ms", "8", |config| config.max_block.as_millis() == 8),
        ("max.request.size", "9000", |config| config.max_request_size == 9_000),
        ("compression.type", "lz4", |config| config.compression == Compression::Lz4),
        ("partitioner.class", "", |config| config.partitioner == Partitioner::Sticky),
        (
            "partitioner.class",
            "org.apache.kafka.clients.producer.RoundRobinPartitioner",
            |config| config.partitioner == Partitioner::RoundRobin,
        ),
        (
            "partitioner.class",
            "org.apache.kafka.clients.producer.UniformStickyPartitioner",
            |config| config.partitioner == Partitioner::Sticky && config.ignore_keys,
        ),
        ("partitioner", "fnv1a_random", |config| config.partitioner == Partitioner::Fnv1aRandom),
        ("partitioner.ignore.keys", "true", |config| config.ignore_keys),
        ("partitioner.adaptive.partitioning.enable", "false", |config| {
            !config.adaptive_partitioning
        }),
        ("partitioner.availability.timeout.ms", "30", |config| {
            config.availability_timeout.as_millis() == 30
        }),
    ];
    for (name, value, is_heard) in checks {
        assert!(is_heard(&read(&[(name, value)])), "{name}={value}");
    }
    let mut builder = with(&[("metadata.max.idle.ms", "5"), ("enable.idempotence", "false")]);
    assert!(builder.read_properties().is_ok());
    assert_eq!(builder.client.engine.metadata_max_idle, millis(5));
    assert_eq!(builder.idempotence, Some(false));
    for foreign in ["key.serializer", "value.serializer", "metric.reporters"] {
        read(&[(foreign, "org.apache.kafka.Whatever")]);
    }
}

#[test]
fn levels_belong_to_their_codecs() {
    let gzip = [
        ("compression.type", "gzip"),
        ("compression.gzip.level", "3"),
        ("compression.zstd.level", "4"),
    ];
    assert_eq!(read(&gzip).compression_level, Some(3));
    let codec = [("compression.codec", "gzip"), ("compression.level", "4")];
    assert_eq!(read(&codec).compression_level, Some(4), "librdkafka's names");
    let default = [("compression.codec", "gzip"), ("compression.level", "-1")];
    assert_eq!(read(&default).compression_level, None);
    let topic =
        [("topic.compression.type.my.topic", "gzip"), ("topic.compression.level.my.topic", "9")];
    let own = read(&topic).topic_compression["my.topic"];
    assert_eq!((own.codec, own.level), (Some(Compression::Gzip), Some(9)));
}

/// Properties, and words of what is said of them.
type Refusal<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

/// Settings that no producer can have, with what the refusal must name.
const REFUSALS: &[Refusal<'static>] = &[
    (&[("acks", "2")], &["acks = \"2\"", "all, -1, 1, 0"]),
    (&[("retries", "-1")], &["retries", "0 to 2147483647"]),
    (&[("linger.ms", "-5")], &["linger.ms", "0 or more"]),
    (&[("batch.size", "big")], &["batch.size", "a whole number from 0"]),
    (&[("buffer.memory", "0")], &["buffer.memory", "from 1"]),
    (&[("max.request.size", "0")], &["max.request.size", "from 1"]),
    (&[("max.in.flight.requests.per.connection", "0")], &["max.in.flight", "from 1"]),
    (&[("compression.type", "brotli")], &["compression.type", "none, gzip, snappy, lz4, zstd"]),
    (&[("compression.gzip.level", "10")], &["compression.gzip.level", "-1 to 9"]),
    (&[("compression.lz4.level", "18")], &["compression.lz4.level", "1 to 17"]),
    (&[("compression.zstd.level", "23")], &["compression.zstd.level", "to 22"]),
    (&[("compression.type", "gzip"), ("compression.gzip.level", "0")], &["gzip", "1 to 9"]),
    (&[("compression.type", "lz4"), ("compression.lz4.level", "3")], &["lz4", "level 3", "9"]),
    (
        &[("topic.compression.type.t", "snappy"), ("topic.compression.level.t", "1")],
        &["topic t", "snappy", "no level"],
    ),
    (&[("topic.compression.type.t", "rar")], &["topic.compression.type.t", "none, gzip"]),
    (&[("topic.compression.level.t", "high")], &["topic.compression.level.t", "high"]),
    (
        &[("partitioner.class", "com.example.Mine")],
        &["partitioner.class", "RoundRobinPartitioner", "murmur2_random", "`partitioner`"],
    ),
    (&[("partitioner", "best")], &["partitioner = \"best\"", "consistent_random"]),
    (
        &[("partitioner", "random"), ("partitioner.class", "fnv1a")],
        &["partitioner and partitioner.class"],
    ),
    (
        &[("partitioner", "fnv1a"), ("partitioner.ignore.keys", "true")],
        &["partitioner.ignore.keys=true", "partitioner=fnv1a"],
    ),
    (
        &[
            ("partitioner.availability.timeout.ms", "5"),
            ("partitioner.adaptive.partitioning.enable", "false"),
        ],
        &["availability.timeout.ms=5", "adaptive.partitioning.enable=false"],
    ),
    (&[("acks", "1"), ("enable.idempotence", "true")], &["enable.idempotence=true", "acks=1"]),
    (
        &[("retries", "0"), ("enable.idempotence", "true")],
        &["enable.idempotence=true", "retries=0"],
    ),
    (
        &[("max.in.flight", "6"), ("enable.idempotence", "true")],
        &["enable.idempotence=true", "connection=6"],
    ),
    (
        &[("delivery.timeout.ms", "1000")],
        &["delivery.timeout.ms=1000", "linger.ms=5", "request.timeout.ms=30000"],
    ),
    (
        &[("buffer.memory", "1000"), ("batch.size", "2000")],
        &["batch.size=2000", "buffer.memory=1000"],
    ),
    (&[("interceptor.classes", "a.B")], &["interceptor.classes", "`interceptor`"]),
    (&[("transactional.id", "t")], &["transactional.id", "TransactionalProducer"]),
    (&[("transaction.two.phase.commit.enable", "true")], &["two.phase.commit", "not built in"]),
    (&[("metadata.cluster.check.enable", "true")], &["metadata.cluster.check.enable"]),
    (&[("enable.gapless.guarantee", "true")], &["enable.gapless.guarantee"]),
    (&[("socket.nagle.disable", "false")], &["socket.nagle.disable"]),
    (&[("client.software.name", "me")], &["client.software.name"]),
    (&[("security.protocol", "SSL")], &["security.protocol", "PLAINTEXT"]),
    (&[("queue.buffering.max.ms", "x")], &["queue.buffering.max.ms", "milliseconds"]),
    (&[("request.required.acks", "7")], &["request.required.acks = \"7\"", "all, -1, 1, 0"]),
    (&[("linger.sm", "1")], &["linger.sm", "linger.ms"]),
];

#[test]
fn what_is_wrong_is_refused_by_name_with_the_legal_values() {
    for (properties, words) in REFUSALS {
        let message = said(with(properties));
        for word in *words {
            assert!(message.contains(word), "{properties:?}: {message} lacks {word}");
        }
    }
}

#[test]
fn idempotence_goes_by_itself_where_it_cannot_be_had() {
    for properties in [
        &[("acks", "1")][..],
        &[("acks", "0")],
        &[("retries", "0")],
        &[("max.in.flight", "1000000")],
    ] {
        assert_eq!(said(with(properties)), "built", "{properties:?}");
    }
    assert_eq!(said(builder().retries(0).idempotence(false)), "built");
    assert!(said(builder().retries(0).idempotence(true)).contains("retries=0"));
}

#[test]
fn what_has_no_effect_here_is_said_and_passed_over() {
    for name in [
        "batch.num.messages",
        "queue.buffering.max.messages",
        "sticky.partitioning.linger.ms",
        "statistics.interval.ms",
        "enable.metrics.push",
        "debug",
    ] {
        read(&[(name, "1")]);
    }
}

/// A whole configuration as a user of librdkafka brings it.
#[test]
fn a_file_of_librdkafka_is_understood() {
    let config = read(&[
        ("metadata.broker.list", "localhost:9092"),
        ("request.required.acks", "all"),
        ("enable.idempotence", "true"),
        ("max.in.flight", "5"),
        ("message.send.max.retries", "10"),
        ("message.timeout.ms", "300000"),
        ("queue.buffering.max.ms", "20.5"),
        ("queue.buffering.max.kbytes", "65536"),
        ("message.max.bytes", "2000000"),
        ("compression.codec", "lz4"),
        ("partitioner", "murmur2_random"),
        ("socket.keepalive.enable", "true"),
        ("topic.metadata.refresh.interval.ms", "60000"),
    ]);
    assert_eq!((config.acks, config.retries, config.max_in_flight), (Acks::All, 10, 5));
    assert_eq!(config.delivery_timeout, Duration::from_secs(300));
    assert_eq!(config.linger, Duration::from_millis(21));
    assert_eq!((config.buffer_memory, config.max_request_size), (64 << 20, 2_000_000));
    assert_eq!(config.partitioner, Partitioner::Murmur2Random);
}
