//! `millstream consume`: prints the records of topics.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_client::{Batch, Consumer, ConsumerEvent, OffsetReset, OffsetSpec};
use millstream_types::{Offset, OffsetAndMetadata, TopicName, TopicPartition};
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::error::Failure;
use crate::format::Format;

/// Prints the records of topics.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: millstream consume orders -b localhost:9092 --until-end --format '%k\\t%v\\n'"
)]
pub(crate) struct Args {
    /// The topics.
    #[arg(required = true)]
    topics: Vec<String>,

    #[command(flatten)]
    connection: Connection,

    /// The group to join and to commit for; without it, all partitions are read.
    #[arg(long, value_name = "G")]
    group: Option<String>,

    /// Where to start where nothing is committed.
    #[arg(long, value_enum, default_value_t = From::Beginning)]
    from: From,

    /// End when everything is printed that was there at the start.
    #[arg(long)]
    until_end: bool,

    /// End after so many records.
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// `json`, or text with %k %v %t %p %o %T %h %% and \n \t \r \0 \\.
    #[arg(long, default_value = "%v\\n")]
    format: String,
}

/// Where to start.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Beginning,
    End,
}

/// Prints until it is told to end.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let format = Format::parse(&args.format)?;
    let stop = Arc::new(Notify::new());
    let handler = stop.clone();
    ctrlc::set_handler(move || handler.notify_one())?;
    let ends = ends(args).await?;
    let consumer = consumer(args, ends.keys().cloned()).await?;
    let mut session = Session::new(args, &format, ends);
    while !session.is_done() {
        tokio::select! {
            () = stop.notified() => break,
            event = consumer.next_event() => match event? {
                Some(ConsumerEvent::Records(batch)) => {
                    let next = session.print(&batch)?;
                    if args.group.is_some() {
                        commit(&consumer, &batch, next).await?;
                    }
                }
                Some(ConsumerEvent::CommitFailed { error }) => return Err(error.into()),
                Some(_) => {}
                None => break,
            },
            // A group that has read everything before gets no event: its positions tell.
            () = tokio::time::sleep(LOOK_EVERY), if args.until_end => {}
        }
        session.note_positions(&consumer);
    }
    session.finish()?;
    consumer.close(CLOSE_WITHIN).await?;
    Ok(ExitCode::SUCCESS)
}

/// Commits what was printed of a batch: all of it in passing; a part, which is the last thing that
/// is printed, by its offset.
async fn commit(consumer: &Consumer, batch: &Batch, next: Offset) -> Result<(), Failure> {
    if next == batch.next_offset() {
        consumer.commit_later(batch)?;
    } else {
        let leader_epoch = batch.leader_epoch();
        let offset = OffsetAndMetadata { leader_epoch, ..next.into() };
        consumer.commit_offsets([(batch.topic_partition().clone(), offset)]).await?;
    }
    Ok(())
}

/// How often positions are looked at while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the last commit and leaving the group may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// Every partition of the topics, and where it ends now.
async fn ends(args: &Args) -> Result<BTreeMap<TopicPartition, Offset>, Failure> {
    let admin = args.connection.admin(None).await?;
    let names = args.topics.iter().map(|name| TopicName::from(name.as_str()));
    let topics = admin.describe_topics(names).await?;
    let partitions = topics.iter().flat_map(|(name, topic)| {
        topic.partitions.keys().map(move |number| TopicPartition::new(name, *number))
    });
    let asked = partitions.map(|partition| (partition, OffsetSpec::Latest));
    let listed = admin.list_offsets(asked).await?;
    let end = |offset: Option<Offset>| offset.unwrap_or(Offset::ZERO);
    Ok(listed.into_iter().map(|(partition, listed)| (partition, end(listed.offset))).collect())
}

async fn consumer(
    args: &Args,
    partitions: impl Iterator<Item = TopicPartition>,
) -> Result<Consumer, Failure> {
    let bootstrap = args.connection.bootstrap()?;
    let reset = match args.from {
        From::Beginning => OffsetReset::Earliest,
        From::End => OffsetReset::Latest,
    };
    let builder = match &args.group {
        Some(group) => Consumer::builder(bootstrap).group(group.as_str()),
        None => Consumer::reader(bootstrap),
    };
    let builder = builder.auto_offset_reset(reset).properties(&args.connection.properties()?);
    let consumer = builder.build().await?;
    if args.group.is_some() {
        consumer.subscribe(args.topics.iter().map(String::as_str)).await?;
    } else {
        consumer.assign(partitions)?;
    }
    Ok(consumer)
}

/// What is printed, and what is still to print.
struct Session<'a> {
    format: &'a Format,
    out: BufWriter<io::Stdout>,
    progress: ProgressBar,
    printed: u64,
    count: Option<u64>,
    /// Where each partition ended at the start, while it is not reached; none without --until-end.
    left: Option<BTreeMap<TopicPartition, Offset>>,
}

impl<'a> Session<'a> {
    fn new(args: &Args, format: &'a Format, mut ends: BTreeMap<TopicPartition, Offset>) -> Self {
        ends.retain(|_, end| *end > Offset::ZERO);
        Self {
            format,
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            progress: progress(),
            printed: 0,
            count: args.count,
            left: args.until_end.then_some(ends),
        }
    }

    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.printed >= count)
            || self.left.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// Prints a batch as far as the count allows; gives the offset behind what was printed.
    fn print(&mut self, batch: &Batch) -> Result<Offset, Failure> {
        let mut next = batch.next_offset();
        for record in batch {
            if self.count.is_some_and(|count| self.printed >= count) {
                next = record.offset;
                break;
            }
            let (topic, partition) = (batch.topic(), batch.partition());
            self.format
                .write(&mut self.out, topic, partition, &record)
                .map_err(|error| Failure::during("standard output", &error))?;
            self.printed += 1;
        }
        self.progress.set_position(self.printed);
        self.out.flush().map_err(|error| Failure::during("standard output", &error))?;
        self.reached(batch.topic_partition(), next);
        Ok(next)
    }

    /// Positions also move past records that are not shown, such as transaction markers.
    fn note_positions(&mut self, consumer: &Consumer) {
        let partitions: Vec<_> = self.left.iter().flat_map(BTreeMap::keys).cloned().collect();
        for partition in partitions {
            if let Some(position) = consumer.position(&partition) {
                self.reached(&partition, position);
            }
        }
    }

    fn reached(&mut self, partition: &TopicPartition, position: Offset) {
        if let Some(left) = &mut self.left
            && left.get(partition).is_some_and(|end| position >= *end)
        {
            left.remove(partition);
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.progress.finish_and_clear();
        self.out.flush().map_err(|error| Failure::during("standard output", &error))
    }
}

/// A count on standard error, where that is a terminal and the records go elsewhere.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} records {per_sec}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
