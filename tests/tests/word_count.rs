//! The example `word_count`, as its user runs it: a process of its own, ended, killed, run again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use millstream_client::{ErrorCode, NewTopic, Record};
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{eventually, run, step};
use millstream_tests::process;
use millstream_tests::reading::{ends, read_all};
use millstream_tests::streams::assert_store_agrees_with_changelog;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(150);
/// How long one run may take.
const RUN_WITHIN: Duration = Duration::from_secs(60);
/// What is left of Ctrl-C's five seconds on a busy machine is still its user's.
const STOP_WITHIN: Duration = Duration::from_secs(5);

const INPUT: &str = "word-count-input";
const OUTPUT: &str = "word-count-output";

type Counts = BTreeMap<String, i64>;

/// Where the example runs: a cluster, an application of its own, a state directory, a text.
struct Story {
    cluster: TestCluster,
    id: String,
    folder: TempDir,
}

impl Story {
    fn new(cluster: TestCluster) -> Self {
        Self { cluster, id: unique("example"), folder: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The example on this cluster.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = example(arguments);
        command.args(["--bootstrap", &self.cluster.bootstrap(), "--application-id", &self.id]);
        command.arg("--state-dir").arg(self.state());
        command
    }

    fn text(&self, text: &str) -> String {
        let path = self.folder.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Takes away what earlier runs on a shared cluster left, and creates the topics anew.
    async fn create_topics(&self) {
        let admin = self.cluster.admin();
        eventually("the topics are new", || async {
            // What is being deleted can be in the way for a moment.
            let _ = admin.delete_topics([INPUT, OUTPUT]).await;
            let new = [INPUT, OUTPUT].map(|name| NewTopic::new(name, 4));
            match admin.create_topics(new).await {
                Ok(_) => true,
                Err(error) => {
                    let exists = |code| code == Some(ErrorCode::TopicAlreadyExists);
                    assert!(error.failed().all(|(_, error)| exists(error.code())), "{error}");
                    false
                }
            }
        })
        .await;
        for topic in [INPUT, OUTPUT] {
            self.cluster.wait_for_leaders(topic).await;
        }
    }

    async fn committed(&self) -> i64 {
        let offsets = self.cluster.admin().group_offsets(self.id.as_str()).await;
        offsets.map_or(0, |offsets| offsets.values().map(|o| o.offset.value()).sum())
    }

    /// The output topic's newest counts, as Java's serdes write them.
    async fn counts(&self) -> Counts {
        let records = read_all(&self.cluster, OUTPUT).await;
        let entry = |record: &millstream_client::consumer::ConsumerRecord| {
            let word = String::from_utf8(record.key.as_ref().unwrap().to_vec()).unwrap();
            let count = <[u8; 8]>::try_from(&record.value.as_ref().unwrap()[..]).unwrap();
            (word, i64::from_be_bytes(count))
        };
        records.iter().map(entry).collect()
    }

    async fn assert_store_agrees_with_changelog(&self) {
        let topics = self.cluster.admin().list_topics().await.unwrap();
        let mut names = topics.keys().filter_map(|topic| {
            topic.as_str().strip_prefix(&format!("{}-", self.id))?.strip_suffix("-changelog")
        });
        let store = names.next().expect("a changelog");
        let changelog = format!("{}-{store}-changelog", self.id);
        let state = self.state();
        assert_store_agrees_with_changelog(&self.cluster, &self.id, store, &changelog, &[&state])
            .await;
    }
}

fn example(arguments: &[&str]) -> Command {
    let mut command = process::example("word_count");
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        step(format!("word_count {}", arguments.join(" ")));
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        step(format!("{signal:?}"));
        kill_process(pid, signal).unwrap();
    }

    /// The exit code, none after a signal, once it has ended.
    async fn end(&mut self, within: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < within, "it does not end within {within:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it to its end, with what it says.
async fn output(mut command: Command) -> Output {
    // Files, so that it never waits for somebody to read.
    let (out, err) =
        (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    let mut running = Running::start(command);
    running.end(RUN_WITHIN).await;
    let status = running.0.wait().unwrap();
    let read = |path: &Path| std::fs::read(path).unwrap();
    Output { status, stdout: read(out.path()), stderr: read(err.path()) }
}

/// What a run that succeeds writes to standard output.
async fn success(command: Command) -> String {
    let output = output(command).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What a run that fails writes to standard error.
async fn failure(command: Command) -> String {
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The number before this word of the report.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().filter(|before| before.len() < text.len());
    let before = before.unwrap_or_else(|| panic!("no {word:?} in {text}"));
    before.split_whitespace().next_back().unwrap().parse().unwrap()
}

fn json(text: &str) -> Counts {
    let Value::Object(object) = serde_json::from_str(text).expect("one JSON object") else {
        panic!("no object: {text}");
    };
    object.into_iter().map(|(word, count)| (word, count.as_i64().unwrap())).collect()
}

/// Words of ASCII letters and digits, counted byte by byte.
fn count(text: &str) -> Counts {
    let mut counts = Counts::new();
    for word in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
        if !word.is_empty() {
            let word = String::from_utf8(word.to_ascii_lowercase()).unwrap();
            *counts.entry(word).or_default() += 1;
        }
    }
    counts
}

/// A text of at least this length: few words often, many seldom.
fn text(length: usize) -> String {
    let mut text = String::with_capacity(length + 100);
    let mut random = Random(7);
    while text.len() < length {
        for _ in 0..12 {
            let word = random.below(3_000) * random.below(3_000) / 3_000;
            let end = ["", "s", ", and", " THE"][usize::try_from(random.below(4)).unwrap()];
            write!(text, "Word{word}{end} ").unwrap();
        }
        text.push_str(if random.below(2) == 0 { ".\n" } else { "\r\n" });
    }
    text
}

/// Numbers by xorshift, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn without_arguments_it_counts_the_repositorys_texts() {
    run("defaults", DEADLINE, || async {
        let report = success(example(&[])).await;
        assert!(report.contains("produced ") && report.contains("counting: "), "{report}");
        assert!(number_before(&report, " different;") > 500, "{report}");
        assert!(report.trim_end().ends_with("words per CPU-second"), "{report}");
    });
}

#[test]
fn json_is_one_object_and_nothing_else() {
    run("json", DEADLINE, || async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let text = text(100_000);
        std::fs::write(&path, &text).unwrap();
        let printed = success(example(&["--json", "--input", path.to_str().unwrap()])).await;
        assert_eq!(json(&printed), count(&text));
    });
}

#[test]
fn texts_come_from_standard_input_too() {
    run("stdin", DEADLINE, || async {
        let mut command = example(&["--json", "--input", "-"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no end of line: ÄRGER, ärger\nend").unwrap();
        command.stdin(file.reopen().unwrap());
        let expected = [("no", 1), ("end", 2), ("of", 1), ("line", 1), ("ärger", 2)];
        let expected = expected.map(|(word, count)| (word.to_owned(), count));
        assert_eq!(json(&success(command).await), Counts::from(expected));
    });
}

#[test]
fn text_that_is_no_text_is_named_by_file_and_line() {
    run("invalid", DEADLINE, || async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.txt");
        std::fs::write(&path, b"fine\nfine, too\nbro\xffken\n").unwrap();
        let path = path.to_str().unwrap();
        let error = failure(example(&["--input", path])).await;
        assert_eq!(error.trim(), format!("error: {path}: line 3 is not valid UTF-8"));
        let error = failure(example(&["--input", "/nowhere.txt"])).await;
        assert!(error.starts_with("error: /nowhere.txt: "), "{error}");
    });
}

#[test]
fn a_cluster_that_is_not_there_is_an_error() {
    run("absent", DEADLINE, || async {
        // The port was free a moment ago, and nobody listens on it.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = failure(example(&["--bootstrap", &port.to_string()])).await;
        assert!(error.contains(&format!("error: the cluster at {port}")), "{error}");
        assert!(error.contains("refused"), "{error}");
    });
}

#[test]
fn ctrl_c_stops_it() {
    run("interrupt", DEADLINE, || async {
        let story = Story::new(TestCluster::in_process().await);
        story.create_topics().await;
        let path = story.text(&text(2_000_000));
        let mut command = story.command(&["--json", "--input", &path]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::start(command);
        eventually("it counts", || async { story.committed().await > 0 }).await;
        running.signal(Signal::INT);
        assert_eq!(running.end(STOP_WITHIN).await, Some(130));
        story.assert_store_agrees_with_changelog().await;
    });
}

#[test]
fn state_of_another_cluster_is_reported_and_wiped() {
    run("foreign state", DEADLINE, || async {
        let mut story = Story::new(TestCluster::in_process().await);
        let text = text(20_000);
        let path = story.text(&text);
        success(story.command(&["--input", &path])).await;
        story.cluster = TestCluster::in_process().await;
        let output = output(story.command(&["--json", "--input", &path])).await;
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("state wiped"), "{errors}");
        assert_eq!(json(&String::from_utf8(output.stdout).unwrap()), count(&text));
    });
}

#[test]
fn a_state_directory_in_use_by_another_process_is_an_error() {
    run("in use", DEADLINE, || async {
        let story = Story::new(TestCluster::in_process().await);
        story.create_topics().await;
        let folder = story.state().join(&story.id);
        std::fs::create_dir_all(&folder).unwrap();
        // This process plays the other instance.
        let lock = std::fs::File::create(folder.join(".lock")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let error = failure(story.command(&["--no-produce"])).await;
        assert!(error.contains("is in use by another process"), "{error}");
        drop(lock);
        success(story.command(&["--no-produce"])).await;
    });
}

#[test]
fn one_of_two_that_is_killed_leaves_its_work_to_the_other() {
    run("one of two killed", DEADLINE, || async {
        let story = Story::new(TestCluster::in_process().await);
        story.create_topics().await;
        let text = text(2_000_000);
        let mut command = story.command(&["--input", &story.text(&text)]);
        command.stdout(Stdio::null());
        let mut victim = Running::start(command);
        eventually("the first counts", || async { story.committed().await > 0 }).await;
        let mut other = example(&["--no-produce", "--bootstrap", &story.cluster.bootstrap()]);
        other.args(["--application-id", &story.id, "--state-dir"]);
        other.arg(story.folder.path().join("other")).stdout(Stdio::null());
        let mut survivor = Running::start(other);
        victim.signal(Signal::KILL);
        assert_eq!(victim.end(STOP_WITHIN).await, None);
        assert_eq!(survivor.end(RUN_WITHIN).await, Some(0));
        let counts = story.counts().await;
        let expected = count(&text);
        let lost = expected.iter().find(|(word, n)| counts.get(*word).is_none_or(|m| m < n));
        assert_eq!(lost, None, "every word is counted at least once");
    });
}

#[test]
fn it_goes_on_where_it_stopped() {
    run("goes on", DEADLINE, || async {
        goes_on(&Story::new(TestCluster::in_process().await), 100_000).await;
    });
}

#[test]
fn it_survives_being_killed() {
    run("killed", DEADLINE, || async {
        killed(&Story::new(TestCluster::in_process().await), 400_000).await;
    });
}

mod kafka {
    use super::*;

    /// Both stories use the same topics.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn it_goes_on_where_it_stopped() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        run("goes on", DEADLINE, || async {
            goes_on(&Story::new(TestCluster::kafka()), 1_000_000).await;
        });
    }

    #[test]
    fn it_survives_being_killed() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        run("killed", DEADLINE, || async {
            killed(&Story::new(TestCluster::kafka()), 400_000).await;
        });
    }
}

/// Counts right; run again, goes on; with its state deleted, restores it.
async fn goes_on(story: &Story, length: usize) {
    story.create_topics().await;
    let text = text(length);
    let expected = count(&text);
    let path = story.text(&text);
    let printed = success(story.command(&["--json", "--input", &path])).await;
    assert!(json(&printed) == expected, "the printed counts are right");
    assert!(story.counts().await == expected, "the output topic's counts are right");
    story.assert_store_agrees_with_changelog().await;

    let report = success(story.command(&["--no-produce"])).await;
    assert_eq!(number_before(&report, " records restored"), 0, "{report}");
    std::fs::remove_dir_all(story.state()).unwrap();
    let report = success(story.command(&["--no-produce"])).await;
    assert!(number_before(&report, " records restored") > 0, "{report}");
    assert!(story.counts().await == expected, "nothing was counted again");
    story.assert_store_agrees_with_changelog().await;
}

/// Killed at moments of chance, it ends with every word counted at least once.
async fn killed(story: &Story, length: usize) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed =
        std::env::var("MILLSTREAM_SEED").map_or(since.as_micros() as u64, |s| s.parse().unwrap());
    println!("MILLSTREAM_SEED={seed}");
    let mut random = Random(seed | 1);
    story.create_topics().await;
    let text = text(length);
    let producer = story.cluster.producer().build().await.unwrap();
    for line in text.lines() {
        drop(producer.enqueue(&Record::to(INPUT).value(line)).await.unwrap());
    }
    assert!(producer.flush().await.is_complete());
    let lines: i64 = ends(&story.cluster, INPUT).await.values().map(|end| end.value()).sum();
    assert_eq!(lines, i64::try_from(text.lines().count()).unwrap());

    for n in 0..3 {
        let before = story.committed().await;
        let mut command = story.command(&["--no-produce"]);
        command.stdout(Stdio::null());
        let mut running = Running::start(command);
        // Once at any moment of its start, else while it counts.
        if n != 1 {
            eventually("it counts", || async { story.committed().await > before }).await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        if running.0.try_wait().unwrap().is_some() {
            step("it was through already");
            break;
        }
        running.signal(Signal::KILL);
        assert_eq!(running.end(STOP_WITHIN).await, None);
    }
    success(story.command(&["--no-produce"])).await;
    let counts = story.counts().await;
    for (word, expected) in count(&text) {
        assert!(counts.get(&word).is_some_and(|found| *found >= expected), "{word}: {expected}");
    }
    story.assert_store_agrees_with_changelog().await;
}
