//! Faults that only the in-process broker can be made to have: corrupt and hostile batches, lost
//! answers, every error that passes.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_broker::{ApiKey, ErrorCode, Fault};
use millstream_client::consumer::{Consumer, FetchError};
use millstream_client::{ErrorClass, Record};
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{run, step};
use millstream_tests::reading::{read_all, texts};
use millstream_tests::wire;
use millstream_types::{Offset, TopicPartition};

const DEADLINE: Duration = Duration::from_secs(60);

/// A topic of one partition, and the address of its leader.
async fn partition(cluster: &TestCluster) -> (TopicPartition, String) {
    let topic = cluster.topic("faults", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let leader = cluster.leader(&partition).await;
    (partition, cluster.address(leader))
}

async fn reader(cluster: &TestCluster, partition: &TopicPartition) -> Consumer {
    let consumer = cluster.reader().build().await.expect("a reader");
    consumer.assign([partition.clone()]).expect("it is assigned");
    consumer
}

/// The next error names partition and offset; seeking behind it goes on with `next`.
async fn expect_corrupt(
    consumer: &Consumer,
    partition: &TopicPartition,
    offset: i64,
    next: &str,
) -> String {
    let error = consumer.poll().await.unwrap_err();
    let FetchError::Corrupt { partition: at, offset: found, source } = &error else {
        panic!("the batch is corrupt: {error:?}");
    };
    assert_eq!((at, *found), (partition, Offset(offset)));
    assert_eq!(error.class(), ErrorClass::Fatal);
    let text = error.to_string();
    assert!(text.contains(&partition.to_string()) && text.contains("seek behind it"), "{text}");
    let causes = std::iter::successors(Some(source as &dyn std::error::Error), |e| e.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    consumer.seek(partition, Offset(offset + 1)).expect("it seeks");
    let batch = consumer.poll().await.expect("records").expect("it is open");
    assert_eq!(texts(&batch.detach())[0], next);
    causes.join(": ")
}

#[test]
fn a_flipped_bit_is_found() {
    run("a_flipped_bit_is_found", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let (partition, leader) = partition(&cluster).await;
        for values in [[&b"a"[..]], [b"b"]] {
            let code = wire::produce(&leader, &partition, wire::batch(&values)).await;
            assert_eq!(code, ErrorCode::None);
        }
        cluster.broker().fault(Fault::on(ApiKey::Fetch).corrupt_records());
        let consumer = reader(&cluster, &partition).await;
        expect_corrupt(&consumer, &partition, 0, "b").await;
        step("the log itself is sound");
        consumer.seek(&partition, Offset(0)).expect("it seeks");
        let batch = consumer.poll().await.expect("records").expect("it is open");
        assert_eq!(texts(&batch.detach())[0], "a");
    });
}

#[test]
fn what_comes_before_a_corrupt_record_is_delivered() {
    run("what_comes_before_a_corrupt_record_is_delivered", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let (partition, leader) = partition(&cluster).await;
        let sound = wire::batch(&[b"a", b"b", b"c", b"d"]);
        // Records of one byte values take eight bytes each; the third announces a longer value.
        let mut records = sound[61..].to_vec();
        assert_eq!(records.len(), 32);
        records[2 * 8 + 5] = 0x7e;
        let damaged = wire::with_records(sound, 0, &records);
        assert_eq!(wire::produce(&leader, &partition, damaged).await, ErrorCode::None);
        let code = wire::produce(&leader, &partition, wire::batch(&[b"e"])).await;
        assert_eq!(code, ErrorCode::None);
        let consumer = reader(&cluster, &partition).await;
        let prefix = consumer.poll().await.expect("the good ones").expect("it is open");
        assert_eq!(texts(&prefix.detach()), ["a", "b"]);
        let error = consumer.poll().await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Corrupt { offset: Offset(2), .. }),
            "the third is corrupt: {error:?}"
        );
        assert!(error.to_string().contains(&format!("offset 2 of {partition}")), "{error}");
        consumer.seek(&partition, Offset(4)).expect("it seeks");
        let batch = consumer.poll().await.expect("records").expect("it is open");
        assert_eq!(texts(&batch.detach()), ["e"]);
    });
}

#[test]
fn a_decompression_bomb_does_not_go_off() {
    run("a_decompression_bomb_does_not_go_off", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let (partition, leader) = partition(&cluster).await;
        // 4 GiB of zeros in 128 KiB: less than the broker takes, far more than a batch may hold.
        let bomb = wire::with_records(wire::batch(&[b"x"]), 4, &wire::zstd_bomb(32 * 1024));
        assert!(bomb.len() < 200_000);
        assert_eq!(wire::produce(&leader, &partition, bomb).await, ErrorCode::None);
        let code = wire::produce(&leader, &partition, wire::batch(&[b"after"])).await;
        assert_eq!(code, ErrorCode::None);
        let consumer = reader(&cluster, &partition).await;
        let source = expect_corrupt(&consumer, &partition, 0, "after").await;
        assert!(source.contains("268435456"), "the limit is named: {source}");
    });
}

/// Numbers through a producer that meets `faults`; each must be in the log once and in order.
fn written_once(name: &'static str, faults: fn() -> Vec<Fault>) {
    run(name, DEADLINE, move || async move {
        let cluster = TestCluster::in_process().await;
        let topic = cluster.topic("once", 2).await;
        for fault in faults() {
            cluster.broker().fault(fault);
        }
        let producer = cluster
            .producer()
            .batch_size(200)
            .linger(Duration::ZERO)
            .request_timeout(Duration::from_secs(1))
            .build()
            .await
            .expect("a producer");
        step("produce");
        for n in 0..500 {
            let value = format!("{n:03}");
            let record = Record::to(&topic).partition(n % 2).value(&value);
            drop(producer.enqueue(&record).await.expect("it is accepted"));
        }
        let report = producer.close(Duration::from_secs(30)).await;
        assert!(report.is_complete(), "{:?}", report.failures);
        cluster.broker().clear_faults();
        let records = read_all(&cluster, &topic).await;
        for partition in 0..2 {
            let own = records.iter().filter(|r| r.partition.value() == partition).cloned();
            let own: Vec<_> = own.collect();
            let expected = (0..250).map(|n| format!("{:03}", 2 * n + partition));
            assert!(texts(&own).into_iter().eq(expected), "partition {partition}");
        }
    });
}

#[test]
fn lost_acknowledgements_duplicate_nothing() {
    written_once("lost_acknowledgements_duplicate_nothing", || {
        vec![
            Fault::on(ApiKey::Produce).nth(3).times(2).apply_then_disconnect(),
            Fault::on(ApiKey::Produce).nth(7).apply_then_drop(),
            Fault::on(ApiKey::Produce).nth(9).drop(),
            Fault::on(ApiKey::Produce).nth(12).times(2).disconnect(),
        ]
    });
}

#[test]
fn refusals_that_pass_lose_nothing() {
    written_once("refusals_that_pass_lose_nothing", || {
        let errors = [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::NotEnoughReplicas,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::KafkaStorageError,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::RequestTimedOut,
        ];
        let each = errors.into_iter().zip(1..);
        each.map(|(error, n)| Fault::on(ApiKey::Produce).nth(3 * n).error(error)).collect()
    });
}

#[test]
fn a_group_outlives_every_error_that_passes() {
    run("a_group_outlives_every_error_that_passes", DEADLINE, || async {
        let cluster = TestCluster::in_process().await;
        let topic = cluster.topic("errors", 2).await;
        let faults = [
            (ApiKey::Metadata, ErrorCode::LeaderNotAvailable),
            (ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable),
            (ApiKey::JoinGroup, ErrorCode::CoordinatorLoadInProgress),
            (ApiKey::JoinGroup, ErrorCode::NotCoordinator),
            (ApiKey::SyncGroup, ErrorCode::RebalanceInProgress),
            (ApiKey::SyncGroup, ErrorCode::NotCoordinator),
            (ApiKey::Heartbeat, ErrorCode::CoordinatorNotAvailable),
            (ApiKey::OffsetFetch, ErrorCode::CoordinatorLoadInProgress),
            (ApiKey::OffsetFetch, ErrorCode::NotCoordinator),
            (ApiKey::OffsetCommit, ErrorCode::CoordinatorLoadInProgress),
            (ApiKey::OffsetCommit, ErrorCode::NotCoordinator),
            (ApiKey::ListOffsets, ErrorCode::NotLeaderOrFollower),
            (ApiKey::Fetch, ErrorCode::FetchSessionIdNotFound),
            (ApiKey::Fetch, ErrorCode::InvalidFetchSessionEpoch),
            (ApiKey::Fetch, ErrorCode::NotLeaderOrFollower),
            (ApiKey::Fetch, ErrorCode::FencedLeaderEpoch),
        ];
        for (api, error) in faults {
            cluster.broker().fault(Fault::on(api).client_id("victim").error(error));
        }
        for api in [ApiKey::JoinGroup, ApiKey::OffsetCommit, ApiKey::Fetch] {
            let fault = Fault::on(api).client_id("victim").nth(3).apply_then_disconnect();
            cluster.broker().fault(fault);
        }
        let group = unique("errors");
        let consumer = cluster.member(&group).client_id("victim").build().await.expect("a member");
        consumer.subscribe([&*topic]).await.expect("it subscribes");
        let producer = cluster.producer().build().await.expect("a producer");
        let mut next = BTreeMap::from([(0, 0), (1, 0)]);
        for n in 0..20 {
            let record = Record::to(&topic).partition(n % 2).value("v");
            producer.send(&record).await.expect("it is written");
            step(format!("read and commit record {n}"));
            let batch = consumer.poll().await.expect("records").expect("it is open");
            let next = next.get_mut(&batch.partition().value()).expect("of two partitions");
            for record in &batch {
                assert_eq!(record.offset, Offset(*next));
                *next += 1;
            }
            consumer.commit(&batch).await.expect("it is committed");
        }
        assert_eq!(next, BTreeMap::from([(0, 10), (1, 10)]));
        let offsets = cluster.admin().group_offsets(&*group).await.expect("offsets");
        assert!(offsets.values().all(|committed| committed.offset == Offset(10)), "{offsets:?}");
    });
}
