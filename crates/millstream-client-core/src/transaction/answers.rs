//! What the coordinators answer, and what follows from it.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, InitProducerIdResponse,
    TxnOffsetCommitResponse,
};
use millstream_types::{ProducerEpoch, ProducerId, TopicId, TopicName, TopicPartition};

use super::action::{Action, Api, action};
use super::calls::Call;
use super::command::TransactionCompletion;
use super::error::{TransactionError, TransactionOutcome};
use super::machine::{Identity, TransactionMachine};
use super::state::TransactionState;
use super::version::{END_TXN_V2, TransactionVersion};
use crate::backoff::Backoff;
use crate::cx::Cx;
use crate::outbox::{
    CoordinatorKey, RequestFailure, RequestId, Response, ResponseBody, WrongResponse,
};
use crate::producer::{DeliveryCause, FaultKind, ProducerMachine};

/// The wait before the first addition to a transaction is tried again because the one before is
/// still being ended (`TransactionManager.ADD_PARTITIONS_RETRY_BACKOFF_MS`).
const FIRST_ADD_BACKOFF: Duration = Duration::from_millis(20);

/// What an answer says, of a whole request or of the partition that is worst off.
#[derive(Debug)]
struct Said {
    action: Action,
    code: ErrorCode,
    partition: Option<TopicPartition>,
}

impl Said {
    fn new(api: Api, code: ErrorCode, partition: Option<TopicPartition>) -> Self {
        Self { action: action(api, code), code, partition }
    }

    /// The worse of two: what was not attempted counts least, for another partition is why.
    fn worse(self, other: Self) -> Self {
        let rank = |said: &Self| match said.code {
            ErrorCode::OperationNotAttempted => Action::Retry,
            _ => said.action,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

impl TransactionMachine {
    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        let Some(request) = self.in_flight.take_if(|request| request.id == id) else {
            return;
        };
        if self.state == TransactionState::Fatal {
            return;
        }
        let call = request.call;
        let read = match result {
            Ok(response) => self.read(&call, response),
            Err(failure) => Err(failure),
        };
        match read {
            Ok(Some(said)) => self.act(call, said, producer, cx),
            Ok(None) => self.done(call, producer, cx),
            Err(failure) => self.request_failed(call, failure, producer, cx),
        }
    }

    /// The error in an answer; `None`: all went well.
    fn read(&mut self, call: &Call, response: Response) -> Result<Option<Said>, RequestFailure> {
        let version = response.version;
        if !matches!(call, Call::CommitOffsets(..)) {
            self.coordinator = response.from.or(self.coordinator);
        }
        let api = call.api();
        let whole = |code: i16| {
            let code = ErrorCode::from(code);
            (!code.is_ok()).then(|| Said::new(api, code, None))
        };
        Ok(match call {
            Call::Init => {
                let answer: InitProducerIdResponse = body(response.body)?;
                let said = whole(answer.error_code);
                if said.is_none() {
                    self.identity = Some(Identity {
                        id: ProducerId(answer.producer_id.0),
                        epoch: ProducerEpoch(answer.producer_epoch),
                    });
                }
                said
            }
            Call::AddPartitions(asked) => worst(asked, api, &read_partitions(body(response.body)?)),
            Call::AddOffsets => {
                let answer: AddOffsetsToTxnResponse = body(response.body)?;
                whole(answer.error_code)
            }
            Call::CommitOffsets(_, ids) => {
                let codes = read_offsets(body(response.body)?, ids);
                let asked: Vec<_> = match self.current.offsets.front() {
                    Some(offsets) => offsets.source.offsets().map(|(tp, _)| tp.clone()).collect(),
                    // Given up meanwhile; the answer still tells of who is fenced.
                    None => codes.keys().cloned().collect(),
                };
                worst(&asked, api, &codes)
            }
            Call::End { .. } => {
                let answer: EndTxnResponse = body(response.body)?;
                let said = whole(answer.error_code);
                if said.is_none() {
                    self.take_next_epoch(version, &answer);
                }
                said
            }
        })
    }

    /// With version 2 the end of a transaction is the end of its epoch: nothing late can act on the
    /// next one.
    fn take_next_epoch(&mut self, version: i16, answer: &EndTxnResponse) {
        if version >= END_TXN_V2 && answer.producer_id.0 >= 0 {
            self.needs_epoch = false;
            self.may_be_renewed = false;
            self.identity = Some(Identity {
                id: ProducerId(answer.producer_id.0),
                epoch: ProducerEpoch(answer.producer_epoch),
            });
        } else if self.version == TransactionVersion::V2 {
            self.needs_epoch = true;
        }
    }

    /// All that was asked for is done.
    fn done(&mut self, call: Call, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        self.failures = 0;
        match call {
            Call::Init => {
                self.needs_epoch = false;
                self.enter(TransactionState::Ready);
                self.tell_initialized(cx);
            }
            Call::AddPartitions(added) => {
                self.current.is_started = true;
                self.current.has_added = true;
                for partition in &added {
                    self.current.partitions.remove(partition);
                }
                if self.is_open() {
                    producer.admit_partitions(&added);
                }
            }
            Call::AddOffsets => {
                self.current.is_started = true;
                self.current.has_added = true;
                if let Some(offsets) = self.current.offsets.front_mut() {
                    offsets.is_added = true;
                }
            }
            Call::CommitOffsets(..) => {
                self.current.is_started = true;
                self.current.has_added = true;
                if let Some(offsets) = self.current.offsets.pop_front() {
                    let completion = TransactionCompletion::OffsetsCommitted(Ok(()));
                    cx.complete(offsets.call, completion);
                }
            }
            Call::End { commit: true } => self.ended(TransactionOutcome::Committed, cx),
            // With version 1 a late request may have opened another transaction in this epoch, and
            // that is what was aborted.
            Call::End { commit: false } if self.current.may_be_committed && self.needs_epoch => {
                self.ended(TransactionOutcome::Undetermined, cx);
            }
            Call::End { commit: false } => self.ended(TransactionOutcome::Aborted, cx),
        }
    }

    /// Whether records and offsets may still go into the transaction.
    const fn is_open(&self) -> bool {
        matches!(self.state, TransactionState::InTransaction | TransactionState::Committing)
    }

    /// Does what an error code asks for.
    fn act(&mut self, call: Call, said: Said, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        let Said { action, code, .. } = said;
        tracing::debug!(id = %self.config.transactional_id, api = call.name(), %code, ?action, "answer");
        self.last_error = Some(format!("{}: {code}", call.name()));
        match action {
            Action::Done => self.done(call, producer, cx),
            Action::Retry => self.retry(false, cx),
            Action::RetrySoon => self.retry(!self.current.has_added, cx),
            Action::FindCoordinator | Action::FindCoordinatorUnknown => {
                let key = match &call {
                    Call::CommitOffsets(group, _) => CoordinatorKey::group(&group.group),
                    _ => CoordinatorKey::transaction(&self.config.transactional_id),
                };
                cx.coordinators.invalidate(&key);
                // The coordinator may have written what it could not answer for.
                self.note_unknown(&call);
                self.retry(false, cx);
            }
            Action::RetryUnknown => {
                self.note_unknown(&call);
                self.retry(false, cx);
            }
            Action::Rejoin => self.rejoin(&call, said, producer, cx),
            Action::Abort => {
                if matches!(code, ErrorCode::UnknownServerError | ErrorCode::Unrecognized(_)) {
                    self.note_unknown(&call);
                }
                self.fail(self.error(&call, said), producer, cx);
            }
            Action::AbortNewEpoch => {
                self.needs_epoch = true;
                self.fail(self.error(&call, said), producer, cx);
            }
            Action::NotOngoing if matches!(call, Call::End { commit: true }) => {
                // It is not committed, for a commit that comes again is known as such; unless a late
                // renewal of the epoch has wiped that knowledge out. An abort is answered alike, or
                // ends what is left.
                self.current.may_be_committed &= self.may_be_renewed;
                self.needs_epoch = true;
                self.fail(TransactionError::NotOngoing { code }, producer, cx);
            }
            Action::NotOngoing | Action::Forgotten => self.end_unheard(code, cx),
            Action::Fenced | Action::Fatal => {
                let error = self.final_error(action, call.name(), code);
                self.fail_for_good(error, producer, cx);
            }
        }
    }

    fn final_error(&self, action: Action, api: &'static str, code: ErrorCode) -> TransactionError {
        let transactional_id = self.config.transactional_id.to_string();
        let timeout = self.config.transaction_timeout;
        if action == Action::Fenced {
            TransactionError::Fenced { transactional_id, api, code, timeout }
        } else {
            TransactionError::Refused { transactional_id, api, code }
        }
    }

    /// Why the transaction can only be aborted.
    fn error(&self, call: &Call, said: Said) -> TransactionError {
        let Said { code, partition, .. } = said;
        match (call, partition) {
            (Call::AddPartitions(_), Some(partition)) => {
                TransactionError::Partition { partition, code }
            }
            (Call::AddOffsets | Call::CommitOffsets(..), partition) => {
                let group = self.current.offsets.front().and_then(|o| o.source.group().ok());
                let group = group.map_or_else(String::new, |group| group.group.to_string());
                let what = match partition {
                    Some(partition) => format!("{} of {partition}", call.name()),
                    None => call.name().to_owned(),
                };
                TransactionError::Offsets { group, what, code }
            }
            _ => TransactionError::Abortable { api: call.name(), code },
        }
    }

    /// The coordinator has no transaction to end, or has forgotten whose it was.
    fn end_unheard(&mut self, code: ErrorCode, cx: &mut Cx<'_>) {
        self.needs_epoch = true;
        self.current.failure.get_or_insert(TransactionError::NotOngoing { code });
        if self.current.may_be_committed {
            self.ended(TransactionOutcome::Undetermined, cx);
        } else {
            self.ended(TransactionOutcome::Aborted, cx);
        }
    }

    /// The group has moved past the member that committed. A consumer that kept its partitions
    /// commits as the member it is now; it learns of a loss by itself soon.
    fn rejoin(&mut self, call: &Call, said: Said, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        let Call::CommitOffsets(was, _) = call else { return };
        let now = self.current.offsets.front().map(|offsets| offsets.source.group());
        let is_own = self.current.offsets.front().is_some_and(|offsets| offsets.is_consumers());
        match now {
            Some(Ok(group)) if is_own => self.retry(group != *was, cx),
            _ => self.fail(self.error(call, said), producer, cx),
        }
    }

    /// The same again after a while: the state says what that is.
    fn retry(&mut self, soon: bool, cx: &Cx<'_>) {
        self.failures += 1;
        let usual = self.config.retry_backoff;
        let backoff = if soon {
            Backoff::new(FIRST_ADD_BACKOFF.min(usual.initial), usual.initial)
        } else {
            usual
        };
        self.not_before = Some(cx.now + backoff.after(self.failures, &mut self.rng));
    }

    /// Nobody knows whether a request took effect.
    fn note_unknown(&mut self, call: &Call) {
        match call {
            Call::Init => {}
            Call::AddPartitions(_) | Call::AddOffsets | Call::CommitOffsets(..) => {
                self.current.is_started = true;
            }
            Call::End { commit } => self.current.may_be_committed |= *commit,
        }
    }

    /// A request got no answer.
    fn request_failed(
        &mut self,
        call: Call,
        failure: RequestFailure,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        tracing::debug!(id = %self.config.transactional_id, %failure, "no answer");
        self.last_error = Some(failure.to_string());
        if failure.may_be_applied() {
            self.note_unknown(&call);
            // It may arrive late. Within one epoch it would act on the next transaction
            // (KAFKA-17754); with version 2 that has an epoch of its own.
            let is_init = matches!(call, Call::Init);
            self.needs_epoch |= self.version == TransactionVersion::V1 && !is_init;
            self.may_be_renewed |= is_init;
        }
        match failure {
            RequestFailure::NoCoordinator { error, .. } => {
                let said = Said::new(call.api(), error, None);
                self.act(call, said, producer, cx);
            }
            RequestFailure::UnsupportedVersion { .. }
                if self.version == TransactionVersion::V2 && !matches!(call, Call::Init) =>
            {
                // A coordinator that does not speak version 2 any more; the next transaction will
                // not use it.
                self.current.is_downgraded = true;
                self.needs_epoch = true;
                self.fail(TransactionError::Request(failure), producer, cx);
            }
            failure if failure.class().is_retriable() => self.retry(false, cx),
            failure => self.fail_for_good(TransactionError::Request(failure), producer, cx),
        }
    }

    /// The error that ends the producer, if a failed batch does.
    pub(super) fn judge_fault(
        &self,
        kind: FaultKind,
        cause: &DeliveryCause,
    ) -> Option<TransactionError> {
        match cause {
            // The end of the transaction tells whether the coordinator has forgotten this producer.
            DeliveryCause::Broker { code: ErrorCode::InvalidProducerIdMapping, .. } => None,
            DeliveryCause::Broker { code, .. } if kind == FaultKind::Fatal => {
                let is_fenced = *code == ErrorCode::ProducerFenced;
                let action = if is_fenced { Action::Fenced } else { Action::Fatal };
                Some(self.final_error(action, "Produce", *code))
            }
            _ => None,
        }
    }
}

fn body<T: TryFrom<ResponseBody, Error = WrongResponse>>(
    body: ResponseBody,
) -> Result<T, RequestFailure> {
    T::try_from(body).map_err(|wrong| RequestFailure::Malformed {
        api: wrong.expected,
        broker: "the coordinator".to_owned(),
        reason: wrong.to_string(),
    })
}

fn read_partitions(answer: AddPartitionsToTxnResponse) -> BTreeMap<TopicPartition, ErrorCode> {
    let topics = answer.results_by_topic_v3_and_below.into_iter();
    let partitions = topics.flat_map(|topic| {
        let name = TopicName::from(topic.name.as_str());
        topic.results_by_partition.into_iter().map(move |result| {
            let partition = TopicPartition::new(name.clone(), result.partition_index);
            (partition, ErrorCode::from(result.partition_error_code))
        })
    });
    partitions.collect()
}

fn read_offsets(
    answer: TxnOffsetCommitResponse,
    ids: &BTreeMap<TopicId, TopicName>,
) -> BTreeMap<TopicPartition, ErrorCode> {
    let topics = answer.topics.into_iter();
    let partitions = topics.flat_map(|topic| {
        let by_id = ids.get(&TopicId(topic.topic_id)).cloned();
        let name = by_id.unwrap_or_else(|| TopicName::from(topic.name.as_str()));
        topic.partitions.into_iter().map(move |result| {
            let partition = TopicPartition::new(name.clone(), result.partition_index);
            (partition, ErrorCode::from(result.error_code))
        })
    });
    partitions.collect()
}

/// The worst of what was said of the partitions asked for. One that is left out has to be asked
/// for again.
fn worst(
    asked: &[TopicPartition],
    api: Api,
    codes: &BTreeMap<TopicPartition, ErrorCode>,
) -> Option<Said> {
    let said = asked.iter().map(|partition| match codes.get(partition) {
        Some(code) => Said::new(api, *code, Some(partition.clone())),
        None => Said {
            action: Action::Retry,
            code: ErrorCode::UnknownServerError,
            partition: Some(partition.clone()),
        },
    });
    said.filter(|said| said.action != Action::Done).reduce(Said::worse)
}

/// Says whether offsets are a consumer's own, for [`Action::Rejoin`].
impl super::machine::Offsets {
    const fn is_consumers(&self) -> bool {
        matches!(self.source, super::OffsetsSource::Consumer { .. })
    }
}
