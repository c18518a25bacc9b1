//! The shell of an engine: one future per client, on an I/O thread, that moves bytes, arms the one
//! timer and hands out what the engine says. It decides nothing about the protocol.

mod future;
mod handle;
mod io_thread;
mod ready;

use std::sync::Arc;

use millstream_client_core::Engine;

pub use io_thread::IoThread;

pub(crate) use handle::{ClientHandle, EventSink};

use crate::net::Connector;

/// Starts the driver of `engine` on `io`. Events other than completed calls go to `sink`.
pub(crate) fn spawn(
    io: &IoThread,
    engine: Engine,
    connector: Arc<dyn Connector>,
    sink: impl EventSink,
) -> ClientHandle {
    let handle = ClientHandle::new(io.clone());
    io.spawn(future::Driver::new(engine, connector, handle.shared(), io.clone(), Box::new(sink)));
    handle
}

#[cfg(test)]
mod tests;
