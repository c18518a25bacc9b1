//! The outcome matrix: what a producer is told of a record, and what is in the log, for everything
//! that can go wrong on its way.
//!
//! [`rows`](table::rows) declares the cells: a [`Fault`], a [`Mode`], and what is expected, an
//! [`End`] and a [`Found`]. The cells of error codes are made from the protocol's list of codes, so a
//! code that is added there becomes a cell here. [`run`] carries the cells of a row out against the
//! in-process broker, over TCP, many at a time; [`page`] writes the table of the documentation.

pub mod drops;
pub mod page;
pub mod run;
pub mod table;
pub mod transactions;
pub mod transactions_table;

use std::fmt;

use millstream_protocol::{ApiKey, ErrorCode};

/// The kind of producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// `acks=all` without idempotence.
    Plain,
    /// The default.
    Idempotent,
    /// In transactions of version 1.
    Transactional1,
    /// In transactions of version 2 (KIP-890).
    Transactional2,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Idempotent => "idempotent",
            Self::Transactional1 => "transactional, version 1",
            Self::Transactional2 => "transactional, version 2",
        })
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The broker does nothing and answers this code.
    Answer(ErrorCode),
    /// The broker does what was asked and answers this code.
    DoneButAnswer(ErrorCode),
    /// The connection ends when the request is through; nothing was done.
    ClosedAfter,
    /// The connection ends when what was asked is done; the answer is lost.
    AnswerLost,
    /// Nothing is done, and no answer comes, for longer than a request may take.
    Silence,
    /// What was asked is done, and no answer comes, for longer than a request may take.
    DoneInSilence,
}

/// How often it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Times {
    /// To the first request; the second passes.
    Once,
    /// To every request, until the delivery timeout has passed.
    Always,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// To requests of one API.
    Request {
        /// The API.
        api: ApiKey,
        /// What happens.
        blow: Blow,
        /// How often.
        times: Times,
    },
    /// The connection ends while nothing is on it; the record finds it closed.
    ClosedBefore,
    /// The connection is reset when a part of the request is through.
    CutDuring(Times),
    /// Leadership moves to another node while the record waits to be sent.
    LeaderMoved,
    /// The leader dies while the record waits to be sent; another takes over.
    LeaderKilled,
    /// The leader does what was asked and dies before it answers; another takes over.
    LeaderKilledAfterwards,
    /// All nodes die while the record waits to be sent, and stay away.
    AllKilled,
    /// The only node does what was asked, dies before it answers, and stays away.
    AllKilledAfterwards,
    /// The caller drops the future.
    Dropped(drops::Wait),
    /// Something happens to the transaction's coordinator before the commit.
    Coordinator(CoordinatorFault),
    /// The caller drops the future of a transaction's verb, and the producer behind it.
    CallDropped(TransactionCall),
}

/// What happens to a coordinator of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorFault {
    /// Another node is it.
    Moved,
    /// It is loading for a while.
    Loading,
    /// It dies; another node takes over.
    Killed,
    /// Its connection ends when it has committed, before it answers.
    KilledAfterwards,
    /// It has let another producer have the transactional id.
    Fenced,
}

impl fmt::Display for CoordinatorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved => "coordinator moved before the commit",
            Self::Loading => "coordinator loading at the commit",
            Self::Killed => "coordinator killed before the commit",
            Self::KilledAfterwards => "coordinator gone after the commit, before the answer",
            Self::Fenced => "another producer fenced this one before the commit",
        })
    }
}

/// A verb whose future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionCall {
    /// `begin` that waits.
    Begin,
    /// The transaction itself, with records and offsets.
    Transaction,
    /// `commit_offsets_of` that waits.
    Offsets,
    /// `flush` that waits.
    Flush,
    /// `commit` that was never polled.
    CommitUnpolled,
    /// `commit` that waits.
    Commit,
    /// `abort` that was never polled.
    AbortUnpolled,
    /// `abort` that waits.
    Abort,
}

impl TransactionCall {
    /// All of them, each with what becomes of the transaction.
    pub const ALL: [(Self, End); 8] = [
        (Self::Begin, End::NotCommitted),
        (Self::Transaction, End::NotCommitted),
        (Self::Offsets, End::NotCommitted),
        (Self::Flush, End::NotCommitted),
        (Self::CommitUnpolled, End::NotCommitted),
        (Self::Commit, End::Committed),
        (Self::AbortUnpolled, End::NotCommitted),
        (Self::Abort, End::NotCommitted),
    ];
}

impl fmt::Display for TransactionCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "`begin` dropped while it waits",
            Self::Transaction => "transaction dropped with records and offsets",
            Self::Offsets => "`commit_offsets_of` dropped while it waits",
            Self::Flush => "`flush` dropped while it waits",
            Self::CommitUnpolled => "`commit` dropped before the first poll",
            Self::Commit => "`commit` dropped while it waits",
            Self::AbortUnpolled => "`abort` dropped before the first poll",
            Self::Abort => "`abort` dropped while it waits",
        })
    }
}

/// What the producer is told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It is in the log.
    Written,
    /// It is in no log. It is handed back.
    NotWritten,
    /// It may be in the log.
    Unknown,
    /// It was not accepted: the call was dropped before.
    NotAccepted,
    /// The transaction is committed.
    Committed,
    /// The transaction is not committed and never will be.
    NotCommitted,
    /// There is no producer: it could not be built.
    NoProducer,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Written => "written",
            Self::NotWritten => "not written",
            Self::Unknown => "unknown",
            Self::NotAccepted => "not accepted",
            Self::Committed => "committed",
            Self::NotCommitted => "not committed",
            Self::NoProducer => "no producer",
        })
    }
}

/// What a reader of the log finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The record, once.
    Once,
    /// The record, once or more often.
    OnceOrMore,
    /// The record, more than once: it was done before and is done again.
    Repeatedly,
}

impl Found {
    /// Whether so many are expected.
    #[must_use]
    pub const fn allows(self, count: usize) -> bool {
        match self {
            Self::Nothing => count == 0,
            Self::Once => count == 1,
            Self::OnceOrMore => count >= 1,
            Self::Repeatedly => count > 1,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Once => "once",
            Self::OnceOrMore => "once or more",
            Self::Repeatedly => "more than once",
        })
    }
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The kind of producer.
    pub mode: Mode,
    /// What goes wrong.
    pub fault: Fault,
    /// What the producer is told.
    pub end: End,
    /// What is in the log.
    pub found: Found,
}

/// Cells that one test carries out.
#[derive(Clone, Debug)]
pub struct Row {
    /// The test.
    pub test: &'static str,
    /// What goes wrong in all of them.
    pub title: &'static str,
    /// The cells.
    pub cells: Vec<Cell>,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Once => "once",
            Self::Always => "always",
        })
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(code) => write!(f, "answered `{}`", name(*code)),
            Self::DoneButAnswer(code) => write!(f, "done, answered `{}`", name(*code)),
            Self::ClosedAfter => f.write_str("connection closed after the write"),
            Self::AnswerLost => f.write_str("done, connection closed before the answer"),
            Self::Silence => f.write_str("not done, request timeout"),
            Self::DoneInSilence => f.write_str("done, request timeout"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { api, blow, times } => write!(f, "{api} {blow}, {times}"),
            Self::ClosedBefore => f.write_str("connection closed before the write"),
            Self::CutDuring(times) => {
                write!(f, "connection reset during the write of Produce, {times}")
            }
            Self::LeaderMoved => f.write_str("leader moved"),
            Self::LeaderKilled => f.write_str("leader killed before the write"),
            Self::LeaderKilledAfterwards => f.write_str("leader killed after the append"),
            Self::AllKilled => f.write_str("all brokers killed before the write"),
            Self::AllKilledAfterwards => f.write_str("all brokers killed after the append"),
            Self::Dropped(wait) => wait.fmt(f),
            Self::Coordinator(fault) => fault.fmt(f),
            Self::CallDropped(call) => call.fmt(f),
        }
    }
}

/// Kafka's name of a code; one that it does not have is told by its number.
fn name(code: ErrorCode) -> String {
    match code {
        ErrorCode::Unrecognized(number) => format!("code {number}"),
        known => known.name().to_owned(),
    }
}
