//! Every request a machine can send, and every answer it can get, as one enum each.

use millstream_protocol::ApiKey;
use millstream_protocol::messages as m;

use super::ProduceRequest;

/// An answer of another API than the one asked for: a bug in the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an answer to {expected}")]
pub struct WrongResponse {
    /// The API whose answer was expected.
    pub expected: ApiKey,
}

/// Declares the two enums and the conversions from requests and into responses.
macro_rules! bodies {
    ($($api:ident($request:ty => $response:ty)),* $(,)?) => {
        /// A typed request. Machines build the message and convert it by `into()`.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum RequestBody {
            $(#[doc = concat!("A request of ", stringify!($api), ".")] $api(Box<$request>),)*
        }

        /// A typed answer. Machines that know what they asked for convert it by `try_into()`.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ResponseBody {
            $(#[doc = concat!("An answer to ", stringify!($api), ".")] $api(Box<$response>),)*
            /// The request has no answer (Produce with `acks=0`): it is on the wire.
            None,
        }

        impl RequestBody {
            /// The API of the request.
            #[must_use]
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)*
                }
            }
        }

        impl ResponseBody {
            /// How long the broker asks us to be silent (KIP-219).
            #[must_use]
            pub fn throttle_time_ms(&self) -> i32 {
                match self {
                    $(Self::$api(response) => response.throttle_time_ms,)*
                    Self::None => 0,
                }
            }
        }

        $(
            impl From<$request> for RequestBody {
                fn from(request: $request) -> Self {
                    Self::$api(Box::new(request))
                }
            }

            impl TryFrom<ResponseBody> for $response {
                type Error = WrongResponse;

                fn try_from(body: ResponseBody) -> Result<Self, WrongResponse> {
                    match body {
                        ResponseBody::$api(response) => Ok(*response),
                        _ => Err(WrongResponse { expected: ApiKey::$api }),
                    }
                }
            }

            impl From<$response> for ResponseBody {
                fn from(response: $response) -> Self {
                    Self::$api(Box::new(response))
                }
            }
        )*
    };
}

bodies! {
    CreatePartitions(m::CreatePartitionsRequest => m::CreatePartitionsResponse),
    CreateTopics(m::CreateTopicsRequest => m::CreateTopicsResponse),
    DeleteRecords(m::DeleteRecordsRequest => m::DeleteRecordsResponse),
    DeleteTopics(m::DeleteTopicsRequest => m::DeleteTopicsResponse),
    DescribeCluster(m::DescribeClusterRequest => m::DescribeClusterResponse),
    DescribeConfigs(m::DescribeConfigsRequest => m::DescribeConfigsResponse),
    Fetch(m::FetchRequest => m::FetchResponse),
    FindCoordinator(m::FindCoordinatorRequest => m::FindCoordinatorResponse),
    Heartbeat(m::HeartbeatRequest => m::HeartbeatResponse),
    IncrementalAlterConfigs(m::IncrementalAlterConfigsRequest => m::IncrementalAlterConfigsResponse),
    InitProducerId(m::InitProducerIdRequest => m::InitProducerIdResponse),
    JoinGroup(m::JoinGroupRequest => m::JoinGroupResponse),
    LeaveGroup(m::LeaveGroupRequest => m::LeaveGroupResponse),
    ListOffsets(m::ListOffsetsRequest => m::ListOffsetsResponse),
    Metadata(m::MetadataRequest => m::MetadataResponse),
    OffsetCommit(m::OffsetCommitRequest => m::OffsetCommitResponse),
    OffsetFetch(m::OffsetFetchRequest => m::OffsetFetchResponse),
    OffsetForLeaderEpoch(m::OffsetForLeaderEpochRequest => m::OffsetForLeaderEpochResponse),
    Produce(ProduceRequest => m::ProduceResponse),
    SyncGroup(m::SyncGroupRequest => m::SyncGroupResponse),
}
