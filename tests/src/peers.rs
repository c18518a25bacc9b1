//! Peers that are no Kafka, or a Kafka gone mad.

use bytes::BytesMut;
use millstream_protocol::codec::{RequestHeader, encode_response};
use millstream_protocol::frame::{DEFAULT_MAX_FRAME, FrameDecoder};
use millstream_protocol::messages::api_versions_response::ApiVersion;
use millstream_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use millstream_protocol::{ApiKey, api};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a peer behaves.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// Answers whatever comes with these bytes.
    Says(&'static [u8]),
    /// Introduces itself as a broker, then answers with these bytes.
    IsBrokerAndSays(&'static [u8]),
    /// Reads and never answers.
    IsSilent,
    /// Hangs up on every connection.
    HangsUp,
}

/// What an HTTP server answers to a request that is none.
pub const HTTP: Peer = Peer::Says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
/// The alert that TLS libraries send to plain text.
pub const TLS: Peer = Peer::Says(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]);
/// A frame of two gigabytes is announced.
pub const TWO_GIGABYTES: &[u8] = &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

impl Peer {
    /// Starts it; gives its address. It lives as long as the runtime.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.serve(stream));
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut chunk = [0; 4096];
        let mut frames = FrameDecoder::new(DEFAULT_MAX_FRAME);
        while let Ok(1..) = stream.read_buf(frames.buffer()).await {
            let answer = match self {
                Self::HangsUp => return,
                Self::IsSilent => continue,
                Self::Says(bytes) => bytes.to_vec(),
                Self::IsBrokerAndSays(bytes) => match frames.next_frame() {
                    Ok(Some(frame)) => introduction(&frame).unwrap_or_else(|| bytes.to_vec()),
                    _ => continue,
                },
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            if matches!(self, Self::Says(_)) {
                // Waits for the client to close, so that the answer is not lost to a reset.
                while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
                return;
            }
        }
    }
}

/// The answer to a question for versions.
fn introduction(frame: &[u8]) -> Option<Vec<u8>> {
    let header = RequestHeader::peek(frame).ok()?;
    if header.api() != Some(ApiKey::ApiVersions) {
        return None;
    }
    let apis = [ApiKey::Metadata, ApiKey::Produce, ApiKey::Fetch, ApiKey::ApiVersions];
    let keys = apis.map(|api| {
        let versions = api::supported_versions(api);
        ApiVersion::default()
            .with_api_key(api.code())
            .with_min_version(versions.min)
            .with_max_version(versions.max)
    });
    let response = ApiVersionsResponse::default().with_api_keys(keys.to_vec());
    let mut out = BytesMut::new();
    let version = header.api_version;
    encode_response::<ApiVersionsRequest>(version, header.correlation_id, &response, &mut out)
        .ok()?;
    Some(out.to_vec())
}
