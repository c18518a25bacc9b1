//! The course of one run: topics, lines, counting, the final table.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::{Close, KafkaStreams, KafkaStreamsState, Topology};
use tokio::sync::Notify;

use crate::args::Args;
use crate::cluster::Cluster;
use crate::input;
use crate::progress::Progress;
use crate::table::Table;
use crate::topology::{OUTPUT, word_count};
use crate::view::{ROWS, View};

/// How often offsets are committed, and how often progress is looked at.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);
/// Ctrl-C ends the run within 5 s, closing included.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);
/// A member that was killed is missed after this; Kafka allows no less by default.
const SESSION_TIMEOUT_MS: &str = "6000";
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs the application until every line is counted.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let interrupt = interrupt()?;
    let mut view = View::new(args.json);
    let cluster = Cluster::open(args.bootstrap.as_deref()).await?;
    if !args.no_produce {
        produce(args, &cluster, &mut view).await?;
    }
    let topology = word_count()?;
    let mut progress = Progress::begin(&cluster.admin, &topology, &args.application_id).await?;
    let partitions = cluster.admin.describe_topics([OUTPUT]).await?;
    let partitions = partitions.values().map(|topic| topic.partitions.len()).sum::<usize>();
    let mut table = Table::open(&cluster.bootstrap, i32::try_from(partitions)?).await?;

    let folder = StateFolder::new(args)?;
    let began = Instant::now();
    let app = start(args, topology, &cluster.bootstrap, folder.path()).await?;
    let counted = count(&app, &mut progress, &mut table, &mut view, &interrupt).await;
    let closed = app.close(Close::within(CLOSE_WITHIN)).await;
    view.clear();
    if !counted? {
        view.line("stopped: run again with the same application id and state directory to go on");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if !closed {
        return Err("the application did not close in time".into());
    }
    table.read_to_end().await?;
    let restored = app.metrics().restored;
    show(args, &view, &table, restored);
    show_speed(&view, progress.words(), began.elapsed(), cpu_time());
    Ok(ExitCode::SUCCESS)
}

async fn produce(args: &Args, cluster: &Cluster, view: &mut View) -> Result<(), Box<dyn Error>> {
    let files = if args.input.is_empty() { input::own_texts()? } else { args.input.clone() };
    let began = Instant::now();
    let lines = input::produce(&cluster.bootstrap, &files, |lines| {
        // Drawing is for the eye: not more often than the eye can follow.
        if lines % 4_096 == 0 {
            view.show("producing", lines, lines, per_second(lines, began), &[]);
        }
    })
    .await?;
    view.line(&format!("produced {lines} lines"));
    Ok(())
}

async fn start(
    args: &Args,
    topology: Topology,
    bootstrap: &str,
    state_dir: PathBuf,
) -> Result<KafkaStreams, Box<dyn Error>> {
    let app = KafkaStreams::builder(topology, args.application_id.as_str(), [bootstrap])
        .threads(usize::from(args.threads))
        .state_dir(state_dir)
        .commit_interval(COMMIT_INTERVAL)
        .property("consumer.session.timeout.ms", SESSION_TIMEOUT_MS)
        .start()
        .await?;
    Ok(app)
}

/// Watches until all is counted; false if the user interrupted it.
async fn count(
    app: &KafkaStreams,
    progress: &mut Progress<'_>,
    table: &mut Table,
    view: &mut View,
    interrupt: &Notify,
) -> Result<bool, Box<dyn Error>> {
    let began = Instant::now();
    let mut tick = tokio::time::interval(COMMIT_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = interrupt.notified() => return Ok(false),
            read = table.read() => read?,
            _ = tick.tick() => {
                if app.state().is_final() || app.state() == KafkaStreamsState::PendingError {
                    return Err(match app.last_error() {
                        Some(error) => error.into(),
                        None => "the application ended by itself".into(),
                    });
                }
                progress.update().await?;
                let (total, done) = progress.lines();
                let rate = per_second(app.metrics().processed, began);
                view.show("counting", done, total, rate, &table.top(ROWS));
                // Even with nothing left to count, state that is behind is restored first.
                let running = app.state() == KafkaStreamsState::Running;
                if running && progress.is_done().await? {
                    return Ok(true);
                }
            }
        }
    }
}

fn show(args: &Args, view: &View, table: &Table, restored: u64) {
    if args.json {
        #[expect(clippy::print_stdout, reason = "the result")]
        {
            println!("{}", table.to_json());
        }
        return;
    }
    for (word, count) in table.top(ROWS) {
        view.line(&format!("{word:<24} {count:>12}"));
    }
    let (different, all) = table.totals();
    view.line(&format!("{all} words, {different} different; {restored} records restored"));
}

fn show_speed(view: &View, words: i64, elapsed: Duration, cpu: Duration) {
    let words = u32::try_from(words).unwrap_or(u32::MAX);
    let rate = |time: Duration| f64::from(words) / time.as_secs_f64().max(f64::EPSILON);
    view.line(&format!(
        "counted {words} words in {:.2} s ({:.0}/s) and {:.2} CPU-seconds: {:.0} words per CPU-second",
        elapsed.as_secs_f64(),
        rate(elapsed),
        cpu.as_secs_f64(),
        rate(cpu),
    ));
}

fn per_second(count: u64, since: Instant) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / since.elapsed().as_secs_f64().max(0.001)
}

/// CPU time of the whole process: broker, clients and application.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// The state directory: the user's, or one that goes with the in-process broker.
enum StateFolder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl StateFolder {
    fn new(args: &Args) -> std::io::Result<Self> {
        match (&args.state_dir, &args.bootstrap) {
            (Some(folder), _) => Ok(Self::Kept(folder.clone())),
            (None, Some(_)) => Ok(Self::Kept(std::env::temp_dir().join("millstream-word-count"))),
            (None, None) => tempfile::tempdir().map(Self::Temporary),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Kept(folder) => folder.clone(),
            Self::Temporary(folder) => folder.path().to_path_buf(),
        }
    }
}

/// Told of Ctrl-C.
fn interrupt() -> Result<Arc<Notify>, ctrlc::Error> {
    let notify = Arc::new(Notify::new());
    let handler = notify.clone();
    ctrlc::set_handler(move || handler.notify_one())?;
    Ok(notify)
}
