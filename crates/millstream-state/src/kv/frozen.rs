//! Frozen overlays: committed rows that are not in the engine yet.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::{Direction, KeyRange, OffsetRow, SmallBytes, StoreError, Tree, rows};

/// A key and what a layer says of it: a value, or that it is deleted.
pub(crate) type LayerRow = (SmallBytes, Option<SmallBytes>);

/// The rows of one or more commits, immutable, in key order, with tombstones.
#[derive(Debug)]
pub struct FrozenOverlay {
    rows: Vec<LayerRow>,
    offset: Option<OffsetRow>,
    bytes: u64,
}

impl FrozenOverlay {
    /// `rows` in key order, each key once.
    pub(crate) const fn new(rows: Vec<LayerRow>, offset: Option<OffsetRow>, bytes: u64) -> Self {
        Self { rows, offset, bytes }
    }

    /// Writes the rows to the engine one by one, the offset row last. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] of the first write that failed; rows before it are written.
    pub fn apply(&self, tree: &dyn Tree) -> Result<(), StoreError> {
        for (key, value) in &self.rows {
            rows::write(tree, key, value.as_deref())?;
        }
        match &self.offset {
            Some(offset) => rows::write_offset(tree, offset),
            None => Ok(()),
        }
    }

    /// How many rows and tombstones there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The offset row that is true once this is applied.
    #[must_use]
    pub const fn offset(&self) -> Option<&OffsetRow> {
        self.offset.as_ref()
    }

    /// The bytes of its rows, as the uncommitted budget counted them.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What this says of `key`: nothing, a value, or that it is deleted.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&SmallBytes>> {
        let index = if SmallBytes::in_place(key) {
            let key = SmallBytes::from(key);
            self.rows.binary_search_by(|(held, _)| held.cmp(&key))
        } else {
            self.rows.binary_search_by(|(held, _)| (**held).cmp(key))
        };
        self.rows.get(index.ok()?).map(|(_, value)| value.as_ref())
    }

    fn indexes(&self, range: &KeyRange) -> Range<usize> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let before = |key: &SmallBytes| self.rows.partition_point(|(held, _)| held < key);
        let behind = |key: &SmallBytes| self.rows.partition_point(|(held, _)| held <= key);
        let start = match &range.start {
            Included(key) => before(key),
            Excluded(key) => behind(key),
            Unbounded => 0,
        };
        let end = match &range.end {
            Included(key) => behind(key),
            Excluded(key) => before(key),
            Unbounded => self.rows.len(),
        };
        start..end.max(start)
    }

    /// Its rows in a range; the iterator keeps the overlay alive.
    pub(crate) fn range(
        self: Arc<Self>,
        range: &KeyRange,
        direction: Direction,
    ) -> impl Iterator<Item = LayerRow> + Send + 'static {
        let mut indexes = self.indexes(range);
        std::iter::from_fn(move || {
            let index = match direction {
                Direction::Forward => indexes.next(),
                Direction::Backward => indexes.next_back(),
            };
            self.rows.get(index?).cloned()
        })
    }

    /// All of `overlays`, oldest first, as one.
    pub(crate) fn merge(overlays: &[Arc<Self>]) -> Self {
        let newest_offset = overlays.iter().rev().find_map(|o| o.offset.clone());
        let mut merged = Vec::new();
        let mut bytes = 0;
        for overlay in overlays {
            if merged.is_empty() {
                merged = overlay.rows.clone();
                bytes = overlay.bytes;
            } else if !overlay.rows.is_empty() {
                merged = merge_rows(merged, &overlay.rows);
                bytes = merged.iter().map(row_bytes).sum();
            }
        }
        Self::new(merged, newest_offset, bytes)
    }
}

/// Merges two ordered lists of rows; where both have a key, `newer` has it.
fn merge_rows(older: Vec<LayerRow>, newer: &[LayerRow]) -> Vec<LayerRow> {
    let mut merged = Vec::with_capacity(older.len() + newer.len());
    let mut older = older.into_iter().peekable();
    for row in newer {
        while let Some((key, _)) = older.peek() {
            match key.cmp(&row.0) {
                Ordering::Less => merged.extend(older.next()),
                Ordering::Equal => {
                    older.next();
                    break;
                }
                Ordering::Greater => break,
            }
        }
        merged.push(row.clone());
    }
    merged.extend(older);
    merged
}

/// What a row costs in memory besides its bytes: two small-bytes values and its part of a node.
const ROW_OVERHEAD: u64 = 64;

/// The bytes that a row counts against the uncommitted budget.
pub(crate) fn row_bytes((key, value): &LayerRow) -> u64 {
    bytes_of(key, value.as_deref())
}

/// As [`row_bytes`], of a row's parts.
pub(crate) fn bytes_of(key: &[u8], value: Option<&[u8]>) -> u64 {
    ROW_OVERHEAD + (key.len() + value.map_or(0, <[u8]>::len)) as u64
}
