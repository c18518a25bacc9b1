//! Transactional batches need a transaction that the coordinator knows of (KIP-890).
//!
//! Up to version 11 the partition must have been added before; from 12 on producing adds it. While
//! a transaction is open in a partition, its further batches pass without asking.
//!
//! Kafka asks again for up to 100 ms where markers are outstanding; here the answer is given at once.

use std::collections::{BTreeMap, BTreeSet};

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::BatchHeader;
use millstream_protocol::messages::ProduceRequest;
use millstream_types::TopicPartition;

use super::{BY_ID, Call};
use crate::core::state::{Refused, State};
use crate::core::topic::TopicRef;
use crate::core::transaction::{Producer, TransactionVersion};

/// The first version that takes `TRANSACTION_ABORTABLE` for an answer.
const KNOWS_ABORTABLE: i16 = 11;
/// The first version whose batches add their partition to the transaction.
const ADDS: i16 = 12;

/// A partition by its place in the request.
type Place = (usize, usize);

/// What the coordinator said, for each partition with a transactional batch.
#[derive(Debug, Default)]
pub(super) struct Gate(BTreeMap<Place, Result<(), Refused>>);

impl Gate {
    /// Asks the coordinator for all transactional batches of a request at once.
    ///
    /// # Errors
    /// The request as a whole is refused with this code.
    pub(super) fn open(
        state: &mut State,
        call: &Call,
        request: &ProduceRequest,
    ) -> Result<Self, ErrorCode> {
        let batches = transactional_batches(request);
        let Some((_, first)) = batches.first() else {
            return Ok(Self::default());
        };
        // Without the name nothing can be authorised, and Kafka says so.
        let id = request.transactional_id.as_ref();
        let id = id.ok_or(ErrorCode::TransactionalIdAuthorizationFailed)?;
        let producer = Producer { id: first.producer_id, epoch: first.producer_epoch };
        let other =
            |it: &BatchHeader| it.producer_id != producer.id || it.producer_epoch != producer.epoch;
        if batches.iter().any(|(_, header)| other(header)) {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let mut gate = Self::default();
        let asked = gate.needed(state, call, request, &batches);
        if !asked.is_empty() {
            let names: BTreeSet<_> = asked.values().cloned().collect();
            let refused = ask(state, call, id, producer, names);
            for (place, partition) in asked {
                let code = match &refused {
                    Ok(missing) if missing.contains(&partition) => {
                        Some(ErrorCode::TransactionAbortable)
                    }
                    Ok(_) => None,
                    Err(code) => Some(*code),
                };
                let verdict = code.map_or(Ok(()), |code| Err(translate(code, call.version)));
                gate.0.insert(place, verdict);
            }
        }
        Ok(gate)
    }

    /// What was said of a partition; `None`: it was not asked for.
    pub(super) fn verdict(&self, place: Place) -> Option<&Result<(), Refused>> {
        self.0.get(&place)
    }

    /// The partitions that the coordinator has to be asked for. Those that are not led here are left
    /// out: the write says why.
    fn needed(
        &mut self,
        state: &mut State,
        call: &Call,
        request: &ProduceRequest,
        batches: &[(Place, BatchHeader)],
    ) -> BTreeMap<Place, TopicPartition> {
        let mut asked = BTreeMap::new();
        for ((at, index), header) in batches {
            let Some(data) = request.topic_data.get(*at) else {
                continue;
            };
            let name = TopicRef::of(call.version >= BY_ID, data.topic_id, &data.name);
            let Ok(topic) = state.topics.find_mut(&name) else {
                continue;
            };
            let name = topic.name.clone();
            let number = data.partition_data.get(*index).map_or(-1, |data| data.index);
            let Some(partition) = topic.partition_mut(number) else {
                continue;
            };
            let producers = &mut partition.log.producers;
            if partition.leader != Some(call.node)
                || producers.has_open(header.producer_id, header.producer_epoch)
            {
                continue;
            }
            let place = (*at, *index);
            match producers.begin_verification(header, call.version >= ADDS) {
                Ok(()) => {
                    asked.insert(place, TopicPartition::new(name, number));
                }
                Err(code) => {
                    self.0.insert(place, Err(Refused::new(code, "")));
                }
            }
        }
        asked
    }
}

fn transactional_batches(request: &ProduceRequest) -> Vec<(Place, BatchHeader)> {
    let topics = request.topic_data.iter().enumerate();
    let all = topics.flat_map(|(at, topic)| {
        let partitions = topic.partition_data.iter().enumerate();
        partitions.filter_map(move |(index, partition)| {
            let header = BatchHeader::parse(partition.records.as_ref()?).ok()?;
            header.attributes.is_transactional().then_some(((at, index), header))
        })
    });
    all.filter(|(_, header)| header.producer_id.0 >= 0).collect()
}

/// Adds the partitions to the transaction, or finds those that are in none.
fn ask(
    state: &mut State,
    call: &Call,
    id: &str,
    producer: Producer,
    partitions: BTreeSet<TopicPartition>,
) -> Result<BTreeSet<TopicPartition>, ErrorCode> {
    let at = call.moment();
    let coordinator = state.transactions.placement.coordinator(id);
    let coordinator = coordinator.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    if call.version < ADDS {
        return state.verify_partitions(coordinator, id, producer, &partitions, at);
    }
    let version = TransactionVersion::V2;
    state.add_partitions(coordinator, id, producer, partitions, version, at)?;
    Ok(BTreeSet::new())
}

/// A refusal of the coordinator in the words of Produce (`AddPartitionsToTxnManager.scala`,
/// `ReplicaManager.handleProduceAppend`): clients retry what they know.
fn translate(code: ErrorCode, version: i16) -> Refused {
    match code {
        ErrorCode::ProducerFenced => Refused::new(ErrorCode::InvalidProducerEpoch, ""),
        ErrorCode::TransactionAbortable if version < KNOWS_ABORTABLE => {
            Refused::new(ErrorCode::InvalidTxnState, "The transaction does not hold this partition")
        }
        ErrorCode::ConcurrentTransactions if version >= ADDS => Refused::new(code, ""),
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => {
            let why = format!("The transaction could not be looked for: {code:?}");
            Refused::new(ErrorCode::NotEnoughReplicas, why)
        }
        _ => Refused::new(code, ""),
    }
}
