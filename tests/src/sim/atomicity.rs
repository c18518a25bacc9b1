//! The judge of transactions: all of one is visible to readers of committed records, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::TopicPartition;

use super::check::{Logged, Violation};

/// What an application knows of the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was told that it is committed.
    Committed,
    /// It never asked for a commit, or was told that there was none.
    NotCommitted,
    /// It asked for a commit and does not know.
    Unknown,
}

/// A transaction, as its application saw it.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its records in the order of their acceptance; at least one.
    pub records: Vec<(TopicPartition, u64)>,
    /// The offset that it committed for the group of its application.
    pub offset: Option<i64>,
    /// How it ended.
    pub told: Told,
}

/// The transactions of one transactional id, in the order in which they can take effect: those of
/// an earlier producer before those of the one that fenced it.
#[derive(Clone, Debug, Default)]
pub struct Career {
    /// The transactions.
    pub transactions: Vec<Transaction>,
    /// What its group has committed in the end.
    pub committed: Option<i64>,
}

/// Judges what readers of committed records find in the logs once all transactions are over.
#[must_use]
pub fn check_transactions(
    careers: &[Career],
    logs: &BTreeMap<TopicPartition, Vec<Logged>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let places = places(logs, &mut found);
    let all = careers.iter().flat_map(|career| &career.transactions);
    let known: BTreeSet<_> = all.flat_map(|transaction| transaction.records.iter()).collect();
    for place in places.keys().filter(|place| !known.contains(place)) {
        found.push(Violation::Invented(place.0.clone(), place.1));
    }
    for (id, career) in careers.iter().enumerate() {
        let mut order: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
        let mut offset = None;
        for (number, transaction) in career.transactions.iter().enumerate() {
            if check_one((id, number), transaction, &places, &mut found) {
                offset = transaction.offset.or(offset);
            }
            check_order(transaction, &places, &mut order, &mut found);
        }
        if career.committed != offset {
            found.push(Violation::OffsetApart(id, career.committed, offset));
        }
    }
    found
}

/// Where each record stands.
type Places = BTreeMap<(TopicPartition, u64), i64>;

fn places(logs: &BTreeMap<TopicPartition, Vec<Logged>>, found: &mut Vec<Violation>) -> Places {
    let mut places = Places::new();
    for (partition, log) in logs {
        for record in log {
            let place = (partition.clone(), record.value);
            if places.insert(place, record.offset).is_some() {
                found.push(Violation::Duplicate(partition.clone(), record.value));
            }
        }
    }
    places
}

/// Judges one transaction; answers whether it took effect.
fn check_one(
    place: (usize, usize),
    transaction: &Transaction,
    places: &Places,
    found: &mut Vec<Violation>,
) -> bool {
    let (seen, unseen): (Vec<_>, Vec<_>) =
        transaction.records.iter().partition(|record| places.contains_key(*record));
    match transaction.told {
        Told::Committed => {
            found.extend(unseen.iter().map(|(p, value)| Violation::Lost(p.clone(), *value)));
            true
        }
        Told::NotCommitted => {
            found.extend(seen.iter().map(|(p, value)| Violation::Phantom(p.clone(), *value)));
            false
        }
        Told::Unknown => {
            if !seen.is_empty() && !unseen.is_empty() {
                found.push(Violation::Torn(place.0, place.1));
            }
            !seen.is_empty()
        }
    }
}

/// Records stand in the order of acceptance, those of a later transaction behind.
fn check_order<'a>(
    transaction: &'a Transaction,
    places: &Places,
    furthest: &mut BTreeMap<&'a TopicPartition, i64>,
    found: &mut Vec<Violation>,
) {
    for record in &transaction.records {
        let Some(at) = places.get(record) else { continue };
        let before = furthest.entry(&record.0).or_insert(-1);
        if at < before {
            found.push(Violation::Reordered(record.0.clone(), record.1));
        }
        *before = (*before).max(*at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    /// A transaction that wrote `values`, even ones to partition 0 and odd ones to partition 1.
    fn transaction(values: &[u64], offset: i64, told: Told) -> Transaction {
        let record = |value: &u64| (partition((value % 2) as i32), *value);
        Transaction { records: values.iter().map(record).collect(), offset: Some(offset), told }
    }

    /// What is wrong when these values stand in the logs in this order.
    fn judge(transactions: &[Transaction], committed: i64, visible: &[u64]) -> Vec<Violation> {
        let mut logs: BTreeMap<_, Vec<Logged>> = BTreeMap::new();
        for value in visible {
            let log = logs.entry(partition((value % 2) as i32)).or_default();
            log.push(Logged { offset: log.len() as i64, value: *value });
        }
        let transactions = transactions.to_vec();
        let committed = (committed >= 0).then_some(committed);
        check_transactions(&[Career { transactions, committed }], &logs)
    }

    #[test]
    fn whole_transactions_are_fine() {
        let committed = transaction(&[1, 2], 1, Told::Committed);
        let aborted = transaction(&[3, 4], 2, Told::NotCommitted);
        let unknown = transaction(&[5, 6], 3, Told::Unknown);
        let all = [committed, aborted, unknown];
        assert_eq!(judge(&all, 3, &[1, 2, 5, 6]), []);
        assert_eq!(judge(&all, 1, &[1, 2]), []);
        assert_eq!(judge(&[], -1, &[]), []);
    }

    #[test]
    fn torn_transactions_are_found() {
        let unknown = [transaction(&[5, 6], 3, Told::Unknown)];
        assert_eq!(judge(&unknown, 3, &[5]), [Violation::Torn(0, 0)]);
        assert_eq!(judge(&unknown, 3, &[6]), [Violation::Torn(0, 0)]);
        let long = [transaction(&[1, 2, 3, 4], 1, Told::Unknown)];
        assert_eq!(judge(&long, 1, &[1, 2, 4]), [Violation::Torn(0, 0)]);
    }

    #[test]
    fn aborted_records_that_are_visible_are_found() {
        let aborted = [transaction(&[1, 2], 1, Told::NotCommitted)];
        assert_eq!(judge(&aborted, -1, &[2]), [Violation::Phantom(partition(0), 2)]);
        assert_eq!(judge(&aborted, -1, &[1, 2]).len(), 2);
        let two = [transaction(&[1], 1, Told::Committed), transaction(&[3], 2, Told::NotCommitted)];
        assert_eq!(judge(&two, 1, &[1, 3]), [Violation::Phantom(partition(1), 3)]);
    }

    #[test]
    fn lost_records_are_found() {
        let committed = [transaction(&[1, 2], 1, Told::Committed)];
        assert_eq!(judge(&committed, 1, &[1]), [Violation::Lost(partition(0), 2)]);
        assert_eq!(judge(&committed, 1, &[]).len(), 2);
        let two = [transaction(&[1], 1, Told::Committed), transaction(&[3], 2, Told::Committed)];
        assert_eq!(judge(&two, 2, &[3]), [Violation::Lost(partition(1), 1)]);
    }

    #[test]
    fn doubled_invented_and_reordered_records_are_found() {
        let committed =
            [transaction(&[2, 4], 1, Told::Committed), transaction(&[6], 2, Told::Committed)];
        assert_eq!(judge(&committed, 2, &[2, 4, 6]), []);
        assert_eq!(judge(&committed, 2, &[2, 4, 6, 8]), [Violation::Invented(partition(0), 8)]);
        assert_eq!(judge(&committed, 2, &[4, 2, 6]), [Violation::Reordered(partition(0), 4)]);
        assert!(judge(&committed, 2, &[6, 2, 4]).contains(&Violation::Reordered(partition(0), 6)));
        let doubled = judge(&committed, 2, &[2, 4, 4, 6]);
        assert!(doubled.contains(&Violation::Duplicate(partition(0), 4)), "{doubled:?}");
    }

    #[test]
    fn offsets_apart_from_their_transaction_are_found() {
        let two = [transaction(&[1], 1, Told::Committed), transaction(&[3], 2, Told::Unknown)];
        assert_eq!(judge(&two, 2, &[1, 3]), []);
        assert_eq!(judge(&two, 1, &[1, 3]), [Violation::OffsetApart(0, Some(1), Some(2))]);
        assert_eq!(judge(&two, 2, &[1]), [Violation::OffsetApart(0, Some(2), Some(1))]);
        assert_eq!(judge(&two, -1, &[1]), [Violation::OffsetApart(0, None, Some(1))]);
    }
}
