//! The texts to count: files or standard input, line by line.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use millstream_client::Producer;
use millstream_types::Record;

use crate::topology::INPUT;

/// A text that is not UTF-8.
#[derive(Debug)]
struct NotUtf8 {
    file: String,
    line: usize,
}

impl std::fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: line {} is not valid UTF-8", self.file, self.line)
    }
}

impl Error for NotUtf8 {}

/// The repository's own Markdown files.
pub(crate) fn own_texts() -> io::Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            texts.push(path);
        }
    }
    texts.sort();
    Ok(texts)
}

/// Produces every line of these files; gives the number of lines once all are acknowledged.
pub(crate) async fn produce(
    bootstrap: &str,
    files: &[PathBuf],
    mut each: impl FnMut(u64),
) -> Result<u64, Box<dyn Error>> {
    let producer = Producer::builder([bootstrap]).build().await?;
    let mut lines = 0;
    for file in files {
        let mut reader = open(file)?;
        let (mut line, mut number) = (Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            let text = std::str::from_utf8(trim(&line))
                .map_err(|_| NotUtf8 { file: file.display().to_string(), line: number })?;
            // What becomes of the record is told by `flush`.
            drop(producer.enqueue(&Record::to(INPUT).value(text)).await?);
            line.clear();
            lines += 1;
            each(lines);
        }
    }
    let report = producer.flush().await;
    if let Some(failure) = report.failures.first() {
        return Err(
            format!("{} lines were not written: {}", failure.records, failure.cause()).into()
        );
    }
    producer.close(std::time::Duration::from_secs(10)).await;
    Ok(lines)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Box<dyn Error>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

/// A line without its end, `\n` or `\r\n`.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
