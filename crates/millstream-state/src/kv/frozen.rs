//! Frozen overlays: committed rows that are not in the engine yet.

use crate::{OffsetRow, SmallBytes, StoreError, Tree};

/// The rows of one or more commits, immutable, in key order, with tombstones.
#[derive(Debug)]
pub struct FrozenOverlay {
    pub(crate) rows: Vec<(SmallBytes, Option<SmallBytes>)>,
    pub(crate) offset: Option<OffsetRow>,
    pub(crate) bytes: u64,
}

impl FrozenOverlay {
    /// Writes the rows to the engine one by one, the offset row last. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] of the first write that failed; rows before it are written.
    pub fn apply(&self, tree: &dyn Tree) -> Result<(), StoreError> {
        let _ = tree;
        todo!()
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
}
