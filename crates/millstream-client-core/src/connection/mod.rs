//! The byte machine: one connection to one broker.
//!
//! It knows frames, correlation ids and versions, and nothing of what requests mean. It opens with
//! ApiVersions, and falls back as the broker says (KIP-511), before it takes requests; each is
//! written in the newest version that both sides speak and that can carry it.

mod encode;
mod in_flight;
mod transmit;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use millstream_protocol::messages::{ApiVersionsRequest, StrBytes};
use millstream_protocol::negotiate::{
    ApiVersionsOutcome, BrokerVersions, FIRST_API_VERSIONS, read_api_versions,
};
use millstream_protocol::{codec, frame::FrameDecoder};
use millstream_types::BrokerId;

use crate::config::Endpoint;
use crate::outbox::{
    Destination, Owner, Pending, RequestFailure, RequestId, Response, ResponseBody,
};
use in_flight::{InFlight, InFlightRequest};

pub use transmit::Transmit;

/// Names one connection of one engine; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A connection to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Its name from now on.
    pub connection: ConnectionId,
    /// Whom to connect to.
    pub endpoint: Endpoint,
    /// How many attempts to this broker have failed: begin with another address of its name.
    pub attempt: u32,
}

/// Something a connection has to say to the machine that sent a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) owner: Owner,
    pub(crate) id: RequestId,
    pub(crate) destination: Destination,
    pub(crate) result: Result<Response, RequestFailure>,
}

/// The smallest and the largest step by which the receive buffer grows.
const RECEIVE_STEP_MIN: usize = 64 * 1024;
const RECEIVE_STEP_MAX: usize = 1024 * 1024;

/// One connection to one broker.
#[derive(Debug)]
pub(crate) struct Connection {
    broker: Option<BrokerId>,
    peer: String,
    client_id: Arc<str>,
    state: State,
    decoder: FrameDecoder,
    transmit: Transmit,
    in_flight: InFlight,
    max_in_flight: usize,
    next_correlation_id: i32,
    scratch: BytesMut,
    last_used: Instant,
    /// For how long the broker's last answers ask to be left alone (KIP-219).
    throttle: Duration,
    setup_deadline: Instant,
}

#[derive(Debug)]
enum State {
    /// No socket yet.
    Dialing,
    /// ApiVersions is on its way in this version.
    Negotiating { version: i16 },
    /// Requests can go.
    Ready(Arc<BrokerVersions>),
}

/// What a new connection is told about itself.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) broker: Option<BrokerId>,
    /// The broker in words, for errors.
    pub(crate) peer: String,
    pub(crate) client_id: Arc<str>,
    pub(crate) receive_max_bytes: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) setup_timeout: Duration,
}

impl Connection {
    pub(crate) fn new(now: Instant, parameters: Parameters) -> Self {
        Self {
            broker: parameters.broker,
            peer: parameters.peer,
            client_id: parameters.client_id,
            state: State::Dialing,
            decoder: FrameDecoder::new(parameters.receive_max_bytes),
            transmit: Transmit::default(),
            in_flight: InFlight::default(),
            max_in_flight: parameters.max_in_flight,
            next_correlation_id: 0,
            scratch: BytesMut::new(),
            last_used: now,
            throttle: Duration::ZERO,
            setup_deadline: now + parameters.setup_timeout,
        }
    }

    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// The versions that the broker speaks, once it told them.
    pub(crate) const fn versions(&self) -> Option<&Arc<BrokerVersions>> {
        match &self.state {
            State::Ready(versions) => Some(versions),
            State::Dialing | State::Negotiating { .. } => None,
        }
    }

    /// Whether a request would be taken.
    pub(crate) fn can_send(&self) -> bool {
        matches!(self.state, State::Ready(_)) && self.in_flight.len() < self.max_in_flight
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) const fn transmit(&self) -> &Transmit {
        &self.transmit
    }

    /// There is a socket: opens with ApiVersions.
    pub(crate) fn handle_connected(&mut self) -> Result<(), String> {
        self.negotiate(FIRST_API_VERSIONS)
    }

    fn negotiate(&mut self, version: i16) -> Result<(), String> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("millstream"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let id = self.correlation_id();
        codec::encode_request(version, id, Some(&self.client_id), &request, &mut self.scratch)
            .map_err(|error| error.to_string())?;
        self.transmit.push(self.scratch.split().freeze());
        self.state = State::Negotiating { version };
        Ok(())
    }

    /// Writes a request. Call it only if [`Connection::can_send`].
    ///
    /// # Errors
    /// It cannot be written for this broker; the connection is as before.
    pub(crate) fn send(&mut self, now: Instant, pending: Pending) -> Result<(), RequestFailure> {
        let api = pending.body.api_key();
        let State::Ready(versions) = &self.state else {
            return Err(RequestFailure::DisconnectedUnsent {
                api,
                broker: self.peer.clone(),
                reason: "the connection is being made".to_owned(),
            });
        };
        let version = encode::choose_version(versions, &pending).map_err(|reason| {
            let broker = self.peer.clone();
            RequestFailure::UnsupportedVersion { api, broker, reason }
        })?;
        let correlation_id = self.correlation_id();
        let head = encode::Head { version, correlation_id, client_id: &self.client_id };
        let answered = pending.body.has_answer();
        encode::encode(head, pending.body, &mut self.scratch, &mut self.transmit)
            .map_err(|reason| RequestFailure::Unencodable { api, reason })?;
        self.in_flight.push(InFlightRequest {
            id: pending.id,
            owner: pending.owner,
            destination: pending.destination,
            api,
            version,
            correlation_id,
            sent: now,
            deadline: pending.deadline,
            end: self.transmit.end(),
            answered,
        });
        self.last_used = now;
        Ok(())
    }

    /// The first `count` bytes of [`Connection::transmit`] went out.
    pub(crate) fn handle_written(&mut self, count: usize, answers: &mut Vec<Answer>) {
        self.transmit.advance(count);
        while let Some(request) = self.in_flight.take_unanswered(self.transmit.written()) {
            answers.push(Answer {
                owner: request.owner,
                id: request.id,
                destination: request.destination,
                result: Ok(Response {
                    from: self.broker,
                    version: request.version,
                    body: ResponseBody::None,
                }),
            });
        }
    }

    /// The buffer to read the socket into, with room for what is expected next: the rest of a frame
    /// whose length is known, within what has come so far, so that no announced length makes us
    /// allocate it.
    pub(crate) fn receive_buffer(&mut self) -> &mut BytesMut {
        let missing = self.decoder.missing().ok().flatten().unwrap_or(0);
        let buffer = self.decoder.buffer();
        let step_max = buffer.len().max(RECEIVE_STEP_MAX);
        buffer.reserve(missing.clamp(RECEIVE_STEP_MIN, step_max));
        buffer
    }

    /// Bytes came into the receive buffer.
    ///
    /// # Errors
    /// The connection cannot go on, in words; [`Connection::fail`] it.
    pub(crate) fn handle_received(
        &mut self,
        now: Instant,
        answers: &mut Vec<Answer>,
    ) -> Result<(), String> {
        self.last_used = now;
        loop {
            let frame = self.decoder.next_frame().map_err(|error| error.to_string())?;
            let Some(frame) = frame else { return Ok(()) };
            match self.state {
                State::Dialing => return Err("bytes came before the connection".to_owned()),
                State::Negotiating { version } => self.handle_versions(version, frame)?,
                State::Ready(_) => answers.push(self.handle_answer(now, frame)?),
            }
        }
    }

    fn handle_versions(&mut self, version: i16, frame: Bytes) -> Result<(), String> {
        let expected = self.next_correlation_id.wrapping_sub(1);
        let correlation_id =
            codec::peek_correlation_id(&frame).map_err(|error| error.to_string())?;
        if correlation_id != expected {
            return Err(format!("its first answer has number {correlation_id}, not {expected}"));
        }
        let outcome = read_api_versions(version, frame)
            .map_err(|error| format!("its answer to ApiVersions is malformed: {error}"))?;
        match outcome {
            ApiVersionsOutcome::Known(versions) => {
                self.state = State::Ready(Arc::from(versions));
                Ok(())
            }
            ApiVersionsOutcome::AskAgain { version } => self.negotiate(version),
            ApiVersionsOutcome::Refused(error) => Err(format!("it refused ApiVersions: {error}")),
            _ => Err("its answer to ApiVersions is of a kind unknown here".to_owned()),
        }
    }

    fn handle_answer(&mut self, now: Instant, frame: Bytes) -> Result<Answer, String> {
        let correlation_id =
            codec::peek_correlation_id(&frame).map_err(|error| error.to_string())?;
        let Some(request) = self.in_flight.take_answered(correlation_id) else {
            return Err(format!("it answered {correlation_id}, which is not the next request"));
        };
        let InFlightRequest { id, owner, destination, api, version, .. } = request;
        let result = match ResponseBody::decode(api, version, frame) {
            Ok(body) => {
                let throttle = u64::try_from(body.throttle_time_ms()).unwrap_or(0);
                self.throttle = self.throttle.max(Duration::from_millis(throttle));
                tracing::trace!(%api, version, broker = %self.peer, took = ?(now - request.sent), "answer");
                Ok(Response { from: self.broker, version, body })
            }
            Err(reason) => {
                let broker = self.peer.clone();
                Err(RequestFailure::Malformed { api, broker, reason })
            }
        };
        Ok(Answer { owner, id, destination, result })
    }

    /// For how long answers that came since the last call ask to be left alone: the broker answers at
    /// once and reads nothing meanwhile (KIP-219), and its other connections owe it the same.
    pub(crate) fn take_throttle(&mut self) -> Option<Duration> {
        let throttle = std::mem::take(&mut self.throttle);
        (!throttle.is_zero()).then_some(throttle)
    }

    /// When something is due: a request's deadline, the end of the setup time.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Ready(_) => self.in_flight.next_timeout(),
            State::Dialing | State::Negotiating { .. } => Some(self.setup_deadline),
        }
    }

    /// Whether time is up for it, and why; the caller closes it then.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<String> {
        match self.state {
            State::Ready(_) => {
                let due = self.in_flight.next_timeout()?;
                (due <= now).then(|| "a request on it timed out".to_owned())
            }
            State::Dialing => (self.setup_deadline <= now)
                .then(|| "it was not connected within socket.connection.setup.timeout".to_owned()),
            State::Negotiating { .. } => (self.setup_deadline <= now).then(|| {
                "it did not answer ApiVersions in time; is this address a Kafka listener, of the \
                 same security protocol?"
                    .to_owned()
            }),
        }
    }

    /// Since when it is unused; `None` while requests are on their way.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.in_flight.is_empty() && matches!(self.state, State::Ready(_)))
            .then_some(self.last_used)
    }

    /// The connection ends: every request on it gets its failure.
    pub(crate) fn fail(&mut self, now: Instant, reason: &str, answers: &mut Vec<Answer>) {
        let written = self.transmit.written();
        for request in self.in_flight.drain() {
            let api = request.api;
            let broker = self.peer.clone();
            let failure = if request.end > written {
                let reason = reason.to_owned();
                RequestFailure::DisconnectedUnsent { api, broker, reason }
            } else if request.deadline <= now {
                let waited = now.saturating_duration_since(request.sent);
                RequestFailure::TimedOut { api, broker, waited }
            } else {
                let reason = reason.to_owned();
                RequestFailure::Disconnected { api, broker, reason }
            };
            answers.push(Answer {
                owner: request.owner,
                id: request.id,
                destination: request.destination,
                result: Err(failure),
            });
        }
    }

    const fn correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.wrapping_add(1);
        id
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.peer)
    }
}

#[cfg(test)]
mod tests;
