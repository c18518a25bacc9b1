//! The end-to-end suite against the in-process broker, over TCP: a cluster for each scenario.

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
                        let cluster = TestCluster::in_process().await;
                        scenarios::$subject::$scenario(&cluster).await;
                    });
                }
            )*
        }
    )*};
}

millstream_tests::for_each_scenario!(tests);
