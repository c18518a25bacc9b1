//! What each error code of a Produce answer means for the batch.

use millstream_protocol::ErrorCode;

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Written,
    /// Send it again.
    Retry {
        /// Ask for metadata first.
        refresh: bool,
        /// The attempt may have written it.
        may_be_written: bool,
    },
    /// Its sequence number does not follow what the broker has. If it is the oldest unanswered one,
    /// that proves it is not written and the partition begins a new epoch; else the one before it
    /// has to go first.
    SequenceBroken,
    /// A newer epoch of the producer id has written to the partition: go on as another producer.
    NewProducer,
    /// It is too large for the topic: send it in parts.
    TooLarge,
    /// It will never be taken.
    Refused,
}

/// The verdict on an answer of `code`; `appended` if the answer carries the offset of a local append.
///
/// A delayed answer of `acks=all` keeps the offset at which the leader appended the batch when it
/// reports an error afterwards (`DelayedProduce.tryComplete`), so an error with an offset may come
/// from a batch that survives, and one without does not.
pub(crate) fn verdict(code: ErrorCode, appended: bool) -> Verdict {
    use ErrorCode as C;
    match code {
        C::None | C::DuplicateSequenceNumber => Verdict::Written,
        C::OutOfOrderSequenceNumber | C::UnknownProducerId => Verdict::SequenceBroken,
        C::InvalidProducerEpoch | C::ProducerFenced => Verdict::NewProducer,
        C::MessageTooLarge | C::RecordListTooLarge => Verdict::TooLarge,
        // These say in themselves that something was appended, or leave it open.
        C::NotEnoughReplicasAfterAppend | C::RequestTimedOut => {
            Verdict::Retry { refresh: false, may_be_written: true }
        }
        C::KafkaStorageError | C::NetworkException | C::UnknownServerError => {
            Verdict::Retry { refresh: true, may_be_written: true }
        }
        // A retry with the same sequence number is safe, and each new code a broker learns is safer
        // tried again than believed to be final: `delivery.timeout.ms` bounds it.
        C::Unrecognized(_) => Verdict::Retry { refresh: true, may_be_written: true },
        code if code.class().is_retriable() => Verdict::Retry {
            refresh: code.class() == millstream_protocol::ErrorClass::RefreshAndRetry,
            may_be_written: appended,
        },
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_taken_for_success_by_mistake() {
        for code in ErrorCode::ALL {
            let is_success = matches!(code, ErrorCode::None | ErrorCode::DuplicateSequenceNumber);
            assert_eq!(verdict(*code, false) == Verdict::Written, is_success, "{code}");
        }
        let unknown = verdict(ErrorCode::from(9_999), false);
        assert!(matches!(unknown, Verdict::Retry { may_be_written: true, .. }));
    }

    #[test]
    fn an_offset_beside_an_error_means_appended() {
        let refused = verdict(ErrorCode::NotLeaderOrFollower, false);
        let moved = verdict(ErrorCode::NotLeaderOrFollower, true);
        assert_eq!(
            (refused, moved),
            (
                Verdict::Retry { refresh: true, may_be_written: false },
                Verdict::Retry { refresh: true, may_be_written: true }
            )
        );
    }
}
