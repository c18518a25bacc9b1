//! How rows lie in an engine's tree: keys, and beside them the offset row.
//!
//! A row's key is the store's key, except that a key which is empty or starts with `00` gets `00 FF`
//! in front. That keeps the order and leaves `00 00` to `00 FE` to rows that are not the store's;
//! `00 00` is the offset row.

use std::ops::Bound;

use crate::{
    Direction, KeyRange, OffsetRow, OffsetRowError, SmallBytes, StoreError, Tree, TreeIter,
};

/// Stands before a key that would fall among the rows that are not the store's.
const ESCAPE: [u8; 2] = [0x00, 0xff];
const OFFSET_ROW: [u8; 2] = [0x00, 0x00];

/// The key of a row: the store's key, or an escaped copy.
enum Physical<'a> {
    Same(&'a [u8]),
    Escaped(SmallBytes),
}

impl Physical<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Same(key) => key,
            Self::Escaped(key) => key,
        }
    }
}

fn physical(key: &[u8]) -> Physical<'_> {
    if matches!(key.first(), None | Some(0)) {
        Physical::Escaped(SmallBytes::concat(&ESCAPE, key))
    } else {
        Physical::Same(key)
    }
}

fn logical(row: SmallBytes) -> SmallBytes {
    match row.strip_prefix(&ESCAPE) {
        Some(key) => key.into(),
        None => row,
    }
}

fn physical_range(range: &KeyRange) -> KeyRange {
    let map = |key: &SmallBytes| SmallBytes::from(physical(key).as_slice());
    let bound = |bound: &Bound<SmallBytes>| match bound {
        Bound::Included(key) => Bound::Included(map(key)),
        Bound::Excluded(key) => Bound::Excluded(map(key)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let start = match &range.start {
        Bound::Unbounded => Bound::Included((&ESCAPE).into()),
        start => bound(start),
    };
    KeyRange { start, end: bound(&range.end) }
}

pub(crate) fn get(tree: &dyn Tree, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
    tree.get(physical(key).as_slice())
}

/// Writes a row or, with no value, removes it.
pub(crate) fn write(tree: &dyn Tree, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
    let key = physical(key);
    match value {
        Some(value) => tree.insert(key.as_slice(), value),
        None => tree.remove(key.as_slice()),
    }
}

pub(crate) fn range(tree: &dyn Tree, range: &KeyRange, direction: Direction) -> TreeIter {
    let rows = tree.range(&physical_range(range), direction);
    Box::new(rows.map(|row| row.map(|(key, value)| (logical(key), value))))
}

pub(crate) fn offset(
    tree: &dyn Tree,
) -> Result<Option<Result<OffsetRow, OffsetRowError>>, StoreError> {
    let row = tree.get(&OFFSET_ROW)?;
    Ok(row.map(|bytes| OffsetRow::decode(&bytes)))
}

pub(crate) fn write_offset(tree: &dyn Tree, row: &OffsetRow) -> Result<(), StoreError> {
    tree.insert(&OFFSET_ROW, &row.encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_keep_the_order_of_keys(a: Vec<u8>, b: Vec<u8>) {
            let (row_a, row_b) = (physical(&a), physical(&b));
            prop_assert_eq!(a.cmp(&b), row_a.as_slice().cmp(row_b.as_slice()));
            prop_assert_eq!(&*logical(row_a.as_slice().into()), &a[..]);
            prop_assert!(row_a.as_slice() >= &ESCAPE[..], "never among the other rows");
        }
    }
}
