//! One iterator over all layers, in both directions.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::frozen::LayerRow;
use crate::poison::Poison;
use crate::{Direction, SmallBytes, StoreError, TreeIter};

/// The rows of one layer in a range.
type Layer = Box<dyn Iterator<Item = Result<LayerRow, StoreError>> + Send>;

/// The live entries of a range, newest layer first where several hold a key. Borrows nothing.
///
/// It ends after the first error.
pub struct KeyValueIter {
    direction: Direction,
    /// Newest layer first, each with the row it stands at.
    layers: Vec<(LayerRow, Layer)>,
    failed: Option<StoreError>,
    poison: Arc<Poison>,
}

impl KeyValueIter {
    pub(super) const fn new(direction: Direction, poison: Arc<Poison>) -> Self {
        Self { direction, layers: Vec::new(), failed: None, poison }
    }

    /// Adds a layer in memory below those that are there.
    pub(super) fn push(&mut self, rows: impl Iterator<Item = LayerRow> + Send + 'static) {
        self.push_layer(Box::new(rows.map(Ok)));
    }

    /// Adds the engine's rows at the bottom.
    pub(super) fn push_engine(&mut self, rows: TreeIter) {
        self.push_layer(Box::new(rows.map(|row| row.map(|(key, value)| (key, Some(value))))));
    }

    fn push_layer(&mut self, mut layer: Layer) {
        match layer.next() {
            None => {}
            Some(Ok(row)) => self.layers.push((row, layer)),
            Some(Err(error)) => self.failed = Some(error),
        }
    }

    /// Where the next row stands: the first key in the direction, in the newest layer that has it.
    fn newest_of_next_key(&self) -> Option<usize> {
        let mut best: Option<(usize, &SmallBytes)> = None;
        for (index, ((key, _), _)) in self.layers.iter().enumerate() {
            let comes_first = best.is_none_or(|(_, best)| match self.direction {
                Direction::Forward => key < best,
                Direction::Backward => key > best,
            });
            if comes_first {
                best = Some((index, key));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Moves the layer on; drops it at its end.
    fn advance(&mut self, index: usize) -> Option<LayerRow> {
        let (at, layer) = self.layers.get_mut(index)?;
        match layer.next() {
            Some(Ok(row)) => return Some(std::mem::replace(at, row)),
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
        Some(self.layers.remove(index).0)
    }
}

impl Iterator for KeyValueIter {
    type Item = Result<(SmallBytes, SmallBytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                self.layers.clear();
                return Some(self.poison.note(Err(error)));
            }
            let newest = self.newest_of_next_key()?;
            let (key, value) = self.advance(newest)?;
            // From the bottom up, because a layer that ends leaves the list.
            for older in (0..self.layers.len()).rev() {
                let same = self
                    .layers
                    .get(older)
                    .is_some_and(|((held, _), _)| held.cmp(&key) == Ordering::Equal);
                if same {
                    self.advance(older);
                }
            }
            if let Some(value) = value {
                return Some(Ok((key, value)));
            }
        }
    }
}

impl fmt::Debug for KeyValueIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueIter")
            .field("direction", &self.direction)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
