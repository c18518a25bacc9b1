//! The end-to-end suite against real Kafka: the cluster that `cargo xtask test` has started.

use std::time::Duration;

use millstream_tests::cluster::TestCluster;
use millstream_tests::{deadline, scenarios};

const DEADLINE: Duration = Duration::from_secs(60);

macro_rules! tests {
    ($($subject:ident { $($scenario:ident)* })*) => {$(
        mod $subject {
            use super::*;
            $(
                #[test]
                fn $scenario() {
                    deadline::run(stringify!($scenario), DEADLINE, || async {
                        scenarios::$subject::$scenario(&TestCluster::kafka()).await;
                    });
                }
            )*
        }
    )*};
}

millstream_tests::for_each_scenario!(tests);
