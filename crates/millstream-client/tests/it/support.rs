//! What the tests share: clusters to run against, and names that no other test uses.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream_broker::Broker;

/// A name that no other test, and no earlier run against the same cluster, has used.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{n}", since.as_micros())
}

/// Runs a test against an in-process cluster of three nodes and against a real cluster.
///
/// # Panics
/// Without a real cluster: half a test must not pass for the whole.
pub(crate) async fn on_every_cluster<F: Future<Output = ()>>(test: impl Fn(String) -> F) {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    test(cluster.bootstrap()).await;
    cluster.stop().await;
    let Ok(kafka) = std::env::var("MILLSTREAM_KAFKA") else {
        panic!(
            "this test needs real Kafka too: run `cargo xtask test`, or start a cluster with \
             `cargo xtask kafka up` and set MILLSTREAM_KAFKA to the address that it prints"
        );
    };
    test(kafka).await;
}

/// Waits for a condition, looking every 5 ms.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking)
        .await
        .unwrap_or_else(|_| panic!("not within 30 s: {what}"));
}
