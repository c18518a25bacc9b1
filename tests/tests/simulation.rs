//! Simulations of clients and broker in memory, under faults and virtual time.
//!
//! Every test prints its seed when it fails; `MILLSTREAM_SEED=n` runs that seed alone, and
//! `MILLSTREAM_TRACE=n` shows its last `n` events.

use millstream_tests::sim::produce::{self, Setup};
use millstream_tests::sim::plant::Plant;
use millstream_tests::sim::read;
use millstream_tests::sim::run::check_seeds;

#[test]
fn accepted_records_end_once_and_truly() {
    check_seeds("accepted_records_end_once_and_truly", 60, |seed| {
        produce::run(seed, Setup::default())
    });
}

#[test]
fn readers_skip_and_repeat_nothing() {
    check_seeds("readers_skip_and_repeat_nothing", 30, |seed| read::run(seed, Plant::Nothing));
}
