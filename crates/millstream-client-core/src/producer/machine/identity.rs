//! The producer id: asked for when it is first needed, and again when one is used up.

use std::time::Instant;

use millstream_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::{ProducerEpoch, ProducerId};

use super::batch::Identity;
use crate::backoff::{Backoff, Rng};
use crate::cx::Cx;
use crate::outbox::{Destination, Lane, Request, RequestFailure, RequestId, Response};
use crate::producer::error::DeliveryCause;
use crate::timer::is_due;

/// What an answer to InitProducerId means for a producer without transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdVerdict {
    /// There is an id.
    Granted,
    /// Ask again, after a wait.
    Retry,
    /// What waits for an id is not written; what comes later asks again.
    Refused,
}

/// The verdict on an answer of `code`.
pub(super) fn id_verdict(code: ErrorCode) -> IdVerdict {
    match code {
        ErrorCode::None => IdVerdict::Granted,
        // Java gives up at both. To ask for an id does nothing, so asking again does no harm.
        ErrorCode::UnknownServerError | ErrorCode::Unrecognized(_) => IdVerdict::Retry,
        code if code.class().is_retriable() => IdVerdict::Retry,
        _ => IdVerdict::Refused,
    }
}

/// How far the producer is with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IdState {
    /// Nobody needed one yet, or the last one is used up.
    Unasked,
    /// A request for one is on its way.
    Asking,
    /// The last request failed: the next one waits.
    BackingOff,
    /// There is one.
    Granted,
}

/// What happens to the producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IdEvent {
    /// A request goes out.
    Ask,
    /// The answer has an id.
    Grant,
    /// The answer has none, or there is no answer.
    Fail,
    /// The wait is over.
    Rest,
    /// The id is used up.
    Discard,
}

use IdEvent as E;
use IdState as S;

/// Event, states it changes, state it leads to. A pair that is missing changes nothing.
const TRANSITIONS: &[(E, &[S], S)] = &[
    (E::Ask, &[S::Unasked], S::Asking),
    (E::Grant, &[S::Asking], S::Granted),
    (E::Fail, &[S::Asking], S::BackingOff),
    (E::Rest, &[S::BackingOff], S::Unasked),
    (E::Discard, &[S::Granted], S::Unasked),
];

impl IdState {
    fn on(self, event: IdEvent) -> Self {
        let found = TRANSITIONS.iter().find(|(on, from, _)| *on == event && from.contains(&self));
        found.map_or(self, |(_, _, to)| *to)
    }
}

/// What is known of the producer id.
#[derive(Debug)]
pub(crate) struct Identification {
    state: IdState,
    current: Option<Identity>,
    request: Option<RequestId>,
    failures: u32,
    retry_at: Option<Instant>,
    backoff: Backoff,
    last_error: Option<DeliveryCause>,
}

impl Identification {
    pub(crate) const fn new(backoff: Backoff) -> Self {
        Self {
            state: IdState::Unasked,
            current: None,
            request: None,
            failures: 0,
            retry_at: None,
            backoff,
            last_error: None,
        }
    }

    /// The identity that a partition starts with.
    pub(crate) const fn current(&self) -> Option<Identity> {
        self.current
    }

    /// Never gives out `identity` again.
    pub(crate) fn discard(&mut self, identity: Identity) {
        if self.current.is_some_and(|current| current.id == identity.id) {
            self.current = None;
            self.state = self.state.on(IdEvent::Discard);
        }
    }

    /// Asks for an id, unless there is one, or a request for one, or a wait.
    pub(crate) fn want(&mut self, cx: &mut Cx<'_>) {
        if self.state != IdState::Unasked {
            return;
        }
        // Without a transactional id the timeout means nothing; Java sends the largest one.
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let request = Request::new(Destination::AnyBroker, Lane::General, request);
        self.request = Some(cx.send(request));
        self.state = self.state.on(IdEvent::Ask);
    }

    /// Lets time pass. Answers whether a wait is over.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        let is_over = is_due(self.retry_at, now);
        if is_over {
            self.retry_at = None;
            self.state = self.state.on(IdEvent::Rest);
        }
        is_over
    }

    /// Whether this is the answer to wait for.
    pub(crate) fn owns(&self, id: RequestId) -> bool {
        self.request == Some(id)
    }

    /// Takes the answer; gives the cause if producing is refused for good.
    pub(crate) fn handle_response(
        &mut self,
        result: Result<Response, RequestFailure>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<DeliveryCause> {
        self.request = None;
        let cause = match result {
            Ok(response) => match InitProducerIdResponse::try_from(response.body) {
                Ok(answer) => match ErrorCode::check(answer.error_code) {
                    Ok(()) => {
                        self.current = Some(Identity {
                            id: ProducerId(answer.producer_id.0),
                            epoch: ProducerEpoch(answer.producer_epoch),
                        });
                        self.state = self.state.on(IdEvent::Grant);
                        self.failures = 0;
                        self.last_error = None;
                        return None;
                    }
                    Err(code) => DeliveryCause::Broker {
                        code,
                        message: Some("no producer id was given".to_owned()),
                    },
                },
                Err(_) => DeliveryCause::NotAnswered,
            },
            Err(failure) => DeliveryCause::Request(failure),
        };
        self.state = self.state.on(IdEvent::Fail);
        self.failures += 1;
        self.retry_at = Some(now + self.backoff.after(self.failures, rng));
        self.last_error = Some(cause.clone());
        let is_final = match &cause {
            DeliveryCause::Broker { code, .. } => id_verdict(*code) == IdVerdict::Refused,
            other => !matches!(other.class(), ErrorClass::Retriable | ErrorClass::RefreshAndRetry),
        };
        is_final.then_some(cause)
    }

    /// Why there is no id, if the last try failed.
    pub(crate) const fn last_error(&self) -> Option<&DeliveryCause> {
        self.last_error.as_ref()
    }

    /// When to ask again.
    pub(crate) const fn next_timeout(&self) -> Option<Instant> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    /// The table and its graph, one line a transition: a change of behaviour is a change here.
    #[test]
    fn transitions() {
        let mut lines = String::new();
        for (event, from, to) in TRANSITIONS {
            for state in *from {
                assert_eq!(state.on(*event), *to);
                lines.push_str(&format!("{state:?} --{event:?}--> {to:?}\n"));
            }
        }
        expect![[r#"
            Unasked --Ask--> Asking
            Asking --Grant--> Granted
            Asking --Fail--> BackingOff
            BackingOff --Rest--> Unasked
            Granted --Discard--> Unasked
        "#]]
        .assert_eq(&lines);
    }

    #[test]
    fn one_request_at_a_time() {
        for state in [S::Asking, S::BackingOff, S::Granted] {
            assert_eq!(state.on(E::Ask), state);
        }
    }
}
