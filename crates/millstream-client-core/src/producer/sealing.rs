//! How a batch is closed for the wire: compressed, by whoever has the time for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_protocol::compression::Compression;

use super::accumulator::{OpenBatch, Partition, TopicCommon};
use super::delivery::SealedBuffer;
use super::memory::BufferPool;
use super::shared::ProducerShared;

/// Runs the sealing of batches whose codec is too slow for the driver (gzip, zstd).
pub trait SealWorkers: Send + Sync + 'static {
    /// Runs `job` soon, on any thread; or at once.
    fn submit(&self, job: SealJob);
}

/// A closed batch to compress.
#[derive(Debug)]
pub struct SealJob {
    shared: Arc<ProducerShared>,
    partition: Arc<Partition>,
    open: OpenBatch,
}

impl SealJob {
    /// Compresses the batch and hands it to the driver.
    pub fn run(self) {
        self.shared.seal(&self.partition, self.open);
        self.shared.announce(&self.partition);
    }
}

impl ProducerShared {
    /// Seals a closed batch: here, if that is quick or a caller pays for it, else by the workers.
    pub(crate) fn seal_soon(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        open: OpenBatch,
        announce: bool,
    ) {
        if partition.common.codec.is_slow() {
            self.workers.submit(SealJob {
                shared: Arc::clone(self),
                partition: Arc::clone(partition),
                open,
            });
            return;
        }
        self.seal(partition, open);
        if announce {
            self.announce(partition);
        }
    }

    fn seal(&self, partition: &Partition, open: OpenBatch) {
        let (builder, mut buffer, handle) = open.into_parts();
        let (size, records) = (builder.size(), builder.record_count().unsigned_abs());
        let TopicCommon { codec, ratio, counters, .. } = &*partition.common;
        self.counters.client.record_size.record(size as u64 / u64::from(records.max(1)));
        if codec.compression == Compression::None {
            let batch = builder.seal();
            handle.set_sealed(SealedBuffer { batch, charge: buffer });
            return;
        }
        let mut compressor = codec.take();
        let guess = size * ratio.load(Ordering::Relaxed) as usize / 1_000;
        let mut output = self.pool.acquire_over(guess + guess / 16);
        let (mut batch, spare) = builder.seal_compressed(&mut compressor, output.take_vec());
        codec.put_back(compressor);
        let left = batch.size() * 1_000 / size.max(1);
        ratio.store(u32::try_from(left).unwrap_or(1_000), Ordering::Relaxed);
        self.counters.client.compression_rate_permille.record(left as u64);
        counters.compression_rate_permille.record(left as u64);
        buffer.put_back(spare);
        drop(buffer);
        // What codecs reserved and did not use is given back, so that the charge is the truth.
        batch.shrink_to(BufferPool::class_of(batch.size()));
        output.recharge(batch.size());
        handle.set_sealed(SealedBuffer { batch, charge: output });
    }
}
