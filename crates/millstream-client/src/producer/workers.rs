//! The threads that compress: only for the codecs that would hold up the driver.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use millstream_client_core::producer::{ProducerConfig, SealJob, SealWorkers};
use millstream_protocol::compression::Compression;

/// The most threads of one producer: gzip and zstd at 50 to 100 MB/s each keep up with a network.
const THREADS_MAX: usize = 4;

/// A few threads that take batches to compress, or none for codecs that are quick.
pub(super) struct CompressionThreads {
    jobs: Option<Sender<SealJob>>,
}

impl CompressionThreads {
    /// Starts threads if a codec of `config` needs them. They end when the producer does.
    pub(super) fn new(config: &ProducerConfig) -> Self {
        let codecs = config.topic_compression.values().filter_map(|topic| topic.codec);
        let is_slow = codecs
            .chain([config.compression])
            .any(|codec| matches!(codec, Compression::Gzip | Compression::Zstd));
        Self { jobs: is_slow.then(start).flatten() }
    }
}

/// Starts the threads; `None` if the system gives none.
fn start() -> Option<Sender<SealJob>> {
    let (jobs, queue) = mpsc::channel::<SealJob>();
    let queue = Arc::new(Mutex::new(queue));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let started = (0..cores.min(THREADS_MAX))
        .filter(|_| {
            let queue = Arc::clone(&queue);
            let name = "millstream-compress".to_owned();
            let thread = thread::Builder::new().name(name).spawn(move || run(&queue));
            thread.is_ok()
        })
        .count();
    (started > 0).then_some(jobs)
}

fn run(queue: &Mutex<Receiver<SealJob>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job.run();
    }
}

impl SealWorkers for CompressionThreads {
    fn submit(&self, job: SealJob) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.run();
        }
    }
}
