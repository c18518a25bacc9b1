//! Asks a broker how many brokers it knows, with one hand-written Metadata request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Metadata v1 for no topic, correlation id 1, null client id: `MetadataRequest.json`.
const METADATA_V1: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
/// The metadata answer of a handful of brokers is far smaller than this.
const ANSWER_MAX: usize = 64 * 1024;

/// The number of brokers that the broker at `port` says are alive, if it answers.
pub(super) fn brokers_known(port: u16) -> Option<usize> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    socket.write_all(&METADATA_V1).ok()?;
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|n| *n <= ANSWER_MAX)?;
    let mut answer = vec![0; length];
    socket.read_exact(&mut answer).ok()?;
    let count = answer.get(4..8)?.try_into().ok()?;
    usize::try_from(i32::from_be_bytes(count)).ok()
}
