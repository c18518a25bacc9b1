//! How a driver ends: nobody waits for ever.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use millstream_client_core::EngineConfig;
use millstream_client_core::admin::list_topics;
use millstream_client_core::connection::{Dial, Transmit};

use super::*;
use crate::error::ClientClosed;
use crate::net::{Dialing, Transport};

/// A peer that takes everything and says nothing.
struct Silent;

impl Transport for Silent {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut BytesMut) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &Transmit) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(usize::try_from(bytes.len()).unwrap()))
    }
}

impl Connector for Silent {
    fn dial(&self, _: Dial) -> Dialing {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Transport>) })
    }
}

/// A connector with a bug.
struct Panics;

impl Connector for Panics {
    fn dial(&self, dial: Dial) -> Dialing {
        panic!("no way to {}", dial.endpoint)
    }
}

fn start(connector: impl Connector + 'static) -> ClientHandle {
    let endpoint = millstream_client_core::Endpoint { host: "peer".to_owned(), port: 1 };
    let engine = Engine::new(&EngineConfig::new(vec![endpoint]), None, None);
    let io = IoThread::start("test").unwrap();
    spawn(&io, engine, Arc::new(connector), ())
}

/// Calls, on a runtime of its own.
fn call(handle: &ClientHandle) -> Result<(), ClientClosed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let call = handle.call(list_topics());
    let limited = async { tokio::time::timeout(Duration::from_secs(30), call).await };
    runtime.block_on(limited).expect("the call returns").map(drop)
}

#[test]
fn a_shutdown_ends_the_calls_that_wait() {
    let handle = start(Silent);
    let other = handle.clone();
    let waiting = std::thread::spawn(move || call(&other));
    while !handle.has_waiting_calls() {
        std::thread::yield_now();
    }
    handle.shutdown();
    assert_eq!(waiting.join().unwrap(), Err(ClientClosed));
    assert_eq!(call(&handle), Err(ClientClosed));
    assert!(handle.is_closed());
}

#[test]
fn a_panic_of_the_driver_ends_the_calls_that_wait() {
    let handle = start(Panics);
    assert_eq!(call(&handle), Err(ClientClosed));
    assert!(handle.is_closed());
}
