//! Kafka's administrative tools: rules, settings, quotas, users, moves, elections, features.

use std::io::Write;

use millstream_broker::Broker;
use millstream_types::TopicPartition;

use super::{Story, lines, sorted};

fn guarded() -> Story {
    Story::on(Broker::in_process().nodes(3).configure(|config| {
        config.security.authorizer = true;
        config.security.super_users.push("User:ANONYMOUS".to_owned());
    }))
}

#[test]
fn acl_command_adds_lists_and_removes_rules() {
    let story = guarded();
    let acls = |arguments: &str| story.tool("AclCommand", arguments, "");
    acls("--add --allow-principal User:alice --producer --topic orders");
    acls(
        "--add --deny-principal User:bob --operation Read --group g --resource-pattern-type prefixed",
    );
    let listed = acls("--list");
    for wanted in [
        "ResourcePattern(resourceType=TOPIC, name=orders, patternType=LITERAL)",
        "(principal=User:alice, host=*, operation=WRITE, permissionType=ALLOW)",
        "(principal=User:alice, host=*, operation=CREATE, permissionType=ALLOW)",
        "ResourcePattern(resourceType=GROUP, name=g, patternType=PREFIXED)",
        "(principal=User:bob, host=*, operation=READ, permissionType=DENY)",
    ] {
        assert!(listed.contains(wanted), "{wanted} in {listed}");
    }
    acls("--remove --force --topic orders");
    let left = acls("--list");
    assert!(!left.contains("orders") && left.contains("User:bob"), "{left}");
}

#[test]
fn config_command_sets_settings_quotas_and_users() {
    let story = guarded();
    let configs = |arguments: &str| story.class("kafka.admin.ConfigCommand", arguments);
    configs("--alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2");
    configs(
        "--alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=50000",
    );
    configs("--alter --entity-type client-metrics --entity-name m --add-config interval.ms=1000");
    configs("--alter --entity-type broker-loggers --entity-name 1 --add-config root=DEBUG");
    let shown = |kind: &str, name: &str| {
        configs(&format!("--describe --entity-type {kind} --entity-name {name}"))
    };
    assert!(shown("brokers", "1").contains("log.cleaner.threads=2 sensitive=false"));
    assert!(shown("groups", "g").contains("consumer.session.timeout.ms=50000"));
    assert!(shown("client-metrics", "m").contains("interval.ms=1000"));
    assert!(shown("broker-loggers", "1").contains("root=DEBUG"));
    let user = "--entity-type users --entity-name alice";
    configs(&format!("--alter {user} --add-config SCRAM-SHA-256=[iterations=4096,password=x]"));
    configs(&format!("--alter {user} --add-config producer_byte_rate=1000000"));
    let described = configs(&format!("--describe {user}"));
    assert!(described.contains("producer_byte_rate=1000000"), "{described}");
    assert!(described.contains("SCRAM-SHA-256=iterations=4096"), "{described}");
}

#[test]
fn partitions_are_moved_and_leaders_elected_by_the_tools() {
    let story = guarded();
    story.tool("TopicCommand", "--create --topic t --replica-assignment 1:2", "");
    let mut plan = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[3,2]}]}"#;
    plan.write_all(text.as_bytes()).unwrap();
    let plan = plan.path().display().to_string();
    let reassign = |verb: &str| {
        let arguments = format!("{verb} --reassignment-json-file {plan}");
        story.tool("reassign.ReassignPartitionsCommand", &arguments, "")
    };
    let executed = reassign("--execute");
    assert!(executed.contains("Successfully started partition reassignment for t-0"), "{executed}");
    let verified = reassign("--verify");
    assert!(verified.contains("Reassignment of partition t-0 is completed."), "{verified}");
    story.cluster.move_leader(&TopicPartition::new("t", 0), 2).unwrap();
    let elect = "--election-type PREFERRED --all-topic-partitions";
    let elected = story.tool("LeaderElectionCommand", elect, "");
    assert!(elected.contains("t-0"), "{elected}");
    let described = story.tool("TopicCommand", "--describe --topic t", "");
    assert!(lines(&described)[1].contains("Leader: 3\tReplicas: 3,2"), "{described}");
}

#[test]
fn the_cluster_is_shown_by_the_tools() {
    let story = guarded();
    let features = story.tool("FeatureCommand", "describe", "");
    assert!(features.contains("Feature: transaction.version"), "{features}");
    story.tool("FeatureCommand", "downgrade --feature transaction.version=1", "");
    let features = story.tool("FeatureCommand", "describe", "");
    assert!(features.contains("FinalizedVersionLevel: 1"), "{features}");
    let quorum = story.tool("MetadataQuorumCommand", "describe --status", "");
    assert!(quorum.contains("LeaderId:               1"), "{quorum}");
    story.tool("TopicCommand", "--create --topic t --partitions 2", "");
    let directories = story.tool("LogDirsCommand", "--describe --topic-list t", "");
    assert!(directories.contains("/memory/0") && directories.contains("t-1"), "{directories}");
    let topics = story.tool("TopicCommand", "--list", "");
    assert_eq!(sorted(&topics), ["t"]);
}
