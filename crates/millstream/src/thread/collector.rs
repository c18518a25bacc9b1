//! Where the tasks of a thread send records: its producer.

use std::fmt;
use std::time::Duration;

use millstream_client::{FlushReport, Producer};
use millstream_core::{CollectorError, OutputRecord, RecordCollector};
use millstream_types::{Offset, Record, TopicPartition};

use crate::StreamsError;

/// Hands records to the thread's producer. Sending waits only while the producer's memory is
/// spent; what became of the records is learnt when the thread commits.
pub(super) struct Collector {
    producer: Producer,
}

impl Collector {
    pub(super) const fn new(producer: Producer) -> Self {
        Self { producer }
    }

    /// Waits until every record sent so far has its answer.
    ///
    /// # Errors
    /// The first partition to which records were not written, or may not have been.
    pub(super) async fn flush(&self) -> Result<(), StreamsError> {
        let report = self.producer.flush().await;
        check(&report)
    }

    /// The offset behind the last acknowledged record of a partition, if this producer wrote any.
    pub(super) fn end_of(&self, partition: &TopicPartition) -> Option<Offset> {
        self.producer.acknowledged_offset(partition).map(|offset| offset.plus(1))
    }

    /// Closes the producer; what is not written by then is given up.
    pub(super) async fn close(&self, timeout: Duration) {
        let report = self.producer.close(timeout).await;
        if let Err(error) = check(&report) {
            tracing::warn!(%error, "the producer closed with records unwritten");
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl RecordCollector for Collector {
    fn send(&mut self, output: OutputRecord<'_>) -> Result<(), CollectorError> {
        let mut record =
            Record::to(output.topic.name.as_str()).maybe_key(output.key).maybe_value(output.value);
        if let Some(partition) = output.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = output.timestamp {
            record = record.timestamp(timestamp);
        }
        for header in output.headers {
            record = record.maybe_header(&header.key, header.value.as_deref());
        }
        self.producer.enqueue_blocking(&record).map(drop).map_err(CollectorError::new)
    }
}

/// One failed batch is enough to give up the commit; the first names the cause.
fn check(report: &FlushReport) -> Result<(), StreamsError> {
    match report.failures.first() {
        None => Ok(()),
        Some(failure) => Err(StreamsError::Produce {
            partition: TopicPartition::new(&failure.topic, failure.partition),
            records: report.not_written + report.unknown,
            cause: failure.cause().to_string(),
        }),
    }
}
