//! The cases: size of value, codec, partitions; and the files of values.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell;

/// One case of a suite. Its name is as on the command line: `100B-lz4-6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Bytes of a value; records have no key.
    pub(super) size: usize,
    pub(super) compression: &'static str,
    pub(super) partitions: usize,
}

/// All codecs that cases name.
const CODECS: [&str; 3] = ["none", "lz4", "zstd"];
/// The bytes of a file of values: more than a batch holds, less than a second-level cache.
const VALUES_BYTES: usize = 512 * 1024;
/// Fixed, so that every run sends the same.
const SEED: u64 = 0x6d69_6c6c_7374_726d;

impl Case {
    /// What `bench produce` measures unless told otherwise.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for compression in CODECS {
            for size in [100, 1024] {
                all.push(Self { size, compression, partitions: 6 });
            }
        }
        all.push(Self { size: 100, compression: "none", partitions: 100 });
        all.push(Self { size: 1024, compression: "none", partitions: 100 });
        all.push(Self { size: 100, compression: "none", partitions: 1_000 });
        all
    }

    pub(super) fn name(&self) -> String {
        let size = if self.size == 1024 { "1KiB".to_owned() } else { format!("{}B", self.size) };
        format!("{size}-{}-{}", self.compression, self.partitions)
    }

    /// Reads a name.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let words: Vec<_> = name.split('-').collect();
        let [size, codec, partitions] = words[..] else {
            bail!("`{name}` is no case: they are named like 100B-lz4-6");
        };
        let size =
            if size == "1KiB" { Some(1024) } else { size.trim_end_matches('B').parse().ok() };
        let compression = CODECS.into_iter().find(|known| *known == codec);
        match (size, compression, partitions.parse().ok()) {
            (Some(size), Some(compression), Some(partitions)) if size > 0 && partitions > 0 => {
                Ok(Self { size, compression, partitions })
            }
            _ => bail!("`{name}` is no case: they are named like 100B-lz4-6"),
        }
    }

    /// How many records make a run of about a second and a half for the slower peers.
    pub(super) const fn records(&self) -> u64 {
        match (self.size, self.compression.as_bytes()) {
            (..=256, b"none") => 3_000_000,
            (..=256, b"lz4") => 2_000_000,
            (..=256, _) => 1_000_000,
            (_, b"none") => 600_000,
            (_, b"lz4") => 300_000,
            _ => 150_000,
        }
    }

    /// The file of values, written if it is not there. Random bytes do not compress, so the codecs get words.
    pub(super) fn values(&self) -> Result<PathBuf> {
        let kind = if self.compression == "none" { "random" } else { "words" };
        let folder = shell::root().join("target/bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("values-{kind}-{}", self.size));
        let count = (VALUES_BYTES / self.size).max(1);
        let mut random = SplitMix(SEED);
        let bytes = if kind == "random" {
            (0..count * self.size).map(|_| b'!' + random.below(94) as u8).collect()
        } else {
            words(&mut random, count * self.size)
        };
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(path);
        }
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Text of made-up words, the earlier ones of the vocabulary more often, as in a language.
fn words(random: &mut SplitMix, length: usize) -> Vec<u8> {
    let vocabulary: Vec<Vec<u8>> = (0..2_000)
        .map(|_| (0..3 + random.below(8)).map(|_| b'a' + random.below(26) as u8).collect())
        .collect();
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        let bound = 1 + random.below(vocabulary.len() as u64);
        text.extend_from_slice(&vocabulary[random.below(bound) as usize]);
        text.push(b' ');
    }
    text.truncate(length);
    text
}

/// The generator SplitMix64: enough for payloads.
struct SplitMix(u64);

impl SplitMix {
    const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
