//! One sled tree.

use std::fmt;
use std::sync::Arc;

use millstream_state::{Direction, KeyRange, SmallBytes, StoreError, Tree, TreeIter};

use crate::errors::guarded;
use crate::space::Space;

pub(crate) struct SledTree {
    name: Arc<str>,
    tree: sled::Tree,
    space: Arc<Space>,
}

impl SledTree {
    pub(crate) fn new(name: &str, tree: sled::Tree, space: Arc<Space>) -> Self {
        Self { name: name.into(), tree, space }
    }
}

impl Tree for SledTree {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &[u8]) -> Result<Option<SmallBytes>, StoreError> {
        let value = guarded(&self.name, || self.tree.get(key))?;
        Ok(value.map(|value| (&*value).into()))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.space.charge(key.len() + value.len())?;
        guarded(&self.name, || self.tree.insert(key, value)).map(drop)
    }

    fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.space.charge(key.len())?;
        guarded(&self.name, || self.tree.remove(key)).map(drop)
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> TreeIter {
        // Sled's own iterators panic on inverted bounds.
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        let name = self.name.clone();
        let mut rows = self.tree.range::<&[u8], _>(range.as_bounds());
        Box::new(std::iter::from_fn(move || {
            let next = guarded(&name, || {
                let row = match direction {
                    Direction::Forward => rows.next(),
                    Direction::Backward => rows.next_back(),
                };
                row.transpose()
            });
            let row = next.transpose()?;
            Some(row.map(|(key, value)| ((&*key).into(), (&*value).into())))
        }))
    }
}

impl fmt::Debug for SledTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SledTree").field(&self.name).finish()
    }
}
