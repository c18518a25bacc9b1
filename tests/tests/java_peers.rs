//! Java's console tools on the other side of our clients, on real Kafka and on the in-process
//! broker: both write, both read, and both are members of one group.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use millstream_client::consumer::{Consumer, ConsumerEvent};
use millstream_client::{Compression, Record};
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{eventually, run, step};
use millstream_tests::process;
use millstream_tests::reading::{partitions, read_all};
use millstream_types::{Header, Headers, TopicPartition};
use tokio::sync::mpsc;
use xtask::kafka::{DEFAULT_VERSION, Distribution};

const DEADLINE: Duration = Duration::from_secs(90);

const CODECS: [(Compression, &str); 5] = [
    (Compression::None, "none"),
    (Compression::Gzip, "gzip"),
    (Compression::Snappy, "snappy"),
    (Compression::Lz4, "lz4"),
    (Compression::Zstd, "zstd"),
];

/// Runs a story on both clusters.
fn on_both<F: Future<Output = ()> + 'static>(name: &'static str, story: fn(TestCluster) -> F) {
    run(name, DEADLINE, move || async move {
        story(TestCluster::in_process().await).await;
        step("the same on real Kafka");
        story(TestCluster::kafka()).await;
    });
}

/// A tool of Kafka's, pointed at a cluster.
fn tool(cluster: &TestCluster, class: &str, arguments: &[&str]) -> Command {
    let kafka = Distribution::get(DEFAULT_VERSION).unwrap_or_else(|error| panic!("{error:#}"));
    let mut command = kafka.java("128m");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.arg(format!("org.apache.kafka.tools.{class}"));
    command.args(["--bootstrap-server", &cluster.bootstrap()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Runs a tool with this input to its end; gives what it printed.
async fn finish(command: Command, input: &str) -> String {
    let input = input.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let shown = format!("{command:?}");
        let output = process::finish(command, &input);
        assert!(output.status.success(), "{shown}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    work.await.unwrap()
}

#[test]
fn the_console_producer_writes_for_our_consumer() {
    on_both("the_console_producer_writes_for_our_consumer", |cluster| async move {
        let topic = cluster.topic("from-java", 1).await;
        let produce = |codec: &'static str| {
            let arguments = [
                "--topic",
                &topic,
                "--compression-codec",
                codec,
                "--reader-property",
                "parse.key=true",
                "--reader-property",
                "key.separator=|",
                "--reader-property",
                "parse.headers=true",
                "--reader-property",
                "null.marker=NULL",
            ];
            let command = tool(&cluster, "ConsoleProducer", &arguments);
            let lines: String =
                (0..200).map(|n| format!("codec:{codec},n:{n}\tkey{n}|{codec} {n}\n")).collect();
            async move { finish(command, &format!("{lines}NULL\tNULL|NULL\n")).await }
        };
        step("five console producers");
        let [none, gzip, snappy, lz4, zstd] = CODECS.map(|(_, name)| produce(name));
        tokio::join!(none, gzip, snappy, lz4, zstd);
        let records = read_all(&cluster, &topic).await;
        assert_eq!(records.len(), 5 * 201);
        for (_, codec) in CODECS {
            let prefix = format!("{codec} ");
            let of_codec = records.iter().filter(|record| {
                record.value.as_ref().is_some_and(|value| value.starts_with(prefix.as_bytes()))
            });
            let mut count = 0;
            for (n, record) in of_codec.enumerate() {
                assert_eq!(record.key.as_deref(), Some(format!("key{n}").as_bytes()));
                assert_eq!(record.value.as_deref(), Some(format!("{codec} {n}").as_bytes()));
                let header = |key: &str, value: String| Header {
                    key: key.to_owned(),
                    value: Some(Bytes::from(value)),
                };
                let headers = [header("codec", codec.to_owned()), header("n", n.to_string())];
                assert_eq!(record.headers, Headers::from_iter(headers));
                count += 1;
            }
            assert_eq!(count, 200, "{codec}");
        }
        let nulls = records.iter().filter(|record| record.key.is_none() && record.value.is_none());
        assert_eq!(nulls.count(), 5);
    });
}

#[test]
fn the_console_consumer_reads_what_our_producer_writes() {
    on_both("the_console_consumer_reads_what_our_producer_writes", |cluster| async move {
        let topic = cluster.topic("to-java", 3).await;
        let mut expected = Vec::new();
        for (codec, name) in CODECS {
            let builder = cluster.producer().compression(codec);
            let producer = builder.build().await.expect("a producer");
            for n in 0..100 {
                let (key, value) = (format!("{name}{n}"), format!("v{n}"));
                let record = Record::to(&topic)
                    .key(&key)
                    .value(&value)
                    .timestamp(1_700_000_000_000 + n)
                    .header("codec", name)
                    .maybe_header("null", None);
                drop(producer.enqueue(&record).await.expect("it is accepted"));
                let time = 1_700_000_000_000 + n;
                expected.push(format!("CreateTime:{time}|codec:{name},null:NULL|{key}|{value}"));
            }
            assert!(producer.close(Duration::from_secs(10)).await.is_complete());
        }
        let properties = [
            "print.timestamp=true",
            "print.headers=true",
            "print.key=true",
            "key.separator=|",
            "null.literal=NULL",
        ];
        let mut arguments = vec!["--topic", &topic, "--from-beginning", "--max-messages", "500"];
        arguments.extend(["--timeout-ms", "30000"]);
        for property in properties {
            arguments.extend(["--formatter-property", property]);
        }
        step("the console consumer");
        let text = finish(tool(&cluster, "consumer.ConsoleConsumer", &arguments), "").await;
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected);
    });
}

#[test]
fn offsets_pass_from_one_to_the_other() {
    on_both("offsets_pass_from_one_to_the_other", |cluster| async move {
        let topic = cluster.topic("handover", 1).await;
        let group = &*unique("handover");
        let producer = cluster.producer().build().await.expect("a producer");
        for n in 0..9 {
            producer.send(&Record::to(&topic).value(&n.to_string())).await.expect("it is written");
        }
        let take = async |count: usize| {
            let member = cluster.member(group).max_poll_records(1).build().await.expect("a member");
            member.subscribe([&*topic]).await.expect("it subscribes");
            let mut values = String::new();
            for _ in 0..count {
                let batch = member.poll().await.expect("records").expect("it is open");
                values += &millstream_tests::reading::texts(&batch.detach()).concat();
                member.commit(&batch).await.expect("it is committed");
            }
            member.close(Duration::from_secs(10)).await.expect("it leaves");
            values
        };
        assert_eq!(take(3).await, "012");
        step("the console consumer goes on");
        let arguments =
            ["--topic", &topic, "--group", group, "--max-messages", "3", "--timeout-ms", "30000"];
        let text = finish(tool(&cluster, "consumer.ConsoleConsumer", &arguments), "").await;
        assert_eq!(text, "3\n4\n5\n");
        assert_eq!(take(3).await, "678");
    });
}

/// A console consumer that runs beside us; ended when dropped.
struct JavaMember {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl JavaMember {
    fn start(cluster: &TestCluster, topic: &str, group: &str) -> Self {
        let arguments = [
            "--topic",
            topic,
            "--group",
            group,
            "--from-beginning",
            "--formatter-property",
            "print.partition=true",
            "--formatter-property",
            "key.separator=|",
        ];
        let mut child = tool(cluster, "consumer.ConsoleConsumer", &arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Ends it as Ctrl-C does: it leaves its group.
    async fn leave(mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(killed.success());
        tokio::task::spawn_blocking(move || self.child.wait()).await.unwrap().unwrap();
    }
}

impl Drop for JavaMember {
    fn drop(&mut self) {
        // Fails only if it has ended, as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes events, committing, until as many partitions are assigned; gives the records that came.
async fn settle(consumer: &Consumer, share: usize) -> Vec<(TopicPartition, String)> {
    step(format!("wait until {share} partitions are ours"));
    let mut seen = Vec::new();
    while consumer.assignment().len() != share {
        let event = consumer.next_event().await.expect("an event").expect("it is open");
        if let ConsumerEvent::Records(batch) = event {
            note(&mut seen, &batch);
            consumer.commit(&batch).await.expect("it is committed");
        }
    }
    seen
}

fn note(seen: &mut Vec<(TopicPartition, String)>, batch: &millstream_client::Batch) {
    for value in millstream_tests::reading::texts(&batch.detach()) {
        seen.push((batch.topic_partition().clone(), value));
    }
}

/// Writes a round of records, one to each of four partitions, and waits until the two members
/// have read them, each its own.
async fn shared_round(
    cluster: &TestCluster,
    topic: &str,
    round: &str,
    ours: &Consumer,
    java: &mut JavaMember,
) {
    step(format!("round {round}: each reads its share"));
    let producer = cluster.producer().build().await.expect("a producer");
    for partition in 0..4 {
        let record = Record::to(topic).partition(partition).value(round);
        producer.send(&record).await.expect("it is written");
    }
    let owned = ours.assignment();
    let mut left: BTreeMap<_, _> =
        partitions(cluster, topic).await.into_iter().map(|tp| (tp, ())).collect();
    let mut seen = Vec::new();
    while !left.is_empty() {
        tokio::select! {
            event = ours.next_event() => {
                if let Some(ConsumerEvent::Records(batch)) = event.expect("an event") {
                    note(&mut seen, &batch);
                    ours.commit(&batch).await.expect("it is committed");
                }
            }
            line = java.lines.recv() => {
                let line = line.expect("the console consumer runs");
                let (partition, value) = line.split_once('|').expect("partition and value");
                let id: i32 = partition.trim_start_matches("Partition:").parse().unwrap();
                let partition = TopicPartition::new(topic, id);
                assert!(!owned.contains(&partition), "{partition} is ours");
                assert_eq!(value, round);
                assert!(left.remove(&partition).is_some(), "{line} came twice");
            }
        }
        for (partition, value) in seen.drain(..) {
            assert!(owned.contains(&partition), "{partition} is not ours");
            assert_eq!(value, round);
            assert!(left.remove(&partition).is_some(), "{partition} came twice");
        }
    }
}

#[test]
fn both_are_members_of_one_group() {
    on_both("both_are_members_of_one_group", |cluster| async move {
        let topic = cluster.topic("mixed", 4).await;
        let group = &*unique("mixed");
        let member = async || {
            let consumer = cluster.member(group).build().await.expect("a member");
            consumer.subscribe([&*topic]).await.expect("it subscribes");
            consumer
        };
        let first = member().await;
        settle(&first, 4).await;
        step("Java joins, and we assign");
        let mut java = JavaMember::start(&cluster, &topic, group);
        settle(&first, 2).await;
        shared_round(&cluster, &topic, "we lead", &first, &mut java).await;

        step("we leave, join again, and Java assigns");
        first.close(Duration::from_secs(10)).await.expect("it leaves");
        let second = member().await;
        settle(&second, 2).await;
        shared_round(&cluster, &topic, "java leads", &second, &mut java).await;

        step("Java leaves");
        java.leave().await;
        settle(&second, 4).await;
        eventually("everything of ours is committed", || async {
            let offsets = cluster.admin().group_offsets(group).await.expect("offsets");
            second.assignment().iter().all(|partition| offsets.contains_key(partition))
        })
        .await;
    });
}
