//! How a driver ends: nobody waits for ever.

use std::io;

use bytes::BytesMut;
use millstream_client_core::EngineConfig;
use millstream_client_core::admin::AdminCommand;
use millstream_client_core::connection::{Dial, Transmit};

use super::*;
use crate::error::{BlockingCallError, ClientClosed};
use crate::net::{Dialing, Transport};

use std::task::{Context, Poll};
use std::time::Duration;

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

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_shutdown_ends_the_calls_that_wait() {
    let handle = start(Silent);
    let other = handle.clone();
    let waiting =
        std::thread::spawn(move || other.call_blocking(AdminCommand::DescribeCluster, LONG));
    while !handle.has_waiting_calls() {
        std::thread::yield_now();
    }
    handle.shutdown();
    let result = waiting.join().unwrap();
    assert!(matches!(result, Err(BlockingCallError::Closed(ClientClosed))), "{result:?}");
    let later = handle.call_blocking(AdminCommand::DescribeCluster, LONG);
    assert!(matches!(later, Err(BlockingCallError::Closed(ClientClosed))), "{later:?}");
    assert!(handle.is_closed());
}

#[test]
fn a_panic_of_the_driver_ends_the_calls_that_wait() {
    let handle = start(Panics);
    let result = handle.call_blocking(AdminCommand::DescribeCluster, LONG);
    assert!(matches!(result, Err(BlockingCallError::Closed(ClientClosed))), "{result:?}");
    assert!(handle.is_closed());
}

#[test]
fn a_blocking_call_gives_up_in_time() {
    let handle = start(Silent);
    let result = handle.call_blocking(AdminCommand::DescribeCluster, Duration::from_millis(10));
    assert!(matches!(result, Err(BlockingCallError::TimedOut)), "{result:?}");
    handle.shutdown();
}
