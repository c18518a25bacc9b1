//! One iterator over all layers, in both directions.

use crate::{SmallBytes, StoreError};

/// The live entries of a range, newest layer first where several hold a key. Borrows nothing.
pub struct KeyValueIter {
    _rows: Vec<(SmallBytes, SmallBytes)>,
}

impl Iterator for KeyValueIter {
    type Item = Result<(SmallBytes, SmallBytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
