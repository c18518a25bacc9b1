//! The network between clients and nodes: byte streams with latency, in pieces, that break.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use millstream_client_core::backoff::Rng;
use millstream_client_core::connection::ConnectionId;
use millstream_types::BrokerId;

/// How the network behaves. Chances are in parts per million.
#[derive(Clone, Copy, Debug)]
pub struct NetProfile {
    /// The shortest way of a piece.
    pub latency: Duration,
    /// How much longer it may take.
    pub jitter: Duration,
    /// The largest piece in which bytes arrive.
    pub piece_max: usize,
    /// That a connection breaks, per piece.
    pub breaks: u64,
    /// That one direction of a connection falls silent for ever, per piece.
    pub falls_silent: u64,
    /// That a socket takes no more for a moment, per write.
    pub blocks: u64,
    /// That a connection is refused, per attempt.
    pub refuses: u64,
    /// That an attempt to connect is never answered.
    pub hangs: u64,
    /// That a client hears nothing when its node dies.
    pub dies_silently: u64,
}

impl NetProfile {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn calm() -> Self {
        Self {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(300),
            piece_max: 64 * 1024,
            breaks: 0,
            falls_silent: 0,
            blocks: 0,
            refuses: 0,
            hangs: 0,
            dies_silently: 0,
        }
    }

    /// Some seeds are calm, some are wild.
    #[must_use]
    pub fn drawn(rng: &mut Rng) -> Self {
        let intensity = one_of(rng, &[0, 1, 4, 16]);
        let piece_max = one_of(rng, &[9, 200, 1_500, 64 * 1024, 64 * 1024]);
        let jitter = one_of(rng, &[100, 3_000, 30_000]);
        // Small pieces are many: the chance per byte shall not explode with them.
        let scale = if piece_max < 1_000 { 1 } else { 10 };
        Self {
            latency: Duration::from_micros(50 + rng.below(3_000)),
            jitter: Duration::from_micros(rng.below(jitter) + 1),
            piece_max,
            breaks: 40 * scale * intensity,
            falls_silent: 10 * scale * intensity,
            blocks: 20_000 * intensity,
            refuses: 10_000 * intensity,
            hangs: 5_000 * intensity,
            dies_silently: 60_000 * intensity,
        }
    }
}

/// A number below `bound`, as an index.
pub fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or_default()
}

/// One of these.
pub fn one_of<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[below(rng, of.len())]
}

/// Whether something happens that has `chance` parts in a million.
pub fn happens(rng: &mut Rng, chance: u64) -> bool {
    rng.below(1_000_000) < chance
}

/// Names a connection of the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a client to a node.
    ToNode,
    /// From a node to a client.
    ToClient,
}

/// What arrives at the end of a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Some bytes.
    Piece(Bytes),
    /// The other side closed, or the connection broke.
    End,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Nothing arrives before what was sent earlier.
    pub(super) free_at: Instant,
    /// Whatever is put in is lost, and nobody is told.
    pub(super) is_silent: bool,
}

/// One connection of the simulated network.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    pub(super) at_client: ConnectionId,
    pub(super) node: BrokerId,
    /// The node's name for it, while the node has it open.
    pub(super) at_node: Option<millstream_broker::ConnectionId>,
    /// Whether the client has it open.
    pub(super) is_open_at_client: bool,
    pub(super) to_node: Pipe,
    pub(super) to_client: Pipe,
    /// Bytes at the node that are not a whole frame yet.
    pub(super) inbox: BytesMut,
    /// What waits for a partition of the network, or the pause of a node, to end.
    pub(super) held: VecDeque<(Direction, Arrival)>,
}

impl Link {
    pub(super) fn new(
        client: usize,
        at_client: ConnectionId,
        node: BrokerId,
        now: Instant,
    ) -> Self {
        let pipe = || Pipe { free_at: now, is_silent: false };
        Self {
            client,
            at_client,
            node,
            at_node: None,
            is_open_at_client: true,
            to_node: pipe(),
            to_client: pipe(),
            inbox: BytesMut::new(),
            held: VecDeque::new(),
        }
    }

    pub(super) const fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::ToNode => &mut self.to_node,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// The next whole frame at the node, without its length.
    pub(super) fn next_frame(&mut self) -> Option<Bytes> {
        let length = self.inbox.get(..4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if self.inbox.len() < 4 + length {
            return None;
        }
        self.inbox.advance(4);
        Some(self.inbox.split_to(length).freeze())
    }
}
