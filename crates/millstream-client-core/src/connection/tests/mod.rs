//! One connection against bytes written by hand or by the codec, in virtual time.

mod hostile;

use std::io::IoSlice;

use bytes::BytesMut;
use millstream_protocol::messages::api_versions_response::ApiVersion;
use millstream_protocol::messages::{
    ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, MetadataRequest,
};
use millstream_protocol::{ApiKey, ErrorClass, ErrorCode, api};

use super::*;
use crate::outbox::{Acks, Lane, Outbox, ProduceRequest, Request, RequestBody};
use crate::testing::Bench;

/// A connection and the broker's side of it.
struct Wire {
    now: Instant,
    connection: Connection,
    outbox: Outbox,
    answers: Vec<Answer>,
}

impl Wire {
    fn new() -> Self {
        let now = Bench::new(Owner::Admin).now;
        let parameters = Parameters {
            broker: Some(BrokerId(1)),
            peer: "broker 1 (host:9092)".to_owned(),
            client_id: "me".into(),
            receive_max_bytes: 1000,
            max_in_flight: 2,
            setup_timeout: Duration::from_secs(10),
        };
        let mut connection = Connection::new(now, parameters);
        connection.handle_connected().unwrap();
        let outbox = Outbox::new(Duration::from_secs(30));
        Self { now, connection, outbox, answers: Vec::new() }
    }

    /// A connection whose broker speaks all that we do.
    fn ready() -> Self {
        let mut wire = Self::new();
        wire.written();
        let all = ApiKey::ALL.iter().map(|api| {
            let range = api::supported_versions(*api);
            ApiVersion::default()
                .with_api_key(api.code())
                .with_min_version(range.min)
                .with_max_version(range.max)
        });
        let versions = ApiVersionsResponse::default().with_api_keys(all.collect());
        let mut out = BytesMut::new();
        let version = FIRST_API_VERSIONS;
        codec::encode_response::<ApiVersionsRequest>(version, 0, &versions, &mut out).unwrap();
        wire.receive(&out).unwrap();
        assert!(wire.connection.can_send());
        wire
    }

    /// Everything that waits is written; gives the bytes.
    fn written(&mut self) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = self.connection.transmit().slices(&mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        self.connection.handle_written(bytes.len(), &mut self.answers);
        bytes
    }

    fn send(&mut self, body: impl Into<RequestBody>) -> RequestId {
        let request = Request::new(Destination::Broker(BrokerId(1)), Lane::General, body);
        let id = self.outbox.send(self.now, Owner::Admin, request);
        let pending = self.outbox.pop().unwrap();
        self.connection.send(self.now, pending).unwrap();
        id
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.connection.receive_buffer().extend_from_slice(bytes);
        self.connection.handle_received(self.now, &mut self.answers)
    }

    fn heartbeat(correlation_id: i32, throttle: i32) -> BytesMut {
        let response = HeartbeatResponse::default().with_throttle_time_ms(throttle);
        let version = api::supported_versions(ApiKey::Heartbeat).max;
        let mut out = BytesMut::new();
        codec::encode_response::<HeartbeatRequest>(version, correlation_id, &response, &mut out)
            .unwrap();
        out
    }

    fn fail(&mut self) -> Vec<(RequestId, RequestFailure)> {
        self.connection.fail(self.now, "gone", &mut self.answers);
        let answers = self.answers.drain(..);
        answers.map(|answer| (answer.id, answer.result.unwrap_err())).collect()
    }
}

#[test]
fn answers_find_their_requests_in_any_pieces() {
    let mut wire = Wire::ready();
    let ids = [wire.send(HeartbeatRequest::default()), wire.send(HeartbeatRequest::default())];
    assert!(!wire.connection.can_send(), "the window is two");
    wire.written();
    let bytes = [Wire::heartbeat(1, 0), Wire::heartbeat(2, 0)].concat();
    for byte in bytes {
        wire.receive(&[byte]).unwrap();
    }
    let answered: Vec<_> = wire.answers.iter().map(|answer| answer.id).collect();
    assert_eq!(answered, ids);
    assert!(wire.answers.iter().all(|answer| answer.result.is_ok()));
    assert!(wire.connection.can_send());
}

#[test]
fn an_answer_out_of_order_ends_the_connection() {
    let mut wire = Wire::ready();
    wire.send(HeartbeatRequest::default());
    wire.send(HeartbeatRequest::default());
    let error = wire.receive(&Wire::heartbeat(2, 0)).unwrap_err();
    assert_eq!(error, "it answered 2, which is not the next request");
}

#[test]
fn a_malformed_answer_is_the_failure_of_its_request_alone() {
    let mut wire = Wire::ready();
    wire.send(HeartbeatRequest::default());
    wire.send(HeartbeatRequest::default());
    wire.receive(&[0, 0, 0, 6, 0, 0, 0, 1, 0, 1]).unwrap();
    let failure = wire.answers.remove(0).result.unwrap_err();
    assert!(matches!(failure, RequestFailure::Malformed { .. }), "{failure}");
    assert!(failure.may_be_applied());
    wire.receive(&Wire::heartbeat(2, 0)).unwrap();
    assert!(wire.answers[0].result.is_ok());
}

#[test]
fn a_frame_above_the_cap_ends_the_connection() {
    let mut wire = Wire::ready();
    let error = wire.receive(&1001_i32.to_be_bytes()).unwrap_err();
    assert!(error.contains("a frame of 1001 bytes where at most 1000"), "{error}");
}

#[test]
fn what_a_disconnect_means_depends_on_what_was_written() {
    let mut wire = Wire::ready();
    let first = wire.send(HeartbeatRequest::default());
    wire.written();
    let second = wire.send(HeartbeatRequest::default());
    // All but the last byte of the second one.
    let length = usize::try_from(wire.connection.transmit().len()).unwrap();
    wire.connection.handle_written(length - 1, &mut wire.answers);
    let failures = wire.fail();
    assert_eq!(failures[0].0, first);
    assert!(matches!(failures[0].1, RequestFailure::Disconnected { .. }));
    assert!(failures[0].1.may_be_applied());
    assert_eq!(failures[1].0, second);
    assert!(matches!(failures[1].1, RequestFailure::DisconnectedUnsent { .. }));
    assert!(!failures[1].1.may_be_applied());
    assert_eq!(failures[1].1.class(), ErrorClass::Retriable);
}

#[test]
fn a_request_that_times_out_ends_the_connection() {
    let mut wire = Wire::ready();
    wire.send(HeartbeatRequest::default());
    wire.written();
    assert_eq!(wire.connection.next_timeout(), Some(wire.now + Duration::from_secs(30)));
    assert_eq!(wire.connection.handle_timeout(wire.now), None);
    wire.now += Duration::from_secs(30);
    assert!(wire.connection.handle_timeout(wire.now).is_some());
    let (_, failure) = wire.fail().remove(0);
    assert!(matches!(failure, RequestFailure::TimedOut { .. }), "{failure}");
}

#[test]
fn a_throttle_is_told_once() {
    let mut wire = Wire::ready();
    wire.send(HeartbeatRequest::default());
    wire.send(HeartbeatRequest::default());
    wire.written();
    wire.receive(&Wire::heartbeat(1, 700)).unwrap();
    wire.receive(&Wire::heartbeat(2, 300)).unwrap();
    assert_eq!(wire.connection.take_throttle(), Some(Duration::from_millis(700)));
    assert_eq!(wire.connection.take_throttle(), None);
}

#[test]
fn a_request_without_an_answer_is_done_when_it_is_written() {
    let mut wire = Wire::ready();
    let produce = ProduceRequest {
        transactional_id: None,
        acks: Acks::None,
        timeout: Duration::from_secs(1),
        topics: Vec::new(),
    };
    let silent = wire.send(produce);
    let heartbeat = wire.send(HeartbeatRequest::default());
    assert!(wire.answers.is_empty());
    wire.written();
    assert_eq!(wire.answers.remove(0).id, silent);
    wire.receive(&Wire::heartbeat(2, 0)).unwrap();
    assert_eq!(wire.answers.remove(0).id, heartbeat);
}

#[test]
fn a_version_that_no_side_has_is_refused_without_harm() {
    let mut wire = Wire::ready();
    let request = Request::new(Destination::AnyBroker, Lane::General, MetadataRequest::default());
    wire.outbox.send(wire.now, Owner::Admin, request.version_max(-1));
    let pending = wire.outbox.pop().unwrap();
    let failure = wire.connection.send(wire.now, pending).unwrap_err();
    assert!(matches!(failure, RequestFailure::UnsupportedVersion { .. }), "{failure}");
    assert!(wire.connection.transmit().is_empty());
    wire.send(HeartbeatRequest::default());
}

#[test]
fn a_broker_before_kip_511_is_asked_again_with_version_0() {
    let mut wire = Wire::new();
    let first = wire.written();
    assert_eq!(first[6..8], FIRST_API_VERSIONS.to_be_bytes());
    let code = ErrorCode::UnsupportedVersion.code().to_be_bytes();
    let body = [&0_i32.to_be_bytes()[..], &code, &0_i32.to_be_bytes()].concat();
    let length = i32::try_from(body.len()).unwrap().to_be_bytes();
    wire.receive(&[&length[..], &body].concat()).unwrap();
    let second = wire.written();
    assert_eq!(second[6..8], 0_i16.to_be_bytes());
    assert!(wire.connection.versions().is_none());
}
