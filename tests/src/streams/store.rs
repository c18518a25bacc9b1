//! Stores on disk, held against their changelogs.

use std::collections::BTreeMap;
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
/// values in the changelog.
///
/// # Panics
/// Where they differ.
pub async fn assert_stores_equal_changelogs(app: &WordCount<'_>, folders: &[&Path]) {
    let [changelog] = &changelog_topics(app)[..] else { panic!("one changelog is expected") };
    assert_store_equals_changelog(app.cluster, &app.id, STORE, changelog, folders).await;
}

/// The same for an application of which only names are known.
///
/// # Panics
/// Where they differ.
pub async fn assert_store_equals_changelog(
    cluster: &TestCluster,
    application_id: &str,
    store: &str,
    changelog: &str,
    folders: &[&Path],
) {
    let mut logged = BTreeMap::<i32, Rows>::new();
    for record in read_all(cluster, changelog).await {
        let rows = logged.entry(record.partition.value()).or_default();
        let key = record.key.expect("a key").to_vec();
        match record.value {
            Some(value) => rows.insert(key, (record.timestamp.value(), value.to_vec())),
            None => rows.remove(&key),
        };
    }
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
    let stored: BTreeMap<_, _> = furthest
        .into_iter()
        .filter(|(_, stored)| !stored.rows.is_empty())
        .map(|(partition, stored)| (partition, stored.rows))
        .collect();
    for (partition, rows) in &logged {
        let found = stored.get(partition).map_or(0, BTreeMap::len);
        assert_eq!(found, rows.len(), "rows of partition {partition}");
    }
    assert!(stored == logged, "the stores differ from their changelog {changelog}");
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
        stores.insert(partition, Stored { next_offset, rows: rows.map(row).collect() });
    }
    stores
}
