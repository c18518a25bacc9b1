//! The hold that a transaction has on the batches: who they are written as, which partitions may be
//! written to, and what ends the transaction.
//!
//! The transaction machine decides, this carries out. A producer without a gate writes at will.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use millstream_protocol::ErrorCode;
use millstream_types::{ProducerEpoch, ProducerId, TopicPartition};

use super::ProducerMachine;
use super::batch::Identity;
use crate::producer::error::{DeliveryCause, EnqueueError};

/// What a transaction lets through.
#[derive(Debug)]
pub(super) struct Gate {
    /// The transactional id.
    pub(super) id: Arc<str>,
    /// Who writes; while it is not known nothing is sent.
    pub(super) identity: Option<Identity>,
    /// Counts transactions: a partition belongs to the one it was added in.
    serial: u64,
    /// Whether writing adds the partition (KIP-890), or the coordinator is told first.
    pub(super) is_implicit: bool,
    /// Partitions with something to send that do not belong to the transaction yet.
    wanted: BTreeSet<usize>,
    /// Partitions that were written to or asked for since the last look.
    touched: Vec<usize>,
    /// Whether any partition belongs to the transaction.
    is_touched: bool,
    fault: Option<TransactionFault>,
}

/// What a transaction makes of a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    /// The transaction can only be aborted; the producer goes on.
    Abortable,
    /// The same, and the producer's sequence is broken: it goes on in another epoch.
    AbortableNewEpoch,
    /// Another producer has taken over, or this one is not allowed to write: nothing goes on.
    Fatal,
}

/// The first failure of a batch in a transaction, or a worse one after it.
#[derive(Clone, Debug)]
pub(crate) struct TransactionFault {
    pub(crate) kind: FaultKind,
    pub(crate) cause: DeliveryCause,
    /// The partition whose batch failed.
    pub(crate) partition: TopicPartition,
}

impl Gate {
    fn new(id: Arc<str>) -> Self {
        Self {
            id,
            identity: None,
            serial: 0,
            is_implicit: false,
            wanted: BTreeSet::new(),
            touched: Vec::new(),
            is_touched: false,
            fault: None,
        }
    }

    /// Whether a partition that was added in transaction `added_in` may be written to; if not, it
    /// is asked for.
    pub(super) fn admits(&mut self, index: usize, added_in: &mut u64) -> bool {
        if self.serial == 0 {
            self.wanted.insert(index);
            return false;
        }
        if *added_in == self.serial {
            return true;
        }
        if self.is_implicit {
            *added_in = self.serial;
            self.is_touched = true;
            self.touched.push(index);
            return true;
        }
        if self.wanted.insert(index) {
            self.touched.push(index);
        }
        false
    }

    /// Notes a failure, if it is the first or worse than the first.
    fn note(&mut self, fault: TransactionFault) {
        if self.fault.as_ref().is_none_or(|known| known.kind < fault.kind) {
            self.fault = Some(fault);
        }
    }
}

/// What a transaction machine may ask of the producer machine.
impl ProducerMachine {
    /// Lets batches through only as transactions of `id` say. To be called once, before any record.
    #[must_use]
    pub(crate) fn with_transactions(mut self, id: Arc<str>) -> Self {
        self.gate = Some(Gate::new(id));
        self
    }

    /// Begins a transaction, to which no partition belongs. With `is_implicit` writing adds a
    /// partition (transaction version 2); else it waits for [`Self::admit_partitions`].
    pub(crate) fn begin_transaction(&mut self, is_implicit: bool) {
        if let Some(gate) = &mut self.gate {
            gate.serial += 1;
            gate.is_implicit = is_implicit;
            self.inbox.partitions.extend(std::mem::take(&mut gate.wanted));
            gate.touched.clear();
            gate.is_touched = false;
            gate.fault = None;
        }
    }

    /// Whom to write as from now on. Another identity than before begins every partition's sequence
    /// at 0, once nothing of that partition is on its way; the same one changes nothing.
    pub(crate) fn set_identity(&mut self, id: ProducerId, epoch: ProducerEpoch) {
        let identity = Identity { id, epoch };
        let Some(gate) = &mut self.gate else { return };
        if gate.identity != Some(identity) {
            gate.identity = Some(identity);
            self.look_at_unidentified();
        }
    }

    /// Sends nothing until the next [`Self::set_identity`].
    pub(crate) fn clear_identity(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.identity = None;
        }
    }

    /// Whether there is someone to write as: not once a sequence is broken that only another
    /// identity can mend.
    #[cfg(test)]
    pub(crate) fn has_identity(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.identity.is_some())
    }

    /// Partitions to add to the transaction: with version 1 those that wait for it, with version 2
    /// those that were written to. Each is told once in a transaction.
    pub(crate) fn newly_touched_partitions(&mut self) -> Vec<TopicPartition> {
        let touched = self.gate.as_mut().map(|gate| std::mem::take(&mut gate.touched));
        let name = |index: usize| self.partitions[index].topic_partition();
        touched.unwrap_or_default().into_iter().map(name).collect()
    }

    /// The coordinator has added these partitions: they may be written to.
    pub(crate) fn admit_partitions(&mut self, added: &[TopicPartition]) {
        for partition in added {
            let index = self.index_of(partition);
            let (Some(index), Some(gate)) = (index, &mut self.gate) else { continue };
            if !gate.wanted.remove(&index) {
                continue;
            }
            gate.is_touched = true;
            self.partitions[index].added_in = gate.serial;
            self.inbox.partitions.push(index);
        }
    }

    /// Whether a partition belongs to the transaction: without one there is nothing to end.
    pub(crate) fn has_touched_partitions(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_touched)
    }

    /// Whether every accepted record has its end and nothing is on its way.
    pub(crate) fn is_drained(&self) -> bool {
        self.shared.tallies.is_idle() && self.requests.is_empty()
    }

    /// Has open batches sent now.
    pub(crate) fn hurry(&mut self) {
        let epoch = self.shared.tallies.begin_flush();
        self.shared.tallies.abandon(epoch);
        self.flush_epoch = self.flush_epoch.max(Some(epoch));
        self.inbox.partitions.extend(self.open.iter());
    }

    /// Ends whatever is not on its way: as *not written*, unless an attempt got no answer. What is
    /// on its way keeps its chance; [`Self::is_drained`] tells when it is answered.
    pub(crate) fn abort_undrained(&mut self, cause: &DeliveryCause, now: Instant) {
        for index in 0..self.partitions.len() {
            self.end_unsent(index, cause, now);
        }
        if let Some(gate) = &mut self.gate {
            gate.wanted.clear();
        }
    }

    /// Ends everything, as *not written* or *unknown* as is true: the producer was fenced.
    pub(crate) fn fail_everything(&mut self, cause: &DeliveryCause, now: Instant) {
        for index in 0..self.partitions.len() {
            self.end_everything(index, cause, now);
        }
    }

    /// Takes no more records and tells callers why, or takes them again.
    pub(crate) fn refuse(&self, refusal: Option<EnqueueError>) {
        self.shared.refuse(refusal);
    }

    /// The first failure of a batch since the last look, or the worst.
    pub(crate) fn take_fault(&mut self) -> Option<TransactionFault> {
        self.gate.as_mut()?.fault.take()
    }

    /// A batch of a transaction ended badly.
    pub(super) fn note_fault(&mut self, index: usize, cause: &DeliveryCause) {
        let Some(gate) = &mut self.gate else { return };
        let has_gap = self.partitions[index].is_in_doubt();
        if matches!(cause, DeliveryCause::Aborted) && !has_gap {
            return;
        }
        let kind = fault_kind(cause, has_gap);
        let partition = self.partitions[index].topic_partition();
        gate.note(TransactionFault { kind, cause: cause.clone(), partition });
    }
}

/// What a failed batch means for its transaction (`TransactionManager.maybeTransitionToErrorState`).
fn fault_kind(cause: &DeliveryCause, has_gap: bool) -> FaultKind {
    use ErrorCode as C;
    match cause {
        DeliveryCause::Broker {
            code:
                C::ClusterAuthorizationFailed
                | C::TransactionalIdAuthorizationFailed
                | C::ProducerFenced
                | C::InvalidProducerIdMapping
                | C::UnsupportedVersion,
            ..
        } => FaultKind::Fatal,
        // KIP-588: the coordinator may have timed the transaction out; it says who is fenced.
        DeliveryCause::Broker {
            code: C::InvalidProducerEpoch | C::UnknownProducerId | C::OutOfOrderSequenceNumber,
            ..
        } => FaultKind::AbortableNewEpoch,
        _ if has_gap => FaultKind::AbortableNewEpoch,
        _ => FaultKind::Abortable,
    }
}
