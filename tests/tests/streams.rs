//! Streams applications against what only the in-process broker can be made to do, and on disks
//! that are full.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use millstream::{Close, KafkaStreams, KafkaStreamsState, StartError, StreamsError};
use millstream_broker::{ApiKey, Fault};
use millstream_client::ErrorCode;
use millstream_state::StoreError;
use millstream_tests::cluster::TestCluster;
use millstream_tests::deadline::{eventually, run, step};
use millstream_tests::reading::ends;
use millstream_tests::streams::{
    Counts, WordCount, assert_stores_agree_with_changelogs, close, death, lines, run as start,
};
use xtask::kafka::{DEFAULT_VERSION, Distribution};

const DEADLINE: Duration = Duration::from_secs(60);
/// What a test on a full disk tells the process that runs the application.
const CHILD: &str = "MILLSTREAM_FULL_DISK";

#[test]
fn a_commit_that_fails_is_done_again() {
    run("failed commit", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let app = words.start().await;
        words.say(&lines(100)).await;
        words.wait_for_counts().await;
        cluster
            .broker()
            .fault(Fault::on(ApiKey::OffsetCommit).times(2).error(ErrorCode::UnknownServerError));
        words.say(&lines(100)).await;
        words.wait_for_counts_at_least().await;
        eventually("it runs again", || async { app.state() == KafkaStreamsState::Running }).await;
        words.say(&lines(50)).await;
        words.wait_for_counts_at_least().await;
        assert_eq!(app.metrics().threads_replaced, 0, "no thread died of it");
        close(app).await;
        assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_done_again() {
    run("lost commit", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let app = words.start().await;
        cluster.broker().fault(Fault::on(ApiKey::OffsetCommit).times(3).apply_then_disconnect());
        words.say(&lines(200)).await;
        words.wait_for_counts_at_least().await;
        close(app).await;
        assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
    });
}

#[test]
fn commits_that_always_fail_end_the_application() {
    run("commits fail", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let app = start(words.builder().threads(1)).await;
        cluster.broker().fault(
            Fault::on(ApiKey::OffsetCommit).always().error(ErrorCode::GroupAuthorizationFailed),
        );
        words.say(&lines(100)).await;
        let error = death(&app).await;
        assert!(matches!(error, StreamsError::Commit(_)), "{error:?}");
    });
}

#[test]
fn records_that_cannot_be_written_end_the_application() {
    run("produce fails", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let app = words.start().await;
        words.say(&lines(100)).await;
        words.wait_for_counts().await;
        cluster.broker().fault(
            Fault::on(ApiKey::Produce)
                .client_id(producer_of(&app, 1))
                .always()
                .error(ErrorCode::TopicAuthorizationFailed),
        );
        cluster.broker().fault(
            Fault::on(ApiKey::Produce)
                .client_id(producer_of(&app, 2))
                .always()
                .error(ErrorCode::TopicAuthorizationFailed),
        );
        words.say(&lines(100)).await;
        let error = death(&app).await;
        assert!(matches!(error, StreamsError::Produce { .. }), "{error:?}");
        assert!(app.close(Close::within(Duration::from_secs(10))).await);
        cluster.broker().clear_faults();
        // Nothing was committed past what was not written: another start counts all of it.
        let app = words.start().await;
        words.wait_for_counts_at_least().await;
        close(app).await;
        assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
    });
}

#[test]
fn closing_keeps_its_deadline() {
    run("deadline", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let app = start(words.builder().commit_interval(Duration::from_secs(30))).await;
        words.say(&lines(100)).await;
        eventually("something is processed", || async { app.metrics().processed > 0 }).await;
        cluster.broker().fault(Fault::on(ApiKey::OffsetCommit).always().drop());
        let begun = Instant::now();
        step("close while commits are not answered");
        let _ = app.close(Close::within(Duration::from_millis(500))).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        cluster.broker().clear_faults();
        eventually("it has ended", || async { app.state().is_final() }).await;
        // What was not committed is counted by the next one.
        let app = words.start().await;
        words.wait_for_counts_at_least().await;
        close(app).await;
        assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
    });
}

#[test]
fn a_cluster_that_is_not_there_is_an_error() {
    run("absent", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let words = WordCount::new(&cluster).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let builder = KafkaStreams::builder(words.topology(), "absent", [port.to_string()]);
        let builder = builder.state_dir(words.state());
        let error = builder.property("admin.default.api.timeout.ms", "2000").start().await;
        let error = error.unwrap_err();
        assert!(matches!(error, StartError::Connect(_)), "{error:?}");
    });
}

#[test]
fn settings_that_cannot_be_are_named() {
    run("settings", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let words = WordCount::new(&cluster).await;
        let error = words.builder().property("num.stream.threads", "many").start().await;
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("`num.stream.threads` cannot be `many`"), "{error}");
    });
}

/// Kafka's console consumer reads the counts with Kafka's own deserializers.
async fn java_reads(cluster: TestCluster) {
    let mut words = WordCount::new(&cluster).await;
    words.say(&lines(40)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    close(app).await;
    let records: i64 = ends(&cluster, &words.output).await.values().map(|end| end.value()).sum();
    let kafka = Distribution::get(DEFAULT_VERSION).unwrap_or_else(|error| panic!("{error:#}"));
    let mut command = kafka.java("128m");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--from-beginning"]);
    command.args(["--bootstrap-server", &cluster.bootstrap(), "--topic", &words.output]);
    command.args(["--max-messages", &records.to_string(), "--timeout-ms", "30000"]);
    command.args(["--formatter-property", "print.key=true"]);
    for (what, class) in [("key", "StringDeserializer"), ("value", "LongDeserializer")] {
        let class = format!("{what}.deserializer=org.apache.kafka.common.serialization.{class}");
        command.args(["--formatter-property", &class]);
    }
    step("read with Java");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let entry = |line: &str| {
        let (word, count) = line.split_once('\t').expect("a word and its count");
        (word.to_owned(), count.parse().expect("a number"))
    };
    let counts: Counts = text.lines().map(entry).collect();
    assert_eq!(&counts, words.expected());
}

#[test]
fn java_reads_the_counts_in_process() {
    run("java, in process", DEADLINE, || async {
        java_reads(TestCluster::in_process().await).await
    });
}

#[test]
fn java_reads_the_counts_on_kafka() {
    run("java, kafka", DEADLINE, || java_reads(TestCluster::kafka()));
}

/// Runs the application that the environment names, in a process whose files cannot grow.
#[test]
fn child_fills_the_disk() {
    let Ok(arguments) = env::var(CHILD) else {
        return;
    };
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    run("full disk", DEADLINE, || async move {
        let [bootstrap, id, input, output, folder] = &arguments[..] else { panic!("five names") };
        let topology = millstream_tests::streams::topology(input, output, |_| {});
        let app = KafkaStreams::builder(topology, id.as_str(), [bootstrap.as_str()])
            .state_dir(folder)
            .commit_interval(Duration::from_millis(100))
            .start()
            .await
            .unwrap();
        let error = death(&app).await;
        let StreamsError::Store { cause, .. } = &error else { panic!("{error:?}") };
        let is_full = |cause: &StoreError| match cause {
            StoreError::DiskFull { .. } => true,
            StoreError::Poisoned { cause, .. } => matches!(**cause, StoreError::DiskFull { .. }),
            _ => false,
        };
        assert!(is_full(cause), "{cause:?}");
        println!("typed and alive");
    });
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    run("full disk", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let mut words = WordCount::new(&cluster).await;
        let padding = "x".repeat(500);
        let long: Vec<_> = (0..12_000).map(|n| format!("{n}-{padding}")).collect();
        words.say(&long).await;
        let names = [
            &cluster.bootstrap(),
            &words.id,
            &words.input,
            &words.output,
            words.state().to_str().unwrap(),
        ];
        let names = names.map(|name: &str| name.to_owned()).join(" ");
        step("fill the disk");
        let output = tokio::task::spawn_blocking(move || limited_child(&names)).await.unwrap();
        assert!(output.0, "{}", output.1);
        assert!(output.1.contains("typed and alive"), "{}", output.1);
        // With space again, nothing is missing.
        let app = start(words.builder().threads(1)).await;
        words.wait_for_counts_at_least().await;
        close(app).await;
        assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
    });
}

/// The other half of the test, where files end at 4 MiB; whether it succeeds, and what it says.
fn limited_child(names: &str) -> (bool, String) {
    // A limit on the size of files needs no privileges and fails the same writes as a full disk;
    // without the trap the kernel would end the process instead.
    let limited =
        r#"trap "" XFSZ; ulimit -f 8192; exec "$0" --exact child_fills_the_disk --nocapture"#;
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(env::current_exe().unwrap())
        .env(CHILD, names)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// The client id of a thread's producer.
fn producer_of(app: &KafkaStreams, thread: u32) -> String {
    format!("{}-StreamThread-{thread}-producer", app.client_id())
}
