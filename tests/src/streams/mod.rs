//! Streams applications under test: word counts with an independent count beside them.

mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millstream::{
    Close, KafkaStreams, KafkaStreamsBuilder, KafkaStreamsState, Materialized, StreamsBuilder,
    Topology,
};
use millstream_client::Record;
use millstream_client::consumer::Consumer;
use tempfile::TempDir;

use crate::cluster::{TestCluster, unique};
use crate::deadline::step;

pub use store::{
    assert_store_agrees_with_changelog, assert_stores_agree_with_changelogs,
    assert_stores_equal_changelogs, changelog_topics,
};

/// Partitions of the topics, and so tasks of each sub-topology.
pub const PARTITIONS: i32 = 4;
/// How long an application may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(20);
/// How long counts may take to come.
const COUNTS_WITHIN: Duration = Duration::from_secs(40);

/// How often each word occurs.
pub type Counts = BTreeMap<String, i64>;

/// Called with each word before it is counted.
type Visitor = Arc<dyn Fn(&str) + Send + Sync>;

/// A word count on topics of its own, with what was produced for it.
pub struct WordCount<'c> {
    /// Where it runs.
    pub cluster: &'c TestCluster,
    /// Lines of text.
    pub input: String,
    /// Counts by word.
    pub output: String,
    /// The application's name.
    pub id: String,
    visitor: Visitor,
    state: TempDir,
    expected: Counts,
    seen: Counts,
    reader: Option<Consumer>,
}

impl<'c> WordCount<'c> {
    /// Creates the topics.
    pub async fn new(cluster: &'c TestCluster) -> Self {
        Self::visited(cluster, |_| {}).await
    }

    /// A word count that shows each word to `visitor` before it is counted.
    pub async fn visited(
        cluster: &'c TestCluster,
        visitor: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let input = cluster.topic("lines", PARTITIONS).await;
        let output = cluster.topic("counts", PARTITIONS).await;
        Self {
            cluster,
            input,
            output,
            id: unique("word-count"),
            visitor: Arc::new(visitor),
            state: tempfile::tempdir().unwrap(),
            expected: Counts::new(),
            seen: Counts::new(),
            reader: None,
        }
    }

    /// Lines to words to counts.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let visitor = self.visitor.clone();
        topology(&self.input, &self.output, move |word| visitor(word))
    }

    /// An application of it that commits often, with its state in the common folder.
    pub fn builder(&self) -> KafkaStreamsBuilder {
        self.builder_in(self.state.path())
    }

    /// An application of it with its state in `folder`.
    pub fn builder_in(&self, folder: &Path) -> KafkaStreamsBuilder {
        KafkaStreams::builder(self.topology(), self.id.as_str(), [self.cluster.bootstrap()])
            .threads(2)
            .state_dir(folder)
            .commit_interval(Duration::from_millis(100))
            .property("consumer.session.timeout.ms", "6000")
            .property("consumer.heartbeat.interval.ms", "200")
            .property("producer.linger.ms", "5")
    }

    /// Starts an application of it and waits until its tasks run.
    pub async fn start(&self) -> KafkaStreams {
        run(self.builder()).await
    }

    /// Where its state lies, below the folder that it was given.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Takes its state away.
    pub fn delete_state(&self) {
        std::fs::remove_dir_all(self.state.path().join(&self.id)).unwrap();
    }

    /// The folder of another instance.
    #[must_use]
    pub fn other_state(&self) -> PathBuf {
        self.state.path().join("other-instance")
    }

    /// Produces lines, and counts their words independently.
    pub async fn say(&mut self, lines: &[String]) {
        step(format!("say {} lines", lines.len()));
        let producer = self.cluster.producer().build().await.unwrap();
        for (n, line) in lines.iter().enumerate() {
            let partition = i32::try_from(n).unwrap_or(0) % PARTITIONS;
            let record = Record::to(&self.input).partition(partition).value(line);
            drop(producer.enqueue(&record).await.unwrap());
            for word in line.split(' ') {
                *self.expected.entry(word.to_owned()).or_default() += 1;
            }
        }
        assert!(producer.flush().await.is_complete());
    }

    /// What was said, counted.
    #[must_use]
    pub const fn expected(&self) -> &Counts {
        &self.expected
    }

    /// The newest counts that were read.
    #[must_use]
    pub const fn seen(&self) -> &Counts {
        &self.seen
    }

    /// Forgets what was said: the next counts begin at nothing.
    pub fn forget(&mut self) {
        self.expected.clear();
        self.seen.clear();
    }

    /// Waits until the output topic holds exactly the counts of what was said.
    pub async fn wait_for_counts(&mut self) {
        self.wait_for("the counts are right", |seen, expected| seen == expected).await;
    }

    /// Waits until every word of what was said is counted at least once.
    pub async fn wait_for_counts_at_least(&mut self) {
        self.wait_for("nothing is left out", |seen, expected| {
            expected.iter().all(|(word, count)| seen.get(word).is_some_and(|seen| seen >= count))
        })
        .await;
    }

    async fn wait_for(&mut self, what: &str, enough: impl Fn(&Counts, &Counts) -> bool) {
        step(format!("waiting until {what}"));
        if self.reader.is_none() {
            self.reader = Some(self.new_reader().await);
        }
        let reader = self.reader.take().unwrap();
        let waiting = async {
            while !enough(&self.seen, &self.expected) {
                let batch = reader.poll().await.expect("counts").expect("the reader is open");
                for record in &batch {
                    let word = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                    let count = i64::from_be_bytes(record.value.unwrap().try_into().unwrap());
                    self.seen.insert(word, count);
                }
            }
        };
        let in_time = tokio::time::timeout(COUNTS_WITHIN, waiting).await;
        assert!(in_time.is_ok(), "{what}: not in time; {}", self.difference());
        self.reader = Some(reader);
    }

    async fn new_reader(&self) -> Consumer {
        let reader = self.cluster.reader().build().await.unwrap();
        reader.assign(crate::reading::partitions(self.cluster, &self.output).await).unwrap();
        reader
    }

    fn difference(&self) -> String {
        let differs = |word: &&String| self.seen.get(*word) != self.expected.get(*word);
        let words: Vec<_> = self.expected.keys().filter(differs).collect();
        let some = words.iter().take(3).map(|word| {
            format!("{word}: {:?}, not {:?}", self.seen.get(*word), self.expected.get(*word))
        });
        format!("{} words differ, as {}", words.len(), some.collect::<Vec<_>>().join("; "))
    }
}

/// The store that counts.
pub const STORE: &str = "counts-by-word";

/// Lines to words to counts; each word is shown to `visitor` before it goes out.
///
/// # Panics
/// If the program is wrong.
pub fn topology(
    input: &str,
    output: &str,
    visitor: impl Fn(&str) + Send + Sync + 'static,
) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(input)
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count_with(Materialized::stored_as(STORE))
        .to_stream()
        .peek(move |word, _| visitor(word.map_or("", String::as_str)))
        .to(output);
    builder.build().unwrap()
}

/// Starts an application and waits until its tasks run.
///
/// # Panics
/// If it does not.
pub async fn run(builder: KafkaStreamsBuilder) -> KafkaStreams {
    step("start the application");
    let app = builder.start().await.unwrap_or_else(|error| panic!("it does not start: {error:?}"));
    step("wait until it runs");
    let running = tokio::time::timeout(COUNTS_WITHIN, app.wait_until_running()).await;
    running.unwrap_or_else(|_| panic!("it is {} for long", app.state())).unwrap();
    app
}

/// Closes an application that has nothing against it.
///
/// # Panics
/// If it does not close in time.
pub async fn close(app: KafkaStreams) {
    step("close the application");
    assert!(app.close(Close::within(CLOSE_WITHIN)).await, "it is {} still", app.state());
    assert_eq!(app.state(), KafkaStreamsState::NotRunning);
}

/// Waits until an application has died, and gives the error that it died of.
///
/// # Panics
/// If it lives on, or says nothing.
pub async fn death(app: &KafkaStreams) -> millstream::StreamsError {
    step("wait for the application's end");
    let ended = tokio::time::timeout(COUNTS_WITHIN, app.wait_until(|_| false)).await;
    let state = ended.unwrap_or_else(|_| panic!("it is {} still", app.state()));
    assert_eq!(state, KafkaStreamsState::Error);
    app.last_error().expect("it says what it died of")
}

/// Lines that hold some words often and others once.
#[must_use]
pub fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("the {} of {} was {n}", n % 7, n % 31)).collect()
}
