//! Configurations of all but topics.

use millstream_protocol::messages as m;
use millstream_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

use crate::peer::{Peer, eventually, name, text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

fn alter(peer: &mut Peer, kind: i8, of: &str, configs: &[(&str, i8, Option<&str>)], dry: bool) {
    let configs_of = configs.iter().map(|(name, operation, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(of))
        .with_configs(configs_of.collect());
    let request = m::IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(dry);
    let answer = peer.any().ask(1, &request);
    let altered = &answer.responses[0];
    let message = altered.error_message.as_deref();
    let said = format!("{} {message:?}", name(altered.error_code));
    peer.tell(&format!("{kind} {of:?} {configs:?}"), said);
}

fn described(peer: &Peer, kind: i8, of: &str, keys: Option<&[&str]>) -> Vec<String> {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(of))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request = m::DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let answer = peer.any().ask(4, &request);
    let result = &answer.results[0];
    if result.error_code != 0 {
        // What is said of kinds that do not exist is the general sentence of the code.
        let message = result.error_message.as_deref();
        let message = message.filter(|_| [BROKER, LOGGER, METRICS, GROUP].contains(&kind));
        return vec![format!("{} {message:?}", name(result.error_code))];
    }
    let mut lines: Vec<_> = result
        .configs
        .iter()
        .map(|config| {
            let value = config.value.as_deref();
            let (source, kind) = (config.config_source, config.config_type);
            let hidden = (config.is_sensitive, config.read_only);
            format!("{}={value:?} from {source}, type {kind} {hidden:?}", &*config.name)
        })
        .collect();
    lines.sort_unstable();
    lines
}

fn tell_described(peer: &mut Peer, kind: i8, of: &str, keys: Option<&[&str]>) {
    for line in described(peer, kind, of, keys) {
        peer.tell(&format!("described {kind} {of:?}"), line);
    }
}

pub(crate) fn groups_and_metrics(peer: &mut Peer) {
    let (group, metrics) = (peer.unique("group"), peer.unique("metrics"));
    tell_described(peer, GROUP, &group, None);
    tell_described(peer, METRICS, &metrics, None);
    for (kind, of) in [(GROUP, ""), (METRICS, ""), (64, "x"), (1, "x"), (0, "x")] {
        tell_described(peer, kind, of, None);
        alter(peer, kind, of, &[("interval.ms", 0, Some("1000"))], false);
    }
    for configs in [
        ("no.such", 0, Some("1")),
        ("consumer.session.timeout.ms", 0, Some("soon")),
        ("consumer.session.timeout.ms", 0, Some("0")),
        ("consumer.session.timeout.ms", 0, None),
        ("share.isolation.level", 0, Some("none")),
        ("consumer.session.timeout.ms", 0, Some("50000")),
    ] {
        alter(peer, GROUP, &group, &[configs], false);
    }
    for configs in [
        ("no.such", 0, Some("1")),
        ("interval.ms", 0, Some("99")),
        ("interval.ms", 0, Some("often")),
        ("match", 0, Some("colour=red")),
        ("metrics", 2, Some("org.apache.kafka.producer")),
        ("interval.ms", 0, Some("1000")),
    ] {
        alter(peer, METRICS, &metrics, &[configs], false);
    }
    let twice = [("interval.ms", 0, Some("1000")), ("interval.ms", 1, None)];
    alter(peer, METRICS, &metrics, &twice, false);
    let is = |kind, of: &str, wanted: &str| {
        described(peer, kind, of, None).iter().any(|line| line.starts_with(wanted))
    };
    eventually(|| is(GROUP, &group, "consumer.session.timeout.ms=Some(\"50000\")"));
    eventually(|| is(METRICS, &metrics, "interval.ms=Some(\"1000\")"));
    let keys = Some(&["consumer.session.timeout.ms", "share.session.timeout.ms"][..]);
    tell_described(peer, GROUP, &group, keys);
    tell_described(peer, METRICS, &metrics, None);
    listed(peer, &[&group, &metrics]);
    alter(peer, GROUP, &group, &[("consumer.session.timeout.ms", 1, None)], false);
    let reset = [("interval.ms", 1, None), ("metrics", 1, None)];
    alter(peer, METRICS, &metrics, &reset, false);
}

/// Which of these are listed, and how many nodes.
fn listed(peer: &mut Peer, names: &[&str]) {
    for (version, kinds) in
        [(1, vec![]), (1, vec![GROUP]), (1, vec![BROKER, LOGGER]), (0, vec![]), (1, vec![64])]
    {
        let request = m::ListConfigResourcesRequest::default().with_resource_types(kinds.clone());
        let answer = peer.any().ask(version, &request);
        let mut found: Vec<_> = answer
            .config_resources
            .iter()
            .filter(|one| one.resource_type != TOPIC)
            .map(|one| (one.resource_type, one.resource_name.to_string()))
            .filter(|(kind, of)| [BROKER, LOGGER].contains(kind) || names.contains(&of.as_str()))
            .collect();
        found.sort();
        let said = format!("{} {found:?}", name(answer.error_code));
        peer.tell(&format!("listed {version} {kinds:?}"), said);
    }
}

pub(crate) fn nodes(peer: &mut Peer) {
    for of in ["x", "77", "2"] {
        tell_described(peer, BROKER, of, None);
        tell_described(peer, LOGGER, of, None);
        alter(peer, BROKER, of, &[("log.cleaner.threads", 0, Some("2"))], true);
        alter(peer, LOGGER, of, &[("root", 0, Some("INFO"))], true);
    }
    tell_described(peer, LOGGER, "", None);
    let keys = Some(&["log.cleaner.threads", "log.retention.bytes"][..]);
    tell_described(peer, BROKER, "1", keys);
    for of in ["1", ""] {
        for configs in [
            ("log.cleaner.threads", 0, Some("many")),
            ("log.cleaner.threads", 0, Some("1")),
            ("log.dirs", 0, Some("/x")),
            ("num.partitions", 0, Some("9")),
            ("no.such", 0, Some("1")),
            ("log.cleaner.threads", 2, Some("1")),
        ] {
            alter(peer, BROKER, of, &[configs], true);
        }
    }
    for configs in [
        ("root", 0, Some("LOUD")),
        ("root", 1, None),
        ("no.such.logger", 0, Some("INFO")),
        ("root", 2, Some("INFO")),
        ("root", 0, Some("INFO")),
    ] {
        alter(peer, LOGGER, "1", &[configs], true);
    }
}
