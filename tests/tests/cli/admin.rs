//! Every verb of administration, once each against real Kafka.

use std::time::Duration;

use millstream_client::{Record, TransactionalProducer};
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{run, step};
use serde_json::Value;

use crate::support::{DEADLINE, eventually, failure, json, misuse, output, success};

/// Runs a scenario on real Kafka.
fn on_kafka(name: &'static str, scenario: fn(&str)) {
    run(name, DEADLINE, move || async move { scenario(&TestCluster::kafka().bootstrap()) });
}

/// The rows of a JSON array whose field has this value.
fn rows<'a>(all: &'a Value, field: &str, value: &str) -> Vec<&'a Value> {
    all.as_array().unwrap().iter().filter(|row| row[field] == value).collect()
}

#[test]
fn rules_of_access() {
    on_kafka("rules_of_access", |bootstrap| {
        let topic = &*unique("acls");
        let resource = &*format!("topic/{topic}");
        let create = ["acls", "create", "-b", bootstrap, "--principal", "User:alice"];
        let create = [&create[..], &["--operation", "read,write", "--resource", resource]].concat();
        success(&create, "");
        let list = ["acls", "list", "-b", bootstrap, "--resource", resource];
        let all = eventually(&list, |all| all.as_array().unwrap().len() == 2);
        assert_eq!(rows(&all, "operation", "READ")[0]["principal"], "User:alice");
        assert_eq!(rows(&all, "operation", "WRITE")[0]["permission"], "ALLOW");
        success(&[&create[..], &["--deny", "--prefixed", "--host", "10.0.0.1"]].concat(), "");
        let all = eventually(&list, |all| all.as_array().unwrap().len() == 4);
        assert_eq!(rows(&all, "pattern", "PREFIXED").len(), 2);
        assert_eq!(rows(&all, "host", "10.0.0.1").len(), 2);

        let error = failure(&["acls", "delete", "-b", bootstrap]);
        assert!(error.contains("--all"), "{error}");
        let delete = ["acls", "delete", "-b", bootstrap, "--resource", resource];
        let deleted = json(&[&delete[..], &["--permission", "deny"]].concat());
        assert_eq!(deleted.as_array().unwrap().len(), 2);
        assert_eq!(json(&delete).as_array().unwrap().len(), 2);
        eventually(&list, |all| all.as_array().unwrap().is_empty());
        let error = misuse(&["acls", "list", "-b", bootstrap, "--resource", "shelf/x"]);
        assert!(error.contains("shelf") && error.contains("TOPIC"), "{error}");
    });
}

#[test]
fn quotas() {
    on_kafka("quotas", |bootstrap| {
        let user = &*format!("user/{}", unique("quotas"));
        let alter = ["quotas", "alter", user, "client-id/app", "-b", bootstrap];
        let set = ["--set", "producer_byte_rate=1048576", "--set", "request_percentage=50"];
        success(&[&alter[..], &set, &["--validate-only"]].concat(), "");
        let list = ["quotas", "list", user, "client-id/app", "-b", bootstrap];
        assert_eq!(json(&list).as_array().map(Vec::len), Some(0), "it was only a check");
        success(&[&alter[..], &set].concat(), "");
        let all = eventually(&list, |all| all.as_array().unwrap().len() == 1);
        assert_eq!(all[0]["quotas"]["producer_byte_rate"], 1_048_576.0);
        assert_eq!(all[0]["quotas"]["request_percentage"], 50.0);
        let remove = ["--remove", "producer_byte_rate", "--remove", "request_percentage"];
        success(&[&alter[..], &remove].concat(), "");
        eventually(&list, |all| all.as_array().unwrap().is_empty());
        let error = failure(&[&alter[..], &["--set", "no_such_rate=1"]].concat());
        assert!(error.contains("no_such_rate"), "{error}");
    });
}

#[test]
fn passwords_of_users() {
    on_kafka("passwords_of_users", |bootstrap| {
        let user = &*unique("scram");
        let set = ["users", "set", user, "-b", bootstrap, "--mechanism"];
        success(&[&set[..], &["scram-sha-256", "--iterations", "8192"]].concat(), "secret\n");
        success(&[&set[..], &["SCRAM-SHA-512"]].concat(), "secret\n");
        let list = ["users", "list", user, "-b", bootstrap];
        let all = eventually(&list, |all| all.as_array().unwrap().len() == 2);
        assert_eq!(rows(&all, "mechanism", "SCRAM-SHA-256")[0]["iterations"], 8192);
        assert!(!rows(&json(&["users", "list", "-b", bootstrap]), "user", user).is_empty());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let delete = ["users", "delete", user, "-b", bootstrap, "--mechanism", mechanism];
            success(&delete, "");
        }
        let empty = output(&[&set[..], &["SCRAM-SHA-512"]].concat(), "");
        assert_eq!(empty.status.code(), Some(1));
        let error = misuse(&["users", "delete", user, "-b", bootstrap, "--mechanism", "md5"]);
        assert!(error.contains("SCRAM-SHA-256"), "{error}");
    });
}

#[test]
fn the_cluster_is_shown_and_changed() {
    on_kafka("the_cluster_is_shown_and_changed", |bootstrap| {
        let cluster = json(&["cluster", "describe", "-b", bootstrap, "--registered"]);
        let nodes = cluster["brokers"].as_array().unwrap().len();
        assert!(cluster["id"].is_string() && nodes >= 1, "{cluster}");
        let features = json(&["cluster", "features", "-b", bootstrap]);
        let level = rows(&features, "feature", "metadata.version")[0]["level"].as_i64().unwrap();
        assert!(level > 0, "{features}");
        let set = ["cluster", "set-feature", "group.version", "99", "-b", bootstrap];
        let error = failure(&[&set[..], &["--validate-only"]].concat());
        assert!(error.contains("group.version"), "{error}");

        let quorum = json(&["cluster", "quorum", "-b", bootstrap]);
        let voters = rows(&quorum["controllers"], "role", "voter");
        assert_eq!(voters.len(), nodes, "{quorum}");
        step("from a controller itself");
        let controller = voters[0]["addresses"][0].as_str().unwrap();
        let own = json(&["cluster", "quorum", "--controllers", controller]);
        assert_eq!(own["leader"], quorum["leader"]);
        let error = failure(&["topics", "list", "--controllers", controller]);
        assert!(error.contains("cannot serve Metadata"), "{error}");

        let directory = "AAAAAAAAAAAAAAAAAAAAAQ";
        let voter = ["77", "--directory", directory, "-b", bootstrap];
        let endpoint = ["--endpoint", "CONTROLLER=localhost:9"];
        let add = [&["cluster", "add-voter"], &voter[..], &endpoint].concat();
        // The voters of these clusters are fixed by configuration.
        let error = failure(&add);
        assert!(error.contains("UNSUPPORTED_VERSION"), "{error}");
        let error = failure(&[&["cluster", "remove-voter"], &voter[..]].concat());
        assert!(error.contains("UNSUPPORTED_VERSION"), "{error}");
        let error = failure(&["cluster", "unregister", "4711", "-b", bootstrap]);
        assert!(error.contains("BROKER_ID_NOT_REGISTERED"), "{error}");

        let folders = json(&["cluster", "log-dirs", "-b", bootstrap]);
        assert_eq!(folders.as_array().unwrap().len(), 2 * nodes, "{folders}");
    });
}

#[test]
fn replicas_move() {
    on_kafka("replicas_move", |bootstrap| {
        let topic = &*unique("moving");
        let create = ["topics", "create", topic, "-b", bootstrap, "--replicas", "1,2"];
        success(&[&create[..], &["--replicas", "2,3", "--validate-only"]].concat(), "");
        success(&[&create[..], &["--replicas", "2,3"]].concat(), "");
        let describe = ["topics", "describe", topic, "-b", bootstrap];
        let replicas = |described: &Value| described[topic]["partitions"][0]["replicas"].clone();
        eventually(&describe, |described| replicas(described) == serde_json::json!([1, 2]));
        success(&["produce", topic, "-b", bootstrap], "1\n2\n3\n");

        step("to other brokers");
        let target = &*format!("{topic}:0=3,1");
        success(&["reassign", "start", target, "-b", bootstrap], "");
        let in_sync = |described: &Value| {
            described[topic]["partitions"][0]["inSync"].as_array().unwrap().len() == 2
        };
        eventually(&describe, |described| {
            replicas(described) == serde_json::json!([3, 1]) && in_sync(described)
        });
        let moves = json(&["reassign", "list", "-b", bootstrap]);
        assert!(rows(&moves, "topic", topic).is_empty(), "{moves}");
        let partition = &*format!("{topic}:0");
        let error = failure(&["reassign", "cancel", partition, "-b", bootstrap]);
        assert!(error.contains("NO_REASSIGNMENT_IN_PROGRESS"), "{error}");

        step("the preferred leader");
        let elected = json(&["topics", "elect-leaders", partition, "-b", bootstrap]);
        assert_eq!(elected[0]["topic"], topic);
        let leader = |described: &Value| described[topic]["partitions"][0]["leader"].clone();
        eventually(&describe, |described| leader(described) == 3);
        success(&["topics", "elect-leaders", "--all", "-b", bootstrap], "");

        step("to another folder");
        let replicas = ["cluster", "log-dirs", "3", "--replicas", "-b", bootstrap];
        let folders = |all: &Value| -> Vec<String> {
            let rows = rows(all, "topic", topic).into_iter().filter(|row| row["partition"] == 0);
            rows.map(|row| row["folder"].as_str().unwrap().to_owned()).collect()
        };
        let before = folders(&json(&replicas));
        let all = json(&["cluster", "log-dirs", "3", "-b", bootstrap]);
        let paths = all.as_array().unwrap().iter().map(|row| row["folder"].as_str().unwrap());
        let other = paths.into_iter().find(|path| *path != before[0]).unwrap();
        let target = &*format!("{topic}:0={other}");
        success(&["reassign", "to-dir", target, "--broker", "3", "-b", bootstrap], "");
        eventually(&replicas, |all| folders(all) == [other]);
        success(&["topics", "delete", topic, "-b", bootstrap], "");
    });
}

#[test]
fn topics_are_deleted_by_id() {
    on_kafka("topics_are_deleted_by_id", |bootstrap| {
        let topic = &*unique("by-id");
        success(&["topics", "create", topic, "--partitions", "1", "-b", bootstrap], "");
        let described = json(&["topics", "describe", topic, "-b", bootstrap]);
        let id = described[topic]["id"].as_str().unwrap();
        let option = &*format!("--id={id}");
        success(&["topics", "delete", option, "-b", bootstrap], "");
        let error = failure(&["topics", "delete", option, "-b", bootstrap]);
        assert!(error.contains("UNKNOWN_TOPIC_ID"), "{error}");
        let add = ["topics", "add-partitions", topic, "--to", "3", "--validate-only"];
        let error = failure(&[&add[..], &["-b", bootstrap]].concat());
        assert!(error.contains(topic), "{error}");
    });
}

#[test]
fn settings_of_every_kind() {
    on_kafka("settings_of_every_kind", |bootstrap| {
        let metrics = &*format!("client-metrics/{}", unique("metrics"));
        let group = &*format!("group/{}", unique("group"));
        let set = |resource: &str, setting: &str, more: &[&str]| {
            let alter = ["configs", "alter", resource, "--set", setting, "-b", bootstrap];
            success(&[&alter[..], more].concat(), "");
        };
        set(metrics, "interval.ms=60000", &[]);
        set(group, "consumer.session.timeout.ms=50000", &[]);
        set("broker/1", "log.cleaner.threads=1", &["--validate-only"]);
        set("brokers", "log.cleaner.threads=1", &["--validate-only"]);
        let loggers = json(&["configs", "describe", "broker-logger/1", "-b", bootstrap, "--all"]);
        let logger = loggers[0]["name"].as_str().unwrap();
        set("broker-logger/1", &format!("{logger}=INFO"), &[]);
        for (resource, name, value) in [
            (metrics, "interval.ms", "60000"),
            (group, "consumer.session.timeout.ms", "50000"),
            ("broker-logger/1", logger, "INFO"),
        ] {
            let describe = ["configs", "describe", resource, "--all", "-b", bootstrap];
            eventually(&describe, |all| {
                rows(all, "name", name).first().is_some_and(|row| row["value"] == value)
            });
        }
        let describe = ["configs", "describe", "broker/1", "--synonyms", "--documentation"];
        let all = json(&[&describe[..], &["-b", bootstrap]].concat());
        let found = rows(&all, "name", "min.insync.replicas");
        assert!(!found[0]["synonyms"].as_array().unwrap().is_empty(), "{found:?}");
        assert!(found[0]["documentation"].is_string(), "{found:?}");
        let listed = json(&["configs", "list", "-b", bootstrap]);
        let has = |name: &str| listed.as_array().unwrap().iter().any(|one| one == name);
        assert!(has(metrics) && has(group) && has("broker/1"), "{listed}");
        let error = failure(&["configs", "alter", "broker/1", "-b", bootstrap]);
        assert!(error.contains("--set"), "{error}");
    });
}

#[test]
fn groups_of_consumers() {
    on_kafka("groups_of_consumers", |bootstrap| {
        let (topic, group) = (&*unique("grouped"), &*unique("grouped"));
        success(&["topics", "create", topic, "--partitions", "2", "-b", bootstrap], "");
        success(&["produce", topic, "-b", bootstrap], "1\n2\n3\n4\n5\n");
        let consume = ["consume", topic, "-b", bootstrap, "--group", group, "--until-end"];
        success(&consume, "");
        let listed = json(&["groups", "list", "--type", "classic", "-b", bootstrap]);
        assert_eq!(rows(&listed, "group", group)[0]["protocol"], "consumer");
        let described = json(&["groups", "describe", group, "-b", bootstrap]);
        assert_eq!(described[group]["state"], "Empty");
        let lag = |bootstrap: &str| -> i64 {
            let lags = json(&["groups", "lag", group, "-b", bootstrap]);
            lags.as_array().unwrap().iter().map(|row| row["lag"].as_i64().unwrap()).sum()
        };
        assert_eq!(lag(bootstrap), 0);
        let (first, second) = (&*format!("{topic}:0=0"), &*format!("{topic}:1=0"));
        success(&["groups", "set-offsets", group, first, second, "-b", bootstrap], "");
        assert_eq!(lag(bootstrap), 5);
        let partition = &*format!("{topic}:0");
        success(&["groups", "delete-offsets", group, partition, "-b", bootstrap], "");
        let lags = json(&["groups", "lag", group, "-b", bootstrap]);
        assert_eq!(lags.as_array().unwrap().len(), 1, "{lags}");
        let remove = ["groups", "remove-members", group, "--instance", "nobody", "-b", bootstrap];
        assert!(failure(&remove).contains("UNKNOWN_MEMBER_ID"));
        success(&["groups", "remove-members", group, "--all", "-b", bootstrap], "");
        success(&["groups", "delete", group, "-b", bootstrap], "");
        assert!(failure(&["groups", "delete", group, "-b", bootstrap]).contains(group));
    });
}

#[test]
fn share_groups() {
    on_kafka("share_groups", |bootstrap| {
        let (topic, group) = (&*unique("shared"), &*unique("shared"));
        success(&["topics", "create", topic, "--partitions", "1", "-b", bootstrap], "");
        let offset = &*format!("{topic}:0=0");
        let set = ["groups", "set-offsets", group, offset, "--share", "-b", bootstrap];
        success(&set, "");
        eventually(&["groups", "list", "--type", "share", "-b", bootstrap], |listed| {
            !rows(listed, "group", group).is_empty()
        });
        let described = json(&["groups", "describe", group, "-b", bootstrap]);
        assert_eq!(described[group]["type"], "Share");
        let partition = &*format!("{topic}:0");
        let delete = ["groups", "delete-offsets", group, partition, "--share", "-b", bootstrap];
        success(&delete, "");
        success(&["groups", "delete", group, "-b", bootstrap], "");
    });
}

#[test]
fn tokens_need_an_authenticated_connection() {
    on_kafka("tokens_need_an_authenticated_connection", |bootstrap| {
        for verb in [&["create"][..], &["renew", "00ff"], &["expire", "00ff"], &["list"]] {
            let error = failure(&[&["tokens"], verb, &["-b", bootstrap]].concat());
            let is_refused = error.contains("DELEGATION_TOKEN_REQUEST_NOT_ALLOWED")
                || error.contains("DELEGATION_TOKEN_AUTH_DISABLED");
            assert!(is_refused, "{verb:?}: {error}");
        }
    });
}

#[test]
fn transactions_are_shown_fenced_and_aborted() {
    run("transactions_are_shown_fenced_and_aborted", DEADLINE, || async {
        let bootstrap = TestCluster::kafka().bootstrap();
        let (topic, id) = (unique("txns"), unique("txns"));
        let create = ["topics", "create", &topic, "--partitions", "1", "-b", &bootstrap];
        success(&create, "");
        let builder = TransactionalProducer::builder([&bootstrap], id.as_str());
        let producer = builder.build().await.unwrap();
        let open = producer.begin_owned().await.unwrap();
        open.send(&Record::to(topic.as_str()).partition(0).value(b"open")).await.unwrap();

        let list = ["txns", "list", "--state", "Ongoing", "-b", &bootstrap];
        let listed = json(&list);
        assert_eq!(rows(&listed, "transactionalId", &id).len(), 1, "{listed}");
        let long = json(&[&list[..], &["--open-for", "1h"]].concat());
        assert!(rows(&long, "transactionalId", &id).is_empty(), "{long}");
        let described = json(&["txns", "describe", &id, "-b", &bootstrap]);
        let partition = &*format!("{topic}:0");
        assert_eq!(described[&*id]["state"], "Ongoing");
        assert_eq!(described[&*id]["partitions"][0], partition);
        let producers = ["txns", "producers", partition, "-b", &bootstrap];
        let found = json(&producers);
        assert_eq!(found[0]["transactionStart"], 0, "{found}");

        step("a marker past the coordinator");
        let abort = ["txns", "abort", partition, "-b", &bootstrap, "--start-offset"];
        let error = failure(&[&abort[..], &["7"]].concat());
        assert!(error.contains("no transaction is open"), "{error}");
        success(&[&abort[..], &["0"]].concat(), "");
        eventually(&producers, |found| found[0]["transactionStart"].is_null());

        step("fencing");
        let fenced = json(&["txns", "fence", &id, "-b", &bootstrap]);
        assert_eq!(fenced[0]["transactionalId"], &*id);
        let (producer, committed) = open.commit().await;
        assert!(committed.is_err(), "a fenced producer has committed");
        producer.close(Duration::from_secs(5)).await;
        let terminate = ["txns", "terminate", &id, "-b", &bootstrap];
        success(&terminate, "");
    });
}
