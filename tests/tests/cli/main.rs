//! The `millstream` command, end to end, against the broker that it brings itself and real Kafka.

mod admin;
mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use millstream_tests::cluster::unique;
use millstream_tests::deadline::{run, step};
use serde_json::Value;

use support::{Broker, DEADLINE, eventually, failure, json, millstream, on_both, output, success};

#[test]
fn lines_go_in_and_come_out() {
    on_both("lines_go_in_and_come_out", |bootstrap| {
        let topic = &*unique("cli");
        success(&["topics", "create", topic, "-b", bootstrap, "--partitions", "1"], "");
        let input = "a:1\nno key\n:empty key\nb:2:3\r\n\n";
        let produce = ["produce", topic, "-b", bootstrap, "--key-separator", ":"];
        let output = output(&produce, input);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr.lines().last(), Some("sent 5 acked 5 failed 0 unknown 0"));

        let consume = ["consume", topic, "-b", bootstrap, "--until-end"];
        assert_eq!(success(&consume, ""), "1\nno key\nempty key\n2:3\n\n");
        let format = [&consume[..], &["--format", r"%p/%o\t%k=%v\n"]].concat();
        let text = success(&format, "");
        assert_eq!(text, "0/0\ta=1\n0/1\t=no key\n0/2\t=empty key\n0/3\tb=2:3\n0/4\t=\n");
        let first = [&consume[..], &["--count", "2"]].concat();
        assert_eq!(success(&first, ""), "1\nno key\n");

        let json = [&consume[..], &["--format", "json"]].concat();
        let lines = success(&json, "");
        let records: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records.len(), 5);
        assert_eq!(records[0]["topic"], topic);
        assert_eq!((&records[0]["key"], &records[0]["value"]), (&"a".into(), &"1".into()));
        assert_eq!(records[1]["key"], Value::Null);
        assert_eq!(records[2]["key"], "");
        assert_eq!(records[3]["offset"], 3);
    });
}

#[test]
fn every_codec_and_level_of_acks() {
    on_both("every_codec_and_level_of_acks", |bootstrap| {
        let topic = &*unique("codecs");
        success(&["topics", "create", topic, "-b", bootstrap, "--partitions", "1"], "");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines.txt");
        fs::write(&file, "one\ntwo\nthree").unwrap();
        let file = file.to_str().unwrap();
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let produce = ["produce", topic, "-b", bootstrap, "--file", file];
            success(&[&produce[..], &["--compression", codec, "--acks", "all"]].concat(), "");
        }
        for acks in ["0", "1"] {
            success(&["produce", topic, "-b", bootstrap, "--acks", acks], "x\n");
        }
        let consume = ["consume", topic, "-b", bootstrap, "--count", "17"];
        let text = success(&consume, "");
        assert_eq!(text, ["one\ntwo\nthree\n"; 5].concat() + "x\nx\n");
    });
}

#[test]
fn topics_are_managed() {
    on_both("topics_are_managed", |bootstrap| {
        let topic = &*unique("managed");
        let create = ["topics", "create", topic, "-b", bootstrap, "--partitions", "3"];
        let config = [&create[..], &["--config", "cleanup.policy=compact"]].concat();
        success(&config, "");
        let error = failure(&create);
        assert!(error.contains(topic) && error.contains("TOPIC_ALREADY_EXISTS"), "{error}");
        let list = success(&["topics", "list", "-b", bootstrap], "");
        assert!(list.lines().any(|line| line == topic), "{list}");
        let list = success(&["topics", "list", "-b", bootstrap, "--json"], "");
        let list: Vec<String> = serde_json::from_str(&list).unwrap();
        assert!(list.iter().any(|name| name == topic));

        let text = success(&["topics", "describe", topic, "-b", bootstrap], "");
        assert!(text.contains("cleanup.policy  compact"), "{text}");
        let text = success(&["topics", "describe", topic, "-b", bootstrap, "--json"], "");
        let described: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(described[topic]["partitions"].as_array().map(Vec::len), Some(3));
        assert_eq!(described[topic]["configs"]["cleanup.policy"], "compact");

        success(&["topics", "add-partitions", topic, "--to", "4", "-b", bootstrap], "");
        let resource = &*format!("topic/{topic}");
        let alter = ["configs", "alter", resource, "-b", bootstrap, "--set", "retention.ms=1000"];
        success(&[&alter[..], &["--delete", "cleanup.policy"]].concat(), "");
        eventually(&["configs", "describe", resource, "-b", bootstrap], |settings| {
            let all = settings.as_array().unwrap().iter();
            let own: Vec<_> =
                all.filter(|setting| setting["source"] == "DYNAMIC_TOPIC_CONFIG").collect();
            matches!(&own[..], [one] if one["name"] == "retention.ms" && one["value"] == "1000")
        });

        step("records are deleted");
        success(&["produce", topic, "-b", bootstrap, "--key-separator", ":"], "a:1\nb:2\nc:3\n");
        let ends = json(&["topics", "offsets", topic, "-b", bootstrap]);
        let ends = ends.as_array().unwrap();
        assert_eq!(ends.len(), 4);
        assert_eq!(ends.iter().map(|row| row["end"].as_i64().unwrap()).sum::<i64>(), 3);
        let all: Vec<_> = (0..4).map(|partition| format!("{topic}:{partition}=end")).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        success(&[&["topics", "delete-records", "-b", bootstrap], &all[..]].concat(), "");
        let rows = json(&["topics", "offsets", topic, "-b", bootstrap]);
        assert!(rows.as_array().unwrap().iter().all(|row| row["first"] == row["end"]), "{rows}");

        success(&["topics", "delete", topic, "-b", bootstrap], "");
        let absent = &*unique("absent");
        for verb in ["delete", "describe"] {
            let error = failure(&["topics", verb, absent, "-b", bootstrap]);
            assert!(error.contains(absent), "{error}");
        }
    });
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    on_both("a_group_goes_on_where_it_stopped", |bootstrap| {
        let (topic, group) = (&*unique("group"), &*unique("group"));
        success(&["topics", "create", topic, "-b", bootstrap, "--partitions", "1"], "");
        success(&["produce", topic, "-b", bootstrap], "1\n2\n3\n4\n5\n");
        let consume = ["consume", topic, "-b", bootstrap, "--group", group];
        let count = |n| success(&[&consume[..], &["--count", n]].concat(), "");
        assert_eq!(count("2"), "1\n2\n", "only what was printed is committed");
        assert_eq!(count("1"), "3\n");
        assert_eq!(success(&[&consume[..], &["--until-end"]].concat(), ""), "4\n5\n");
        assert_eq!(success(&[&consume[..], &["--until-end"]].concat(), ""), "");
    });
}

#[test]
fn a_member_that_is_killed_is_replaced() {
    on_both("a_member_that_is_killed_is_replaced", |bootstrap| {
        let (topic, group) = (&*unique("killed"), &*unique("killed"));
        success(&["topics", "create", topic, "-b", bootstrap, "--partitions", "2"], "");
        success(&["produce", topic, "-b", bootstrap], "1\n");
        let consume = ["consume", topic, "-b", bootstrap, "--group", group];
        let consume = [&consume[..], &["-X", "session.timeout.ms=6000"]].concat();
        let mut victim = millstream(&consume).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut printed = BufReader::new(victim.stdout.take().unwrap());
        printed.read_line(&mut line).unwrap();
        assert_eq!(line, "1\n");
        step("kill it while it is a member");
        victim.kill().unwrap();
        victim.wait().unwrap();
        success(&["produce", topic, "-b", bootstrap], "2\n");
        // The victim may or may not have committed before it died.
        let text = success(&[&consume[..], &["--until-end"]].concat(), "");
        assert!(text == "2\n" || text.lines().count() == 2, "{text}");
    });
}

#[test]
fn properties_come_from_files_and_options() {
    on_both("properties_come_from_files_and_options", |bootstrap| {
        let topic = &*unique("properties");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.properties");
        let text = format!("# as Java reads it\nbootstrap.servers = {bootstrap}\nacks=all\n");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        success(&["topics", "create", topic, "-F", file, "--partitions", "1"], "");
        success(&["produce", topic, "-F", file, "-X", "compression.type=gzip"], "v\n");
        assert_eq!(success(&["consume", topic, "-F", file, "--until-end"], ""), "v\n");
        let error = failure(&["produce", topic, "-F", file, "-X", "linger.msec=5"]);
        assert!(error.contains("linger.msec") && error.contains("linger.ms"), "{error}");
        let error = failure(&["produce", topic, "-F", file, "-X", "acks=two"]);
        assert!(error.contains("acks") && error.contains("two"), "{error}");
        let error = failure(&["produce", topic, "-F", "/no/such/file"]);
        assert!(error.contains("/no/such/file"), "{error}");
    });
}

#[test]
fn what_cannot_work_says_why() {
    on_both("what_cannot_work_says_why", |bootstrap| {
        let absent = &*unique("absent");
        let error = failure(&["consume", absent, "-b", bootstrap, "--until-end"]);
        assert!(error.contains(absent), "{error}");
        let topic = &*unique("refusing");
        let create = ["topics", "create", topic, "-b", bootstrap, "--partitions", "1"];
        success(&[&create[..], &["--config", "max.message.bytes=100"]].concat(), "");
        let long = "x".repeat(200);
        let output = output(&["produce", topic, "-b", bootstrap], &format!("short\n{long}\n"));
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().last(), Some("sent 2 acked 1 failed 1 unknown 0"), "{stderr}");
        assert!(stderr.contains("MESSAGE_TOO_LARGE"), "{stderr}");
        let error = failure(&["consume", topic, "-b", bootstrap, "--format", "%q"]);
        assert!(error.contains("%q") && error.contains("%k"), "{error}");
    });
}

#[test]
fn nobody_at_the_address() {
    run("nobody_at_the_address", DEADLINE, || async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = &*listener.local_addr().unwrap().to_string();
        drop(listener);
        let quick = ["-X", "default.api.timeout.ms=500", "-X", "max.block.ms=500"];
        for verb in [&["topics", "list"][..], &["consume", "t"], &["produce", "t"]] {
            let error = failure(&[verb, &["-b", address], &quick].concat());
            assert!(error.contains(address) && error.contains("refused"), "{verb:?}: {error}");
        }
        let error = failure(&["topics", "list"]);
        assert!(error.contains("--bootstrap"), "{error}");
    });
}

#[test]
fn a_broker_of_several_nodes() {
    run("a_broker_of_several_nodes", DEADLINE, || async {
        let broker = Broker::start(&["--nodes", "3"]);
        assert_eq!(broker.bootstrap.split(',').count(), 3);
        let bootstrap = &*broker.bootstrap;
        success(&["topics", "create", "t", "-b", bootstrap, "--partitions", "6"], "");
        let lines: String = (0..100).map(|n| format!("{n}:{n}\n")).collect();
        success(&["produce", "t", "-b", bootstrap, "--key-separator", ":"], &lines);
        let text = success(&["consume", "t", "-b", bootstrap, "--until-end"], "");
        let mut seen: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
        step("a second broker on the same port");
        let address = bootstrap.split(',').next().unwrap();
        let error = failure(&["broker", "--listen", address]);
        assert!(error.contains(address), "{error}");
    });
}
