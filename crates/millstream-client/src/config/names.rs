//! The property names of Kafka's clients, and what becomes of those that a client does not read.

/// What a property is that its client did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A property of another client, or of the JVM: no harm in passing it over.
    NotOurs,
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
    ("partitioner.class", "partitioners are Java classes; name the partition of each record"),
    ("transactional.id", "transactions are not built in"),
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
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delivery.timeout.ms",
    "enable.idempotence",
    "key.serializer",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "metadata.max.idle.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.ignore.keys",
    "transaction.timeout.ms",
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
    "enable.metrics.push",
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
        assert_eq!(standing("linger.sm"), Standing::Unknown(Some("linger.ms")));
        assert_eq!(standing("no.such.thing.at.all"), Standing::Unknown(None));
    }
}
