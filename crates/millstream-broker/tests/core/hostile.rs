//! Requests that no client sends: the broker closes the connection or answers, and goes on.

use bytes::{Bytes, BytesMut};
use millstream_broker::ApiKey;
use millstream_protocol::api::supported_versions;
use millstream_protocol::codec::{encode_request, put_request_header};
use millstream_protocol::messages as m;
use proptest::prelude::*;

use crate::bench::{Bench, batch, produce_request};
use crate::fetch::{partition, request};

/// The front of a request.
fn head(api: ApiKey, version: i16) -> BytesMut {
    let mut out = BytesMut::new();
    put_request_header(api, version, 7, Some("hostile"), &mut out).unwrap();
    out
}

#[test]
fn unknown_requests_close_the_connection() {
    let mut bench = Bench::new(1);
    let mut closes = |frame: Bytes| {
        let connection = bench.connect(1);
        bench.send_frame(connection, frame);
        bench.is_closed(connection)
    };
    assert!(closes(Bytes::new()));
    assert!(closes(Bytes::from_static(&[0, 18])));
    assert!(closes(Bytes::from_static(&[0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff])));
    assert!(closes(head(ApiKey::ShareFetch, 1).freeze()), "an API that is not served");
    assert!(closes(head(ApiKey::Metadata, 99).freeze()), "a version that is not served");
    assert!(closes(head(ApiKey::Metadata, 9).freeze()), "a body that ends early");
}

#[test]
fn a_client_from_the_future_learns_the_versions() {
    let mut bench = Bench::new(1);
    let connection = bench.connect(1);
    bench.send_frame(connection, head(ApiKey::ApiVersions, 99).freeze());
    assert!(!bench.is_closed(connection));
    let named = m::ApiVersionsRequest::default();
    assert!(bench.call(connection, 0, &named).api_keys.len() > 20);
}

/// Frames that are nearly right: those of real requests, with bytes changed.
fn mutated() -> impl Strategy<Value = Bytes> {
    let produce = produce_request("t", 0, batch(&["a", "b"])).with_transactional_id(None);
    let fetch = request("t", vec![partition(0, 0)]);
    let frames: Vec<Bytes> = vec![
        framed(9, &produce),
        framed(12, &fetch),
        framed(12, &m::MetadataRequest::default()),
        framed(7, &m::CreateTopicsRequest::default()),
        framed(9, &m::JoinGroupRequest::default().with_session_timeout_ms(10_000)),
        framed(8, &m::OffsetFetchRequest::default()),
        framed(5, &m::InitProducerIdRequest::default().with_transaction_timeout_ms(1000)),
        framed(5, &m::EndTxnRequest::default()),
        framed(3, &m::AddPartitionsToTxnRequest::default()),
        framed(5, &m::TxnOffsetCommitRequest::default()),
        framed(2, &m::ListTransactionsRequest::default()),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    (prop::sample::select(frames), changes).prop_map(|(frame, changes)| {
        let mut bytes = frame.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.into()
    })
}

fn framed<R: m::Request>(version: i16, request: &R) -> Bytes {
    let mut out = BytesMut::new();
    encode_request(version, 1, Some("hostile"), request, &mut out).unwrap();
    out.split_off(4).freeze()
}

/// Frames with the head of a served request and any body.
fn random() -> impl Strategy<Value = Bytes> {
    let api = prop::sample::select(ApiKey::ALL);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    (api, any::<prop::sample::Index>(), body).prop_map(|(api, version, body)| {
        let versions = supported_versions(api);
        let count = usize::try_from(versions.max - versions.min + 1).unwrap();
        let mut frame = head(api, versions.min + version.index(count) as i16);
        frame.extend_from_slice(&body);
        frame.freeze()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_leaves_a_broker_that_serves(
        frames in prop::collection::vec(prop_oneof![mutated(), random()], 1..8),
    ) {
        let mut bench = Bench::new(1).topic("t", 1);
        for frame in frames {
            let connection = bench.connect(1);
            bench.send_frame(connection, frame);
        }
        bench.pass(std::time::Duration::from_secs(700));
        let mut bench = bench.topic("after", 1);
        prop_assert_eq!(bench.produce(1, "after", 0, &["still here"]).base_offset, 0);
    }
}
