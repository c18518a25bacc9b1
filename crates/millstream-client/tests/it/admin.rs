//! Admin calls.

use std::collections::BTreeMap;

use millstream_client::{Admin, ConfigChange, ConfigResource, NewTopic, OffsetSpec};
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::{Offset, TopicName, TopicPartition};

use crate::support::{eventually, on_every_cluster, unique};

#[tokio::test]
async fn topics_come_and_go() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let [first, second] = ["first", "second"].map(unique);
        let topics = [
            NewTopic::new(&*first, 3).replication(1).config("cleanup.policy", "compact"),
            NewTopic::new(&*second, 1),
        ];
        let created = admin.create_topics(topics).await.unwrap();
        assert_eq!(created.len(), 2);
        assert!(created[&*first].id.is_known());
        assert_eq!(created[&*first].partitions, Some(3));

        eventually("both topics are described with leaders", || async {
            let Ok(described) = admin.describe_topics([&*first, &*second]).await else {
                return false;
            };
            let topic = &described[&*first];
            let led = topic.partitions.values().all(|partition| partition.leader.is_some());
            topic.id == created[&*first].id && topic.partition_count() == 3 && led
        })
        .await;
        let listed = admin.list_topics().await.unwrap();
        assert!(listed.contains_key(&*first) && listed.contains_key(&*second));

        admin.delete_topics([&*first]).await.unwrap();
        eventually("the topic is gone", || async {
            !admin.list_topics().await.unwrap().contains_key(&*first)
        })
        .await;
        admin.delete_topics([&*second]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn each_topic_has_a_result_of_its_own() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let [there, fresh] = ["there", "fresh"].map(unique);
        admin.create_topics([NewTopic::new(&*there, 1)]).await.unwrap();
        let topics = [&there, &fresh].map(|name| NewTopic::new(&**name, 1));
        let error = admin.create_topics(topics).await.unwrap_err();
        let failed: Vec<_> = error.failed().collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(*failed[0].0, TopicName::from(&*there));
        assert_eq!(failed[0].1.code(), Some(ErrorCode::TopicAlreadyExists));
        let text = error.to_string();
        assert!(text.starts_with(&format!("topic {there}: ")), "{text}");

        let error = admin.describe_topics([unique("absent")]).await.unwrap_err();
        let (_, error) = error.failed().next().unwrap();
        assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(error.class(), ErrorClass::RefreshAndRetry);
        admin.delete_topics([&*there, &*fresh]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn partitions_are_added() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let topic = unique("grows");
        admin.create_topics([NewTopic::new(&*topic, 1)]).await.unwrap();
        admin.create_partitions([(&*topic, 4)]).await.unwrap();
        eventually("there are four partitions", || async {
            let described = admin.describe_topics([&*topic]).await;
            described.is_ok_and(|described| described[&*topic].partition_count() == 4)
        })
        .await;
        let error = admin.create_partitions([(&*topic, 2)]).await.unwrap_err();
        let (_, error) = error.failed().next().unwrap();
        assert_eq!(error.code(), Some(ErrorCode::InvalidPartitions));
        admin.delete_topics([&*topic]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn settings_are_described_and_changed() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let topic = unique("settings");
        let new = NewTopic::new(&*topic, 1).config("retention.ms", "1000");
        admin.create_topics([new]).await.unwrap();
        let resource = ConfigResource::Topic(topic.as_str().into());
        let retention = |value: &'static str| {
            let (admin, resource) = (&admin, &resource);
            async move {
                let described = admin.describe_configs([resource.clone()]).await;
                described.is_ok_and(|described| {
                    described[resource]["retention.ms"].value.as_deref() == Some(value)
                })
            }
        };
        eventually("the value set at creation", || retention("1000")).await;
        let set = ConfigChange::Set { name: "retention.ms".into(), value: "2000".into() };
        admin.alter_configs([(resource.clone(), vec![set])]).await.unwrap();
        eventually("the value set later", || retention("2000")).await;
        let delete = ConfigChange::Delete { name: "retention.ms".into() };
        admin.alter_configs([(resource.clone(), vec![delete])]).await.unwrap();
        eventually("Kafka's default of a week", || retention("604800000")).await;
        admin.delete_topics([&*topic]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn offsets_of_an_empty_topic_are_zero() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let topic = unique("empty");
        admin.create_topics([NewTopic::new(&*topic, 2)]).await.unwrap();
        let partitions = [0, 1].map(|partition| TopicPartition::new(&*topic, partition));
        for spec in [OffsetSpec::Earliest, OffsetSpec::Latest] {
            let specs = partitions.clone().map(|partition| (partition, spec));
            let listed = admin.list_offsets(specs).await.unwrap();
            let offsets: Vec<_> = listed.values().map(|listed| listed.offset).collect();
            assert_eq!(offsets, [Some(Offset(0)); 2]);
        }
        let purged = admin.delete_records([(partitions[1].clone(), Offset(0))]).await.unwrap();
        assert_eq!(purged, BTreeMap::from([(partitions[1].clone(), Offset(0))]));
        admin.delete_topics([&*topic]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_cluster_and_an_unknown_group_are_described() {
    on_every_cluster(|bootstrap| async move {
        let admin = Admin::connect([bootstrap]).await.unwrap();
        let cluster = admin.describe_cluster().await.unwrap();
        assert!(cluster.id.is_some());
        assert_eq!(cluster.brokers.len(), 3);
        assert!(cluster.controller.is_some_and(|id| cluster.brokers.contains_key(&id)));
        let offsets = admin.group_offsets(unique("nobody").as_str()).await.unwrap();
        assert!(offsets.is_empty());
    })
    .await;
}
