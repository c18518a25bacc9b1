//! Peers that are no brokers, and brokers that are not there.

use std::time::{Duration, Instant};

use millstream_client::{Admin, Properties};
use millstream_protocol::ErrorClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A peer that answers whatever comes with these bytes and closes; gives its address.
async fn peer_that_says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            // Waits for the client to close, so that the answer is not lost to a reset.
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
        }
    });
    address
}

async fn connect_error(address: &str) -> (String, ErrorClass) {
    let properties = Properties::from_iter([("default.api.timeout.ms", "400")]);
    let builder = Admin::builder([address]).properties(&properties);
    let begun = Instant::now();
    let error = builder.connect().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "the error came late");
    (error.to_string(), error.class())
}

#[tokio::test]
async fn a_web_server_is_recognised() {
    let address = peer_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (error, class) = connect_error(&address).await;
    assert!(error.contains(&format!("the cluster at {address}")), "{error}");
    assert!(error.contains("these bytes are an HTTP answer"), "{error}");
    assert_eq!(class, ErrorClass::Retriable);
}

#[tokio::test]
async fn a_tls_listener_is_recognised() {
    // The alert that rustls and the JDK send to plain text.
    let address = peer_that_says(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]).await;
    let (error, _) = connect_error(&address).await;
    assert!(error.contains("these bytes are a TLS record"), "{error}");
    assert!(error.contains("of the same security protocol"), "{error}");
}

#[tokio::test]
async fn an_absurd_length_is_refused() {
    let address = peer_that_says(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]).await;
    let (error, _) = connect_error(&address).await;
    assert!(error.contains("announced a frame of 2147483647 bytes"), "{error}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_named() {
    let address = peer_that_says(b"").await;
    let (error, _) = connect_error(&address).await;
    assert!(error.contains("last error"), "{error}");
}

#[tokio::test]
async fn an_absent_broker_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (error, _) = connect_error(&address).await;
    assert!(error.contains(&address) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_without_address_is_named() {
    let (error, _) = connect_error("no-such-host.invalid:9092").await;
    assert!(error.contains("no-such-host.invalid:9092"), "{error}");
}

#[tokio::test]
async fn an_answer_above_the_cap_is_refused() {
    let cluster = millstream_broker::Broker::in_process().nodes(3).start().await.unwrap();
    let admin = || {
        Admin::builder([cluster.bootstrap()])
            .api_timeout(Duration::from_millis(400))
            .receive_max_bytes(60)
    };
    let error = admin().connect().await.unwrap_err().to_string();
    assert!(error.contains("where at most 60 are taken"), "{error}");
    assert!(admin().receive_max_bytes(100_000).connect().await.is_ok());
}
