//! One request on its way: the fault that strikes it, its handler, its answer, its throttling.

use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_protocol::codec::RequestHeader;
use millstream_protocol::{ApiKey, ErrorCode};
use millstream_types::BrokerId;
use tracing::{debug, warn};

use super::Cluster;
use super::connection::{ConnectionId, Parked, Pending, RequestHead};
use super::fault::{AfterReply, FaultAction, Strike, Target};
use super::frame::ResponseFrame;
use crate::api::fetch::FetchPlan;
use crate::api::{self, Call, Refusal, Reply};

/// What a fault does to the handling of a request.
#[derive(Debug, Default)]
struct Handling {
    refusal: Option<Refusal>,
    corrupt: bool,
}

impl Cluster {
    /// Takes the beginning of a frame that is not whole yet: a fault may cut the connection.
    ///
    /// Costs nothing while no fault is set.
    pub fn handle_partial_frame(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.faults.is_empty() {
            return;
        }
        let Some(node) = self.connections.get(&id).map(|connection| connection.node) else {
            return;
        };
        // The head may not be whole either.
        let Ok(header) = RequestHeader::peek(bytes) else {
            return;
        };
        let Some(api) = header.api() else {
            return;
        };
        let client_id = header.client_id.unwrap_or_default();
        if self.faults.strike_early(api, node, &client_id) {
            debug!(%id, %api, "a fault cuts the request");
            self.reset(id);
        }
    }

    pub(super) fn serve(&mut self, id: ConnectionId, node: BrokerId, now: Instant, frame: Bytes) {
        let header = match RequestHeader::peek(&frame) {
            Ok(header) => header,
            Err(error) => {
                warn!(%id, %error, "closing: the head of a request cannot be read");
                return self.close(id);
            }
        };
        let served = header.api().and_then(|api| Some((api, api::served_versions(api)?)));
        let Some((api, versions)) = served else {
            warn!(%id, api = header.api_key, "closing: this API is not served");
            return self.close(id);
        };
        let client_id = header.client_id.unwrap_or_default();
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.client_id != client_id
        {
            connection.client_id.clone_from(&client_id);
        }
        let head = RequestHead {
            api,
            version: header.api_version,
            correlation_id: header.correlation_id,
            after: AfterReply::Send,
            throttle: Duration::ZERO,
        };
        let supported = versions.contains(head.version);
        let call = self.call(id, node, now, &head, client_id);
        let struck = self.strike(&call, api, &frame, supported);
        let Some(Strike { action, target }) = struck else {
            if !supported {
                return self.unsupported(id, now, head);
            }
            return self.handle(&call, head, frame, &Handling::default());
        };
        debug!(%id, %api, ?action, "a fault strikes");
        match action {
            FaultAction::Disconnect => self.close(id),
            FaultAction::Cut => self.reset(id),
            FaultAction::Drop => self.park(id, head, Parked::Forever, None),
            FaultAction::Delay(delay) => {
                self.park(id, head, Parked::Delayed(frame), Some(now + delay));
            }
            _ if !supported => self.unsupported(id, now, head),
            action => self.handle_struck(&call, head, frame, action, target),
        }
    }

    fn strike(
        &mut self,
        call: &Call,
        api: ApiKey,
        frame: &Bytes,
        supported: bool,
    ) -> Option<Strike> {
        if self.faults.is_empty() {
            return None;
        }
        let state = &self.state;
        // A request that cannot be read names nothing.
        let names = |target: &Target| {
            supported && api::names(state, api, call, frame.clone(), target).unwrap_or(false)
        };
        self.faults.strike(api, call.node, &call.client_id, names)
    }

    fn handle_struck(
        &mut self,
        call: &Call,
        mut head: RequestHead,
        frame: Bytes,
        action: FaultAction,
        target: Option<Target>,
    ) {
        let mut handling = Handling::default();
        match action {
            FaultAction::Error(code) => handling.refusal = Some(Refusal { code, target }),
            FaultAction::CorruptRecords => handling.corrupt = true,
            FaultAction::ApplyThenDisconnect => head.after = AfterReply::Disconnect,
            FaultAction::ApplyThenDrop => head.after = AfterReply::Drop,
            FaultAction::Throttle(time) => head.after = AfterReply::Throttle(time),
            FaultAction::ApplyThenError(code) => {
                head.after = self.refused(call, &head, &frame, &Refusal { code, target });
            }
            FaultAction::Delay(_)
            | FaultAction::Drop
            | FaultAction::Disconnect
            | FaultAction::Cut => {}
        }
        self.handle(call, head, frame, &handling);
    }

    /// What the client is told instead of the answer.
    fn refused(
        &self,
        call: &Call,
        head: &RequestHead,
        frame: &Bytes,
        refusal: &Refusal,
    ) -> AfterReply {
        match api::refused(head.api, call, frame.clone(), refusal) {
            Ok(Some(frame)) => AfterReply::Replace(frame),
            // With `acks=0` an error closes the connection.
            Ok(None) => AfterReply::Disconnect,
            // The handler meets the same error and closes.
            Err(_) => AfterReply::Send,
        }
    }

    fn call(
        &self,
        id: ConnectionId,
        node: BrokerId,
        now: Instant,
        head: &RequestHead,
        client_id: String,
    ) -> Call {
        Call {
            version: head.version,
            correlation_id: head.correlation_id,
            client_id,
            node,
            connection: id,
            now,
            wall: self.wall(now),
        }
    }

    fn handle(&mut self, call: &Call, mut head: RequestHead, frame: Bytes, handling: &Handling) {
        let (id, now) = (call.connection, call.now);
        let size = frame.len();
        let refusal = handling.refusal.clone().or_else(|| self.not_controller(call, head.api));
        let served = api::serve(&mut self.state, head.api, call, frame, refusal.as_ref());
        head.throttle = self.state.count_request(call, head.api, size);
        match served {
            Ok(Reply::Frame(frame)) => self.reply(id, now, head, frame),
            Ok(Reply::Silent) => self.after_silence(id, now, head),
            Ok(Reply::Close) => self.close(id),
            Ok(Reply::Parked(mut parked, until)) => {
                if let Parked::Fetch(plan) = &mut parked {
                    plan.corrupt = handling.corrupt;
                }
                let at_once = matches!(parked, Parked::Fetch(_)) && until.is_none();
                self.park(id, head, parked, until);
                if at_once {
                    self.answer_fetch(id, now);
                }
            }
            Err(error) => {
                let api = head.api;
                warn!(%id, %api, version = head.version, error = %Chain(&error), "closing");
                self.close(id);
            }
        }
    }

    /// Why a node that is not the controller refuses a request, where it may.
    fn not_controller(&self, call: &Call, api: ApiKey) -> Option<Refusal> {
        let state = &self.state;
        let wrong = state.config.controller_only
            && api::is_for_controller(api)
            && state.nodes.controller() != call.node;
        wrong.then_some(Refusal { code: ErrorCode::NotController, target: None })
    }

    /// With `acks=0` a fault that closes or hangs the connection still does.
    fn after_silence(&mut self, id: ConnectionId, now: Instant, mut head: RequestHead) {
        match std::mem::take(&mut head.after) {
            AfterReply::Send | AfterReply::Replace(_) => self.mute(id, now, head),
            AfterReply::Disconnect => self.close(id),
            AfterReply::Drop => self.park(id, head, Parked::Forever, None),
            AfterReply::Throttle(time) => {
                head.throttle = head.throttle.max(time);
                self.mute(id, now, head);
            }
        }
    }

    /// Serves nothing more on a connection while it is throttled (KIP-219).
    fn mute(&mut self, id: ConnectionId, now: Instant, head: RequestHead) {
        let time = head.throttle;
        if !time.is_zero() {
            self.park(id, head, Parked::Muted, Some(now + time));
        }
    }

    /// A version that is not served: ApiVersions is answered so that the client can choose another
    /// (KIP-511), any other request is the client's mistake and closes the connection.
    fn unsupported(&mut self, id: ConnectionId, now: Instant, head: RequestHead) {
        if head.api == ApiKey::ApiVersions
            && let Ok(frame) = api::unsupported_api_versions(head.correlation_id)
        {
            return self.reply(id, now, head, frame);
        }
        warn!(%id, api = %head.api, version = head.version, "closing: this version is not served");
        self.close(id);
    }

    pub(super) fn reply(
        &mut self,
        id: ConnectionId,
        now: Instant,
        mut head: RequestHead,
        frame: ResponseFrame,
    ) {
        let frame = match std::mem::take(&mut head.after) {
            AfterReply::Send => frame,
            AfterReply::Replace(other) => other,
            AfterReply::Throttle(time) => {
                head.throttle = head.throttle.max(time);
                frame
            }
            AfterReply::Disconnect => return self.close(id),
            AfterReply::Drop => return self.park(id, head, Parked::Forever, None),
        };
        let frame = if head.throttle.is_zero() {
            frame
        } else {
            api::throttled(head.api, head.version, frame, head.throttle)
        };
        self.send(id, frame);
        self.mute(id, now, head);
    }

    pub(super) fn wait_is_over(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let node = connection.node;
        match connection.pending.as_ref().map(|pending| &pending.parked) {
            Some(Parked::Fetch(_)) => self.answer_fetch(id, now),
            Some(Parked::Muted) => drop(self.unpark(id)),
            Some(Parked::Delayed(_)) => {
                if let Some(pending) = self.unpark(id)
                    && let Parked::Delayed(frame) = pending.parked
                {
                    self.serve_late(id, node, now, pending.head, frame);
                }
            }
            Some(Parked::Group | Parked::Forever) | None => return,
        }
        self.run(id, now);
    }

    fn serve_late(
        &mut self,
        id: ConnectionId,
        node: BrokerId,
        now: Instant,
        head: RequestHead,
        frame: Bytes,
    ) {
        let served = api::served_versions(head.api);
        if !served.is_some_and(|versions| versions.contains(head.version)) {
            return self.unsupported(id, now, head);
        }
        let header = RequestHeader::peek(&frame).ok();
        let client_id = header.and_then(|header| header.client_id).unwrap_or_default();
        let call = self.call(id, node, now, &head, client_id);
        self.handle(&call, head, frame, &Handling::default());
    }

    /// Counts a fetch against the client's quota; who is over it gets nothing, and waits.
    fn count_fetch(&mut self, id: ConnectionId, now: Instant, plan: &FetchPlan) -> Duration {
        if self.state.quotas.is_empty() {
            return Duration::ZERO;
        }
        let bytes = plan.size(&self.state);
        match self.connections.get(&id) {
            Some(connection) => self.state.count_fetch(&connection.client_id, bytes, now),
            None => Duration::ZERO,
        }
    }

    pub(super) fn answer_fetch(&mut self, id: ConnectionId, now: Instant) {
        let Some(Pending { head, parked: Parked::Fetch(plan), .. }) = self.unpark(id) else {
            return;
        };
        let mut head = head;
        let throttle = self.count_fetch(id, now, &plan);
        head.throttle = head.throttle.max(throttle);
        let answered = match throttle {
            Duration::ZERO => plan.answer(&mut self.state),
            _ => plan.answer_nothing(),
        };
        match answered {
            Ok(frame) => self.reply(id, now, head, frame),
            Err(error) => {
                warn!(%id, %error, "closing: a fetch cannot be answered");
                self.close(id);
            }
        }
    }
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
