//! Sled against the suite that every engine runs.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;

use millstream_state::Engine;
use millstream_state::conformance::{self, Fixture};
use millstream_state_sled::{SledEngine, SledOptions};
use tempfile::TempDir;

struct Sled(TempDir);

impl Fixture for Sled {
    fn open(&mut self) -> Arc<dyn Engine> {
        // A small cache, so that pages are read back.
        let options = SledOptions::default().cache_capacity(1 << 20);
        Arc::new(SledEngine::open(self.0.path(), &options).unwrap())
    }
}

#[test]
fn sled_conforms() {
    conformance::run(&mut Sled(tempfile::tempdir().unwrap()));
}

#[test]
fn sled_holds_what_the_changelog_says() {
    for seed in 1..=4 {
        conformance::model(&mut Sled(tempfile::tempdir().unwrap()), seed, 12);
    }
}
