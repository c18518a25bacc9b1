//! Kafka's own tools, and kcat, against the in-process broker: people who write no Rust must find it
//! to be Kafka.
//!
//! One JVM start costs most of a second, so each test is a short story told with few tools. They
//! need Java, Maven and kcat, as `cargo xtask test` does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

mod admin;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use millstream_broker::{Broker, BrokerBuilder, RunningCluster, TransactionSnapshot};
use xtask::kafka::{DEFAULT_VERSION, Distribution};

/// What a tool said, and whether it was content.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    ok: bool,
}

fn run(mut command: Command, input: &str) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A tool that ends early reads no more, which its own exit code tells better.
    let feed = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap_or_default());
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let ok = child.wait().unwrap().success();
    feed.join().unwrap();
    Said { out, err: errors.join().unwrap(), ok }
}

/// A broker and the tools pointed at it.
struct Story {
    cluster: RunningCluster,
    kafka: Distribution,
}

impl Story {
    fn begin(nodes: i32) -> Self {
        Self::on(Broker::in_process().nodes(nodes))
    }

    fn on(broker: BrokerBuilder) -> Self {
        let cluster = broker.start_blocking().unwrap();
        let kafka = Distribution::get(DEFAULT_VERSION).unwrap_or_else(|error| panic!("{error:#}"));
        Self { cluster, kafka }
    }

    fn try_tool(&self, name: &str, arguments: &str, input: &str) -> Said {
        self.try_class(&format!("org.apache.kafka.tools.{name}"), arguments, input)
    }

    fn class(&self, name: &str, arguments: &str) -> String {
        let said = self.try_class(name, arguments, "");
        assert!(said.ok, "{name} {arguments}: {}{}", said.out, said.err);
        said.out
    }

    fn try_class(&self, name: &str, arguments: &str, input: &str) -> Said {
        let mut command = self.kafka.java("256m");
        command.arg("-XX:TieredStopAtLevel=1").arg(name);
        command.args(["--bootstrap-server", &self.cluster.bootstrap()]);
        command.args(arguments.split_whitespace());
        run(command, input)
    }

    fn tool(&self, name: &str, arguments: &str, input: &str) -> String {
        let said = self.try_tool(name, arguments, input);
        assert!(said.ok, "{name} {arguments}: {}{}", said.out, said.err);
        said.out
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines = lines(text);
    lines.sort_unstable();
    lines
}

#[test]
fn topic_command_creates_describes_alters_and_deletes() {
    let story = Story::begin(3);
    let topics = |arguments: &str| story.tool("TopicCommand", arguments, "");
    let create = "--create --topic orders --partitions 4 --replication-factor 3 \
                  --config cleanup.policy=compact";
    assert_eq!(topics(create).trim(), "Created topic orders.");
    assert_eq!(topics("--list").trim(), "orders");
    topics("--alter --topic orders --partitions 6");
    let described = topics("--describe --topic orders");
    let described = lines(&described);
    assert!(described[0].contains("PartitionCount: 6\tReplicationFactor: 3"), "{described:?}");
    assert!(described[0].contains("Configs: cleanup.policy=compact"), "{described:?}");
    let leaders: Vec<_> = described[1..]
        .iter()
        .filter_map(|line| line.split("Leader: ").nth(1)?.split('\t').next())
        .collect();
    assert_eq!(leaders, ["1", "2", "3", "1", "2", "3"]);
    let again = story.try_tool("TopicCommand", create, "");
    assert!(!again.ok && again.out.contains("Topic 'orders' already exists."), "{again:?}");
    let many = "--create --topic many --partitions 1 --replication-factor 4";
    let many = story.try_tool("TopicCommand", many, "");
    assert!(
        !many.ok && many.out.contains("Unable to replicate the partition 4 time(s)"),
        "{many:?}"
    );
    topics("--delete --topic orders");
    assert_eq!(topics("--list").trim(), "");
}

#[test]
fn the_console_producer_writes_what_the_console_consumer_reads() {
    let story = Story::begin(3);
    story.cluster.create_topic("words", 3).unwrap();
    let words: String = (0..1000).map(|n| format!("key{n}:word {n}\n")).collect();
    let produce = "--topic words --compression-codec zstd \
                   --reader-property parse.key=true --reader-property key.separator=:";
    story.tool("ConsoleProducer", produce, &words);
    let consume = "--topic words --from-beginning --max-messages 1000 --timeout-ms 20000 --group g \
                   --formatter-property print.key=true --formatter-property key.separator=:";
    let read = story.tool("consumer.ConsoleConsumer", consume, "");
    assert_eq!(sorted(&read), sorted(&words));
    // The group went, its offsets stayed.
    let described = story.tool("consumer.group.ConsumerGroupCommand", "--describe --group g", "");
    let committed = lines(&described);
    let committed = committed.iter().filter(|line| line.starts_with("g "));
    let sum: i64 = committed
        .map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            assert_eq!(columns[5], "0", "no lag is left: {line}");
            columns[3].parse::<i64>().unwrap()
        })
        .sum();
    assert_eq!(sum, 1000, "{described}");
}

#[test]
fn offsets_are_looked_up_reset_and_deleted() {
    let story = Story::begin(1);
    story.cluster.create_topic("t", 1).unwrap();
    story.tool("ConsoleProducer", "--topic t --sync", "one\ntwo\nthree\n");
    assert_eq!(story.tool("GetOffsetShell", "--topic t", "").trim(), "t:0:3");
    assert_eq!(story.tool("GetOffsetShell", "--topic t --time earliest", "").trim(), "t:0:0");
    let latest = story.tool("GetOffsetShell", "--topic t --time max-timestamp", "");
    assert_eq!(latest.trim(), "t:0:2");
    let groups = |arguments: &str| story.tool("consumer.group.ConsumerGroupCommand", arguments, "");
    let reset = groups("--group g --topic t --reset-offsets --to-offset 2 --execute");
    let reset = lines(&reset);
    let columns: Vec<_> = reset.last().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["g", "t", "0", "2"]);
    let consume = "--topic t --group g --max-messages 1 --timeout-ms 20000";
    assert_eq!(story.tool("consumer.ConsoleConsumer", consume, "").trim(), "three");
    let listed = groups("--list --state");
    let listed = lines(&listed);
    let columns: Vec<_> = listed.last().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["g", "Empty"]);
    let deleted = groups("--delete --group g");
    assert!(deleted.contains("was successful"), "{deleted}");
    assert_eq!(groups("--list").trim(), "");
}

#[test]
fn records_are_deleted_and_directories_described() {
    let story = Story::begin(1);
    story.cluster.create_topic("t", 1).unwrap();
    story.tool("ConsoleProducer", "--topic t --sync", "one\ntwo\nthree\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.json");
    let offsets = r#"{"partitions":[{"topic":"t","partition":0,"offset":2}],"version":1}"#;
    std::fs::write(&file, offsets).unwrap();
    let delete = format!("--offset-json-file {}", file.display());
    let deleted = story.tool("DeleteRecordsCommand", &delete, "");
    assert!(deleted.contains("partition: t-0\tlow_watermark: 2"), "{deleted}");
    assert_eq!(story.tool("GetOffsetShell", "--topic t --time earliest", "").trim(), "t:0:2");
    let directories = story.tool("LogDirsCommand", "--describe --topic-list t", "");
    assert!(directories.contains(r#""partition":"t-0""#), "{directories}");
}

#[test]
fn kcat_writes_and_reads() {
    let version = Command::new("kcat").arg("-V").output();
    assert!(version.is_ok_and(|out| out.status.success()), "install kcat (Debian: kcat)");
    let cluster = Broker::in_process().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 3).unwrap();
    let kcat = |arguments: &str, input: &str| {
        let mut command = Command::new("kcat");
        command.args(["-b", &cluster.bootstrap()]).args(arguments.split_whitespace());
        let said = run(command, input);
        assert!(said.ok, "kcat {arguments}: {}{}", said.out, said.err);
        said.out
    };
    assert!(kcat("-L", "").contains("3 brokers"));
    let words: String = (0..1000).map(|n| format!("key{n}:word {n}\n")).collect();
    kcat("-P -t t -K: -z lz4 -X enable.idempotence=true", &words);
    assert_eq!(sorted(&kcat("-C -t t -o beginning -e -q -K:", "")), sorted(&words));
    let group = kcat("-G g -o beginning -e -q -K: t", "");
    assert_eq!(sorted(&group), sorted(&words));
    assert_eq!(kcat("-Q -t t:0:-2", "").trim(), "t [0] offset 0");
}

/// What `Transactions.java` prints on any cluster that does as Kafka does.
fn life_of_transactions() -> String {
    let values: Vec<_> = (0..30).map(|number| format!("value {number}")).collect();
    // Every third transaction of five records was aborted, and its records copied again.
    let mut written = values.clone();
    written.extend((10..15).chain(20..25).map(|number| format!("value {number}")));
    written.sort_by_key(|value| value[6..].parse::<u32>().unwrap());
    format!(
        "transactions 8\ncommitted [{}]\nwritten [{}]\noffset 30\ncopier CompleteCommit 0\n\
         fenced true\nno commit true\nfenced CompleteCommit 0\nfenced Empty 0\n\
         ongoing {{hanging=Ongoing}}\nopen 1\nopen 0\nat last 31\n",
        values.join(", "),
        written.join(", ")
    )
}

#[test]
fn javas_transactions_live_as_on_kafka() {
    let kafka = Distribution::get(DEFAULT_VERSION).unwrap_or_else(|error| panic!("{error:#}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/java/Transactions.java");
    let live = |version| {
        let cluster = Broker::in_process().nodes(3).transaction_version(version);
        let cluster = cluster.start_blocking().unwrap();
        // Markers take a moment, as on Kafka.
        cluster.set_marker_delay(Duration::from_millis(5));
        let mut command = kafka.java("256m");
        command.arg("-XX:TieredStopAtLevel=1").arg(&source).args([&cluster.bootstrap(), "x-"]);
        let said = run(command, "");
        assert!(said.ok, "version {version}: {}{}", said.out, said.err);
        assert_eq!(said.out, life_of_transactions(), "version {version}");
        cluster.transactions()
    };
    let (new, old) = thread::scope(|scope| {
        let old = scope.spawn(|| live(1));
        (live(2), old.join().unwrap())
    });
    // Version 2 raises the epoch with each transaction, version 1 does not.
    let epoch = |all: &[TransactionSnapshot]| {
        let mut all = all.iter();
        all.find(|it| it.transactional_id == "x-copier").unwrap().producer_epoch.0
    };
    assert_eq!((epoch(&old), epoch(&new)), (0, 8));
}
