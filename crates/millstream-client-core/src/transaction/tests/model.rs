//! A model of Kafka's side of a transactional id: the coordinator's rules, written from its
//! behaviour (KIP-98, KIP-360, KIP-890), and logs that know whose records are open.

use std::collections::{BTreeMap, BTreeSet};

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{CheckedBatch, RawBatch};
use millstream_protocol::compression::Decompressor;

/// The highest epoch that a coordinator gives; behind it comes another producer id.
const EPOCH_MAX: i16 = i16::MAX - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Txn {
    Empty,
    Ongoing,
    CompleteCommit,
    CompleteAbort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Committed,
    Aborted,
}

pub(super) type Producer = (i64, i16);

/// A record in a log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) mark: Mark,
}

#[derive(Debug)]
pub(super) struct Model {
    /// Whether the broker speaks version 2.
    pub(super) is_v2: bool,
    pub(super) current: Producer,
    /// Who the current one was before its last raise, for requests that come again.
    last: Option<Producer>,
    pub(super) txn: Txn,
    partitions: BTreeSet<i32>,
    has_group: bool,
    next_id: i64,
    pub(super) logs: BTreeMap<i32, Vec<Entry>>,
    /// The next sequence number of each producer in each log.
    sequences: BTreeMap<(i32, Producer), i32>,
    /// Offsets by the number that stands for them.
    pub(super) offsets: Vec<Entry>,
}

type Answer<T> = Result<T, ErrorCode>;

impl Model {
    pub(super) fn new(is_v2: bool, epoch: i16) -> Self {
        Self {
            is_v2,
            current: (1_000, epoch),
            last: None,
            txn: Txn::Empty,
            partitions: BTreeSet::new(),
            has_group: false,
            next_id: 1_001,
            logs: BTreeMap::new(),
            sequences: BTreeMap::new(),
            offsets: Vec::new(),
        }
    }

    fn raise(&mut self) {
        self.last = Some(self.current);
        if self.current.1 >= EPOCH_MAX {
            self.current = (self.next_id, 0);
            self.next_id += 1;
        } else {
            self.current.1 += 1;
        }
    }

    fn end(&mut self, commit: bool) {
        let mark = if commit { Mark::Committed } else { Mark::Aborted };
        let entries = self.logs.values_mut().flatten().chain(&mut self.offsets);
        entries.filter(|entry| entry.mark == Mark::Open).for_each(|entry| entry.mark = mark);
        self.txn = if commit { Txn::CompleteCommit } else { Txn::CompleteAbort };
        self.partitions.clear();
        self.has_group = false;
    }

    /// Another producer takes over, or the transaction's time is up.
    pub(super) fn fence(&mut self) {
        if self.txn == Txn::Ongoing {
            self.end(false);
        }
        self.raise();
        self.last = None;
    }

    pub(super) fn init(&mut self, asked: Option<Producer>) -> Answer<Producer> {
        let is_retry = asked.is_some() && asked == self.last;
        if asked.is_some_and(|asked| asked != self.current) && !is_retry {
            return Err(ErrorCode::ProducerFenced);
        }
        if self.txn == Txn::Ongoing {
            self.fence();
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if !is_retry {
            self.raise();
        }
        self.txn = Txn::Empty;
        Ok(self.current)
    }

    fn check(&self, producer: Producer) -> Answer<()> {
        if producer == self.current { Ok(()) } else { Err(ErrorCode::ProducerFenced) }
    }

    pub(super) fn add_partitions(&mut self, producer: Producer, partitions: &[i32]) -> Answer<()> {
        self.check(producer)?;
        self.txn = Txn::Ongoing;
        self.partitions.extend(partitions);
        Ok(())
    }

    pub(super) fn add_offsets(&mut self, producer: Producer) -> Answer<()> {
        self.check(producer)?;
        self.txn = Txn::Ongoing;
        self.has_group = true;
        Ok(())
    }

    pub(super) fn commit_offsets(&mut self, producer: Producer, value: i64) -> Answer<()> {
        self.check(producer)?;
        if self.is_v2 {
            self.add_offsets(producer)?;
        }
        if self.txn != Txn::Ongoing || !self.has_group {
            return Err(ErrorCode::InvalidTxnState);
        }
        let entry = Entry { value: value.to_string(), mark: Mark::Open };
        let is_there = |other: &Entry| other.value == entry.value && other.mark == Mark::Open;
        if !self.offsets.iter().any(is_there) {
            self.offsets.push(entry);
        }
        Ok(())
    }

    pub(super) fn end_txn(&mut self, producer: Producer, commit: bool) -> Answer<Producer> {
        let done = if commit { Txn::CompleteCommit } else { Txn::CompleteAbort };
        if self.is_v2 && Some(producer) == self.last && self.txn != Txn::Ongoing {
            return if self.txn == done {
                Ok(self.current)
            } else {
                Err(ErrorCode::InvalidTxnState)
            };
        }
        self.check(producer)?;
        match self.txn {
            Txn::Ongoing => self.end(commit),
            state if !self.is_v2 && state == done => return Ok(self.current),
            _ if self.is_v2 && !commit => self.txn = Txn::CompleteAbort,
            _ => return Err(ErrorCode::InvalidTxnState),
        }
        if self.is_v2 {
            self.raise();
        }
        Ok(self.current)
    }

    /// Appends a batch to a log; a batch that is there already is no error.
    pub(super) fn produce(&mut self, partition: i32, batch: bytes::Bytes) -> Answer<()> {
        let raw = RawBatch::parse(batch).unwrap();
        let checked = CheckedBatch::check(raw, &mut Decompressor::default()).unwrap();
        let header = checked.header();
        assert!(header.attributes.is_transactional(), "a batch outside of a transaction");
        let producer = (header.producer_id.value(), header.producer_epoch.value());
        if producer != self.current {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let next = self.sequences.entry((partition, producer)).or_default();
        if header.base_sequence < *next {
            return Ok(());
        }
        if header.base_sequence > *next {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        if self.is_v2 {
            self.txn = Txn::Ongoing;
            self.partitions.insert(partition);
        }
        if self.txn != Txn::Ongoing || !self.partitions.contains(&partition) {
            return Err(ErrorCode::InvalidTxnState);
        }
        *next += i32::try_from(checked.len()).unwrap();
        let log = self.logs.entry(partition).or_default();
        for record in checked.records() {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            log.push(Entry { value, mark: Mark::Open });
        }
        Ok(())
    }
}
