//! The counts, as they arrive in the output topic.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use millstream_client::{Consumer, ConsumerEvent, OffsetReset};
use millstream_types::{Offset, PartitionId, TopicPartition};

use crate::topology::OUTPUT;

/// How long the broker may take to say where topics end.
pub(crate) const OFFSETS_TIMEOUT: Duration = Duration::from_secs(30);

/// The latest count of each word.
pub(crate) struct Table {
    reader: Consumer,
    partitions: Vec<TopicPartition>,
    counts: HashMap<String, i64>,
}

impl Table {
    /// A table that reads the output topic from its beginning.
    pub(crate) async fn open(bootstrap: &str, partitions: i32) -> Result<Self, Box<dyn Error>> {
        let reader =
            Consumer::reader([bootstrap]).auto_offset_reset(OffsetReset::Earliest).build().await?;
        let partitions: Vec<_> =
            (0..partitions).map(|p| TopicPartition::new(OUTPUT, PartitionId(p))).collect();
        reader.assign(partitions.iter().cloned())?;
        Ok(Self { reader, partitions, counts: HashMap::new() })
    }

    /// Takes in the next batch of counts.
    ///
    /// Cancel safe: a batch that was not taken in is read again.
    pub(crate) async fn read(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(ConsumerEvent::Records(batch)) = self.reader.next_event().await? {
            for record in &batch {
                let (Some(word), Some(count)) = (record.key(), record.value()) else { continue };
                let word = std::str::from_utf8(word)?;
                let count = i64::from_be_bytes(count.try_into()?);
                // Most words are there already: no allocation for those.
                match self.counts.get_mut(word) {
                    Some(slot) => *slot = count,
                    None => {
                        self.counts.insert(word.to_owned(), count);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads up to where the topic ends now.
    pub(crate) async fn read_to_end(&mut self) -> Result<(), Box<dyn Error>> {
        let ends = self.reader.end_offsets(self.partitions.iter().cloned()).await?;
        let behind = |reader: &Consumer| {
            ends.iter().any(|(partition, end)| {
                *end > Offset::ZERO && reader.position(partition).is_none_or(|at| at < *end)
            })
        };
        while behind(&self.reader) {
            tokio::time::timeout(OFFSETS_TIMEOUT, self.read())
                .await
                .map_err(|_| "the output topic cannot be read to its end")??;
        }
        Ok(())
    }

    /// The words with the highest counts, highest first.
    pub(crate) fn top(&self, rows: usize) -> Vec<(&str, i64)> {
        let mut all: Vec<_> =
            self.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(rows);
        all
    }

    /// How many different words there are, and how many in all.
    pub(crate) fn totals(&self) -> (usize, i64) {
        (self.counts.len(), self.counts.values().sum())
    }

    /// All counts, as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let sorted: std::collections::BTreeMap<_, _> = self.counts.iter().collect();
        serde_json::to_string(&sorted).unwrap_or_default()
    }
}
