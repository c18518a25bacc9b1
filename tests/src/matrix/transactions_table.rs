//! The transactional cells, declared.

use millstream_protocol::{ApiKey, ErrorCode};

use super::table::codes;
use super::transactions::found;
use super::{Blow, Cell, CoordinatorFault, End, Fault, Found, Mode, Row, Times, TransactionCall};
use Blow::{Answer, AnswerLost, ClosedAfter, DoneButAnswer, DoneInSilence, Silence};
use End::{Committed, NoProducer, NotCommitted, Unknown};
use Mode::{Transactional1, Transactional2};
use Times::{Always, Once};

const MODES: [Mode; 2] = [Transactional1, Transactional2];

fn cell(mode: Mode, api: ApiKey, blow: Blow, times: Times, end: End) -> Cell {
    Cell { mode, fault: Fault::Request { api, blow, times }, end, found: found(end) }
}

/// The requests of a transaction that are not its end, with the version of the protocol in which a
/// producer sends them: in version 2 partitions are added by writing to them.
const REQUESTS: [(Mode, ApiKey); 6] = [
    (Transactional1, ApiKey::AddPartitionsToTxn),
    (Transactional1, ApiKey::Produce),
    (Transactional1, ApiKey::AddOffsetsToTxn),
    (Transactional1, ApiKey::TxnOffsetCommit),
    (Transactional2, ApiKey::Produce),
    (Transactional2, ApiKey::TxnOffsetCommit),
];

/// Whether a code passes, so that the same request succeeds later.
fn passes(api: ApiKey, code: ErrorCode) -> bool {
    use ErrorCode as C;
    match (api, code) {
        // The group has moved on: only a member that comes with a new generation can commit.
        (ApiKey::TxnOffsetCommit, C::StaleMemberEpoch) => false,
        // Nothing was decided, or it is decided and stays so: asking again does no harm.
        (ApiKey::InitProducerId | ApiKey::EndTxn, C::UnknownServerError | C::Unrecognized(_)) => {
            true
        }
        (ApiKey::InitProducerId, C::TransactionAbortable) => true,
        (_, code) => code.class().is_retriable(),
    }
}

/// The same, once each: what a code means does not depend on the version of the protocol.
const CODES_OF: [(Mode, ApiKey); 4] = [
    (Transactional1, ApiKey::AddPartitionsToTxn),
    (Transactional1, ApiKey::AddOffsetsToTxn),
    (Transactional2, ApiKey::Produce),
    (Transactional2, ApiKey::TxnOffsetCommit),
];

/// Error answers to a request that is not the end of the transaction.
fn request_codes(mode: Mode, api: ApiKey) -> Vec<Cell> {
    let mut cells = Vec::new();
    for code in codes() {
        if api == ApiKey::Produce && code == ErrorCode::DuplicateSequenceNumber {
            cells.push(cell(mode, api, DoneButAnswer(code), Once, Committed));
            continue;
        }
        // A refusal is final the first time.
        if !passes(api, code) {
            cells.push(cell(mode, api, Answer(code), Once, NotCommitted));
            continue;
        }
        cells.push(cell(mode, api, Answer(code), Once, Committed));
        cells.push(cell(mode, api, Answer(code), Always, NotCommitted));
    }
    cells
}

fn init_codes() -> Vec<Cell> {
    let (mode, api) = (Transactional2, ApiKey::InitProducerId);
    let mut cells = Vec::new();
    for code in codes() {
        if !passes(api, code) {
            cells.push(cell(mode, api, Answer(code), Once, NoProducer));
            continue;
        }
        cells.push(cell(mode, api, Answer(code), Once, Committed));
        cells.push(cell(mode, api, Answer(code), Always, NoProducer));
    }
    cells
}

/// Whether the coordinator looks at nothing before it answers so: a commit that never gets another
/// answer can still be turned into an abort.
fn proves_nothing_done(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::CoordinatorLoadInProgress | ErrorCode::ConcurrentTransactions)
}

/// Error answers to EndTxn: what passes without end leaves the outcome open until it does end.
fn end_codes(mode: Mode) -> Vec<Cell> {
    let mut cells = Vec::new();
    for code in codes() {
        let api = ApiKey::EndTxn;
        let mut add = |blow, times, end, found| {
            let fault = Fault::Request { api, blow, times };
            cells.push(Cell { mode, fault, end, found });
        };
        if passes(api, code) {
            add(Answer(code), Once, Committed, Found::Once);
            if mode == Transactional2 && proves_nothing_done(code) {
                add(Answer(code), Always, NotCommitted, Found::Nothing);
            } else if mode == Transactional2 {
                add(Answer(code), Always, Unknown, Found::Once);
            }
            add(DoneButAnswer(code), Once, Committed, Found::Once);
        } else {
            add(Answer(code), Once, NotCommitted, Found::Nothing);
        }
    }
    cells
}

const BLOWS: [Blow; 4] = [ClosedAfter, AnswerLost, Silence, DoneInSilence];

/// Connections that end, answers that are lost or late, for every request.
fn no_answers() -> Vec<Cell> {
    let mut cells = Vec::new();
    for blow in BLOWS {
        for (mode, api) in REQUESTS {
            cells.push(cell(mode, api, blow, Once, Committed));
            cells.push(cell(mode, api, blow, Always, NotCommitted));
        }
        for mode in MODES {
            cells.push(cell(mode, ApiKey::InitProducerId, blow, Once, Committed));
            cells.push(cell(mode, ApiKey::InitProducerId, blow, Always, NoProducer));
            cells.push(cell(mode, ApiKey::EndTxn, blow, Once, Committed));
            let fault = Fault::Request { api: ApiKey::EndTxn, blow, times: Always };
            cells.push(Cell { mode, fault, end: Unknown, found: Found::Once });
        }
    }
    cells
}

fn brokers() -> Vec<Cell> {
    let mut cells = Vec::new();
    for mode in MODES {
        let mut add = |fault, end| cells.push(Cell { mode, fault, end, found: found(end) });
        add(Fault::LeaderMoved, Committed);
        add(Fault::LeaderKilled, Committed);
        add(Fault::Coordinator(CoordinatorFault::Moved), Committed);
        add(Fault::Coordinator(CoordinatorFault::Loading), Committed);
        add(Fault::Coordinator(CoordinatorFault::Killed), Committed);
        add(Fault::Coordinator(CoordinatorFault::KilledAfterwards), Committed);
        add(Fault::Coordinator(CoordinatorFault::Fenced), NotCommitted);
        for (call, end) in TransactionCall::ALL {
            add(Fault::CallDropped(call), end);
        }
    }
    cells
}

/// The rows of transactions.
pub(super) fn rows() -> Vec<Row> {
    let row = |test, title, cells| Row { test, title, cells };
    let codes = |test, title, api| {
        let modes = CODES_OF.iter().filter(|(_, of)| *of == api);
        row(test, title, modes.flat_map(|(mode, api)| request_codes(*mode, *api)).collect())
    };
    vec![
        row("transactions_no_answers", "Transactions: no answer, or none in time", no_answers()),
        row(
            "transactions_brokers_and_drops",
            "Transactions: leaders and coordinators move and die, the caller drops the future",
            brokers(),
        ),
        row(
            "transactions_init_codes",
            "Transactions: error answers of InitProducerId",
            init_codes(),
        ),
        codes(
            "transactions_add_partitions_codes",
            "Transactions: error answers of AddPartitionsToTxn",
            ApiKey::AddPartitionsToTxn,
        ),
        codes(
            "transactions_produce_codes",
            "Transactions: error answers of Produce",
            ApiKey::Produce,
        ),
        codes(
            "transactions_add_offsets_codes",
            "Transactions: error answers of AddOffsetsToTxn",
            ApiKey::AddOffsetsToTxn,
        ),
        codes(
            "transactions_offset_commit_codes",
            "Transactions: error answers of TxnOffsetCommit",
            ApiKey::TxnOffsetCommit,
        ),
        row(
            "transactions_end_codes",
            "Transactions: error answers of EndTxn",
            MODES.into_iter().flat_map(end_codes).collect(),
        ),
    ]
}
