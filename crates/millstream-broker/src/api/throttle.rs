//! Writing a throttle time into an answer that is encoded already (KIP-219).
//!
//! Nearly every answer begins with it; those few in which it stands elsewhere are decoded again.

use std::time::Duration;

use bytes::BytesMut;
use millstream_protocol::ApiKey;
use millstream_protocol::codec::decode_response;
use millstream_protocol::messages as m;

use crate::core::frame::ResponseFrame;

/// The length and the correlation id.
const HEAD: usize = 8;
/// The tagged fields of a response header that has some.
const TAGS: usize = 1;

/// Where the throttle time stands in the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many bytes behind the header.
    At(usize),
    /// Behind parts of any length.
    Deep,
    /// Nowhere.
    Absent,
}

const fn place(api: ApiKey, version: i16) -> Place {
    let since = match api {
        ApiKey::ListOffsets | ApiKey::JoinGroup => 2,
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => 3,
        ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::ApiVersions => 1,
        ApiKey::SaslHandshake
        | ApiKey::SaslAuthenticate
        | ApiKey::WriteTxnMarkers
        | ApiKey::DescribeQuorum => return Place::Absent,
        _ => 0,
    };
    if version < since {
        return Place::Absent;
    }
    match api {
        ApiKey::Produce
        | ApiKey::ApiVersions
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken => Place::Deep,
        // Behind the error code.
        ApiKey::OffsetDelete => Place::At(2),
        _ => Place::At(0),
    }
}

/// The answer with the throttle time in it, where its version has a place for one.
pub(crate) fn throttled(
    api: ApiKey,
    version: i16,
    frame: ResponseFrame,
    time: Duration,
) -> ResponseFrame {
    let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    match place(api, version) {
        Place::Absent => frame,
        Place::At(offset) => {
            let tags = if api.is_flexible(version) { TAGS } else { 0 };
            patch(frame, HEAD + tags + offset, millis)
        }
        Place::Deep => deep(api, version, &frame, millis).unwrap_or(frame),
    }
}

/// Lays a number over the bytes from `at` on; they lie within the parts that the broker wrote.
fn patch(frame: ResponseFrame, at: usize, millis: i32) -> ResponseFrame {
    let mut start = 0;
    let chunks = frame.into_chunks().into_iter().map(|chunk| {
        let from = at.checked_sub(start).filter(|from| from + 4 <= chunk.len());
        start += chunk.len();
        let Some(from) = from else {
            return chunk;
        };
        let mut copy = BytesMut::from(&chunk[..]);
        copy[from..from + 4].copy_from_slice(&millis.to_be_bytes());
        copy.freeze()
    });
    ResponseFrame::of(chunks.collect())
}

macro_rules! deep {
    ($($api:ident => $request:ident;)*) => {
        /// Decodes an answer, sets its throttle time, and encodes it again.
        fn deep(api: ApiKey, version: i16, frame: &ResponseFrame, millis: i32) -> Option<ResponseFrame> {
            let bytes = frame.clone().into_bytes().slice(4..);
            let correlation_id = i32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
            match api {
                $(ApiKey::$api => {
                    let response = decode_response::<m::$request>(version, bytes).ok()?;
                    let response = response.with_throttle_time_ms(millis);
                    super::encode::<m::$request>(version, correlation_id, &response).ok()
                })*
                _ => None,
            }
        }
    };
}

deep! {
    Produce => ProduceRequest;
    ApiVersions => ApiVersionsRequest;
    CreateDelegationToken => CreateDelegationTokenRequest;
    RenewDelegationToken => RenewDelegationTokenRequest;
    ExpireDelegationToken => ExpireDelegationTokenRequest;
    DescribeDelegationToken => DescribeDelegationTokenRequest;
}
