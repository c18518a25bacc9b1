//! Stores on disk, held against their changelogs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millstream::{SubtopologyId, TaskId};
use millstream_state::{
    CommittedState, Direction, KeyRange, SmallBytes, StoreError, timestamped, tree_name,
};
use millstream_state_sled::{SledEngine, SledOptions};

use super::{STORE, WordCount};
use crate::cluster::TestCluster;
use crate::reading::read_all;

/// Times and values by key.
type Rows = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

/// A store, and how far into its changelog it says it is.
#[derive(Debug, Default)]
struct Stored {
    next_offset: i64,
    /// Whether that is all of it.
    is_whole: bool,
    rows: Rows,
}

/// The changelog topics of an application.
#[must_use]
pub fn changelog_topics(app: &WordCount<'_>) -> Vec<String> {
    let subtopologies = app.topology().subtopologies(&app.id);
    let changelogs = subtopologies.iter().flat_map(|subtopology| &subtopology.changelogs);
    changelogs.map(|changelog| changelog.name.to_string()).collect()
}

/// Compares the stores in these folders, which no application may have open, with the newest
/// values in the whole changelog.
///
/// # Panics
/// Where they differ.
pub async fn assert_stores_equal_changelogs(app: &WordCount<'_>, folders: &[&Path]) {
    for (partition, stored) in compare(app, folders).await {
        assert!(stored.is_whole, "the store of partition {partition} is behind its changelog");
    }
}

/// The same for stores that an application closed while it restored some: each equals its
/// changelog as far as it says that it holds it, or holds newer values from it, as after a crash.
///
/// # Panics
/// Where they differ.
pub async fn assert_stores_agree_with_changelogs(app: &WordCount<'_>, folders: &[&Path]) {
    let compared = compare(app, folders).await;
    assert!(compared.values().any(|stored| stored.is_whole), "all are behind");
}

async fn compare(app: &WordCount<'_>, folders: &[&Path]) -> BTreeMap<i32, Stored> {
    let [changelog] = &changelog_topics(app)[..] else { panic!("one changelog is expected") };
    compare_named(app.cluster, &app.id, STORE, changelog, folders).await
}

/// [`assert_stores_agree_with_changelogs`] for an application of which only names are known.
///
/// # Panics
/// Where they differ.
pub async fn assert_store_agrees_with_changelog(
    cluster: &TestCluster,
    application_id: &str,
    store: &str,
    changelog: &str,
    folders: &[&Path],
) {
    let compared = compare_named(cluster, application_id, store, changelog, folders).await;
    assert!(compared.values().any(|stored| stored.is_whole), "all are behind");
}

async fn compare_named(
    cluster: &TestCluster,
    application_id: &str,
    store: &str,
    changelog: &str,
    folders: &[&Path],
) -> BTreeMap<i32, Stored> {
    let mut furthest = BTreeMap::<i32, Stored>::new();
    for folder in folders {
        for (partition, found) in read_stores(&folder.join(application_id).join("sled"), store) {
            // Where instances held the task one after the other, the last one has the truth.
            let known = furthest.entry(partition).or_default();
            if found.next_offset > known.next_offset {
                *known = found;
            }
        }
    }
    let mut logged = BTreeMap::<i32, Rows>::new();
    let mut newer = BTreeSet::new();
    for stored in furthest.values_mut() {
        stored.is_whole = true;
    }
    for record in read_all(cluster, changelog).await {
        let partition = record.partition.value();
        let stored = furthest.entry(partition).or_default();
        let key = record.key.expect("a key").to_vec();
        let value = record.value.map(|value| (record.timestamp.value(), value.to_vec()));
        if record.offset.value() >= stored.next_offset {
            stored.is_whole = false;
            newer.insert((partition, key, value));
            continue;
        }
        let rows = logged.entry(partition).or_default();
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    for (partition, stored) in &furthest {
        let logged = logged.remove(partition).unwrap_or_default();
        let keys = stored.rows.keys().chain(logged.keys());
        let mut differ = keys.filter(|key| {
            let found = stored.rows.get(*key);
            let is_newer = || newer.contains(&(*partition, (*key).clone(), found.cloned()));
            found != logged.get(*key) && !is_newer()
        });
        if let Some(key) = differ.next() {
            panic!(
                "of {} rows in {changelog}-{partition} up to offset {}, {:?} is stored as {:?} and \
                 logged as {:?}",
                logged.len(),
                stored.next_offset,
                String::from_utf8_lossy(key),
                stored.rows.get(key),
                logged.get(key),
            );
        }
    }
    furthest
}

/// The rows of a store, by task.
fn read_stores(folder: &Path, store: &str) -> BTreeMap<i32, Stored> {
    let engine = SledEngine::open(folder, &SledOptions::default()).expect("nobody has it open");
    let mut stores = BTreeMap::new();
    for partition in 0..super::PARTITIONS {
        let task = TaskId { subtopology: SubtopologyId(1), partition: partition.into() };
        let tree = tree_name(&task.to_string(), store);
        let committed = CommittedState::open(&engine, &tree).expect("it opens");
        let rows = committed.range(&KeyRange::all(), Direction::Forward).expect("a range");
        let row = |row: Result<(SmallBytes, SmallBytes), StoreError>| {
            let (key, value) = row.expect("a row");
            let (timestamp, count) = timestamped::split(&value);
            (key.to_vec(), (timestamp.value(), count.to_vec()))
        };
        let offset_row = committed.offset_row().expect("an offset row");
        let next_offset = offset_row.map_or(0, |row| row.next_offset.value());
        stores.insert(
            partition,
            Stored { next_offset, is_whole: false, rows: rows.map(row).collect() },
        );
    }
    stores
}
