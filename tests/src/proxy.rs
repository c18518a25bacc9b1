//! Proxies before the nodes of the in-process broker: what happens to bytes between the two.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_protocol::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The length, and the number of the API behind it.
const HEAD: usize = 6;
const CHUNK: usize = 16 * 1024;

/// What a proxy does to the bytes of clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// So many of the coming Produce requests end with their connection once their first chunk has
    /// been read; nothing of that chunk reaches the broker.
    pub cut_produce: u32,
    /// A pause before each chunk of 16 KiB that goes to the broker.
    pub slow: Option<Duration>,
}

/// A proxy of one node. It lives as long as the runtime it was bound on.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<(Option<SocketAddr>, Rules)>>,
}

impl Proxy {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let proxy = Self { address, shared: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(client));
            }
        });
        proxy
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says which node it stands before.
    pub fn forward_to(&self, node: SocketAddr) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(node);
    }

    /// Changes what it does, for the connections that there are too.
    pub fn set(&self, rules: Rules) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).1 = rules;
    }

    fn rules(&self) -> Rules {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    async fn serve(self, client: TcpStream) {
        let node = self.shared.lock().unwrap_or_else(PoisonError::into_inner).0;
        let Some(node) = node else {
            return;
        };
        let Ok(broker) = TcpStream::connect(node).await else {
            return;
        };
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        tokio::select! {
            // Either end ends both; what is unread makes it a reset.
            _ = self.requests(from_client, to_broker) => {}
            _ = answers(from_broker, to_client) => {}
        }
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let mut frames = Frames::default();
        loop {
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            if frames.begins(ApiKey::Produce, &chunk[..count]) && self.take_cut() {
                return Ok(());
            }
            if let Some(pause) = self.rules().slow {
                tokio::time::sleep(pause).await;
            }
            to.write_all(&chunk[..count]).await?;
        }
    }

    /// Whether the request that begins now is to be cut; counts it.
    fn take_cut(&self) -> bool {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = shared.1.cut_produce > 0;
        shared.1.cut_produce = shared.1.cut_produce.saturating_sub(1);
        is_cut
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..count]).await?;
    }
}

/// Where requests begin in a stream of bytes.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// How much of the current request is yet to come.
    left: usize,
}

impl Frames {
    /// Whether a request of `api` begins in these bytes.
    fn begins(&mut self, api: ApiKey, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let step = self.left.min(bytes.len());
                self.left -= step;
                bytes = &bytes[step..];
                continue;
            }
            let step = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..step]);
            bytes = &bytes[step..];
            if let [a, b, c, d, e, f] = self.head[..] {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                self.left = length.saturating_sub(2);
                found |= i16::from_be_bytes([e, f]) == api.code();
                self.head.clear();
            }
        }
        found
    }
}
