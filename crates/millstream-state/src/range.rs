//! Ranges of keys, and the direction they are read in.

use std::collections::VecDeque;
use std::ops::Bound;

use crate::SmallBytes;

/// The order in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Smallest key first.
    #[default]
    Forward,
    /// Largest key first.
    Backward,
}

/// A range of keys, by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<SmallBytes>,
    /// Where it ends.
    pub end: Bound<SmallBytes>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// The keys from `from` to `to`, both included; none leaves that end open (Java's `range`).
    #[must_use]
    pub fn closed(from: Option<&[u8]>, to: Option<&[u8]>) -> Self {
        let bound =
            |key: Option<&[u8]>| key.map_or(Bound::Unbounded, |k| Bound::Included(k.into()));
        Self { start: bound(from), end: bound(to) }
    }

    /// The keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            start: Bound::Included(prefix.into()),
            end: after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded),
        }
    }

    /// Whether no key can lie in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
            _ => false,
        }
    }

    /// Whether `key` lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= &**start,
            Bound::Excluded(start) => key > &**start,
            Bound::Unbounded => true,
        };
        let before_end = match &self.end {
            Bound::Included(end) => key <= &**end,
            Bound::Excluded(end) => key < &**end,
            Bound::Unbounded => true,
        };
        after_start && before_end
    }

    /// The bounds as slices, as the maps of the standard library take them.
    #[must_use]
    pub fn as_bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (as_slice(&self.start), as_slice(&self.end))
    }
}

fn as_slice(bound: &Bound<SmallBytes>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The smallest key behind all keys that start with `prefix`, if there is one.
fn after_prefix(prefix: &[u8]) -> Option<SmallBytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next.as_slice().into())
}

/// How many rows an owning iterator over a shared map reads at a time.
const BATCH: usize = 64;

/// Iterates over a map that it does not borrow: reads a batch of rows, then goes on behind the last.
pub(crate) struct BatchedRange<V, F> {
    left: KeyRange,
    direction: Direction,
    batch: VecDeque<(SmallBytes, V)>,
    done: bool,
    read: F,
}

impl<V, F> BatchedRange<V, F>
where
    F: FnMut(&KeyRange, &mut VecDeque<(SmallBytes, V)>, usize),
{
    /// `read` appends up to so many rows of a range to the batch, in `direction`.
    pub(crate) fn new(range: KeyRange, direction: Direction, read: F) -> Self {
        Self { left: range, direction, batch: VecDeque::new(), done: false, read }
    }

    fn refill(&mut self) {
        if self.done || self.left.is_empty() {
            return;
        }
        (self.read)(&self.left, &mut self.batch, BATCH);
        self.done = self.batch.len() < BATCH;
        if let Some((last, _)) = self.batch.back() {
            match self.direction {
                Direction::Forward => self.left.start = Bound::Excluded(last.clone()),
                Direction::Backward => self.left.end = Bound::Excluded(last.clone()),
            }
        }
    }
}

impl<V, F> Iterator for BatchedRange<V, F>
where
    F: FnMut(&KeyRange, &mut VecDeque<(SmallBytes, V)>, usize),
{
    type Item = (SmallBytes, V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.is_empty() {
            self.refill();
        }
        self.batch.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        let range = KeyRange::prefix(b"a\xff");
        assert!(range.contains(b"a\xff") && range.contains(b"a\xff\xff"));
        assert!(!range.contains(b"b") && !range.contains(b"a"));
        assert_eq!(KeyRange::prefix(b"\xff").end, Bound::Unbounded);
        assert_eq!(
            KeyRange::prefix(b""),
            KeyRange { start: Bound::Included(b""[..].into()), end: Bound::Unbounded }
        );
    }

    #[test]
    fn inverted_ranges_are_empty() {
        assert!(KeyRange::closed(Some(b"b"), Some(b"a")).is_empty());
        assert!(!KeyRange::closed(Some(b"a"), Some(b"a")).is_empty());
        assert!(!KeyRange::closed(None, Some(b"")).is_empty());
    }
}
