//! The suite that every engine passes (feature `conformance`).
//!
//! An engine's own tests implement [`Fixture`] and call [`run`], and [`model`] with a few seeds.

mod faults;
mod model;

use std::sync::Arc;

pub use faults::{Fault, FaultyEngine};
pub use model::model;

use crate::{ByteBudget, KeyValueOptions, NoChangelog, RecordContext};
use crate::{
    CommittedState, Direction, Engine, KeyRange, KeyValueStore, OffsetRow, SmallBytes, StoreError,
    Tree,
};
use millstream_types::{LeaderEpoch, Offset, PartitionId, TopicId};

/// An engine under test.
pub trait Fixture {
    /// Opens the engine; the second time, and later, with what was in it. Nothing of an earlier
    /// engine is alive when this is called.
    fn open(&mut self) -> Arc<dyn Engine>;
}

/// Fails the test with what an engine answered.
pub(crate) trait OrFail<T> {
    fn or_fail(self, what: &str) -> T;
}

impl<T> OrFail<T> for Result<T, StoreError> {
    #[track_caller]
    fn or_fail(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// Everything that is not random.
///
/// # Panics
/// If the engine does not conform.
pub fn run(fixture: &mut dyn Fixture) {
    rows_are_kept(fixture);
    ranges_go_both_ways(fixture);
    trees_are_separate_and_droppable(fixture);
    offset_rows_stand_aside(fixture);
    large_rows_are_kept(fixture);
    readers_and_a_writer_agree(fixture);
}

#[track_caller]
fn keys(rows: impl Iterator<Item = Result<(SmallBytes, SmallBytes), StoreError>>) -> Vec<Vec<u8>> {
    rows.map(|row| row.or_fail("range").0.to_vec()).collect()
}

fn rows_are_kept(fixture: &mut dyn Fixture) {
    {
        let engine = fixture.open();
        let tree = engine.open_tree("0_0/rows").or_fail("open");
        assert_eq!(tree.name(), "0_0/rows");
        assert_eq!(tree.get(b"a").or_fail("get"), None);
        tree.insert(b"a", b"1").or_fail("insert");
        tree.insert(b"a", b"2").or_fail("insert");
        tree.insert(b"b", b"").or_fail("insert an empty value");
        tree.insert(b"c", b"3").or_fail("insert");
        tree.remove(b"c").or_fail("remove");
        tree.remove(b"never").or_fail("remove what is not there");
        engine.flush().or_fail("flush");
    }
    let engine = fixture.open();
    let tree = engine.open_tree("0_0/rows").or_fail("open again");
    assert_eq!(tree.get(b"a").or_fail("get").as_deref(), Some(&b"2"[..]));
    assert_eq!(tree.get(b"b").or_fail("get").as_deref(), Some(&b""[..]));
    assert_eq!(tree.get(b"c").or_fail("get"), None);
}

fn ranges_go_both_ways(fixture: &mut dyn Fixture) {
    let engine = fixture.open();
    let tree = engine.open_tree("0_0/ranges").or_fail("open");
    // Enough for several of an engine's pages, and for the batches of our own iterators.
    let all: Vec<Vec<u8>> = (0..1_000_u32).map(|i| [&[1][..], &i.to_be_bytes()].concat()).collect();
    for key in all.iter().rev() {
        tree.insert(key, b"v").or_fail("insert");
    }
    let backwards = |mut keys: Vec<Vec<u8>>| {
        keys.reverse();
        keys
    };
    let forward = |range: &KeyRange| keys(tree.range(range, Direction::Forward));
    let backward = |range: &KeyRange| backwards(keys(tree.range(range, Direction::Backward)));
    for (from, to) in [(0, 999), (10, 10), (63, 64), (64, 200), (999, 999)] {
        let range = KeyRange::closed(Some(&all[from]), Some(&all[to]));
        assert_eq!(forward(&range), all[from..=to], "{from} to {to}");
        assert_eq!(backward(&range), all[from..=to], "{from} to {to}, backward");
    }
    assert_eq!(forward(&KeyRange::all()), all);
    assert_eq!(backward(&KeyRange::all()), all);
    let inverted = KeyRange::closed(Some(&all[5]), Some(&all[4]));
    assert!(forward(&inverted).is_empty() && backward(&inverted).is_empty());
    let missing = KeyRange::closed(Some(&[0]), Some(&[1, 0, 0, 0]));
    assert!(forward(&missing).is_empty());

    let prefix = [1, 0, 0, 2];
    let expected = &all[512..768];
    assert_eq!(keys(tree.prefix(&prefix, Direction::Forward)), expected);
    assert_eq!(backwards(keys(tree.prefix(&prefix, Direction::Backward))), expected);
}

fn trees_are_separate_and_droppable(fixture: &mut dyn Fixture) {
    {
        let engine = fixture.open();
        for name in ["0_0/segment/1", "0_0/segment/2"] {
            let tree = engine.open_tree(name).or_fail("open");
            tree.insert(b"k", name.as_bytes()).or_fail("insert");
        }
        let names = engine.tree_names().or_fail("list");
        assert!(names.is_sorted(), "{names:?}");
        assert!(names.contains(&"0_0/segment/1".to_owned()), "{names:?}");
        assert!(engine.drop_tree("0_0/segment/1").or_fail("drop"));
        assert!(!engine.drop_tree("0_0/segment/1").or_fail("drop again"));
        assert!(!engine.drop_tree("0_0/never").or_fail("drop nothing"));
    }
    let engine = fixture.open();
    let names = engine.tree_names().or_fail("list");
    assert!(!names.contains(&"0_0/segment/1".to_owned()), "{names:?}");
    let dropped = engine.open_tree("0_0/segment/1").or_fail("open");
    assert_eq!(dropped.get(b"k").or_fail("get"), None);
    let kept = engine.open_tree("0_0/segment/2").or_fail("open");
    let value = kept.get(b"k").or_fail("get");
    assert_eq!(value.as_deref(), Some(&b"0_0/segment/2"[..]));
}

/// An offset row of a log that exists nowhere.
pub(crate) fn offset_row(next_offset: i64) -> OffsetRow {
    OffsetRow {
        cluster_id: "conformance".into(),
        topic_id: Some(TopicId::ZERO),
        partition: PartitionId(3),
        next_offset: Offset(next_offset),
        leader_epoch: Some(LeaderEpoch(7)),
    }
}

fn offset_rows_stand_aside(fixture: &mut dyn Fixture) {
    let store_keys: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\0\xff", b"\x01", b"\xff"];
    {
        let engine = fixture.open();
        let committed = CommittedState::open(&*engine, "0_3/offsets").or_fail("open");
        let committed = Arc::new(committed);
        assert_eq!(committed.offset_row().or_fail("offset row"), None);
        let budget = Arc::new(ByteBudget::new(1 << 20));
        let mut store = KeyValueStore::new(committed.clone(), KeyValueOptions::new(budget));
        for key in store_keys {
            let context = RecordContext::default();
            let put = store.put(key, Some(key), &context, &mut NoChangelog);
            put.or_fail("put");
        }
        store.freeze(Some(offset_row(6))).or_fail("freeze");
        assert_eq!(committed.apply_frozen().or_fail("apply"), 6);
        engine.flush().or_fail("flush");
    }
    let engine = fixture.open();
    let committed = CommittedState::open(&*engine, "0_3/offsets").or_fail("open");
    let row = committed.offset_row().or_fail("offset row");
    assert_eq!(row, Some(offset_row(6)));
    for direction in [Direction::Forward, Direction::Backward] {
        let rows = committed.range(&KeyRange::all(), direction);
        let mut found = keys(rows.or_fail("range"));
        found.sort();
        assert_eq!(found, store_keys, "and no offset row among them");
    }
    for key in store_keys {
        let value = committed.get(key).or_fail("get");
        assert_eq!(value.as_deref(), Some(key));
    }
}

fn large_rows_are_kept(fixture: &mut dyn Fixture) {
    let key = vec![7; 4 << 10];
    let value = vec![9; 2 << 20];
    {
        let engine = fixture.open();
        let tree = engine.open_tree("0_0/large").or_fail("open");
        tree.insert(&key, &value).or_fail("insert 2 MiB");
        engine.flush().or_fail("flush");
    }
    let engine = fixture.open();
    let tree = engine.open_tree("0_0/large").or_fail("open");
    assert_eq!(tree.get(&key).or_fail("get").as_deref(), Some(&value[..]));
}

/// The state updater writes while the stream thread and queries read.
fn readers_and_a_writer_agree(fixture: &mut dyn Fixture) {
    const KEYS: u32 = 200;
    let engine = fixture.open();
    let tree = engine.open_tree("0_0/shared").or_fail("open");
    for key in 0..KEYS {
        tree.insert(&key.to_be_bytes(), b"0").or_fail("insert");
    }
    std::thread::scope(|scope| {
        let writer: &dyn Tree = &*tree;
        scope.spawn(move || {
            for round in 1..20 {
                for key in 0..KEYS {
                    let value = format!("{round}");
                    let written = writer.insert(&key.to_be_bytes(), value.as_bytes());
                    written.or_fail("insert");
                }
            }
        });
        for direction in [Direction::Forward, Direction::Backward] {
            for _ in 0..20 {
                let found = keys(tree.range(&KeyRange::all(), direction));
                assert_eq!(found.len(), KEYS as usize, "each key once");
            }
        }
    });
    for key in 0..KEYS {
        let value = tree.get(&key.to_be_bytes()).or_fail("get");
        assert_eq!(value.as_deref(), Some(&b"19"[..]));
    }
}
