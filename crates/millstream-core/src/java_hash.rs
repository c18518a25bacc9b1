//! The iteration order of Java's `HashMap` and `HashSet` over strings, and of a `TreeSet` whose
//! elements' keys change after insertion: both show in the text of a described topology.
//!
//! It orders, it does not store: nothing here is a general collection.

use std::cmp::Ordering;

/// `java.util.HashMap`'s default capacity.
const DEFAULT_CAPACITY: usize = 16;

/// The order in which Java iterates a `HashSet` that was filled one string after the other.
pub(crate) fn hash_set_order<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Vec<S> {
    let mut buckets: Vec<Vec<S>> = (0..DEFAULT_CAPACITY).map(|_| Vec::new()).collect();
    let mut len = 0;
    for string in strings {
        let bucket = bucket_of(string.as_ref(), buckets.len());
        if buckets[bucket].iter().any(|other| other.as_ref() == string.as_ref()) {
            continue;
        }
        buckets[bucket].push(string);
        len += 1;
        if len * 4 > buckets.len() * 3 {
            buckets = doubled(buckets);
        }
    }
    buckets.into_iter().flatten().collect()
}

/// `new HashSet<>(other)`: like [`hash_set_order`], but sized for all elements from the start.
pub(crate) fn hash_set_copy_order<S: AsRef<str>>(strings: Vec<S>) -> Vec<S> {
    // HashSet(Collection): max((int) (n / .75f) + 1, 16), rounded up to a power of two.
    let wanted = (strings.len() * 4 / 3 + 1).max(DEFAULT_CAPACITY);
    let mut buckets: Vec<Vec<S>> = (0..wanted.next_power_of_two()).map(|_| Vec::new()).collect();
    for string in strings {
        let bucket = bucket_of(string.as_ref(), buckets.len());
        buckets[bucket].push(string);
    }
    buckets.into_iter().flatten().collect()
}

/// Twice the buckets; each splits in two and keeps its order, as `HashMap.resize` does.
fn doubled<S: AsRef<str>>(buckets: Vec<Vec<S>>) -> Vec<Vec<S>> {
    let capacity = buckets.len() * 2;
    let mut wider: Vec<Vec<S>> = (0..capacity).map(|_| Vec::new()).collect();
    for string in buckets.into_iter().flatten() {
        let bucket = bucket_of(string.as_ref(), capacity);
        wider[bucket].push(string);
    }
    wider
}

fn bucket_of(string: &str, capacity: usize) -> usize {
    let hash = java_string_hash(string);
    (hash ^ (hash >> 16)) as usize & (capacity - 1)
}

/// `String.hashCode`, over UTF-16 units.
fn java_string_hash(string: &str) -> u32 {
    string
        .encode_utf16()
        .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// `java.util.TreeMap`'s insertion: an element that compares differently later stays where it was
/// put, and a later element's way down depends on the tree's shape, so the red-black tree is real.
#[derive(Debug, Default)]
pub(crate) struct TreeOrder {
    slots: Vec<Slot>,
    root: Option<usize>,
}

#[derive(Debug)]
struct Slot {
    element: usize,
    red: bool,
    parent: Option<usize>,
    /// Left and right.
    children: [Option<usize>; 2],
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

impl TreeOrder {
    /// Inserts `element`, comparing it with those that are there as they compare now.
    pub(crate) fn insert(&mut self, element: usize, compare: impl Fn(usize, usize) -> Ordering) {
        let mut parent = None;
        let mut side = LEFT;
        let mut next = self.root;
        while let Some(slot) = next {
            side = match compare(element, self.slots[slot].element) {
                Ordering::Less => LEFT,
                Ordering::Greater => RIGHT,
                Ordering::Equal => return,
            };
            parent = Some(slot);
            next = self.slots[slot].children[side];
        }
        let slot = self.slots.len();
        self.slots.push(Slot { element, red: true, parent, children: [None, None] });
        match parent {
            None => self.root = Some(slot),
            Some(parent) => self.slots[parent].children[side] = Some(slot),
        }
        self.fix_after_insertion(slot);
    }

    /// The elements, in the tree's order.
    pub(crate) fn elements(&self) -> Vec<usize> {
        let mut elements = Vec::with_capacity(self.slots.len());
        let mut pending = Vec::new();
        let mut next = self.root;
        while let Some(slot) = next.or_else(|| pending.pop()) {
            if next.is_some() {
                pending.push(slot);
                next = self.slots[slot].children[LEFT];
            } else {
                elements.push(self.slots[slot].element);
                next = self.slots[slot].children[RIGHT];
            }
        }
        elements
    }

    fn is_red(&self, slot: Option<usize>) -> bool {
        slot.is_some_and(|slot| self.slots[slot].red)
    }

    /// `TreeMap.fixAfterInsertion`.
    fn fix_after_insertion(&mut self, inserted: usize) {
        let mut slot = inserted;
        while let Some(parent) = self.slots[slot].parent.filter(|&p| self.slots[p].red) {
            // A red node is never the root, so it has a parent.
            let Some(grandparent) = self.slots[parent].parent else {
                break;
            };
            let side = usize::from(self.slots[grandparent].children[RIGHT] == Some(parent));
            let uncle = self.slots[grandparent].children[1 - side];
            if let Some(uncle) = uncle.filter(|_| self.is_red(uncle)) {
                self.slots[parent].red = false;
                self.slots[uncle].red = false;
                self.slots[grandparent].red = true;
                slot = grandparent;
                continue;
            }
            let mut top = parent;
            if self.slots[parent].children[1 - side] == Some(slot) {
                self.rotate(parent, side);
                (slot, top) = (parent, slot);
            }
            self.slots[top].red = false;
            self.slots[grandparent].red = true;
            self.rotate(grandparent, 1 - side);
        }
        if let Some(root) = self.root {
            self.slots[root].red = false;
        }
    }

    /// Rotates `slot` towards `side`: its child on the other side takes its place.
    fn rotate(&mut self, slot: usize, side: usize) {
        let Some(riser) = self.slots[slot].children[1 - side] else {
            return;
        };
        let moved = self.slots[riser].children[side];
        self.slots[slot].children[1 - side] = moved;
        if let Some(moved) = moved {
            self.slots[moved].parent = Some(slot);
        }
        let parent = self.slots[slot].parent;
        self.slots[riser].parent = parent;
        match parent {
            None => self.root = Some(riser),
            Some(parent) => {
                let at = usize::from(self.slots[parent].children[RIGHT] == Some(slot));
                self.slots[parent].children[at] = Some(riser);
            }
        }
        self.slots[riser].children[side] = Some(slot);
        self.slots[slot].parent = Some(riser);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_sets_iterate_as_javas() {
        let order = hash_set_order(["zeta", "alpha", "mid", "beta"]);
        assert_eq!(order, ["zeta", "alpha", "mid", "beta"]);
        let order = hash_set_copy_order(vec!["beta", "mid", "alpha", "zeta"]);
        assert_eq!(order, ["zeta", "alpha", "mid", "beta"]);
    }

    #[test]
    fn string_hashes_are_javas() {
        assert_eq!(java_string_hash("hello") as i32, 99_162_322);
        assert_eq!(java_string_hash("polygenelubricants") as i32, i32::MIN);
    }

    #[test]
    fn a_tree_without_changing_keys_is_sorted() {
        let mut tree = TreeOrder::default();
        for element in [5, 3, 9, 1, 4, 8, 7, 6, 2, 0, 3] {
            tree.insert(element, |a, b| a.cmp(&b));
        }
        assert_eq!(tree.elements(), (0..10).collect::<Vec<_>>());
    }
}
