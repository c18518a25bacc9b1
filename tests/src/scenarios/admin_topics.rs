//! Admin calls about topics and settings beyond the everyday ones.

use millstream_client::admin::{
    AdminError, ConfigDetail, ConfigKind, ConfigSource, ConfigType, IsolationLevel, NewPartitions,
};
use millstream_client::{ConfigChange, ConfigResource, ErrorCode, NewTopic, OffsetSpec, Record};
use millstream_types::{BrokerId, GroupId, Offset, PartitionId, TopicName, TopicPartition};

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};

/// What is only validated does not happen; what would be refused is refused.
pub async fn validation_changes_nothing(cluster: &TestCluster) {
    let admin = cluster.admin();
    let fresh = unique("validated");
    let wanted = NewTopic::new(&*fresh, 3).replication(1);
    let told = admin.validate_create_topics([wanted]).await.expect("it could be created");
    assert!(told.contains_key(&*fresh));
    let bad = NewTopic::new(&*fresh, 3).replication(99);
    let error = admin.validate_create_topics([bad]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::InvalidReplicationFactor), "{error}");
    assert!(!admin.list_topics().await.expect("a list").contains_key(&*fresh));

    let topic = cluster.topic("kept", 2).await;
    admin.validate_create_partitions([(&*topic, 5)]).await.expect("it could be raised");
    let error = admin.validate_create_partitions([(&*topic, 1)]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::InvalidPartitions), "{error}");
    let described = admin.describe_topics([&*topic]).await.expect("a description");
    assert_eq!(described[&*topic].partition_count(), 2);

    let resource = ConfigResource::Topic(TopicName::from(&*topic));
    let change = |value: &str| {
        let change = ConfigChange::Set { name: "retention.ms".to_owned(), value: value.to_owned() };
        [(resource.clone(), vec![change])]
    };
    admin.validate_alter_configs(change("1000")).await.expect("it could be set");
    let error = admin.validate_alter_configs(change("soon")).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig), "{error}");
    let described = admin.describe_configs([resource.clone()]).await.expect("settings");
    assert_eq!(described[&resource]["retention.ms"].value.as_deref(), Some("604800000"));
}

/// Replicas are placed by hand, at creation and when partitions are added.
pub async fn replicas_are_placed_by_hand(cluster: &TestCluster) {
    let admin = cluster.admin();
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let topic = unique("placed");
    let wanted = NewTopic::with_defaults(&*topic).assignment([ids(&[2, 3]), ids(&[3, 1])]);
    admin.create_topics([wanted]).await.expect("it is created");
    cluster.wait_for_leaders(&topic).await;
    let more = NewPartitions::to(3).assignment([ids(&[1, 2])]);
    admin.create_partitions([(&*topic, more)]).await.expect("a partition is added");
    cluster.wait_for_leaders(&topic).await;
    eventually("the placed partitions are seen", || async {
        let described = admin.describe_topics([&*topic]).await.expect("a description");
        let replicas: Vec<_> =
            described[&*topic].partitions.values().map(|p| p.replicas.clone()).collect();
        replicas == [ids(&[2, 3]), ids(&[3, 1]), ids(&[1, 2])]
    })
    .await;
}

/// A topic is deleted by its id; an id that is not there is named.
pub async fn topics_are_deleted_by_id(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("by-id", 1).await;
    let described = admin.describe_topics([&*topic]).await.expect("a description");
    let id = described[&*topic].id;
    assert!(id.is_known());
    admin.delete_topics_by_id([id]).await.expect("it is deleted");
    let error = admin.delete_topics_by_id([id]).await.unwrap_err();
    let (_, error) = error.failed().next().expect("a failure");
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicId), "{error}");
}

/// Settings tell their types, what they hide and, from real Kafka, what they are for.
pub async fn settings_tell_their_detail(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic_with("detail", 1, &[("max.message.bytes", "50000")]).await;
    let resource = ConfigResource::Topic(TopicName::from(&*topic));
    let detail = ConfigDetail { synonyms: true, documentation: cluster.version().is_some() };
    let described =
        admin.describe_configs_with([resource.clone()], detail).await.expect("settings");
    let size = &described[&resource]["max.message.bytes"];
    assert_eq!(size.source, ConfigSource::Topic);
    assert_eq!(size.value_type, ConfigType::Int);
    let first = size.synonyms.first().expect("its own value is the first");
    assert_eq!((first.value.as_deref(), first.source), (Some("50000"), ConfigSource::Topic));
    if cluster.version().is_some() {
        assert!(size.synonyms.len() > 1, "{:?}", size.synonyms);
        assert!(size.documentation.as_ref().is_some_and(|text| text.len() > 40));
    }

    step("a broker's settings, and what is set for all brokers");
    let broker = ConfigResource::Broker(BrokerId(1));
    let described = admin.describe_configs([broker.clone()]).await.expect("settings");
    assert!(described[&broker].len() > 10);
}

/// What has settings is listed by kind; a group gets settings of its own.
pub async fn what_has_settings_is_listed(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("configured", 1).await;
    let listed = admin.list_config_resources([ConfigKind::Topic, ConfigKind::Broker]).await;
    if cluster.is_before(4, 1) {
        assert!(matches!(listed, Err(AdminError::Call(error)) if error.is_unsupported()));
        return;
    }
    let listed = listed.expect("a list");
    assert!(listed.contains(&ConfigResource::Topic(TopicName::from(&*topic))), "{listed:?}");
    assert!(listed.contains(&ConfigResource::Broker(BrokerId(1))), "{listed:?}");
    if cluster.version().is_some() {
        let group = ConfigResource::Group(GroupId::from(unique("configured")));
        let change = ConfigChange::Set {
            name: "consumer.session.timeout.ms".to_owned(),
            value: "50000".to_owned(),
        };
        admin.alter_configs([(group.clone(), vec![change])]).await.expect("a group is set");
        eventually("the group is listed", || async {
            let listed = admin.list_config_resources([ConfigKind::Group]).await;
            listed.expect("a list").contains(&group)
        })
        .await;
        let described = admin.describe_configs([group.clone()]).await.expect("settings");
        let entry = &described[&group]["consumer.session.timeout.ms"];
        assert_eq!((entry.value.as_deref(), entry.source), (Some("50000"), ConfigSource::Group));
    }
}

/// Offsets by every place there is: what the cluster cannot tell is a typed refusal, and leaves the
/// rest alone.
pub async fn offsets_are_listed_by_every_place(cluster: &TestCluster) {
    let admin = cluster.admin();
    let topic = cluster.topic("places", 2).await;
    let producer = cluster.producer().build().await.expect("a producer");
    for _ in 0..3 {
        producer.send(&Record::to(&topic).partition(0).value("v")).await.expect("it is written");
    }
    let tp = |number: i32| TopicPartition::new(&*topic, number);
    let listed = admin
        .list_offsets_at(
            IsolationLevel::ReadCommitted,
            [(tp(0), OffsetSpec::EarliestLocal), (tp(1), OffsetSpec::Latest)],
        )
        .await
        .expect("offsets");
    assert_eq!(listed[&tp(0)].offset, Some(Offset(0)));
    assert_eq!(listed[&tp(1)].offset, Some(Offset(0)));
    if cluster.version().is_some() {
        let listed = admin.list_offsets([(tp(0), OffsetSpec::LatestTiered)]).await;
        assert_eq!(listed.expect("nothing is tiered")[&tp(0)].offset, None);
    }
    let purged = admin.delete_records([(tp(0), Offset(-1))]).await.expect("all are deleted");
    assert_eq!(purged[&tp(0)], Offset(3));
    let described = admin.describe_topics([&*topic]).await.expect("a description");
    assert!(described[&*topic].partitions.contains_key(&PartitionId(1)));
}
