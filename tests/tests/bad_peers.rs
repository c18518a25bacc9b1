//! Addresses where no Kafka answers: every client says what it met and where, within its time.

use std::time::{Duration, Instant};

use millstream_client::{Admin, Consumer, ErrorClass, Producer, Record};
use millstream_tests::deadline::{run, step};
use millstream_tests::peers::{HTTP, Peer, TLS, TWO_GIGABYTES};
use millstream_types::TopicPartition;

/// How long each client may try.
const PATIENCE: Duration = Duration::from_millis(600);
/// How long each of their requests may take.
const REQUEST: &str = "200";
/// What ends later than this hangs.
const HANG: Duration = Duration::from_secs(8);

/// What the admin client, a producer and a consumer say of an address.
async fn complaints(address: &str) -> [String; 3] {
    let millis = PATIENCE.as_millis().to_string();
    let begun = Instant::now();
    step(format!("an admin client at {address}"));
    let admin = Admin::builder([address])
        .property("default.api.timeout.ms", &*millis)
        .property("request.timeout.ms", REQUEST);
    let admin = admin.connect().await.unwrap_err();
    assert_eq!(admin.class(), ErrorClass::Retriable, "{admin}");
    step("a producer");
    let producer = Producer::builder([address]).max_block(PATIENCE);
    let producer = producer.property("request.timeout.ms", REQUEST);
    let producer = producer.build().await.expect("a producer");
    let sent = producer.send(&Record::to("topic").value("v")).await.unwrap_err();
    step("a consumer");
    let consumer = Consumer::reader([address])
        .property("default.api.timeout.ms", &*millis)
        .property("request.timeout.ms", REQUEST);
    let consumer = consumer.build().await.expect("a reader");
    let ends = consumer.end_offsets([TopicPartition::new("topic", 0)]).await.unwrap_err();
    step("closing");
    consumer.close(PATIENCE).await.expect("it closes");
    producer.close(PATIENCE).await;
    assert!(begun.elapsed() < HANG, "the errors came late");
    [admin.to_string(), sent.to_string(), ends.to_string()]
}

/// Runs the clients against a peer; each must say all of this.
fn expect(name: &'static str, peer: Peer, words: &'static [&'static str]) {
    run(name, Duration::from_secs(30), move || async move {
        let address = peer.start().await;
        for complaint in complaints(&address).await {
            assert!(complaint.contains(&address), "{complaint}");
            for word in words {
                assert!(complaint.contains(word), "{word:?} is not said: {complaint}");
            }
        }
    });
}

#[test]
fn a_web_server() {
    expect("a_web_server", HTTP, &["HTTP"]);
}

#[test]
fn a_tls_listener() {
    expect("a_tls_listener", TLS, &["TLS", "security protocol"]);
}

#[test]
fn two_gigabytes_at_once() {
    expect("two_gigabytes_at_once", Peer::Says(TWO_GIGABYTES), &["2147483647 bytes"]);
}

#[test]
fn two_gigabytes_after_the_introduction() {
    let peer = Peer::IsBrokerAndSays(TWO_GIGABYTES);
    expect("two_gigabytes_after_the_introduction", peer, &["2147483647 bytes"]);
}

#[test]
fn an_answer_that_is_no_answer() {
    // A frame of ten bytes whose correlation id nobody asked for.
    let peer = Peer::IsBrokerAndSays(&[0, 0, 0, 10, 0x55, 0x55, 0x55, 0x55, 1, 2, 3, 4, 5, 6]);
    expect("an_answer_that_is_no_answer", peer, &["not the next request"]);
}

#[test]
fn silence() {
    expect("silence", Peer::IsSilent, &["a connection to"]);
}

#[test]
fn a_peer_that_hangs_up() {
    expect("a_peer_that_hangs_up", Peer::HangsUp, &["connection"]);
}

#[test]
fn nobody() {
    run("nobody", Duration::from_secs(30), || async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        for complaint in complaints(&address).await {
            assert!(complaint.contains(&address) && complaint.contains("refused"), "{complaint}");
        }
    });
}

#[test]
fn a_name_that_nobody_has() {
    run("a_name_that_nobody_has", Duration::from_secs(30), || async {
        for complaint in complaints("no-such-host.invalid:9092").await {
            assert!(complaint.contains("no-such-host.invalid:9092"), "{complaint}");
        }
    });
}
