//! Streams applications: what they count is right, whatever comes, goes, fails or is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use millstream::{
    Close, KafkaStreams, KafkaStreamsState, LogAndContinue, StartError, StateDirError,
    StreamsError, UncaughtResponse,
};
use millstream_client::Record;
use millstream_client::admin::ConfigResource;
use millstream_types::TopicName;

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};
use crate::reading::ends;
use crate::streams::{
    WordCount, assert_stores_agree_with_changelogs, assert_stores_equal_changelogs,
    changelog_topics, close, death, lines, run,
};

/// Words are counted right, through a repartition topic, into stores that equal their changelog.
pub async fn words_are_counted(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(500)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    words.say(&lines(300)).await;
    words.wait_for_counts().await;
    assert_eq!(app.metrics().restored, 0);
    assert!(app.metrics().processed >= 800 * 6, "{:?}", app.metrics());
    close(app).await;
    assert_stores_equal_changelogs(&words, &[words.state()]).await;
}

/// After a clean close nothing is restored, and counting goes on where it stopped.
pub async fn a_restart_goes_on(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(200)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    close(app).await;
    words.say(&lines(200)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    assert_eq!((app.metrics().restored, app.metrics().wiped), (0, 0));
    close(app).await;
    assert_stores_equal_changelogs(&words, &[words.state()]).await;
}

/// State that was deleted comes back from the changelog.
pub async fn lost_state_is_restored(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(200)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    close(app).await;
    words.delete_state();
    words.say(&lines(200)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    assert!(app.metrics().restored > 0);
    assert_eq!(app.metrics().wiped, 0, "what is not there is not wiped");
    close(app).await;
    assert_stores_equal_changelogs(&words, &[words.state()]).await;
}

/// Two instances share the tasks; when one leaves, the other has them all.
pub async fn instances_share_and_take_over(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(200)).await;
    let first = words.start().await;
    words.wait_for_counts().await;
    let other = words.other_state();
    let second = run(words.builder_in(&other)).await;
    let shared = eventually("both run", || async {
        [&first, &second].iter().all(|app| app.state() == KafkaStreamsState::Running)
    });
    shared.await;
    while second.metrics().processed == 0 {
        words.say(&lines(100)).await;
        words.wait_for_counts().await;
    }
    close(first).await;
    words.say(&lines(200)).await;
    words.wait_for_counts().await;
    // The first comes back to its old state, and catches up with what it missed.
    let first = words.start().await;
    close(second).await;
    words.say(&lines(200)).await;
    words.wait_for_counts().await;
    close(first).await;
    assert_stores_equal_changelogs(&words, &[words.state(), &other]).await;
}

/// Repartition and changelog topics have Java's names, partitions and settings; committed offsets
/// carry Java's metadata.
pub async fn internal_topics_are_javas(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(100)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    close(app).await;

    let repartition = format!("{}-{}-repartition", words.id, crate::streams::STORE);
    let changelog = format!("{}-{}-changelog", words.id, crate::streams::STORE);
    assert_eq!(changelog_topics(&words), [changelog.as_str()]);
    let topics = [repartition.as_str(), &changelog];
    let described = cluster.admin().describe_topics(topics).await.unwrap();
    for topic in described.values() {
        assert_eq!(topic.partitions.len(), 4, "{}", topic.name);
    }
    let resources = topics.map(|topic| ConfigResource::Topic(topic.into()));
    let configs = cluster.admin().describe_configs(resources).await.unwrap();
    let check = |topic: &str, expected: &[(&str, &str)]| {
        let found = &configs[&ConfigResource::Topic(topic.into())];
        for (name, value) in expected {
            assert_eq!(found[*name].value.as_deref(), Some(*value), "{name} of {topic}");
        }
    };
    check(
        &repartition,
        &[
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("segment.bytes", "52428800"),
            ("message.timestamp.type", "CreateTime"),
        ],
    );
    check(&changelog, &[("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime")]);

    let committed = cluster.admin().group_offsets(words.id.as_str()).await.unwrap();
    for topic in [words.input.as_str(), &repartition] {
        for (partition, end) in ends(cluster, topic).await {
            let offset = &committed[&partition];
            assert_eq!(offset.offset, end, "{partition} is read to its end");
            // Base64 of version 2 and the partition's time, eight bytes: `TopicPartitionMetadata`.
            assert!(offset.metadata.starts_with("Ag") && offset.metadata.len() == 12, "{offset:?}");
        }
    }
}

/// An application whose input is not there says so, and ends.
pub async fn a_missing_input_topic_is_an_error(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.input = unique("nowhere");
    let app = words.builder().start().await.unwrap();
    let error = death(&app).await;
    let StreamsError::MissingSourceTopic { topics } = &error else { panic!("{error:?}") };
    assert_eq!(topics[..], [TopicName::from(words.input.as_str())]);
    assert!(app.wait_until_running().await.is_err());
    assert!(app.close(Close::within(Duration::from_secs(5))).await);
}

/// An input that is deleted while the application runs ends it with an error.
pub async fn a_deleted_input_topic_is_an_error(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(100)).await;
    let app = run(words.builder().property("metadata.max.age.ms", "500")).await;
    words.wait_for_counts().await;
    step("delete the input");
    cluster.admin().delete_topics([words.input.as_str()]).await.unwrap();
    let error = death(&app).await;
    assert!(
        matches!(error, StreamsError::MissingSourceTopic { .. } | StreamsError::Fetch(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains(&words.input), "{error}");
}

/// State of another cluster is wiped, and built from the changelog that counts.
pub async fn state_of_another_cluster_is_wiped(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    let elsewhere = TestCluster::in_process().await;
    let mut foreign = WordCount::new(&elsewhere).await;
    foreign.id.clone_from(&words.id);
    foreign.say(&lines(100)).await;
    let app = run(foreign.builder_in(words.state())).await;
    foreign.wait_for_counts().await;
    close(app).await;

    words.say(&lines(150)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    assert_eq!(app.metrics().wiped, 4, "a store for each task");
    close(app).await;
    assert_stores_equal_changelogs(&words, &[words.state()]).await;
}

/// State of a changelog that was deleted is wiped: what counts is the one that is there.
pub async fn state_of_a_recreated_changelog_is_wiped(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(100)).await;
    let app = words.start().await;
    words.wait_for_counts().await;
    close(app).await;
    let changelogs = changelog_topics(&words);
    cluster.admin().delete_topics(changelogs.iter().map(String::as_str)).await.unwrap();
    eventually("the changelog is gone", || async {
        let topics = cluster.admin().list_topics().await.unwrap();
        !topics.contains_key(changelogs[0].as_str())
    })
    .await;
    let app = words.start().await;
    assert_eq!(app.metrics().wiped, 4, "a store for each task");
    words.forget();
    words.say(&lines(70)).await;
    words.wait_for_counts().await;
    close(app).await;
    assert_stores_equal_changelogs(&words, &[words.state()]).await;
}

/// One folder serves one instance.
pub async fn a_state_directory_in_use_is_an_error(cluster: &TestCluster) {
    let words = WordCount::new(cluster).await;
    let app = words.builder().start().await.unwrap();
    let error = words.builder().start().await.unwrap_err();
    assert!(matches!(error, StartError::StateDir(StateDirError::InUse(_))), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    close(app).await;
    close(words.start().await).await;
}

/// A record that is no text ends the application, or is passed over: as its handler says.
pub async fn unreadable_records_are_met(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    let producer = cluster.producer().build().await.unwrap();
    let record = Record::to(&words.input).partition(0).value(&[0xff_u8, 0xfe]);
    producer.send(&record).await.unwrap();
    words.say(&lines(20)).await;
    let app = words.builder().start().await.unwrap();
    let error = death(&app).await;
    assert!(matches!(error, StreamsError::Task { .. }), "{error:?}");
    assert!(error.to_string().contains(&words.input), "{error}");
    assert!(app.close(Close::within(Duration::from_secs(10))).await);

    // What was counted but not committed is counted again.
    let app = run(words.builder().deserialization_handler(LogAndContinue)).await;
    words.wait_for_counts_at_least().await;
    assert_eq!(app.metrics().dropped, 1);
    close(app).await;
}

/// A panic in user code costs a thread; its replacement goes on from the last commit.
pub async fn a_replaced_thread_goes_on(cluster: &TestCluster) {
    let armed = Arc::new(AtomicBool::new(true));
    let trigger = armed.clone();
    let mut words = WordCount::visited(cluster, move |word| {
        assert!(word != "bomb" || !trigger.swap(false, Ordering::SeqCst), "the bomb went off");
    })
    .await;
    let panics = Arc::new(AtomicU32::new(0));
    let counted = panics.clone();
    let builder = words.builder().uncaught_handler(move |error| {
        if matches!(error, StreamsError::Panic { message, .. } if message.contains("bomb")) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        UncaughtResponse::ReplaceThread
    });
    let app = run(builder).await;
    words.say(&lines(200)).await;
    words.wait_for_counts().await;
    words.say(&["the bomb".to_owned()]).await;
    words.say(&lines(200)).await;
    words.wait_for_counts_at_least().await;
    assert_eq!(panics.load(Ordering::SeqCst), 1);
    assert_eq!(app.metrics().threads_replaced, 1);
    assert!(!armed.load(Ordering::SeqCst));
    close(app).await;
    assert_stores_agree_with_changelogs(&words, &[words.state()]).await;
}

/// Without a handler an error closes the instance, with the error for its owner.
pub async fn an_error_closes_the_instance(cluster: &TestCluster) {
    let mut words = WordCount::visited(cluster, |word| assert_ne!(word, "bomb")).await;
    let app = words.start().await;
    words.say(&["the bomb".to_owned()]).await;
    let error = death(&app).await;
    assert!(matches!(error, StreamsError::Panic { .. }), "{error:?}");
    assert!(error.to_string().starts_with("user code panicked in task 1_"), "{error}");
    let waited = app.wait_until_running().await;
    assert!(matches!(waited, Err(StreamsError::Panic { .. })), "{waited:?}");
    assert!(app.close(Close::within(Duration::from_secs(10))).await);
    assert_eq!(app.state(), KafkaStreamsState::Error, "an error stays one");
}

/// One instance can end them all.
pub async fn all_instances_shut_down_together(cluster: &TestCluster) {
    let mut words = WordCount::visited(cluster, |word| assert_ne!(word, "bomb")).await;
    let builder = |folder| {
        let builder = words.builder_in(folder).threads(1);
        builder.uncaught_handler(|_| UncaughtResponse::ShutdownApplication)
    };
    let other = words.other_state();
    let first = run(builder(words.state())).await;
    let second = run(builder(&other)).await;
    words.say(&["the bomb".to_owned()]).await;
    let errors = [death(&first).await, death(&second).await];
    let is = |wanted: fn(&StreamsError) -> bool| errors.iter().filter(|e| wanted(e)).count();
    assert_eq!(is(|error| matches!(error, StreamsError::Panic { .. })), 1, "{errors:?}");
    assert_eq!(is(|error| matches!(error, StreamsError::ShutdownRequested)), 1, "{errors:?}");
}

/// States come in the order that is promised, for whoever awaits them.
pub async fn states_can_be_awaited(cluster: &TestCluster) {
    let words = WordCount::new(cluster).await;
    let app = words.builder().start().await.unwrap();
    assert!([KafkaStreamsState::Rebalancing, KafkaStreamsState::Running].contains(&app.state()));
    app.wait_until_running().await.unwrap();
    assert_eq!(app.state(), KafkaStreamsState::Running);
    let (closed, state) = tokio::join!(
        app.close(Close::within(Duration::from_secs(20))),
        app.wait_until(|state| state == KafkaStreamsState::PendingShutdown),
    );
    assert!(closed);
    assert!([KafkaStreamsState::PendingShutdown, KafkaStreamsState::NotRunning].contains(&state));
    assert!(app.close(Close::within(Duration::from_secs(1))).await, "closing again is no error");
    let waited = app.wait_until_running().await;
    assert!(matches!(waited, Err(StreamsError::Closed)), "{waited:?}");
    let app: KafkaStreams = words.start().await;
    drop(app);
    let again = eventually("a dropped application lets go of its state", || async {
        words.builder().start().await.is_ok()
    });
    again.await;
}

/// Repartition topics are emptied of what is committed.
pub async fn repartition_topics_are_purged(cluster: &TestCluster) {
    let mut words = WordCount::new(cluster).await;
    words.say(&lines(100)).await;
    let app = run(words.builder().property("repartition.purge.interval.ms", "200")).await;
    words.wait_for_counts().await;
    let repartition = format!("{}-{}-repartition", words.id, crate::streams::STORE);
    eventually("what is committed is deleted", || async {
        let ends = ends(cluster, &repartition).await;
        let specs = ends.keys().map(|p| (p.clone(), millstream_client::OffsetSpec::Earliest));
        let starts = cluster.admin().list_offsets(specs).await.unwrap();
        let starts: BTreeMap<_, _> =
            starts.into_iter().filter_map(|(p, listed)| Some((p, listed.offset?))).collect();
        starts == ends
    })
    .await;
    words.say(&lines(100)).await;
    words.wait_for_counts().await;
    close(app).await;
}
