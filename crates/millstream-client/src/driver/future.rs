//! The driver: one future that moves bytes between sockets and one engine.
//!
//! Each poll takes what the application posted, serves the sockets that are ready, lets the engine
//! act, and hands out what it says, until nothing is left to do without waiting. Sockets are
//! drained by plain non-blocking reads and writes; a wake-up costs a look at the sockets that
//! caused it and at no others. One timer is armed, for the engine's next deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use millstream_client_core::connection::{ConnectionId, Dial};
use millstream_client_core::engine::Action;
use millstream_client_core::{Engine, Event};
use tokio::time::{Sleep, sleep_until};

use super::handle::{EventSink, Shared, lock};
use super::io_thread::IoThread;
use crate::metrics::NetworkMetrics;
use crate::net::{Connector, Dialing, Transport};
use crate::observe;

/// How many bytes one socket may deliver before the others have their turn.
const READ_TURN_MAX: usize = 4 * 1024 * 1024;

/// How many times one poll goes round before it lets other futures of the thread run.
const ROUNDS_MAX: usize = 16;

/// The driver of one client.
pub(super) struct Driver {
    engine: Engine,
    connector: Arc<dyn Connector>,
    shared: Arc<Shared>,
    sink: Box<dyn EventSink>,
    sockets: BTreeMap<ConnectionId, Socket>,
    ready: Vec<ConnectionId>,
    timer: Option<Pin<Box<Sleep>>>,
    finished: bool,
    network: NetworkMetrics,
    /// Keeps the thread alive as long as the driver.
    _io: IoThread,
}

/// A connection's socket, or the making of it.
struct Socket {
    waker: Waker,
    state: SocketState,
}

enum SocketState {
    Dialing(Dialing),
    Open(Box<dyn Transport>),
}

impl Driver {
    pub(super) fn new(
        engine: Engine,
        connector: Arc<dyn Connector>,
        shared: Arc<Shared>,
        io: IoThread,
        sink: Box<dyn EventSink>,
    ) -> Self {
        Self {
            engine,
            connector,
            shared,
            sink,
            sockets: BTreeMap::new(),
            ready: Vec::new(),
            timer: None,
            finished: false,
            network: NetworkMetrics::default(),
            _io: io,
        }
    }

    /// One round: everything in, the engine, everything out. Returns whether it did anything.
    fn round(&mut self, now: Instant) -> bool {
        let (commands, shutdown) = self.shared.take();
        let mut busy = !commands.is_empty();
        for (id, command) in commands {
            self.engine.handle_command(now, id, command);
        }
        self.finished |= shutdown;
        let mut ready = std::mem::take(&mut self.ready);
        self.shared.ready.take(&mut ready);
        busy |= !ready.is_empty();
        for id in ready.drain(..) {
            self.serve(now, id);
        }
        self.ready = ready;
        self.engine.poll(now);
        busy |= self.hand_out(now);
        if busy {
            *lock(&self.shared.network) = self.network;
        }
        self.sink.round(now, busy, &self.network);
        busy
    }

    /// Does what the engine says.
    fn hand_out(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(action) = self.engine.poll_action() {
            busy = true;
            match action {
                Action::Dial(dial) => self.dial(dial),
                Action::Close(id) => self.forget(id),
            }
        }
        while let Some(id) = self.engine.poll_writable() {
            busy = true;
            self.write(now, id);
        }
        while let Some(event) = self.engine.poll_event() {
            busy = true;
            match event {
                Event::Completed(id, completion) => self.shared.complete(id, completion),
                Event::Finished => self.finished = true,
                event => self.sink.handle_event(event),
            }
        }
        let requests = self.engine.requests_sent();
        if requests != self.network.request_total {
            observe::requests_sent(requests - self.network.request_total);
            self.network.request_total = requests;
        }
        busy
    }

    fn dial(&mut self, dial: Dial) {
        let id = dial.connection;
        let socket = Socket {
            waker: self.shared.ready.connection_waker(id),
            state: SocketState::Dialing(self.connector.dial(dial)),
        };
        self.sockets.insert(id, socket);
        // A first poll sets it going.
        self.shared.ready.push(id);
    }

    /// A socket is ready for something.
    fn serve(&mut self, now: Instant, id: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        if let SocketState::Dialing(dialing) = &mut socket.state {
            match dialing.as_mut().poll(&mut Context::from_waker(&socket.waker)) {
                Poll::Pending => return,
                Poll::Ready(Ok(transport)) => {
                    observe::connected();
                    self.network.connection_creation_total += 1;
                    socket.state = SocketState::Open(transport);
                    self.engine.handle_connected(now, id);
                }
                Poll::Ready(Err(error)) => {
                    observe::connection_failed();
                    self.network.connection_failure_total += 1;
                    return self.disconnected(now, id, &error.to_string());
                }
            }
        }
        self.write(now, id);
        self.read(now, id);
    }

    /// Reads until the socket would block or its turn is over.
    fn read(&mut self, now: Instant, id: ConnectionId) {
        let mut turn = 0;
        while let Some(Socket { waker, state: SocketState::Open(transport) }) =
            self.sockets.get_mut(&id)
        {
            // The engine may have closed the connection over what it just read.
            let Some(buffer) = self.engine.receive_buffer(id) else {
                return;
            };
            match transport.poll_read(&mut Context::from_waker(waker), buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => {
                    return self.disconnected(now, id, "the broker closed the connection");
                }
                Poll::Ready(Ok(count)) => {
                    observe::bytes_received(count);
                    self.network.incoming_byte_total += count as u64;
                    self.engine.handle_received(now, id);
                    turn += count;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return self.disconnected(now, id, &error.to_string()),
            }
            if turn >= READ_TURN_MAX {
                return self.shared.ready.push(id);
            }
        }
    }

    /// Writes until the socket would block or nothing is left.
    fn write(&mut self, now: Instant, id: ConnectionId) {
        while let Some(Socket { waker, state: SocketState::Open(transport) }) =
            self.sockets.get_mut(&id)
        {
            let Some(transmit) = self.engine.transmit(id).filter(|bytes| !bytes.is_empty()) else {
                return;
            };
            match transport.poll_write(&mut Context::from_waker(waker), transmit) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => {
                    return self.disconnected(now, id, "the socket takes no more bytes");
                }
                Poll::Ready(Ok(count)) => {
                    observe::bytes_sent(count);
                    self.network.outgoing_byte_total += count as u64;
                    self.engine.handle_written(id, count);
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return self.disconnected(now, id, &error.to_string()),
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        let socket = self.sockets.remove(&id);
        if socket.is_some_and(|socket| matches!(socket.state, SocketState::Open(_))) {
            self.network.connection_close_total += 1;
        }
    }

    fn disconnected(&mut self, now: Instant, id: ConnectionId, reason: &str) {
        self.forget(id);
        self.engine.handle_disconnected(now, id, reason);
    }

    /// Arms the timer for the engine's next deadline. Returns whether that has passed already.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let deadlines = [self.engine.poll_timeout(), self.sink.next_round()];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            self.timer = None;
            return false;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                timer
            }
            None => self.timer.insert(Box::pin(sleep_until(deadline))),
        };
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.ready.begin(cx.waker());
        for _ in 0..ROUNDS_MAX {
            let busy = this.round(Instant::now());
            if this.finished {
                return Poll::Ready(());
            }
            if !busy && !this.arm(cx) {
                return Poll::Pending;
            }
        }
        // More to do, but other futures share this thread.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// However the driver ends, by its own decision, by a panic or with its runtime, nobody waits for
/// an answer that will not come.
impl Drop for Driver {
    fn drop(&mut self) {
        self.sink.finish(&self.network);
        self.shared.close();
    }
}
