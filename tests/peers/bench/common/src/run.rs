//! The command line that all peers have in common.

use std::collections::HashMap;
use std::time::Duration;

/// What a peer is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Send all records as fast as they are taken.
    Produce,
    /// Send them at a fixed rate and time each from its intended moment to its acknowledgement.
    Latency,
    /// Send one, then nothing for a while.
    Idle,
}

/// A codec by Kafka's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The name in Kafka's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// One run: acks=all, idempotent, five requests in flight; the rest is here.
#[derive(Debug)]
pub struct Run {
    /// What to do.
    pub mode: Mode,
    /// The broker's address.
    pub bootstrap: String,
    /// The topic, which is there.
    pub topic: String,
    /// Its number of partitions.
    pub partitions: usize,
    /// How many records count.
    pub records: u64,
    /// How many are sent and acknowledged before that.
    pub warm: u64,
    /// What they are made of.
    pub values: Values,
    /// The codec.
    pub compression: Compression,
    /// `linger.ms`.
    pub linger: Duration,
    /// `batch.size`, in bytes.
    pub batch: usize,
    /// Records a second, of [`Mode::Latency`].
    pub rate: u64,
    /// How long [`Mode::Idle`] stays idle.
    pub idle: Duration,
}

impl Run {
    /// Reads the command line.
    ///
    /// # Panics
    /// If it is not as the contract says.
    #[must_use]
    pub fn from_args() -> Self {
        let mut words = std::env::args().skip(1);
        let mode = match words.next().as_deref() {
            Some("produce") => Mode::Produce,
            Some("latency") => Mode::Latency,
            Some("idle") => Mode::Idle,
            other => panic!("the first argument is produce, latency or idle, not {other:?}"),
        };
        let named: HashMap<String, String> = words
            .map(|word| {
                let (name, value) = word.split_once('=').expect("arguments are name=value");
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let text = |name: &str| match named.get(name) {
            Some(value) => value.clone(),
            None => panic!("there is no argument {name}"),
        };
        let number = |name: &str| text(name).parse::<u64>().expect("a number");
        Self {
            mode,
            bootstrap: text("bootstrap"),
            topic: text("topic"),
            partitions: number("partitions") as usize,
            records: number("records"),
            warm: number("warm"),
            values: Values::read(&text("values"), number("size") as usize),
            compression: match text("compression").as_str() {
                "none" => Compression::None,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                other => panic!("no codec {other}"),
            },
            linger: Duration::from_millis(number("linger_ms")),
            batch: number("batch") as usize,
            rate: number("rate"),
            idle: Duration::from_millis(number("idle_ms")),
        }
    }
}

/// The values of the records: the file that the harness wrote, cut into pieces of one size. Record `i` has the
/// piece `i % count`.
#[derive(Debug)]
pub struct Values {
    bytes: Vec<u8>,
    size: usize,
    next: usize,
}

impl Values {
    /// Reads the file.
    ///
    /// # Panics
    /// If it cannot be read, or is not a whole number of values.
    #[must_use]
    pub fn read(path: &str, size: usize) -> Self {
        let bytes = std::fs::read(path).expect("the file of values can be read");
        assert!(
            !bytes.is_empty() && bytes.len() % size == 0,
            "{path} is no whole number of values"
        );
        Self { bytes, size, next: 0 }
    }

    /// Begins anew with the first value.
    pub const fn restart(&mut self) {
        self.next = 0;
    }

    /// The next value, after the last the first again.
    #[inline]
    pub fn next_value(&mut self) -> &[u8] {
        let start = self.next;
        let end = start + self.size;
        self.next = if end == self.bytes.len() { 0 } else { end };
        &self.bytes[start..end]
    }

    /// All of them, once.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.size)
    }

    /// The sum of the CRC-32Cs of the first `count` values.
    #[must_use]
    pub fn checksum(&self, count: u64) -> u64 {
        let sums: Vec<u64> =
            self.bytes.chunks(self.size).map(|value| u64::from(crc32c::crc32c(value))).collect();
        let (rounds, rest) = (count / sums.len() as u64, (count % sums.len() as u64) as usize);
        let once: u64 = sums.iter().sum();
        once.wrapping_mul(rounds).wrapping_add(sums[..rest].iter().sum())
    }
}
