//! The task of one connection: reads frames, writes answers, decides nothing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use millstream_protocol::frame::FrameDecoder;
use millstream_types::BrokerId;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::hub::SharedHub;
use crate::core::ConnectionId;

/// The room that is made when there is too little.
const READ_SIZE: usize = 64 * 1024;
/// The least room that a read is worth.
const READ_AT_LEAST: usize = 4 * 1024;
/// The most room that is made for the rest of a large frame at once.
const READ_AHEAD: usize = 1024 * 1024;
/// How often a socket is read before others get their turn.
const READS_IN_A_ROW: usize = 16;
/// The chunks handed to one vectored write.
const CHUNKS_PER_WRITE: usize = 64;

/// Serves a connection until either side closes it.
pub(super) async fn serve(stream: TcpStream, node: BrokerId, hub: Arc<SharedHub>, limit: usize) {
    let wake = Arc::new(Notify::new());
    let id = hub.connect(node, Arc::clone(&wake));
    let connection = Connection {
        id,
        stream,
        hub: Arc::clone(&hub),
        decoder: FrameDecoder::new(limit),
        writing: VecDeque::new(),
    };
    if let Err(error) = connection.run(&wake).await {
        debug!(%id, %error, "the connection broke");
    }
    hub.disconnect(id);
}

struct Connection {
    id: ConnectionId,
    stream: TcpStream,
    hub: Arc<SharedHub>,
    decoder: FrameDecoder,
    writing: VecDeque<Bytes>,
}

impl Connection {
    async fn run(mut self, wake: &Notify) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            let taken = self.hub.take(self.id, &mut self.writing);
            self.write()?;
            if taken.reset {
                return self.stream.set_zero_linger();
            }
            if taken.closed {
                return Ok(());
            }
            let interest = match (taken.may_read, self.writing.is_empty()) {
                (true, true) => Some(Interest::READABLE),
                (true, false) => Some(Interest::READABLE | Interest::WRITABLE),
                (false, false) => Some(Interest::WRITABLE),
                (false, true) => None,
            };
            let Some(interest) = interest else {
                wake.notified().await;
                continue;
            };
            tokio::select! {
                ready = self.stream.ready(interest) => {
                    if ready?.is_readable() && taken.may_read && !self.read()? {
                        return Ok(());
                    }
                }
                () = wake.notified() => {}
            }
        }
    }

    /// Reads what is there; `false` once the client closed its side.
    fn read(&mut self) -> io::Result<bool> {
        for _ in 0..READS_IN_A_ROW {
            self.make_room();
            match self.stream.try_read_buf(self.decoder.buffer()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if !self.handle_frames() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes room to read into. Batches that the log keeps share the buffer they were read into, so
    /// it is filled to its end before there is another.
    fn make_room(&mut self) {
        let missing = self.decoder.missing().ok().flatten().unwrap_or(0).min(READ_AHEAD);
        let buffer = self.decoder.buffer();
        let room = buffer.capacity() - buffer.len();
        if room < missing.max(READ_AT_LEAST) {
            buffer.reserve(missing.max(READ_SIZE));
        }
    }

    /// Hands whole frames to the core; `false` if the stream is no Kafka client's.
    fn handle_frames(&mut self) -> bool {
        let (id, decoder) = (self.id, &mut self.decoder);
        self.hub.with(|cluster| {
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => cluster.handle_frame(id, Instant::now(), frame),
                    Ok(None) => {
                        if let Some((_, partial)) = decoder.buffer().split_first_chunk::<4>() {
                            cluster.handle_partial_frame(id, partial);
                        }
                        return true;
                    }
                    Err(error) => {
                        warn!(%id, %error, "closing: the client sent no Kafka frame");
                        return false;
                    }
                }
            }
        })
    }

    /// Writes until the socket takes no more.
    fn write(&mut self) -> io::Result<()> {
        while !self.writing.is_empty() {
            let mut slices = [IoSlice::new(&[]); CHUNKS_PER_WRITE];
            let mut count = 0;
            for (slice, chunk) in slices.iter_mut().zip(&self.writing) {
                *slice = IoSlice::new(chunk);
                count += 1;
            }
            match self.stream.try_write_vectored(&slices[..count]) {
                Ok(written) => self.written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn written(&mut self, mut bytes: usize) {
        while let Some(first) = self.writing.front_mut() {
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.writing.pop_front();
        }
    }
}
