//! How bytes go between clients and nodes: dialling, writing, arriving, breaking.

use std::io::IoSlice;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millstream_broker::Output;
use millstream_client_core::connection::{ConnectionId, Dial};
use millstream_protocol::codec::RequestHeader;
use millstream_types::BrokerId;

use super::net::{Arrival, Direction, Link, LinkId, below, happens};
use super::world::{Happening, World};

/// How many chunks one write takes.
const SLICES: usize = 16;

impl World {
    pub(super) fn dial(&mut self, client: usize, dial: &Dial) {
        let node = dial.endpoint.host.strip_prefix("node-").and_then(|id| id.parse().ok());
        let Some(node) = node.map(BrokerId) else {
            panic!("c{client} dials {}, which is nobody's address", dial.endpoint);
        };
        let id = self.draw_link();
        let link = Link::new(client, dial.connection, node, self.now());
        self.links.insert(id, link);
        self.clients[client].links.insert(dial.connection, id);
        self.note(format_args!("c{client} dials node {node} as {}", id.0));
        if happens(&mut self.rng, self.profile.hangs) {
            self.count_seen("unanswered dials", 1);
            return self.note(format_args!("nobody answers on {}", id.0));
        }
        let is_refused = happens(&mut self.rng, self.profile.refuses);
        let at = self.now() + self.draw_latency() * 2;
        self.schedule(at, Happening::Dialled { link: id, is_refused });
    }

    /// An attempt to connect gets its answer.
    pub(super) fn dialled(&mut self, id: LinkId, is_refused: bool) {
        let Some(link) = self.links.get(&id) else { return };
        if !link.is_open_at_client {
            return;
        }
        let (client, at_client, node) = (link.client, link.at_client, link.node);
        if self.is_held(client, node) {
            // Its packets are lost until the cut heals: tried again in a second, as TCP does.
            let at = self.now() + Duration::from_secs(1);
            return self.schedule(at, Happening::Dialled { link: id, is_refused });
        }
        let at_node = if is_refused { None } else { self.open_at_node(node) };
        let Some(at_node) = at_node else {
            self.note(format_args!("node {node} refuses {}", id.0));
            self.count_seen("refusals", 1);
            return self.disconnect_client(id, "connection refused");
        };
        self.at_node.insert(at_node, id);
        if let Some(link) = self.links.get_mut(&id) {
            link.at_node = Some(at_node);
        }
        let now = self.now();
        self.clients[client].engine.handle_connected(now, at_client);
        self.pump(client);
    }

    /// Connects to a node; `None` if it is dead.
    fn open_at_node(&mut self, node: BrokerId) -> Option<millstream_broker::ConnectionId> {
        let at_node = self.cluster.connect(node);
        let mut is_closed = false;
        while let Some((id, output)) = self.cluster.poll_output() {
            if id == at_node && output == Output::Close {
                is_closed = true;
            } else {
                self.put_out(id, output);
            }
        }
        (!is_closed).then_some(at_node)
    }

    /// Writes what a client has for a connection, until the socket takes no more.
    pub(super) fn write(&mut self, client: usize, connection: ConnectionId) {
        let Some(id) = self.clients[client].links.get(&connection).copied() else { return };
        if self.links.get(&id).is_none_or(|link| link.at_node.is_none()) {
            return;
        }
        while let Some(piece) = self.next_piece(client, connection) {
            self.clients[client].engine.handle_written(connection, piece.len());
            self.send(id, Direction::ToNode, Arrival::Piece(piece));
            if happens(&mut self.rng, self.profile.blocks) {
                let at = self.now() + self.draw_latency();
                return self.schedule(at, Happening::Writable { link: id });
            }
        }
    }

    /// The next bytes that a client writes to a connection, one piece of them.
    fn next_piece(&mut self, client: usize, connection: ConnectionId) -> Option<Bytes> {
        let transmit = self.clients[client].engine.transmit(connection)?;
        if transmit.is_empty() {
            return None;
        }
        let size = below(&mut self.rng, self.profile.piece_max) + 1;
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = transmit.slices(&mut slices);
        let mut piece = BytesMut::with_capacity(size.min(4_096));
        for slice in &slices[..count] {
            let room = size - piece.len();
            piece.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        Some(piece.freeze())
    }

    /// Puts something into one direction of a connection; it arrives later, if at all.
    pub(super) fn send(&mut self, id: LinkId, direction: Direction, arrival: Arrival) {
        let latency = self.draw_latency();
        let now = self.now();
        let is_piece = matches!(arrival, Arrival::Piece(_));
        let breaks = is_piece && happens(&mut self.rng, self.profile.breaks);
        let falls_silent = is_piece && happens(&mut self.rng, self.profile.falls_silent);
        let Some(link) = self.links.get_mut(&id) else { return };
        let pipe = link.pipe(direction);
        pipe.is_silent |= falls_silent;
        let is_silent = pipe.is_silent;
        let at = (now + latency).max(pipe.free_at);
        pipe.free_at = at;
        if falls_silent {
            self.note(format_args!("link {} falls silent {direction:?}", id.0));
            self.count_seen("silent links", 1);
        }
        if breaks {
            let before = Duration::from_micros(self.rng.below(1 + latency.as_micros() as u64));
            self.schedule(now + before, Happening::Breaks { link: id });
        }
        if !is_silent {
            self.schedule(at, Happening::Arrives { link: id, direction, arrival });
        }
    }

    /// Something comes to the end of a connection.
    pub(super) fn arrive(&mut self, id: LinkId, direction: Direction, arrival: Arrival) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let is_cut = self.cut.contains(&(link.client, link.node));
        let is_paused = direction == Direction::ToNode && self.paused.contains(&link.node);
        if is_cut || is_paused || link.held.iter().any(|(held, _)| *held == direction) {
            link.held.push_back((direction, arrival));
            return;
        }
        match (direction, arrival) {
            (Direction::ToNode, Arrival::Piece(piece)) => self.receive_at_node(id, &piece),
            (Direction::ToNode, Arrival::End) => self.close_at_node(id),
            (Direction::ToClient, Arrival::Piece(piece)) => self.receive_at_client(id, &piece),
            (Direction::ToClient, Arrival::End) => {
                self.disconnect_client(id, "the broker closed the connection");
            }
        }
    }

    fn receive_at_node(&mut self, id: LinkId, piece: &Bytes) {
        self.trace.mix(piece);
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.at_node.is_none() {
            // The node is gone or has closed: its host says so.
            return self.send(id, Direction::ToClient, Arrival::End);
        }
        link.inbox.extend_from_slice(piece);
        while let Some(link) = self.links.get_mut(&id)
            && let Some(at_node) = link.at_node
            && let Some(frame) = link.next_frame()
        {
            let (client, node) = (link.client, link.node);
            self.note_request(client, node, id, &frame);
            self.serve(at_node, node, frame);
        }
    }

    /// Gives a whole frame to the cluster.
    fn serve(&mut self, at_node: millstream_broker::ConnectionId, node: BrokerId, frame: Bytes) {
        let now = self.now();
        let again = self.plant.doubles(&frame).then(|| frame.clone());
        self.cluster.handle_frame(at_node, now, frame);
        self.drain_cluster();
        if let Some(frame) = again
            && let Some(ghost) = self.open_at_node(node)
        {
            self.cluster.handle_frame(ghost, now, frame);
            self.drain_cluster();
            self.cluster.disconnect(ghost);
        }
    }

    fn note_request(&mut self, client: usize, node: BrokerId, id: LinkId, frame: &Bytes) {
        let length = frame.len();
        match RequestHeader::peek(frame) {
            Ok(header) => {
                let api = header.api().map_or_else(|| "?".to_owned(), |api| api.to_string());
                let (version, number) = (header.api_version, header.correlation_id);
                self.note(format_args!(
                    "c{client} -> node {node} on {}: {api} v{version} #{number}, {length} bytes",
                    id.0
                ));
            }
            Err(error) => self.note(format_args!("c{client} -> node {node}: {error}")),
        }
    }

    fn receive_at_client(&mut self, id: LinkId, piece: &Bytes) {
        self.trace.mix(piece);
        let Some(link) = self.links.get(&id) else { return };
        if !link.is_open_at_client || !self.clients[link.client].is_alive {
            return;
        }
        let (client, at_client) = (link.client, link.at_client);
        let now = self.now();
        self.clients[client].engine.handle_bytes(now, at_client, piece);
        self.pump(client);
    }

    /// Sends what the cluster has to say.
    pub(super) fn drain_cluster(&mut self) {
        while let Some((id, output)) = self.cluster.poll_output() {
            self.put_out(id, output);
        }
    }

    pub(super) fn put_out(&mut self, at_node: millstream_broker::ConnectionId, output: Output) {
        let Some(id) = self.at_node.get(&at_node).copied() else { return };
        match output {
            Output::Frame(frame) => {
                let mut bytes = frame.into_bytes();
                let number = bytes.get(4..8).map_or(0, |number| {
                    u32::from_be_bytes([number[0], number[1], number[2], number[3]])
                });
                self.note(format_args!("answer #{number} on {}, {} bytes", id.0, bytes.len()));
                while !bytes.is_empty() {
                    let size = below(&mut self.rng, self.profile.piece_max) + 1;
                    let piece = bytes.split_to(size.min(bytes.len()));
                    self.send(id, Direction::ToClient, Arrival::Piece(piece));
                }
            }
            Output::Close => {
                self.at_node.remove(&at_node);
                if let Some(link) = self.links.get_mut(&id) {
                    link.at_node = None;
                    let node = link.node;
                    self.note(format_args!("node {node} closes {}", id.0));
                    self.send(id, Direction::ToClient, Arrival::End);
                }
            }
        }
    }

    /// The client closes a connection: the node hears of it later.
    pub(super) fn close_at_client(&mut self, client: usize, connection: ConnectionId) {
        let Some(id) = self.clients[client].links.remove(&connection) else { return };
        if let Some(link) = self.links.get_mut(&id) {
            link.is_open_at_client = false;
        }
        self.note(format_args!("c{client} closes {}", id.0));
        self.send(id, Direction::ToNode, Arrival::End);
    }

    fn close_at_node(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(at_node) = link.at_node.take() {
            self.at_node.remove(&at_node);
            self.cluster.disconnect(at_node);
            self.drain_cluster();
        }
        self.forget_if_closed(id);
    }

    /// Tells the client that a connection has ended.
    pub(super) fn disconnect_client(&mut self, id: LinkId, reason: &str) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (client, at_client) = (link.client, link.at_client);
        let was_open = std::mem::replace(&mut link.is_open_at_client, false);
        self.forget_if_closed(id);
        if was_open && self.clients[client].is_alive {
            self.note(format_args!("c{client} loses {}: {reason}", id.0));
            let now = self.now();
            self.clients[client].links.remove(&at_client);
            self.clients[client].engine.handle_disconnected(now, at_client, reason);
            self.pump(client);
        }
    }

    /// A connection breaks: what is under way is lost, each side is told when it next could be.
    pub(super) fn break_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.inbox.clear();
        link.held.clear();
        self.note(format_args!("link {} breaks", id.0));
        self.count_seen("broken links", 1);
        let at_node = self.links.get_mut(&id).and_then(|link| link.at_node.take());
        if let Some(at_node) = at_node {
            self.at_node.remove(&at_node);
            self.cluster.disconnect(at_node);
            self.drain_cluster();
        }
        self.disconnect_client(id, "connection reset by peer");
    }

    fn forget_if_closed(&mut self, id: LinkId) {
        let is_over = |link: &Link| !link.is_open_at_client && link.at_node.is_none();
        if self.links.get(&id).is_some_and(is_over) {
            self.links.remove(&id);
        }
    }

    pub(super) fn is_held(&self, client: usize, node: BrokerId) -> bool {
        self.cut.contains(&(client, node)) || self.paused.contains(&node)
    }

    /// Lets what waited behind a cut or a pause arrive.
    pub(super) fn release(&mut self) {
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get_mut(&id) else { continue };
            for (direction, arrival) in std::mem::take(&mut link.held) {
                self.arrive(id, direction, arrival);
            }
        }
    }

    fn draw_latency(&mut self) -> Duration {
        let jitter = self.profile.jitter.as_micros() as u64;
        self.profile.latency + Duration::from_micros(self.rng.below(jitter + 1))
    }
}
