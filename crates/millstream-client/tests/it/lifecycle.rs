//! The shell around an engine: threads, dropping, calls given up, brokers that come and go.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use millstream_broker::Broker;
use millstream_client::{Admin, IoThread, NewTopic};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::unique;

#[tokio::test]
async fn dropping_the_last_clone_closes_the_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let admin = Admin::builder([address]).build().unwrap();
    let clone = admin.clone();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 1024];
    assert!(stream.read(&mut bytes).await.unwrap() > 0, "it opens with ApiVersions");
    drop(admin);
    let waited = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut bytes)).await;
    assert!(waited.is_err(), "a clone is left");
    drop(clone);
    assert_eq!(stream.read(&mut bytes).await.unwrap(), 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_does_no_harm() {
    let cluster = Broker::in_process().start().await.unwrap();
    let admin = Admin::connect([cluster.bootstrap()]).await.unwrap();
    let topic = unique("topic");
    // A future can be dropped before it was polled, after, and after it was woken.
    drop(admin.list_topics());
    for polls in 1..4 {
        let name = format!("{topic}-{polls}");
        let mut call = Box::pin(admin.create_topics([NewTopic::new(&*name, 1)]));
        for _ in 0..polls {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending() || polls > 1);
            if polled.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        crate::support::eventually("the topic is made all the same", || async {
            admin.list_topics().await.unwrap().contains_key(&*name)
        })
        .await;
    }
}

#[tokio::test]
async fn clients_share_a_thread() {
    let cluster = Broker::in_process().nodes(2).start().await.unwrap();
    let io = IoThread::start("shared").unwrap();
    let connect = || Admin::builder([cluster.bootstrap()]).io_thread(&io).connect();
    let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
    drop(io);
    assert_eq!(first.describe_cluster().await.unwrap().brokers.len(), 2);
    drop(first);
    assert_eq!(second.describe_cluster().await.unwrap().brokers.len(), 2);
}

#[tokio::test]
async fn brokers_that_come_and_go_are_followed() {
    let cluster = Broker::in_process().nodes(3).start().await.unwrap();
    let admin = Admin::connect([cluster.bootstrap()]).await.unwrap();
    for round in 0..2 {
        for node in 1..=3 {
            cluster.crash_node(node).await.unwrap();
            let topic = format!("topic-{round}-{node}");
            admin.create_topics([NewTopic::new(topic, 1).replication(2)]).await.unwrap();
            cluster.restart_node(node).await.unwrap();
        }
    }
    assert_eq!(admin.list_topics().await.unwrap().len(), 6);
}

/// Runs a future on a thread without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[tokio::test]
async fn calls_need_no_runtime() {
    let cluster = Broker::in_process().start().await.unwrap();
    let bootstrap = cluster.bootstrap();
    let brokers = thread::spawn(move || {
        block_on(async {
            let admin = Admin::connect([bootstrap]).await.unwrap();
            admin.describe_cluster().await.unwrap().brokers.len()
        })
    });
    let brokers = tokio::task::spawn_blocking(|| brokers.join().unwrap()).await.unwrap();
    assert_eq!(brokers, 1);
}
