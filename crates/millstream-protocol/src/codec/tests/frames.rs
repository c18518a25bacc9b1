//! Whole frames: headers, both directions, unsupported versions.

use bytes::{Bytes, BytesMut};

use crate::api::{ApiKey, supported_versions};
use crate::codec::{
    RequestHeader, decode_request, decode_response, encode_request, encode_response,
    peek_correlation_id,
};
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameDecoder;
use crate::messages::metadata_request::MetadataRequestTopic;
use crate::messages::*;

fn one_frame(out: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.extend(out);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(decoder.pending(), 0);
    frame
}

fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("orders"))));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

#[test]
fn a_request_goes_over_in_every_version() {
    let versions = supported_versions(ApiKey::Metadata);
    for version in versions.min..=versions.max {
        let request = metadata().with_allow_auto_topic_creation(version < 4 || version % 2 == 0);
        let mut out = BytesMut::new();
        encode_request(version, 42, Some("client-1"), &request, &mut out).unwrap();
        let frame = one_frame(&out);
        let header = RequestHeader::peek(&frame).unwrap();
        assert_eq!(header.api(), Some(ApiKey::Metadata));
        assert_eq!((header.api_version, header.correlation_id), (version, 42));
        assert_eq!(header.client_id.as_deref(), Some("client-1"));
        assert!(header.is_supported());
        assert_eq!(decode_request::<MetadataRequest>(version, frame).unwrap(), request);
    }
}

#[test]
fn a_response_goes_over_in_every_version() {
    let versions = supported_versions(ApiKey::ListOffsets);
    for version in versions.min..=versions.max {
        let response = ListOffsetsResponse::default();
        let mut out = BytesMut::new();
        encode_response::<ListOffsetsRequest>(version, -5, &response, &mut out).unwrap();
        let frame = one_frame(&out);
        assert_eq!(peek_correlation_id(&frame).unwrap(), -5);
        let back = decode_response::<ListOffsetsRequest>(version, frame).unwrap();
        assert_eq!(back, response);
    }
}

#[test]
fn a_response_to_api_versions_has_the_first_header_always() {
    let mut out = BytesMut::new();
    let response = ApiVersionsResponse::default();
    encode_response::<ApiVersionsRequest>(3, 9, &response, &mut out).unwrap();
    // Error code right after the correlation id: no tagged fields in the header.
    assert_eq!(out.as_ref(), &[0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn an_unsupported_version_is_named_on_both_sides() {
    let mut out = BytesMut::from(&b"before"[..]);
    let error = encode_request(99, 1, None, &metadata(), &mut out).unwrap_err();
    let supported = supported_versions(ApiKey::Metadata);
    assert_eq!(error, EncodeError::Unsupported { api: ApiKey::Metadata, version: 99, supported });
    assert_eq!(out.as_ref(), b"before");
    let error = decode_response::<MetadataRequest>(99, Bytes::from_static(&[0; 64])).unwrap_err();
    assert_eq!(error, DecodeError::Unsupported { api: 3, version: 99 });
}

#[test]
fn a_header_of_an_unsupported_version_is_still_read() {
    // ApiVersions version 77, as a client of the future would open a connection.
    let frame = [0, 18, 0, 77, 0, 0, 0, 3, 0, 1, b'x', 0, 1, 2, 3];
    let header = RequestHeader::peek(&frame).unwrap();
    assert_eq!((header.api(), header.api_version), (Some(ApiKey::ApiVersions), 77));
    assert_eq!(header.correlation_id, 3);
    assert!(!header.is_supported());
    let error = RequestHeader::peek(&[7, 7, 0, 1, 0, 0, 0, 3, 0xff, 0xff]).unwrap_err();
    assert_eq!(error, DecodeError::Unsupported { api: 0x707, version: 1 });
}

#[test]
fn a_field_that_the_version_lacks_is_an_error_and_leaves_nothing_behind() {
    let request = ListOffsetsRequest::default().with_isolation_level(1);
    let mut out = BytesMut::new();
    let error = encode_request(1, 1, None, &request, &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::Inexpressible { version: 1, .. }), "{error}");
    assert!(error.to_string().contains("isolation_level"), "{error}");
    assert!(out.is_empty());
    encode_request(2, 1, None, &request, &mut out).unwrap();
}

#[test]
fn byte_fields_share_the_memory_of_the_frame() {
    let partition =
        fetch_response::PartitionData::default().with_records(Some(Bytes::from_static(&[7; 100])));
    let topic = fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
    let response = FetchResponse::default().with_responses(vec![topic]);
    let mut out = BytesMut::new();
    encode_response::<FetchRequest>(12, 1, &response, &mut out).unwrap();
    let frame = one_frame(&out);
    let memory = frame.as_ptr_range();
    let back = decode_response::<FetchRequest>(12, frame.clone()).unwrap();
    let records = back.responses[0].partitions[0].records.as_ref().unwrap();
    assert!(memory.contains(&records.as_ptr()));
    assert_eq!(records.as_ref(), &[7; 100]);
}
