//! What each error code of the transactional APIs means: one table, without a default that could
//! take a failure for success.
//!
//! The rules are those of Kafka's `TransactionManager` (handlers of each response), KIP-588 for
//! epochs, KIP-890 for `TRANSACTION_ABORTABLE`. They differ where Java gives the producer up though
//! an abort at the coordinator says whether it is still good.

use millstream_protocol::ErrorCode;

/// An API that the transaction machine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Api {
    /// InitProducerId.
    Init,
    /// AddPartitionsToTxn, for each partition.
    AddPartitions,
    /// AddOffsetsToTxn.
    AddOffsets,
    /// TxnOffsetCommit, for each partition.
    CommitOffsets,
    /// EndTxn with a commit.
    Commit,
    /// EndTxn with an abort.
    Abort,
}

/// What to do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// It is done.
    Done,
    /// The same again, after a while.
    Retry,
    /// The transaction before is still being ended: the same again, soon.
    RetrySoon,
    /// Look the coordinator up, then the same again.
    FindCoordinator,
    /// As [`Action::Retry`], and nobody knows whether this try had an effect.
    RetryUnknown,
    /// As [`Action::FindCoordinator`], and nobody knows whether this try had an effect.
    FindCoordinatorUnknown,
    /// The group has moved on: again with the member's new generation, if the partitions stayed
    /// its own; else as [`Action::Abort`].
    Rejoin,
    /// The transaction can only be aborted.
    Abort,
    /// The same, and the next one needs a new epoch.
    AbortNewEpoch,
    /// The coordinator does not know the producer id any more: there is nothing to end there.
    Forgotten,
    /// The coordinator has no such transaction (any more): it was ended by somebody else, as at its
    /// timeout.
    NotOngoing,
    /// Another producer has taken over, or the transaction's timeout has passed.
    Fenced,
    /// Refused for good.
    Fatal,
}

/// What `code` means in an answer of `api`.
pub(super) fn action(api: Api, code: ErrorCode) -> Action {
    use ErrorCode as C;
    match (api, code) {
        (_, C::None) => Action::Done,
        (Api::Commit | Api::Abort, C::NotCoordinator | C::CoordinatorNotAvailable) => {
            // The coordinator says so too when it wrote its decision and lost its log's leadership
            // before that was replicated (`TransactionStateManager.appendTransactionToLog`).
            Action::FindCoordinatorUnknown
        }
        (_, C::NotCoordinator | C::CoordinatorNotAvailable) => Action::FindCoordinator,
        (_, C::CoordinatorLoadInProgress) => Action::Retry,
        (_, C::ConcurrentTransactions) => Action::RetrySoon,
        (_, C::ProducerFenced) => Action::Fenced,
        (_, C::TransactionalIdAuthorizationFailed | C::ClusterAuthorizationFailed) => Action::Fatal,
        // Coordinators before Kafka 2.7 say "fenced" so.
        (Api::CommitOffsets, C::InvalidProducerEpoch) => Action::AbortNewEpoch,
        (_, C::InvalidProducerEpoch) => Action::Fenced,
        (Api::Init, code) => init(code),
        (Api::Commit | Api::Abort, code) => end(api, code),
        // The end of the transaction tells whether the coordinator has forgotten this producer.
        (_, C::InvalidProducerIdMapping | C::UnknownProducerId) => Action::AbortNewEpoch,
        (_, C::InvalidTxnState) => Action::Fatal,
        (Api::CommitOffsets, code) => commit_offsets(code),
        (Api::AddPartitions, C::UnknownTopicOrPartition) => Action::Retry,
        (_, code) if code.class().is_retriable() => Action::Retry,
        (_, _) => Action::Abort,
    }
}

/// Asking again for a producer id does no harm, so only what is certain is final.
fn init(code: ErrorCode) -> Action {
    use ErrorCode as C;
    match code {
        C::UnknownServerError | C::Unrecognized(_) | C::TransactionAbortable => Action::Retry,
        code if code.class().is_retriable() => Action::Retry,
        _ => Action::Fatal,
    }
}

fn commit_offsets(code: ErrorCode) -> Action {
    use ErrorCode as C;
    match code {
        C::RequestTimedOut => Action::FindCoordinator,
        C::UnknownTopicOrPartition | C::UnknownTopicId | C::RebalanceInProgress => Action::Retry,
        C::UnknownMemberId | C::IllegalGeneration | C::StaleMemberEpoch | C::FencedMemberEpoch => {
            Action::Rejoin
        }
        C::UnsupportedForMessageFormat => Action::Fatal,
        code if code.class().is_retriable() => Action::Retry,
        _ => Action::Abort,
    }
}

fn end(api: Api, code: ErrorCode) -> Action {
    use ErrorCode as C;
    match code {
        C::InvalidTxnState => Action::NotOngoing,
        C::UnknownProducerId | C::InvalidProducerIdMapping => Action::Forgotten,
        C::TransactionAbortable if api == Api::Commit => Action::Abort,
        // A code that is not known must not be taken for a commit, nor for none.
        _ if code.class().is_retriable() => Action::RetryUnknown,
        C::UnknownServerError | C::Unrecognized(_) | C::TransactionAbortable => {
            Action::RetryUnknown
        }
        _ => Action::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect_file;

    use super::*;

    const APIS: [Api; 6] = [
        Api::Init,
        Api::AddPartitions,
        Api::AddOffsets,
        Api::CommitOffsets,
        Api::Commit,
        Api::Abort,
    ];

    #[test]
    fn the_table_is_as_declared() {
        let mut table = String::new();
        write!(table, "{:40}", "code").unwrap();
        APIS.iter().for_each(|api| write!(table, " {:22}", format!("{api:?}")).unwrap());
        table.push('\n');
        for code in ErrorCode::ALL.iter().copied().chain([ErrorCode::Unrecognized(9_999)]) {
            write!(table, "{:40}", code.name()).unwrap();
            for api in APIS {
                write!(table, " {:22}", format!("{:?}", action(api, code))).unwrap();
            }
            table.push('\n');
        }
        let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        expect_file!["tests/actions.txt"].assert_eq(&table);
    }

    #[test]
    fn no_code_but_none_is_success() {
        for code in ErrorCode::ALL.iter().copied().chain([ErrorCode::Unrecognized(9_999)]) {
            for api in APIS {
                let is_done = action(api, code) == Action::Done;
                assert_eq!(is_done, code == ErrorCode::None, "{api:?} {code}");
            }
        }
    }
}
