//! The scenarios that break their cluster: against the in-process broker, and against a cluster
//! of real Kafka that this suite starts for itself.

use std::time::{Duration, Instant};

use millstream_tests::cluster::TestCluster;
use millstream_tests::deadline;
use millstream_tests::scenarios::nemesis;

const DEADLINE: Duration = Duration::from_secs(90);
/// Starting a cluster, and all scenarios one after the other.
const REAL_DEADLINE: Duration = Duration::from_secs(400);

macro_rules! tests {
    ($($scenario:ident)*) => {
        mod in_process {
            use super::*;
            $(
                #[test]
                fn $scenario() {
                    deadline::run(stringify!($scenario), DEADLINE, || async {
                        nemesis::$scenario(&TestCluster::in_process().await).await;
                    });
                }
            )*
        }

        /// One test: the cluster takes longer to start than most scenarios take.
        #[test]
        fn kafka() {
            deadline::run("kafka", REAL_DEADLINE, || async {
                let cluster = TestCluster::own_kafka("nemesis");
                $(
                    let begun = Instant::now();
                    nemesis::$scenario(&cluster).await;
                    println!("{}: {:.1} s", stringify!($scenario), begun.elapsed().as_secs_f32());
                )*
            });
        }
    };
}

millstream_tests::for_each_nemesis!(tests);

/// Real Kafka cannot do this: its nodes start only once most of them run.
#[test]
fn the_whole_cluster_restarts() {
    deadline::run("the_whole_cluster_restarts", DEADLINE, || async {
        nemesis::the_cluster_restarts(&TestCluster::in_process().await).await;
    });
}
