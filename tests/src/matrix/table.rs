//! The cells, declared.

use millstream_protocol::{ApiKey, ErrorCode};

use super::drops::Wait;
use super::{Blow, Cell, End, Fault, Found, Mode, Row, Times};
use Blow::{Answer, AnswerLost, ClosedAfter, DoneButAnswer, DoneInSilence, Silence};
use End::{NotWritten, Unknown, Written};
use Found::{Nothing, Once, OnceOrMore, Repeatedly};
use Mode::{Idempotent, Plain};
use Times::{Always, Once as OneTime};

/// A code that no release of Kafka has.
const FUTURE_CODE: ErrorCode = ErrorCode::Unrecognized(9999);

/// What is expected of an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing was done, and it may be done later.
    Passes,
    /// It may or may not have been done.
    Open,
    /// It may or may not have been done, and is not tried again.
    Unclear,
    /// It was not done and never will be.
    Refuses,
    /// The sequence is broken: nothing was done, and the record is written in another epoch.
    BreaksSequence,
    /// It was done before.
    IsDone,
}

/// What a code in the answer to a Produce says of a batch.
///
/// The special ones are those of Java's `Sender` and `TransactionManager`; of the others, those that
/// pass and those that refuse are told apart by the class of the code.
fn produce_kind(mode: Mode, code: ErrorCode) -> Kind {
    use ErrorCode as C;
    match code {
        C::DuplicateSequenceNumber => Kind::IsDone,
        C::NotEnoughReplicasAfterAppend
        | C::RequestTimedOut
        | C::KafkaStorageError
        | C::NetworkException => Kind::Open,
        C::OutOfOrderSequenceNumber
        | C::UnknownProducerId
        | C::InvalidProducerEpoch
        | C::ProducerFenced
            if mode == Idempotent =>
        {
            Kind::BreaksSequence
        }
        code if code.class().is_retriable() => Kind::Passes,
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
        | C::TransactionAbortable
        | C::MessageTooLarge
        | C::RecordListTooLarge
        | C::OutOfOrderSequenceNumber
        | C::UnknownProducerId
        | C::InvalidProducerEpoch
        | C::ProducerFenced => Kind::Refuses,
        // Brokers do not answer Produce with the rest: nobody knows what it would mean.
        _ => Kind::Unclear,
    }
}

/// What a code in the answer to an InitProducerId says.
fn init_kind(code: ErrorCode) -> Kind {
    use ErrorCode as C;
    match code {
        C::UnknownServerError | C::Unrecognized(_) => Kind::Passes,
        code if code.class().is_retriable() => Kind::Passes,
        _ => Kind::Refuses,
    }
}

/// Every code that an answer can carry which is not a success.
pub fn codes() -> impl Iterator<Item = ErrorCode> {
    let known = ErrorCode::ALL.iter().copied().filter(|code| !code.is_ok());
    known.chain([FUTURE_CODE])
}

fn cell(mode: Mode, api: ApiKey, blow: Blow, times: Times, end: End, found: Found) -> Cell {
    Cell { mode, fault: Fault::Request { api, blow, times }, end, found }
}

/// The cells of a code in the answer to a Produce.
fn produce_code(mode: Mode, code: ErrorCode, cells: &mut Vec<Cell>) {
    let mut add = |blow, times, end, found| {
        cells.push(cell(mode, ApiKey::Produce, blow, times, end, found));
    };
    let again = if mode == Plain { Repeatedly } else { Once };
    match produce_kind(mode, code) {
        Kind::Passes | Kind::BreaksSequence => {
            add(Answer(code), OneTime, Written, Once);
            add(Answer(code), Always, NotWritten, Nothing);
        }
        Kind::Open => {
            add(Answer(code), OneTime, Written, Once);
            add(Answer(code), Always, Unknown, Nothing);
            add(DoneButAnswer(code), OneTime, Written, again);
            let found = if mode == Plain { OnceOrMore } else { Once };
            add(DoneButAnswer(code), Always, Unknown, found);
        }
        Kind::Unclear => {
            for times in [OneTime, Always] {
                add(Answer(code), times, Unknown, Nothing);
                add(DoneButAnswer(code), times, Unknown, Once);
            }
        }
        Kind::Refuses => {
            add(Answer(code), OneTime, NotWritten, Nothing);
            add(Answer(code), Always, NotWritten, Nothing);
        }
        Kind::IsDone => {
            add(DoneButAnswer(code), OneTime, Written, Once);
            add(DoneButAnswer(code), Always, Written, Once);
        }
    }
}

fn produce_codes(mode: Mode) -> Vec<Cell> {
    let mut cells = Vec::new();
    codes().for_each(|code| produce_code(mode, code, &mut cells));
    cells
}

fn init_codes() -> Vec<Cell> {
    let mut cells = Vec::new();
    for code in codes() {
        let mut add = |blow, times, end, found| {
            cells.push(cell(Idempotent, ApiKey::InitProducerId, blow, times, end, found));
        };
        // A refusal ends the records that are there; one that is accepted later asks again. So only
        // refusals without end say what becomes of a record whose place in time is left open.
        if init_kind(code) == Kind::Passes {
            add(Answer(code), OneTime, Written, Once);
        }
        add(Answer(code), Always, NotWritten, Nothing);
    }
    cells
}

/// What can happen to the connection that carries a request, and to its answer.
fn connections() -> Vec<Cell> {
    let mut cells = Vec::new();
    for mode in [Plain, Idempotent] {
        let mut add = |blow, times, end, found| {
            cells.push(cell(mode, ApiKey::Produce, blow, times, end, found));
        };
        let (again, some) = if mode == Plain { (Repeatedly, OnceOrMore) } else { (Once, Once) };
        add(ClosedAfter, OneTime, Written, Once);
        add(ClosedAfter, Always, Unknown, Nothing);
        add(AnswerLost, OneTime, Written, again);
        add(AnswerLost, Always, Unknown, some);
    }
    for blow in [ClosedAfter, AnswerLost] {
        cells.push(cell(Idempotent, ApiKey::InitProducerId, blow, OneTime, Written, Once));
        cells.push(cell(Idempotent, ApiKey::InitProducerId, blow, Always, NotWritten, Nothing));
    }
    cells
}

fn timeouts() -> Vec<Cell> {
    let mut cells = Vec::new();
    for mode in [Plain, Idempotent] {
        let mut add = |blow, times, end, found| {
            cells.push(cell(mode, ApiKey::Produce, blow, times, end, found));
        };
        let (again, some) = if mode == Plain { (Repeatedly, OnceOrMore) } else { (Once, Once) };
        // Without sequence numbers a broker that was only slow makes a second one of it.
        add(Silence, OneTime, Written, some);
        add(Silence, Always, Unknown, Nothing);
        add(DoneInSilence, OneTime, Written, again);
        add(DoneInSilence, Always, Unknown, some);
    }
    for blow in [Silence, DoneInSilence] {
        cells.push(cell(Idempotent, ApiKey::InitProducerId, blow, OneTime, Written, Once));
        cells.push(cell(Idempotent, ApiKey::InitProducerId, blow, Always, NotWritten, Nothing));
    }
    cells
}

/// Nodes that move and die; each cell has a cluster of its own.
fn brokers() -> Vec<Cell> {
    let mut cells = Vec::new();
    for mode in [Plain, Idempotent] {
        let again = if mode == Plain { Repeatedly } else { Once };
        let mut add = |fault, end, found| cells.push(Cell { mode, fault, end, found });
        add(Fault::ClosedBefore, Written, Once);
        add(Fault::CutDuring(OneTime), Written, Once);
        // A request that was not through cannot have been done.
        add(Fault::CutDuring(Always), NotWritten, Nothing);
        add(Fault::LeaderMoved, Written, Once);
        add(Fault::LeaderKilled, Written, Once);
        add(Fault::LeaderKilledAfterwards, Written, again);
        add(Fault::AllKilled, NotWritten, Nothing);
        add(Fault::AllKilledAfterwards, Unknown, Once);
    }
    cells
}

/// Calls that are dropped.
fn drops() -> Vec<Cell> {
    let each = |mode| {
        Wait::ALL.map(|(wait, end)| {
            let found = if end == Written { Once } else { Nothing };
            Cell { mode, fault: Fault::Dropped(wait), end, found }
        })
    };
    [Plain, Idempotent].into_iter().flat_map(each).collect()
}

/// The whole matrix, a row for each test.
#[must_use]
pub fn rows() -> Vec<Row> {
    let row = |test, title, cells| Row { test, title, cells };
    let mut rows = vec![
        row("connections", "The connection ends when the request is through", connections()),
        row("timeouts", "No answer in time", timeouts()),
        row("brokers", "Connections end, leaders move, brokers die", brokers()),
        row("drops", "The caller drops the future", drops()),
        row("produce_codes_plain", "Error answers of Produce, plain", produce_codes(Plain)),
        row(
            "produce_codes_idempotent",
            "Error answers of Produce, idempotent",
            produce_codes(Idempotent),
        ),
        row("init_producer_id_codes", "Error answers of InitProducerId, idempotent", init_codes()),
    ];
    rows.extend(super::transactions_table::rows());
    rows
}
