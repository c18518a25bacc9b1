//! The record cache: Java's `ThreadCache` and `NamedCache`, for one store.
//!
//! A change of a cached key costs one hash look-up and writes one slot in place. What Java keeps in
//! linked lists is a stamp here: the order of last use is sorted out only when something must be
//! evicted, the order of last change only when the cache is flushed.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::frozen::LayerRow;
use crate::{ByteBudget, KeyRange, RecordContext, SmallBytes};

/// What Java counts for an entry besides key, value and context: three references and a flag
/// (`NamedCache.LRUNode.size`, `LRUCacheEntry`).
const ENTRY_OVERHEAD: usize = 25;

/// A slot of the cache, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(u32);

/// The hash of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash(u64);

#[derive(Debug)]
struct Slot {
    key: SmallBytes,
    value: Option<SmallBytes>,
    context: RecordContext,
    hash: u64,
    /// When it was last read or changed. 0: the slot is free.
    used: u64,
    /// When it was last changed; 0: it is clean.
    dirtied: u64,
    /// The number of the queue's place that refers to this value, from 1; 0: none does.
    queued: u64,
    /// The bytes charged for it.
    size: u64,
    /// Evicted or deleted, but its place in the queue is still to be flushed. Not charged any more.
    doomed: bool,
}

/// A place in the flush queue.
#[derive(Debug)]
struct Queued {
    slot: u32,
    /// What is to be flushed if the slot was changed again since.
    overtaken: Option<Box<(Option<SmallBytes>, RecordContext)>>,
}

/// An entry about to be flushed.
#[derive(Debug)]
pub(super) struct Front<'a> {
    pub(super) key: &'a SmallBytes,
    pub(super) value: Option<&'a SmallBytes>,
    pub(super) context: &'a RecordContext,
}

#[derive(Debug)]
pub(super) struct RecordCache {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    hasher: FixedState,
    clock: u64,
    /// The slots that are dirty, in the order in which they became so.
    dirty: Vec<u32>,
    queue: VecDeque<Queued>,
    /// How many places have left the queue.
    flushed: u64,
    /// Candidates for eviction, the eldest last, as (used, slot). Entries whose slot was used since
    /// are skipped; when none is left the slots are sorted anew. Every slot used since sorting is
    /// younger than all candidates, so the order is exactly that of last use.
    eldest: Vec<(u64, u32)>,
    /// The keys that are dirty or queued, in order; kept only once somebody asked for a range.
    ordered: Option<BTreeMap<SmallBytes, u32>>,
    bytes: u64,
    budget: Arc<ByteBudget>,
}

impl RecordCache {
    pub(super) fn new(budget: Arc<ByteBudget>) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hasher: FixedState::default(),
            clock: 0,
            dirty: Vec::new(),
            queue: VecDeque::new(),
            flushed: 0,
            eldest: Vec::new(),
            ordered: None,
            bytes: 0,
            budget,
        }
    }

    /// Looks `key` up; the hash is good for a later insertion.
    pub(super) fn find(&self, key: &[u8]) -> (KeyHash, Option<SlotId>) {
        let hash = self.hasher.hash_one(key);
        let found =
            self.index.find(hash, |slot| *self.slot(*slot).key == *key).map(|slot| SlotId(*slot));
        (KeyHash(hash), found)
    }

    /// The value in a slot; none is a deletion.
    pub(super) fn value(&self, id: SlotId) -> Option<&[u8]> {
        self.slot(id.0).value.as_deref()
    }

    /// Marks a slot as used now.
    pub(super) fn touch(&mut self, id: SlotId) {
        let now = self.tick();
        self.slot_mut(id.0).used = now;
    }

    /// Changes the value in a slot, which is then dirty, and evicts what is too much.
    pub(super) fn write(&mut self, id: SlotId, value: Option<&[u8]>, context: &RecordContext) {
        let now = self.tick();
        self.overtake(id);
        let slot = self.slot_mut(id.0);
        match (&mut slot.value, value) {
            (Some(held), Some(value)) => held.assign(value),
            (held, value) => *held = value.map(SmallBytes::from),
        }
        slot.context.assign(context);
        slot.used = now;
        let was_clean = slot.dirtied == 0;
        slot.dirtied = now;
        let charged = if std::mem::take(&mut slot.doomed) { 0 } else { slot.size };
        slot.size = slot.java_size();
        let size = slot.size;
        if was_clean {
            self.dirty.push(id.0);
            self.order(id.0);
        }
        self.recharge(charged, size);
        self.make_room();
    }

    /// Inserts a key that is not there, dirty, and evicts what is too much.
    pub(super) fn insert(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        value: Option<&[u8]>,
        context: &RecordContext,
    ) {
        let id = self.new_slot(hash, key, value, context.clone());
        self.slot_mut(id).dirtied = self.clock;
        self.dirty.push(id);
        self.order(id);
        self.make_room();
    }

    /// Inserts what was read from below, clean, and evicts what is too much.
    pub(super) fn insert_clean(&mut self, hash: KeyHash, key: &[u8], value: &[u8]) {
        self.new_slot(hash, key, Some(value), RecordContext::default());
        self.make_room();
    }

    /// Queues all dirty entries, in the order in which they were last changed.
    pub(super) fn begin_flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable_by_key(|slot| self.slot(*slot).dirtied);
        for slot in dirty.drain(..) {
            self.enqueue(slot);
        }
        self.dirty = dirty;
    }

    pub(super) fn flush_pending(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.queue.is_empty()
    }

    /// The entry to be flushed next.
    pub(super) fn front(&self) -> Option<Front<'_>> {
        let front = self.queue.front()?;
        let slot = self.slot(front.slot);
        let (value, context) = match front.overtaken.as_deref() {
            Some((value, context)) => (value, context),
            None => (&slot.value, &slot.context),
        };
        Some(Front { key: &slot.key, value: value.as_ref(), context })
    }

    /// The front entry is below now: takes it out of the queue. A deletion leaves the cache then, as
    /// does what was evicted (`NamedCache.flush`).
    pub(super) fn pop_front(&mut self) {
        let Some(front) = self.queue.pop_front() else {
            return;
        };
        self.flushed += 1;
        if front.overtaken.is_some() {
            return;
        }
        let slot = self.slot_mut(front.slot);
        slot.queued = 0;
        let gone = slot.doomed;
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(&self.slots[front.slot as usize].key);
        }
        if gone {
            self.remove(front.slot);
        }
    }

    /// The dirty entries in a range, in order; tombstones are `None`.
    pub(super) fn range(&mut self, range: &KeyRange) -> Vec<LayerRow> {
        if range.is_empty() {
            return Vec::new();
        }
        let slots = &self.slots;
        let ordered = self.ordered.get_or_insert_with(|| {
            let changed = |slot: &Slot| slot.used != 0 && (slot.dirtied != 0 || slot.queued != 0);
            let numbered = slots.iter().zip(0..).filter(|(slot, _)| changed(slot));
            numbered.map(|(slot, id)| (slot.key.clone(), id)).collect()
        });
        ordered
            .range::<[u8], _>(range.as_bounds())
            .map(|(key, id)| (key.clone(), slots[*id as usize].value.clone()))
            .collect()
    }

    /// Forgets everything, changes included.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.slots.clear();
        self.free.clear();
        self.dirty.clear();
        self.queue.clear();
        self.eldest.clear();
        self.ordered = None;
        self.budget.release(self.bytes);
        self.bytes = 0;
    }

    // Slot numbers come from the index, the queue and the lists above, which name live slots only.
    fn slot(&self, id: u32) -> &Slot {
        &self.slots[id as usize]
    }

    fn slot_mut(&mut self, id: u32) -> &mut Slot {
        &mut self.slots[id as usize]
    }

    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn recharge(&mut self, old: u64, new: u64) {
        if new > old {
            self.budget.charge(new - old);
        } else if old > new {
            self.budget.release(old - new);
        }
        self.bytes = self.bytes + new - old;
    }

    fn order(&mut self, id: u32) {
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(self.slots[id as usize].key.clone(), id);
        }
    }

    /// Before a change: what is queued keeps the value and context that it was queued with.
    fn overtake(&mut self, id: SlotId) {
        let slot = &mut self.slots[id.0 as usize];
        let Some(ahead) = slot.queued.checked_sub(self.flushed + 1) else {
            return;
        };
        slot.queued = 0;
        if let Some(queued) = self.queue.get_mut(ahead as usize) {
            queued.overtaken = Some(Box::new((slot.value.clone(), slot.context.clone())));
        }
    }

    fn enqueue(&mut self, id: u32) {
        self.queue.push_back(Queued { slot: id, overtaken: None });
        let place = self.flushed + self.queue.len() as u64;
        let slot = self.slot_mut(id);
        slot.dirtied = 0;
        slot.queued = place;
        // A flushed deletion leaves the cache before Java looks whether it must evict more.
        if slot.value.is_none() {
            self.doom(id);
        }
    }

    /// Stops charging for a slot that leaves when it is flushed.
    fn doom(&mut self, id: u32) {
        let slot = self.slot_mut(id);
        if !slot.doomed {
            slot.doomed = true;
            let size = slot.size;
            self.recharge(size, 0);
        }
    }

    fn new_slot(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        value: Option<&[u8]>,
        context: RecordContext,
    ) -> u32 {
        let mut slot = Slot {
            key: key.into(),
            value: value.map(SmallBytes::from),
            context,
            hash: hash.0,
            used: self.tick(),
            dirtied: 0,
            queued: 0,
            size: 0,
            doomed: false,
        };
        slot.size = slot.java_size();
        self.recharge(0, slot.size);
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash.0, id, |slot| slots[*slot as usize].hash);
        id
    }

    /// `ThreadCache.maybeEvict`: while the thread holds too much, this store gives its eldest.
    fn make_room(&mut self) {
        while self.budget.exceeded() {
            let Some(id) = self.pop_eldest() else {
                return;
            };
            self.evict(id);
        }
    }

    fn pop_eldest(&mut self) -> Option<u32> {
        loop {
            while let Some((used, id)) = self.eldest.pop() {
                let slot = self.slot(id);
                if slot.used == used && !slot.doomed {
                    return Some(id);
                }
            }
            let numbered = self.slots.iter().zip(0..);
            let live = numbered.filter(|(slot, _)| slot.used != 0 && !slot.doomed);
            self.eldest.extend(live.map(|(slot, id)| (slot.used, id)));
            if self.eldest.is_empty() {
                return None;
            }
            self.eldest.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// `NamedCache.evict`: a dirty entry takes all others along into a flush, itself first.
    fn evict(&mut self, id: u32) {
        if self.slot(id).dirtied != 0 {
            self.slot_mut(id).dirtied = 0;
            self.dirty.retain(|dirty| *dirty != id);
            self.enqueue(id);
            self.begin_flush();
        }
        if self.slot(id).queued == 0 {
            self.remove(id);
        } else {
            self.doom(id);
        }
    }

    fn remove(&mut self, id: u32) {
        let slot = self.slot(id);
        let (hash, size, doomed) = (slot.hash, slot.size, slot.doomed);
        if !doomed {
            self.recharge(size, 0);
        }
        if let Ok(entry) = self.index.find_entry(hash, |held| *held == id) {
            entry.remove();
        }
        let slot = self.slot_mut(id);
        slot.used = 0;
        slot.doomed = false;
        slot.value = None;
        slot.key = SmallBytes::new();
        slot.context = RecordContext::default();
        self.free.push(id);
    }
}

impl Drop for RecordCache {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Slot {
    fn java_size(&self) -> u64 {
        let value = self.value.as_deref().map_or(0, <[u8]>::len);
        (ENTRY_OVERHEAD + self.key.len() + value + self.context.java_size()) as u64
    }
}
