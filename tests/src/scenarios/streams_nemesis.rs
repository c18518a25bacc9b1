//! Streams applications whose cluster breaks while they count.

use std::time::Duration;

use millstream::{KafkaStreams, KafkaStreamsBuilder};
use millstream_types::TopicPartition;

use crate::cluster::TestCluster;
use crate::streams::{
    PARTITIONS, STORE, WordCount, assert_stores_agree_with_changelogs, close, lines, run,
};

/// An application that notices a dead broker soon, and keeps its place while one is away.
async fn start(builder: KafkaStreamsBuilder) -> KafkaStreams {
    let builder = builder.property("request.timeout.ms", "2000");
    run(builder.property("consumer.session.timeout.ms", "45000")).await
}

/// A broker dies while words are counted, and comes back: nothing is left out.
pub async fn an_application_outlives_a_broker(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    let app = start(words.builder()).await;
    words.say(&lines(200)).await;
    words.wait_for_counts_at_least().await;
    let victim = cluster.leader(&TopicPartition::new(&*words.input, 0)).await;
    cluster.kill(victim).await;
    words.say(&lines(200)).await;
    words.wait_for_counts_at_least().await;
    cluster.restart(victim).await;
    for topic in [&words.input, &words.output] {
        cluster.wait_for_replicas(topic).await;
    }
    words.say(&lines(200)).await;
    words.wait_for_counts_at_least().await;
    assert_eq!(app.metrics().threads_replaced, 0, "no thread died of it");
    close(app).await;
    assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
}

/// Input, repartition, changelog and output change their leaders while words are counted.
pub async fn an_application_follows_its_leaders(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    let app = start(words.builder()).await;
    words.say(&lines(200)).await;
    words.wait_for_counts_at_least().await;
    let internal = ["repartition", "changelog"].map(|kind| format!("{}-{STORE}-{kind}", words.id));
    let topics =
        [words.input.clone(), words.output.clone(), internal[0].clone(), internal[1].clone()];
    for (topic, partition) in topics.iter().zip((0..PARTITIONS).cycle()) {
        cluster.move_leader(&TopicPartition::new(topic.as_str(), partition)).await;
        words.say(&lines(50)).await;
        words.wait_for_counts_at_least().await;
    }
    tokio::time::timeout(Duration::from_secs(30), app.wait_until_running()).await.unwrap().unwrap();
    close(app).await;
    assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
}
