//! Any bytes as a stream of frames, and each frame as a request and as the answer to one.
//!
//! The first byte says how the stream is cut into reads, the second which API and version a client waits for.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millstream_protocol::ApiKey;
use millstream_protocol::api::supported_versions;
use millstream_protocol::codec::{RequestHeader, decode_request, decode_response};
use millstream_protocol::frame::FrameDecoder;
use millstream_protocol::messages;
use millstream_protocol::negotiate::read_api_versions;

const MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let [cut, choice, stream @ ..] = input else {
        return;
    };
    let mut decoder = FrameDecoder::new(MAX);
    for read in stream.chunks(usize::from(*cut) + 1) {
        decoder.extend(read);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => decode(*choice, frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});

/// Tries a frame as everything that it may be.
fn decode(choice: u8, frame: Bytes) {
    if let Ok(header) = RequestHeader::peek(&frame)
        && header.is_supported()
    {
        request(&header, frame.clone());
    }
    let _ = read_api_versions(i16::from(choice & 7), frame.clone());
    macro_rules! response {
        ($($api:ident: $request:ident),* $(,)?) => {{
            const APIS: &[ApiKey] = &[$(ApiKey::$api),*];
            let api = APIS[usize::from(choice) % APIS.len()];
            let range = supported_versions(api);
            for version in range.min..=range.max {
                match api {
                    $(ApiKey::$api => drop(decode_response::<messages::$request>(version, frame.clone())),)*
                    _ => {}
                }
            }
        }};
    }
    response!(
        Produce: ProduceRequest,
        Fetch: FetchRequest,
        ListOffsets: ListOffsetsRequest,
        Metadata: MetadataRequest,
        OffsetCommit: OffsetCommitRequest,
        OffsetFetch: OffsetFetchRequest,
        FindCoordinator: FindCoordinatorRequest,
        JoinGroup: JoinGroupRequest,
        SyncGroup: SyncGroupRequest,
        Heartbeat: HeartbeatRequest,
        InitProducerId: InitProducerIdRequest,
        CreateTopics: CreateTopicsRequest,
        DescribeConfigs: DescribeConfigsRequest,
        ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest,
        ShareFetch: ShareFetchRequest,
    );
}

fn request(header: &RequestHeader, frame: Bytes) {
    let version = header.api_version;
    macro_rules! request {
        ($($api:ident: $request:ident),* $(,)?) => {
            match header.api() {
                $(Some(ApiKey::$api) => drop(decode_request::<messages::$request>(version, frame)),)*
                _ => {}
            }
        };
    }
    request!(
        Produce: ProduceRequest,
        Fetch: FetchRequest,
        ListOffsets: ListOffsetsRequest,
        Metadata: MetadataRequest,
        OffsetCommit: OffsetCommitRequest,
        OffsetFetch: OffsetFetchRequest,
        JoinGroup: JoinGroupRequest,
        SyncGroup: SyncGroupRequest,
        ApiVersions: ApiVersionsRequest,
        CreateTopics: CreateTopicsRequest,
        DescribeConfigs: DescribeConfigsRequest,
        ShareFetch: ShareFetchRequest,
    );
}
