//! The outcome matrix: each row a test, which names the cells that came out otherwise.

use std::time::Duration;

use expect_test::expect_file;
use millstream_tests::deadline;
use millstream_tests::matrix::{page, run, table};

const DEADLINE: Duration = Duration::from_secs(300);

macro_rules! rows {
    ($($row:ident)*) => {
        $(
            #[test]
            fn $row() {
                let rows = table::rows();
                let row = rows.into_iter().find(|row| row.test == stringify!($row));
                let row = row.expect("a row of this name");
                deadline::run(stringify!($row), DEADLINE, move || async move { run::run(&row).await });
            }
        )*

        #[test]
        fn every_row_has_a_test() {
            let rows: Vec<_> = table::rows().iter().map(|row| row.test).collect();
            assert_eq!(rows, [$(stringify!($row)),*]);
        }
    };
}

rows! {
    connections
    timeouts
    brokers
    drops
    produce_codes_plain
    produce_codes_idempotent
    init_producer_id_codes
    transactions_no_answers
    transactions_brokers_and_drops
    transactions_init_codes
    transactions_add_partitions_codes
    transactions_produce_codes
    transactions_add_offsets_codes
    transactions_offset_commit_codes
    transactions_end_codes
}

#[test]
fn the_page_is_the_matrix() {
    expect_file!["../../docs/outcomes.md"].assert_eq(&page::page(&table::rows()));
}
