//! Sub-topologies: operators joined by parent links and shared stores
//! (`InternalTopologyBuilder.makeNodeGroups`, `QuickUnion`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Operator, OperatorKind};

/// The operators of each sub-topology. A sub-topology's id is its place: numbered by its first
/// operator.
pub(super) fn group(operators: &[Operator]) -> Vec<Vec<usize>> {
    let mut union = Union((0..operators.len()).collect());
    let mut store_users: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for (index, operator) in operators.iter().enumerate() {
        for parent in &operator.parents {
            union.join(parent.operator, index);
        }
        if let OperatorKind::Processor { stores, .. } = &operator.kind {
            for store in stores {
                let first = *store_users.entry(store).or_insert(index);
                union.join(first, index);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut ids: BTreeMap<usize, usize> = BTreeMap::new();
    for index in 0..operators.len() {
        let root = union.root(index);
        let id = *ids.entry(root).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[id].push(index);
    }
    groups
}

/// Parents of a forest of disjoint sets.
struct Union(Vec<usize>);

impl Union {
    fn root(&self, mut index: usize) -> usize {
        while self.0[index] != index {
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[b] = a;
    }
}
