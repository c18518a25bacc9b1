//! Sockets behind a small trait, so that TLS and the in-memory network of tests slot in.

mod tcp;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use millstream_client_core::connection::{Dial, Transmit};

pub(crate) use tcp::{SocketOptions, TcpConnector};

/// A connected byte stream. Both verbs move as much as goes without waiting, and register the
/// waker of `cx` when they would have to.
pub(crate) trait Transport: Send {
    /// Reads into the spare capacity of `buffer`: how many bytes came, 0 at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut)
    -> Poll<io::Result<usize>>;

    /// Writes from the front of `transmit`, without advancing it: how many bytes went.
    fn poll_write(&mut self, cx: &mut Context<'_>, transmit: &Transmit) -> Poll<io::Result<usize>>;
}

/// A connection being made.
pub(crate) type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// Makes connections.
pub(crate) trait Connector: Send + Sync {
    /// Begins a connection as `dial` says. The engine bounds how long it may take.
    fn dial(&self, dial: Dial) -> Dialing;
}
