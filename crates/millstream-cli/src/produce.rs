//! `millstream produce`: a record per line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use millstream_client::{Compression, Delivery, DeliveryError, Producer, Record};

use crate::connection::{Connection, PATIENCE};
use crate::error::Failure;

/// Deliveries remembered before the oldest is waited for: they hold their batches in memory.
const PENDING_MAX: usize = 100_000;
/// How long closing may take once every delivery is known.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// Produces a record per line of a file or of standard input.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: millstream produce orders -b localhost:9092 --key-separator : < lines.txt"
)]
pub(crate) struct Args {
    /// The topic.
    topic: String,

    #[command(flatten)]
    connection: Connection,

    /// The file to read; `-` for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,

    /// What separates key and value; a line without it has no key.
    #[arg(long, value_name = "S")]
    key_separator: Option<String>,

    /// The codec of batches: none, gzip, snappy, lz4 or zstd.
    #[arg(long, value_name = "CODEC")]
    compression: Option<Compression>,

    /// Who must have a record before it counts as written: 0, 1 or all.
    #[arg(long, value_name = "N", value_parser = ["0", "1", "all", "-1"])]
    acks: Option<String>,
}

/// What became of the lines.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    acked: u64,
    failed: u64,
    unknown: u64,
    /// The first failure's words.
    first: Option<String>,
}

/// Produces every line; succeeds if every one was acknowledged.
pub(crate) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut input = open(&args.file)?;
    let producer = producer(args).await?;
    let progress = progress();
    let mut tally = Tally::default();
    let mut pending = VecDeque::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::during(args.file.display(), &error))? == 0 {
            break;
        }
        let (key, value) = split(trim(&line), args.key_separator.as_deref());
        tally.sent += 1;
        let record = Record::to(&args.topic).maybe_key(key).value(value);
        match producer.enqueue(&record).await {
            Ok(delivery) => pending.push_back(delivery),
            Err(error) => {
                tally.fail(&error);
                // Without the topic, or the brokers, every further line would wait and fail too.
                break;
            }
        }
        if pending.len() > PENDING_MAX
            && let Some(oldest) = pending.pop_front()
        {
            tally.count(oldest).await;
        }
        progress.set_position(tally.sent);
    }
    for delivery in pending {
        tally.count(delivery).await;
    }
    producer.close(CLOSE_WITHIN).await;
    progress.finish_and_clear();
    Ok(tally.report())
}

impl Tally {
    async fn count(&mut self, delivery: Delivery) {
        match delivery.await {
            Ok(_) => self.acked += 1,
            Err(error @ DeliveryError::Unknown(_)) => {
                self.unknown += 1;
                self.first.get_or_insert_with(|| error.to_string());
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &dyn std::error::Error) {
        self.failed += 1;
        self.first.get_or_insert_with(|| error.to_string());
    }

    fn report(&self) -> ExitCode {
        if let Some(first) = &self.first {
            eprintln!("error: {first}");
        }
        let Self { sent, acked, failed, unknown, .. } = self;
        eprintln!("sent {sent} acked {acked} failed {failed} unknown {unknown}");
        if acked == sent { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

async fn producer(args: &Args) -> Result<Producer, Failure> {
    let mut builder = Producer::builder(args.connection.bootstrap()?)
        .max_block(PATIENCE)
        .properties(&args.connection.properties()?);
    if let Some(codec) = args.compression {
        builder = builder.compression(codec);
    }
    if let Some(acks) = &args.acks {
        builder = builder.property("acks", acks);
    }
    Ok(builder.build().await?)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).map_err(|error| Failure::during(file.display(), &error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} records {per_sec}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// A line without its end, `\n` or `\r\n`.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Key and value of a line, at the first separator.
fn split<'a>(line: &'a [u8], separator: Option<&str>) -> (Option<&'a [u8]>, &'a [u8]) {
    let Some(separator) = separator.map(str::as_bytes).filter(|s| !s.is_empty()) else {
        return (None, line);
    };
    match line.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_the_first_separator() {
        assert_eq!(split(b"a:b:c", Some(":")), (Some(&b"a"[..]), &b"b:c"[..]));
        assert_eq!(split(b"abc", Some(":")), (None, &b"abc"[..]));
        assert_eq!(split(b":b", Some(":")), (Some(&b""[..]), &b"b"[..]));
        assert_eq!(split(b"a=>b", Some("=>")), (Some(&b"a"[..]), &b"b"[..]));
        assert_eq!(split(b"a:b", None), (None, &b"a:b"[..]));
    }

    #[test]
    fn line_ends_are_not_part_of_the_value() {
        assert_eq!(trim(b"a\r\n"), b"a");
        assert_eq!(trim(b"a\n"), b"a");
        assert_eq!(trim(b"a\rb"), b"a\rb");
    }
}
