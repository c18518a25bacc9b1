//! TCP.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use millstream_client_core::connection::{Dial, Transmit};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::{Connector, Dialing, Transport};

/// How many chunks one vectored write takes; Linux takes up to 1024.
const SLICES_MAX: usize = 64;

/// When the operating system starts to probe a silent connection, so that a peer that vanished
/// without a word is noticed on an idle connection too.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// How a socket is set up.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    /// `send.buffer.bytes`; `None`: the operating system's choice.
    pub(crate) send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None`: the operating system's choice.
    pub(crate) receive_buffer: Option<usize>,
}

impl Default for SocketOptions {
    /// The operating system's choice, unlike Java's fixed 128 and 64 KiB: it grows with need.
    fn default() -> Self {
        Self { send_buffer: None, receive_buffer: None }
    }
}

/// Makes TCP connections.
#[derive(Debug)]
pub(crate) struct TcpConnector {
    pub(crate) options: SocketOptions,
}

impl Connector for TcpConnector {
    fn dial(&self, dial: Dial) -> Dialing {
        let options = self.options.clone();
        Box::pin(async move {
            let stream = connect(&dial, &options).await?;
            Ok(Box::new(Tcp(stream)) as Box<dyn Transport>)
        })
    }
}

/// Tries each address of the host (KIP-602), beginning with another one at each attempt, so that
/// an address that swallows packets is not always the first.
async fn connect(dial: &Dial, options: &SocketOptions) -> io::Result<TcpStream> {
    let host = (dial.endpoint.host.as_str(), dial.endpoint.port);
    let mut addresses: Vec<_> = lookup_host(host).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    let first = usize::try_from(dial.attempt).unwrap_or(0) % addresses.len();
    addresses.rotate_left(first);
    let mut last_error = None;
    for address in addresses {
        match connect_address(address, options).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

async fn connect_address(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let settings = SockRef::from(&socket);
    settings.set_tcp_nodelay(true)?;
    settings.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    if let Some(bytes) = options.send_buffer {
        settings.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer {
        settings.set_recv_buffer_size(bytes)?;
    }
    socket.connect(address).await
}

/// A TCP connection.
struct Tcp(TcpStream);

impl Transport for Tcp {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        // Unlike `try_read_buf`, this takes a read that did not fill the buffer for the last one: the
        // next poll waits, rather than asking the system whether there is more.
        pin!(self.0.read_buf(buffer)).poll(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, transmit: &Transmit) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = transmit.slices(&mut slices);
        loop {
            match self.0.try_write_vectored(&slices[..count]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.poll_write_ready(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}
