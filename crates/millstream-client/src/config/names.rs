//! The property names of Kafka's clients, and what becomes of those that a client does not read.

/// What a property is that its client did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A property of another client, or of the JVM: no harm in passing it over.
    NotOurs,
    /// What it tunes is done in another way here: said in the log, and passed over.
    NoEffect(&'static str),
    /// It asks for what this client cannot do: passing it over would do harm.
    Unsupported(&'static str),
    /// No Kafka client knows it; perhaps this one was meant.
    Unknown(Option<&'static str>),
}

/// What becomes of a property that its client did not read.
pub(super) fn standing(name: &str) -> Standing {
    if let Some((_, reason)) = UNSUPPORTED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Standing::Unsupported(reason);
    }
    if let Some((_, reason)) = NO_EFFECT.iter().find(|(known, _)| *known == name) {
        return Standing::NoEffect(reason);
    }
    let known = PRODUCER.iter().chain(CONSUMER).chain(COMMON).chain(JVM);
    if known.clone().any(|known| *known == name) {
        return Standing::NotOurs;
    }
    let close = known
        .map(|known| (distance(known, name), *known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    Standing::Unknown(close.map(|(_, known)| known))
}

/// Properties by prefix that change what goes over the wire.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("ssl.", "TLS is not built in; use a PLAINTEXT listener"),
    ("sasl.", "SASL is not built in; use a PLAINTEXT listener"),
    ("interceptor.classes", "interceptors are Java classes; wrap the client instead"),
    ("partitioner.rack.aware", "racks do not choose partitions (KIP-1123)"),
    ("client.software.", "brokers are told Millstream's own name and version"),
    ("topic.blacklist", "name the topics that are wanted"),
];

/// Properties, most of them librdkafka's, of mechanisms that this client does not have or need.
const NO_EFFECT: &[(&str, &str)] = &[
    ("batch.num.messages", "batches are bounded by batch.size"),
    ("bootstrap.resolve.timeout.ms", "names are resolved anew at each attempt to connect"),
    ("broker.address.ttl", "names are resolved anew at each attempt to connect"),
    ("coordinator.query.interval.ms", "a coordinator is looked up when it is not known"),
    ("debug", "use a tracing subscriber"),
    ("delivery.report.only.error", "every delivery can be looked at or dropped"),
    ("enable.metrics.push", "brokers are not sent metrics (KIP-714)"),
    ("log_level", "use a tracing subscriber"),
    ("queue.buffering.backpressure.threshold", "requests are built when a broker can take one"),
    ("queue.buffering.max.messages", "records are bounded by buffer.memory"),
    ("socket.max.fails", "a connection whose request timed out is closed"),
    ("statistics.interval.ms", "use `metrics`, or a recorder of the metrics facade"),
    ("sticky.partitioning.linger.ms", "records without a key stick to a partition for a batch"),
    ("topic.metadata.propagation.max.ms", "a topic is waited for as long as max.block.ms"),
    ("topic.metadata.refresh.fast.interval.ms", "waits between tries follow retry.backoff.ms"),
];

const COMMON: &[&str] = &[
    "bootstrap.controllers",
    "bootstrap.servers",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "receive.buffer.bytes",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "security.protocol",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
];

const PRODUCER: &[&str] = &[
    "acks",
    "batch.size",
    "buffer.memory",
    "compression.codec",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.level",
    "compression.type",
    "compression.zstd.level",
    "delivery.timeout.ms",
    "enable.idempotence",
    "key.serializer",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "max.in.flight",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "metadata.max.idle.ms",
    "partitioner",
    "partitioner.class",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.ignore.keys",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.ms",
    "request.required.acks",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.timeout.ms",
    "transaction.timeout.ms",
    "transaction.two.phase.commit.enable",
    "transactional.id",
    "value.serializer",
];

const CONSUMER: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "enable.auto.commit",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "key.deserializer",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "value.deserializer",
];

/// What only a JVM can make use of.
const JVM: &[&str] = &[
    "auto.include.jmx.reporter",
    "config.providers",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "security.providers",
];

/// How many letters must change to get from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_foreign_from_unsupported_from_unknown() {
        assert_eq!(standing("key.serializer"), Standing::NotOurs);
        assert!(matches!(standing("ssl.keystore.location"), Standing::Unsupported(_)));
        assert!(matches!(standing("statistics.interval.ms"), Standing::NoEffect(_)));
        assert_eq!(standing("linger.sm"), Standing::Unknown(Some("linger.ms")));
        assert_eq!(standing("no.such.thing.at.all"), Standing::Unknown(None));
    }
}
