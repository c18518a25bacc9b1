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
        // Java tries neither again: a code it does not know is UNKNOWN_SERVER_ERROR to it
        // (`Errors.forCode`). What the broker did before it failed, nobody knows.
        C::UnknownServerError | C::Unrecognized(_) => Verdict::Unclear,
        code if code.class().is_retriable() => Verdict::Retry {
            refresh: code.class() == ErrorClass::RefreshAndRetry,
            may_be_written: appended,
        },
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    /// What each code means, the codes of one meaning together: a change of behaviour is a change
    /// here.
    #[test]
    fn every_code_has_its_verdict() {
        let mut groups: Vec<(Verdict, Vec<&str>)> = Vec::new();
        for code in ErrorCode::ALL {
            let verdict = verdict(*code, false);
            match groups.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, codes)) => codes.push(code.name()),
                None => groups.push((verdict, vec![code.name()])),
            }
        }
        let mut lines = String::new();
        for (verdict, codes) in groups {
            lines.push_str(&format!("{verdict:?}\n"));
            codes.iter().for_each(|code| lines.push_str(&format!("    {code}\n")));
        }
        expect![[r#"
            Unclear
                UNKNOWN_SERVER_ERROR
            Written
                NONE
                DUPLICATE_SEQUENCE_NUMBER
            Refused
                OFFSET_OUT_OF_RANGE
                INVALID_FETCH_SIZE
                OFFSET_METADATA_TOO_LARGE
                INVALID_TOPIC_EXCEPTION
                INVALID_REQUIRED_ACKS
                ILLEGAL_GENERATION
                INCONSISTENT_GROUP_PROTOCOL
                INVALID_GROUP_ID
                UNKNOWN_MEMBER_ID
                INVALID_SESSION_TIMEOUT
                INVALID_COMMIT_OFFSET_SIZE
                TOPIC_AUTHORIZATION_FAILED
                GROUP_AUTHORIZATION_FAILED
                CLUSTER_AUTHORIZATION_FAILED
                INVALID_TIMESTAMP
                UNSUPPORTED_SASL_MECHANISM
                ILLEGAL_SASL_STATE
                UNSUPPORTED_VERSION
                TOPIC_ALREADY_EXISTS
                INVALID_PARTITIONS
                INVALID_REPLICATION_FACTOR
                INVALID_REPLICA_ASSIGNMENT
                INVALID_CONFIG
                INVALID_REQUEST
                UNSUPPORTED_FOR_MESSAGE_FORMAT
                POLICY_VIOLATION
                INVALID_TXN_STATE
                INVALID_PRODUCER_ID_MAPPING
                INVALID_TRANSACTION_TIMEOUT
                TRANSACTION_COORDINATOR_FENCED
                TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                SECURITY_DISABLED
                OPERATION_NOT_ATTEMPTED
                LOG_DIR_NOT_FOUND
                SASL_AUTHENTICATION_FAILED
                DELEGATION_TOKEN_AUTH_DISABLED
                DELEGATION_TOKEN_NOT_FOUND
                DELEGATION_TOKEN_OWNER_MISMATCH
                DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
                DELEGATION_TOKEN_AUTHORIZATION_FAILED
                DELEGATION_TOKEN_EXPIRED
                INVALID_PRINCIPAL_TYPE
                NON_EMPTY_GROUP
                GROUP_ID_NOT_FOUND
                TOPIC_DELETION_DISABLED
                UNSUPPORTED_COMPRESSION_TYPE
                GROUP_MAX_SIZE_REACHED
                FENCED_INSTANCE_ID
                NO_REASSIGNMENT_IN_PROGRESS
                GROUP_SUBSCRIBED_TO_TOPIC
                INVALID_RECORD
                RESOURCE_NOT_FOUND
                DUPLICATE_RESOURCE
                UNACCEPTABLE_CREDENTIAL
                INCONSISTENT_VOTER_SET
                INVALID_UPDATE_VERSION
                FEATURE_UPDATE_FAILED
                PRINCIPAL_DESERIALIZATION_FAILURE
                SNAPSHOT_NOT_FOUND
                POSITION_OUT_OF_RANGE
                DUPLICATE_BROKER_REGISTRATION
                BROKER_ID_NOT_REGISTERED
                INCONSISTENT_CLUSTER_ID
                TRANSACTIONAL_ID_NOT_FOUND
                FENCED_MEMBER_EPOCH
                UNSUPPORTED_ASSIGNOR
                MISMATCHED_ENDPOINT_TYPE
                UNSUPPORTED_ENDPOINT_TYPE
                UNKNOWN_CONTROLLER_ID
                TELEMETRY_TOO_LARGE
                INVALID_REGISTRATION
                TRANSACTION_ABORTABLE
                INVALID_RECORD_STATE
                FENCED_STATE_EPOCH
                INVALID_VOTER_KEY
                DUPLICATE_VOTER
                VOTER_NOT_FOUND
                INVALID_REGULAR_EXPRESSION
                STREAMS_INVALID_TOPOLOGY
                STREAMS_INVALID_TOPOLOGY_EPOCH
                STREAMS_TOPOLOGY_FENCED
                GROUP_DELETION_FAILED
                STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED
                CONTROLLER_ID_NOT_REGISTERED
            Retry { refresh: false, may_be_written: false }
                CORRUPT_MESSAGE
                BROKER_NOT_AVAILABLE
                COORDINATOR_LOAD_IN_PROGRESS
                NOT_ENOUGH_REPLICAS
                REBALANCE_IN_PROGRESS
                CONCURRENT_TRANSACTIONS
                REASSIGNMENT_IN_PROGRESS
                FETCH_SESSION_ID_NOT_FOUND
                INVALID_FETCH_SESSION_EPOCH
                UNKNOWN_LEADER_EPOCH
                STALE_BROKER_EPOCH
                OFFSET_NOT_AVAILABLE
                MEMBER_ID_REQUIRED
                UNSTABLE_OFFSET_COMMIT
                THROTTLING_QUOTA_EXCEEDED
                FETCH_SESSION_TOPIC_ID_ERROR
                INELIGIBLE_REPLICA
                OFFSET_MOVED_TO_TIERED_STORAGE
                UNRELEASED_INSTANCE_ID
                STALE_MEMBER_EPOCH
                UNKNOWN_SUBSCRIPTION_ID
                SHARE_SESSION_NOT_FOUND
                INVALID_SHARE_SESSION_EPOCH
                SHARE_SESSION_LIMIT_REACHED
            Retry { refresh: true, may_be_written: false }
                UNKNOWN_TOPIC_OR_PARTITION
                LEADER_NOT_AVAILABLE
                NOT_LEADER_OR_FOLLOWER
                REPLICA_NOT_AVAILABLE
                STALE_CONTROLLER_EPOCH
                COORDINATOR_NOT_AVAILABLE
                NOT_COORDINATOR
                NOT_CONTROLLER
                LISTENER_NOT_FOUND
                FENCED_LEADER_EPOCH
                PREFERRED_LEADER_NOT_AVAILABLE
                ELIGIBLE_LEADERS_NOT_AVAILABLE
                ELECTION_NOT_NEEDED
                UNKNOWN_TOPIC_ID
                INCONSISTENT_TOPIC_ID
                NEW_LEADER_ELECTED
                REBOOTSTRAP_REQUIRED
            Retry { refresh: false, may_be_written: true }
                REQUEST_TIMED_OUT
                NOT_ENOUGH_REPLICAS_AFTER_APPEND
            TooLarge
                MESSAGE_TOO_LARGE
                RECORD_LIST_TOO_LARGE
            Retry { refresh: true, may_be_written: true }
                NETWORK_EXCEPTION
                KAFKA_STORAGE_ERROR
            SequenceBroken
                OUT_OF_ORDER_SEQUENCE_NUMBER
                UNKNOWN_PRODUCER_ID
            NewProducer
                INVALID_PRODUCER_EPOCH
                PRODUCER_FENCED
        "#]]
        .assert_eq(&lines);
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
