//! The in-memory engine against the suite that every engine runs.

use std::sync::Arc;

use millstream_state::conformance::{self, Fixture};
use millstream_state::{Engine, MemoryEngine};

#[derive(Default)]
struct Memory(MemoryEngine);

impl Fixture for Memory {
    fn open(&mut self) -> Arc<dyn Engine> {
        Arc::new(self.0.clone())
    }
}

#[test]
fn memory_conforms() {
    conformance::run(&mut Memory::default());
}

#[test]
fn memory_holds_what_the_changelog_says() {
    for seed in 1..=40 {
        conformance::model(&mut Memory::default(), seed, 12);
    }
}
