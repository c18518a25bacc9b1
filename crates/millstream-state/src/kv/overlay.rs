//! The uncommitted overlay: every row written since the last commit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::frozen::{LayerRow, bytes_of};
use crate::range::BatchedRange;
use crate::{ByteBudget, Direction, KeyRange, SmallBytes};

type Map = BTreeMap<SmallBytes, Option<SmallBytes>>;

/// An ordered map of keys with tombstones, in one or more generations, oldest first.
///
/// An iterator holds on to the generations it saw; a write while it lives starts a new one, and
/// generations that nobody holds any more are merged again. So a snapshot costs nothing, and a store
/// that is never iterated while it is written has one map.
#[derive(Debug)]
pub(super) struct UncommittedOverlay {
    generations: Vec<Arc<Map>>,
    bytes: u64,
    budget: Arc<ByteBudget>,
}

impl UncommittedOverlay {
    pub(super) const fn new(budget: Arc<ByteBudget>) -> Self {
        Self { generations: Vec::new(), bytes: 0, budget }
    }

    /// What this says of `key`: nothing, a value, or that it is deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&SmallBytes>> {
        let newest_first = self.generations.iter().rev();
        newest_first.filter_map(|map| look_up(map, key)).map(Option::as_ref).next()
    }

    /// Writes a value or a tombstone.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let map = writable(&mut self.generations);
        let new = bytes_of(key, value);
        let held = if SmallBytes::in_place(key) {
            // One walk, where making the key costs nothing.
            match map.entry(key.into()) {
                Entry::Occupied(held) => Some(held.into_mut()),
                Entry::Vacant(place) => {
                    place.insert(value.map(SmallBytes::from));
                    None
                }
            }
        } else {
            let held = map.get_mut(key);
            if held.is_none() {
                map.insert(key.into(), value.map(SmallBytes::from));
                None
            } else {
                held
            }
        };
        let mut old = 0;
        if let Some(held) = held {
            old = bytes_of(key, held.as_deref());
            match (held, value) {
                (Some(held), Some(value)) => held.assign(value),
                (held, value) => *held = value.map(SmallBytes::from),
            }
        }
        self.set_bytes(self.bytes + new - old);
    }

    /// The rows in a range; the iterator does not see later writes.
    pub(super) fn snapshot(
        &self,
        range: &KeyRange,
        direction: Direction,
    ) -> impl Iterator<Item = Box<dyn Iterator<Item = LayerRow> + Send>> {
        self.generations.iter().rev().map(move |map| {
            let map = map.clone();
            let rows = BatchedRange::new(range.clone(), direction, move |range, batch, limit| {
                let found = map.range::<[u8], _>(range.as_bounds());
                let owned =
                    |(key, value): (&SmallBytes, &Option<SmallBytes>)| (key.clone(), value.clone());
                match direction {
                    Direction::Forward => batch.extend(found.take(limit).map(owned)),
                    Direction::Backward => batch.extend(found.rev().take(limit).map(owned)),
                }
            });
            Box::new(rows) as Box<dyn Iterator<Item = LayerRow> + Send>
        })
    }

    /// Takes all rows out, in key order, with their size.
    pub(super) fn take(&mut self) -> (Vec<LayerRow>, u64) {
        let mut generations = std::mem::take(&mut self.generations).into_iter();
        let mut rows = Map::new();
        for map in generations.by_ref() {
            let map = Arc::unwrap_or_clone(map);
            if rows.is_empty() {
                rows = map;
            } else {
                rows.extend(map);
            }
        }
        let bytes = self.bytes;
        self.set_bytes(0);
        (rows.into_iter().collect(), bytes)
    }

    /// Discards all rows.
    pub(super) fn clear(&mut self) {
        self.generations.clear();
        self.set_bytes(0);
    }

    fn set_bytes(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.charge(bytes - self.bytes);
        } else if bytes < self.bytes {
            self.budget.release(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for UncommittedOverlay {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Short keys compare faster as [`SmallBytes`].
fn look_up<'a>(map: &'a Map, key: &[u8]) -> Option<&'a Option<SmallBytes>> {
    if SmallBytes::in_place(key) { map.get(&SmallBytes::from(key)) } else { map.get(key) }
}

/// The newest generation if nobody else holds it, or a new one.
fn writable(generations: &mut Vec<Arc<Map>>) -> &mut Map {
    merge_unheld(generations);
    let held = generations.last_mut().is_none_or(|map| Arc::get_mut(map).is_none());
    if held {
        generations.push(Arc::default());
    }
    let last = generations.len() - 1;
    Arc::make_mut(&mut generations[last])
}

/// Merges the newest generations while no iterator holds them. Their rows' sizes stay counted until
/// the next commit, though a key may then be counted twice.
fn merge_unheld(generations: &mut Vec<Arc<Map>>) {
    while let [.., older, newer] = generations.as_mut_slice() {
        let (Some(older), Some(newer)) = (Arc::get_mut(older), Arc::get_mut(newer)) else {
            return;
        };
        if newer.len() > older.len() {
            std::mem::swap(older, newer);
            for (key, value) in std::mem::take(newer) {
                older.entry(key).or_insert(value);
            }
        } else {
            // Row by row: `append` would rebuild the larger map.
            older.extend(std::mem::take(newer));
        }
        generations.pop();
    }
}
