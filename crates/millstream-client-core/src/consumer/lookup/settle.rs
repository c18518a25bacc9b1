//! What a found position means for its partition.

use millstream_types::{Offset, TopicPartition};

use super::requests::Sought;
use crate::consumer::command::OffsetSpec;
use crate::consumer::error::FetchError;
use crate::consumer::notice::Next;
use crate::consumer::partition::{Phase, Position, Reset, ResetCause};
use crate::consumer::shared::ConsumerShared;
use crate::consumer::table::Table;
use crate::cx::Cx;

/// A position was found, or was found not to be: the partition goes on.
pub(super) fn settle(
    shared: &ConsumerShared,
    table: &mut Table,
    tp: &TopicPartition,
    sought: &Sought,
    cx: &mut Cx<'_>,
) {
    let Some(phase) = table.partitions.get(tp).map(|partition| partition.phase) else { return };
    match (phase, sought) {
        (Phase::NeedsCommitted, Sought::Committed(Some(committed))) => {
            let position = Position { offset: committed.offset, epoch: committed.leader_epoch };
            let phase = match position.epoch {
                Some(_) => Phase::NeedsValidation,
                None => Phase::Fetching,
            };
            table.go_to(tp, position, phase);
        }
        (Phase::NeedsCommitted, Sought::Committed(None)) => {
            match shared.reset_phase(ResetCause::NoPosition, None) {
                Some(phase) => table.enter(tp, phase),
                None => {
                    table.enter(tp, Phase::Halted);
                    table.notify(Next::Failed(FetchError::NoOffset { partition: tp.clone() }));
                }
            }
        }
        (Phase::NeedsReset(reset), Sought::Offset(offset)) => reset_to(table, tp, reset, *offset),
        (Phase::NeedsValidation, Sought::EpochEnd(end)) => {
            validated(shared, table, tp, *end, cx);
        }
        _ => {}
    }
}

fn reset_to(table: &mut Table, tp: &TopicPartition, reset: Reset, offset: Option<Offset>) {
    let Some(to) = offset else {
        // No record is that young: only a time can ask so. The end is where such a record will be.
        let reset = Reset { spec: OffsetSpec::Latest, ..reset };
        return table.enter(tp, Phase::NeedsReset(reset));
    };
    table.go_to(tp, Position::from(to), Phase::Fetching);
    if reset.cause != ResetCause::Requested {
        tracing::info!(partition = %tp, from = ?reset.from, %to, cause = ?reset.cause, "position reset");
        table.notify(Next::Reset {
            partition: tp.clone(),
            from: reset.from,
            to,
            cause: reset.cause,
        });
    } else {
        table.wake_waiter();
    }
}

/// The leader says where the epoch of our last record ends in its log (KIP-320): before our
/// position, then what we read from there on is no longer in the log.
fn validated(
    shared: &ConsumerShared,
    table: &mut Table,
    tp: &TopicPartition,
    end: Option<Position>,
    cx: &mut Cx<'_>,
) {
    let epoch = cx.metadata.leader(tp).and_then(|leader| leader.epoch);
    let Some(partition) = table.partitions.get_mut(tp) else { return };
    let Some(from) = partition.fetch_from else { return };
    partition.validated = epoch;
    let Some(end) = end.filter(|end| end.offset < from.offset) else {
        return table.enter(tp, Phase::Fetching);
    };
    let position = partition.position.map_or(from.offset, |position| position.offset);
    tracing::warn!(partition = %tp, from = %from.offset, to = %end.offset, "the log was truncated");
    if end.offset >= position {
        // Only what nobody has seen is gone: forget it and fetch anew.
        let position = partition.position.unwrap_or(from);
        return table.go_to(tp, position, Phase::Fetching);
    }
    match shared.reset_phase(ResetCause::Truncated, None) {
        Some(_) => {
            table.go_to(tp, end, Phase::Fetching);
            let partition = tp.clone();
            table.notify(Next::Truncated { partition, from: position, to: end.offset });
        }
        None => {
            table.enter(tp, Phase::Halted);
            table.notify(Next::Failed(FetchError::Truncated {
                partition: tp.clone(),
                position,
                diverged: end.offset,
            }));
        }
    }
}
