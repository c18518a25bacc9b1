//! Kafka's own clients, as the processes of `tests/peers/java`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xtask::kafka::{DEFAULT_VERSION, Distribution};

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All, those of open and aborted transactions too.
    ReadUncommitted,
    /// Those of no transaction and of committed ones.
    ReadCommitted,
}

impl Isolation {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// A record as Java's consumer got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds.
    pub timestamp: i64,
    /// Whose time that is: `CreateTime` or `LogAppendTime`.
    pub timestamp_type: String,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl JavaRecord {
    /// The value as text.
    ///
    /// # Panics
    /// If it is null or no UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.value.clone().expect("a value")).expect("UTF-8")
    }
}

/// What stands open in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    /// The state of each transactional id.
    pub states: Vec<(String, String)>,
    /// Each partition and producer id with a transaction begun and not ended.
    pub open: Vec<String>,
}

/// Reads topics from their first records to their present ends, the partitions in any order, each
/// in its own.
///
/// # Panics
/// If Java cannot.
pub async fn read(bootstrap: &str, isolation: Isolation, topics: &[&str]) -> Vec<JavaRecord> {
    let mut arguments = vec!["read", bootstrap, isolation.name()];
    arguments.extend(topics);
    run(&arguments, String::new(), parse_record).await
}

/// The partition to which Java's producer sends a record of each key; the records are written.
///
/// # Panics
/// If Java cannot.
pub async fn produce(bootstrap: &str, topic: &str, keys: &[Vec<u8>]) -> Vec<i32> {
    let lines: String = keys.iter().map(|key| STANDARD.encode(key) + "\n").collect();
    run(&["produce", bootstrap, topic], lines, |line| line.parse().expect("a number")).await
}

/// The transactions of ids that begin with `prefix`, and what is open in the topics.
///
/// # Panics
/// If Java cannot.
pub async fn transactions(bootstrap: &str, prefix: &str, topics: &[&str]) -> Transactions {
    let mut arguments = vec!["transactions", bootstrap, prefix];
    arguments.extend(topics);
    let lines = run(&arguments, String::new(), ToOwned::to_owned).await;
    let mut found = Transactions::default();
    for line in lines {
        let fields: Vec<_> = line.split('\t').collect();
        match fields[..] {
            ["transaction", id, state, _] => found.states.push((id.to_owned(), state.to_owned())),
            ["open", ..] => found.open.push(line),
            _ => panic!("a line of another kind: {line}"),
        }
    }
    found
}

/// Runs the peer to its end on a thread of its own; gives its lines, read as they come.
async fn run<T: Send + 'static>(arguments: &[&str], input: String, parse: fn(&str) -> T) -> Vec<T> {
    let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
    let work = tokio::task::spawn_blocking(move || finish(&arguments, &input, parse));
    work.await.expect("no panic")
}

fn finish<T>(arguments: &[String], input: &str, parse: fn(&str) -> T) -> Vec<T> {
    let kafka = Distribution::get(DEFAULT_VERSION).unwrap_or_else(|error| panic!("{error:#}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/java/Peer.java");
    let mut command: Command = kafka.java("512m");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]).arg(source).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (mut stdin, stderr) = (child.stdin.take().expect("a pipe"), child.stderr.take());
    let input = input.to_owned();
    // A peer that ends early does not read its input: its exit code tells better.
    let feed = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap_or_default());
    let complaints = thread::spawn(move || {
        let lines = BufReader::new(stderr.expect("a pipe")).lines().map_while(Result::ok);
        lines.collect::<Vec<_>>().join("\n")
    });
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let parsed: Vec<_> = stdout.lines().map(|line| parse(&line.expect("UTF-8"))).collect();
    let status = child.wait().expect("its state");
    feed.join().expect("fed");
    let complaints = complaints.join().expect("text");
    assert!(status.success(), "{command:?}: {status}: {complaints}");
    parsed
}

fn parse_record(line: &str) -> JavaRecord {
    let fields: Vec<_> = line.split('\t').collect();
    let [topic, partition, offset, timestamp, timestamp_type, key, value, headers] = fields[..]
    else {
        panic!("a record has eight fields: {line}");
    };
    let number = |text: &str| text.parse().expect("a number");
    let header = |text: &str| {
        let (key, value) = text.split_once(':').expect("key and value");
        let key = bytes(key).expect("headers have keys");
        (String::from_utf8(key).expect("UTF-8"), bytes(value))
    };
    JavaRecord {
        topic: topic.to_owned(),
        partition: partition.parse().expect("a number"),
        offset: number(offset),
        timestamp: number(timestamp),
        timestamp_type: timestamp_type.to_owned(),
        key: bytes(key),
        value: bytes(value),
        headers: headers.split(',').filter(|text| !text.is_empty()).map(header).collect(),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let encoded = text.strip_prefix('=')?;
    Some(STANDARD.decode(encoded).expect("Base64"))
}
