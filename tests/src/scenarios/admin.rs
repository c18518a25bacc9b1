//! Admin calls: each thing has a result of its own.

use millstream_client::{ConfigChange, ConfigResource, ErrorCode, NewTopic, OffsetSpec, Record};
use millstream_types::{Offset, Timestamp, TopicName, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};

/// Of three topics one is there already and one cannot be: the third is created.
pub async fn each_topic_has_a_result_of_its_own(cluster: &TestCluster) {
    let admin = cluster.admin();
    let there = cluster.topic("there", 1).await;
    let fresh = unique("fresh");
    let error = admin
        .create_topics([
            NewTopic::new(&*there, 1),
            NewTopic::new(&*fresh, 3).config("cleanup.policy", "compact"),
            NewTopic::new("not a name", 1),
        ])
        .await
        .unwrap_err();
    let codes: Vec<_> = error.failed().map(|(name, error)| (name.clone(), error.code())).collect();
    let expected = [
        (TopicName::from("not a name"), Some(ErrorCode::InvalidTopic)),
        (TopicName::from(&*there), Some(ErrorCode::TopicAlreadyExists)),
    ];
    assert_eq!(codes, expected);
    cluster.wait_for_leaders(&fresh).await;

    step("describe what is there and what is not");
    let absent = unique("absent");
    let described = admin.describe_topics([&*fresh]).await.expect("a description");
    assert_eq!(described[&*fresh].partition_count(), 3);
    let error = admin.describe_topics([&*fresh, &*absent]).await.unwrap_err();
    let failed: Vec<_> = error.failed().collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(*failed[0].0, TopicName::from(&*absent));
    assert!(error.to_string().contains(&absent), "{error}");

    step("delete what is there and what is not");
    let error = admin.delete_topics([&*fresh, &*absent]).await.unwrap_err();
    let codes: Vec<_> = error.failed().map(|(name, error)| (name.clone(), error.code())).collect();
    let expected = (TopicName::from(&*absent), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(codes, [expected]);
    eventually("the deleted topic is not listed", || async {
        let listed = admin.list_topics().await.expect("a list");
        assert!(listed.contains_key(&*there));
        !listed.contains_key(&*fresh)
    })
    .await;
}

/// Settings given at creation and changed later are described, with where they come from.
pub async fn settings_are_described_and_changed(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic_with("settings", 1, &[("retention.ms", "86400000")]).await;
    let resource = ConfigResource::Topic(TopicName::from(&*topic));
    let value = |name: &'static str| {
        let resource = resource.clone();
        async move {
            let described = admin.describe_configs([resource.clone()]).await.expect("settings");
            described[&resource][name].value.clone()
        }
    };
    assert_eq!(value("retention.ms").await.as_deref(), Some("86400000"));
    assert_eq!(value("cleanup.policy").await.as_deref(), Some("delete"));
    let changes = vec![
        ConfigChange::Set { name: "cleanup.policy".into(), value: "compact".into() },
        ConfigChange::Delete { name: "retention.ms".into() },
    ];
    admin.alter_configs([(resource.clone(), changes)]).await.expect("they are changed");
    eventually("the changes are seen", || async {
        value("cleanup.policy").await.as_deref() == Some("compact")
            && value("retention.ms").await.as_deref() == Some("604800000")
    })
    .await;

    step("a value that cannot be, and a topic that is not there");
    let change = ConfigChange::Set { name: "retention.ms".into(), value: "soon".into() };
    let error = admin.alter_configs([(resource.clone(), vec![change])]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig), "{error}");
    let absent = ConfigResource::Topic(TopicName::from(unique("absent")));
    let error = admin.describe_configs([absent, resource]).await.unwrap_err();
    assert_eq!(error.failed().count(), 1, "{error}");
}

/// Offsets by place and by time, with an error for each partition that is not there.
pub async fn offsets_are_listed_by_place_and_time(cluster: &TestCluster) {
    let topic = cluster.topic("offsets", 2).await;
    let producer = cluster.producer().build().await.expect("a producer");
    for time in [1_700_000_000_000, 1_700_000_000_500, 1_700_000_000_200] {
        let record = Record::to(&topic).partition(0).timestamp(time).value("v");
        producer.send(&record).await.expect("it is written");
    }
    let admin = cluster.admin();
    let (first, second) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1));
    let offset = |spec: OffsetSpec| {
        let first = first.clone();
        async move {
            let listed = admin.list_offsets([(first.clone(), spec)]).await.expect("an offset");
            listed[&first].offset
        }
    };
    assert_eq!(offset(OffsetSpec::Earliest).await, Some(Offset(0)));
    assert_eq!(offset(OffsetSpec::Latest).await, Some(Offset(3)));
    let at = |time| OffsetSpec::Timestamp(Timestamp(time));
    assert_eq!(offset(at(1_700_000_000_100)).await, Some(Offset(1)));
    assert_eq!(offset(at(1_700_000_000_501)).await, None);
    assert_eq!(offset(OffsetSpec::MaxTimestamp).await, Some(Offset(1)));
    let listed = admin.list_offsets([(second.clone(), OffsetSpec::Latest)]).await.expect("an end");
    assert_eq!(listed[&second].offset, Some(Offset(0)));

    step("a partition that is not there beside one that is");
    let absent = TopicPartition::new(&*topic, 9);
    let quick = millstream_client::Admin::builder([cluster.bootstrap()])
        .property("default.api.timeout.ms", "1000")
        .build()
        .expect("an admin client");
    let specs = [(first, OffsetSpec::Latest), (absent.clone(), OffsetSpec::Latest)];
    let error = quick.list_offsets(specs).await.unwrap_err();
    let failed: Vec<_> = error.failed().map(|(partition, _)| partition.clone()).collect();
    assert_eq!(failed, [absent]);
    assert!(error.to_string().contains(&format!("{topic}-9")), "{error}");
}

/// Records before an offset are deleted; what is left is read from there.
pub async fn records_are_deleted(cluster: &TestCluster) {
    let topic = cluster.topic("purged", 1).await;
    let producer = cluster.producer().build().await.expect("a producer");
    for n in 0..10 {
        let value = n.to_string();
        drop(producer.enqueue(&Record::to(&topic).value(&value)).await.expect("it is accepted"));
        producer.flush().await;
    }
    let partition = TopicPartition::new(&*topic, 0);
    let purged = cluster.admin().delete_records([(partition.clone(), Offset(7))]).await;
    assert_eq!(purged.expect("they are deleted")[&partition], Offset(7));
    let values = crate::reading::texts(&crate::reading::read_all(cluster, &topic).await);
    assert_eq!(values, ["7", "8", "9"]);
}

/// The cluster says who it is.
pub async fn the_cluster_is_described(cluster: &TestCluster) {
    let described = cluster.admin().describe_cluster().await.expect("a description");
    assert!(described.id.is_some());
    let nodes = cluster.bootstrap().split(',').count();
    assert_eq!(described.brokers.len(), nodes);
    assert!(described.controller.is_some_and(|id| described.brokers.contains_key(&id)));
}
