//! What each error code of a Produce answer means for the batch.

use millstream_protocol::{ErrorClass, ErrorCode};

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
    /// It will never be taken, and this attempt did not write it.
    Refused,
    /// Nobody can say what the broker did with it, nor whether it would do better again.
    Unclear,
}

impl Verdict {
    /// Whether the attempt may have written the batch.
    pub(crate) const fn may_be_written(self) -> bool {
        matches!(self, Self::Unclear | Self::Retry { may_be_written: true, .. })
    }
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
        C::KafkaStorageError | C::NetworkException => {
            Verdict::Retry { refresh: true, may_be_written: true }
        }
        code if code.class().is_retriable() => Verdict::Retry {
            refresh: code.class() == ErrorClass::RefreshAndRetry,
            may_be_written: appended,
        },
        // What a broker says before it appends.
        C::TopicAuthorizationFailed
        | C::ClusterAuthorizationFailed
        | C::TransactionalIdAuthorizationFailed
        | C::SaslAuthenticationFailed
        | C::IllegalSaslState
        | C::SecurityDisabled
        | C::InvalidTopic
        | C::InvalidRequiredAcks
        | C::InvalidRequest
        | C::UnsupportedVersion
        | C::InvalidTimestamp
        | C::InvalidRecord
        | C::UnsupportedForMessageFormat
        | C::UnsupportedCompressionType
        | C::PolicyViolation
        | C::InvalidTxnState
        | C::InvalidProducerIdMapping
        | C::TransactionCoordinatorFenced
        | C::TransactionalIdNotFound
        | C::TransactionAbortable => Verdict::Refused,
        // UNKNOWN_SERVER_ERROR, codes of newer brokers, and those that no broker answers Produce with.
        // Java tries none of them again: a code it does not know is UNKNOWN_SERVER_ERROR to it
        // (`Errors.forCode`). What the broker did before it failed, nobody knows.
        _ => Verdict::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::producer::machine::identity::id_verdict;

    /// What each code means to a batch, and to the wish for a producer id: a change of behaviour is
    /// a change of this file.
    #[test]
    fn every_code_has_its_verdict() {
        let of = |code: &ErrorCode| {
            let [sent, id] =
                [format!("{:?}", verdict(*code, false)), format!("{:?}", id_verdict(*code))];
            format!("{:44}{id:9}{sent}", code.name())
        };
        let lines: Vec<String> = ErrorCode::ALL.iter().map(of).collect();
        expect_test::expect_file!["verdicts.txt"].assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn a_code_of_the_future_is_not_taken_for_success_or_for_a_refusal() {
        let unknown = verdict(ErrorCode::from(9_999), false);
        assert_eq!(unknown, Verdict::Unclear);
        assert!(unknown.may_be_written());
    }

    #[test]
    fn an_offset_beside_an_error_means_appended() {
        let of = |appended| verdict(ErrorCode::NotLeaderOrFollower, appended).may_be_written();
        assert_eq!((of(false), of(true)), (false, true));
    }
}
