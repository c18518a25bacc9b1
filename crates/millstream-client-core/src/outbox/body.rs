//! Every request a machine can send, and every answer it can get, as one enum each.

use bytes::{Bytes, BytesMut};
use millstream_protocol::messages as m;
use millstream_protocol::{ApiKey, codec};

use super::{Acks, ProduceRequest};

/// An answer of another API than the one asked for: a bug in the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an answer to {expected}")]
pub struct WrongResponse {
    /// The API whose answer was expected.
    pub expected: ApiKey,
}

/// Declares the two enums, the conversions from requests and into responses, and the codec calls.
///
/// Produce stands apart: its request is our own struct with an encoder of its own.
macro_rules! bodies {
    ($($api:ident($request:ty => $response:ty) $($throttle:ident)?),* $(,)?) => {
        /// A typed request. Machines build the message and convert it by `into()`.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum RequestBody {
            $(#[doc = concat!("A request of ", stringify!($api), ".")] $api(Box<$request>),)*
            /// A request of Produce.
            Produce(Box<ProduceRequest>),
        }

        /// A typed answer. Machines that know what they asked for convert it by `try_into()`.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum ResponseBody {
            $(#[doc = concat!("An answer to ", stringify!($api), ".")] $api(Box<$response>),)*
            /// An answer to Produce.
            Produce(Box<m::ProduceResponse>),
            /// The request has no answer (Produce with `acks=0`): it is on the wire.
            None,
        }

        impl RequestBody {
            /// The API of the request.
            #[must_use]
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)*
                    Self::Produce(_) => ApiKey::Produce,
                }
            }

            /// Whether the broker will answer it.
            pub(crate) fn has_answer(&self) -> bool {
                !matches!(self, Self::Produce(request) if request.acks == Acks::None)
            }

            /// Appends the request as a frame, unless it is Produce.
            pub(crate) fn encode_message(
                &self,
                version: i16,
                correlation_id: i32,
                client_id: &str,
                out: &mut BytesMut,
            ) -> Result<(), String> {
                let client_id = Some(client_id);
                match self {
                    $(Self::$api(request) => {
                        codec::encode_request(version, correlation_id, client_id, &**request, out)
                    })*
                    Self::Produce(_) => {
                        return Err("produce has an encoder of its own".to_owned());
                    }
                }
                .map_err(|error| error.to_string())
            }
        }

        impl ResponseBody {
            /// How long the broker asks us to be silent (KIP-219).
            #[must_use]
            pub fn throttle_time_ms(&self) -> i32 {
                match self {
                    $(Self::$api(response) => throttle!(response $($throttle)?),)*
                    Self::Produce(response) => response.throttle_time_ms,
                    Self::None => 0,
                }
            }

            /// Reads the answer to a request of `api` in `version` from its frame.
            pub(crate) fn decode(api: ApiKey, version: i16, frame: Bytes) -> Result<Self, String> {
                match api {
                    $(ApiKey::$api => {
                        codec::decode_response::<$request>(version, frame).map(Self::from)
                    })*
                    ApiKey::Produce => {
                        codec::decode_response::<m::ProduceRequest>(version, frame).map(Self::from)
                    }
                    other => return Err(format!("{other} was not asked for")),
                }
                .map_err(|error| error.to_string())
            }
        }

        $(impl From<$request> for RequestBody {
            fn from(request: $request) -> Self {
                Self::$api(Box::new(request))
            }
        })*

        impl From<ProduceRequest> for RequestBody {
            fn from(request: ProduceRequest) -> Self {
                Self::Produce(Box::new(request))
            }
        }

        $(response!($api, $response);)*
        response!(Produce, m::ProduceResponse);
    };
}

/// The throttle time of an answer; a few APIs' answers have none.
macro_rules! throttle {
    ($response:ident) => {
        $response.throttle_time_ms
    };
    ($response:ident unthrottled) => {
        never_throttled($response)
    };
}

const fn never_throttled<R>(_response: &R) -> i32 {
    0
}

/// Converts a response from and into the enum of all.
macro_rules! response {
    ($api:ident, $response:ty) => {
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
    };
}

bodies! {
    AddOffsetsToTxn(m::AddOffsetsToTxnRequest => m::AddOffsetsToTxnResponse),
    AddPartitionsToTxn(m::AddPartitionsToTxnRequest => m::AddPartitionsToTxnResponse),
    AddRaftVoter(m::AddRaftVoterRequest => m::AddRaftVoterResponse),
    AlterClientQuotas(m::AlterClientQuotasRequest => m::AlterClientQuotasResponse),
    AlterPartitionReassignments(m::AlterPartitionReassignmentsRequest => m::AlterPartitionReassignmentsResponse),
    AlterReplicaLogDirs(m::AlterReplicaLogDirsRequest => m::AlterReplicaLogDirsResponse),
    AlterShareGroupOffsets(m::AlterShareGroupOffsetsRequest => m::AlterShareGroupOffsetsResponse),
    AlterUserScramCredentials(m::AlterUserScramCredentialsRequest => m::AlterUserScramCredentialsResponse),
    ApiVersions(m::ApiVersionsRequest => m::ApiVersionsResponse),
    ConsumerGroupDescribe(m::ConsumerGroupDescribeRequest => m::ConsumerGroupDescribeResponse),
    CreateAcls(m::CreateAclsRequest => m::CreateAclsResponse),
    CreateDelegationToken(m::CreateDelegationTokenRequest => m::CreateDelegationTokenResponse),
    CreatePartitions(m::CreatePartitionsRequest => m::CreatePartitionsResponse),
    CreateTopics(m::CreateTopicsRequest => m::CreateTopicsResponse),
    DeleteAcls(m::DeleteAclsRequest => m::DeleteAclsResponse),
    DeleteGroups(m::DeleteGroupsRequest => m::DeleteGroupsResponse),
    DeleteRecords(m::DeleteRecordsRequest => m::DeleteRecordsResponse),
    DeleteShareGroupOffsets(m::DeleteShareGroupOffsetsRequest => m::DeleteShareGroupOffsetsResponse),
    DeleteTopics(m::DeleteTopicsRequest => m::DeleteTopicsResponse),
    DescribeAcls(m::DescribeAclsRequest => m::DescribeAclsResponse),
    DescribeClientQuotas(m::DescribeClientQuotasRequest => m::DescribeClientQuotasResponse),
    DescribeCluster(m::DescribeClusterRequest => m::DescribeClusterResponse),
    DescribeConfigs(m::DescribeConfigsRequest => m::DescribeConfigsResponse),
    DescribeDelegationToken(m::DescribeDelegationTokenRequest => m::DescribeDelegationTokenResponse),
    DescribeGroups(m::DescribeGroupsRequest => m::DescribeGroupsResponse),
    DescribeLogDirs(m::DescribeLogDirsRequest => m::DescribeLogDirsResponse),
    DescribeProducers(m::DescribeProducersRequest => m::DescribeProducersResponse),
    DescribeShareGroupOffsets(m::DescribeShareGroupOffsetsRequest => m::DescribeShareGroupOffsetsResponse),
    DescribeTopicPartitions(m::DescribeTopicPartitionsRequest => m::DescribeTopicPartitionsResponse),
    DescribeTransactions(m::DescribeTransactionsRequest => m::DescribeTransactionsResponse),
    DescribeQuorum(m::DescribeQuorumRequest => m::DescribeQuorumResponse) unthrottled,
    DescribeUserScramCredentials(m::DescribeUserScramCredentialsRequest => m::DescribeUserScramCredentialsResponse),
    ElectLeaders(m::ElectLeadersRequest => m::ElectLeadersResponse),
    EndTxn(m::EndTxnRequest => m::EndTxnResponse),
    ExpireDelegationToken(m::ExpireDelegationTokenRequest => m::ExpireDelegationTokenResponse),
    Fetch(m::FetchRequest => m::FetchResponse),
    FindCoordinator(m::FindCoordinatorRequest => m::FindCoordinatorResponse),
    Heartbeat(m::HeartbeatRequest => m::HeartbeatResponse),
    IncrementalAlterConfigs(m::IncrementalAlterConfigsRequest => m::IncrementalAlterConfigsResponse),
    InitProducerId(m::InitProducerIdRequest => m::InitProducerIdResponse),
    JoinGroup(m::JoinGroupRequest => m::JoinGroupResponse),
    LeaveGroup(m::LeaveGroupRequest => m::LeaveGroupResponse),
    ListConfigResources(m::ListConfigResourcesRequest => m::ListConfigResourcesResponse),
    ListGroups(m::ListGroupsRequest => m::ListGroupsResponse),
    ListOffsets(m::ListOffsetsRequest => m::ListOffsetsResponse),
    ListPartitionReassignments(m::ListPartitionReassignmentsRequest => m::ListPartitionReassignmentsResponse),
    ListTransactions(m::ListTransactionsRequest => m::ListTransactionsResponse),
    Metadata(m::MetadataRequest => m::MetadataResponse),
    OffsetCommit(m::OffsetCommitRequest => m::OffsetCommitResponse),
    OffsetDelete(m::OffsetDeleteRequest => m::OffsetDeleteResponse),
    OffsetFetch(m::OffsetFetchRequest => m::OffsetFetchResponse),
    OffsetForLeaderEpoch(m::OffsetForLeaderEpochRequest => m::OffsetForLeaderEpochResponse),
    RemoveRaftVoter(m::RemoveRaftVoterRequest => m::RemoveRaftVoterResponse),
    RenewDelegationToken(m::RenewDelegationTokenRequest => m::RenewDelegationTokenResponse),
    ShareGroupDescribe(m::ShareGroupDescribeRequest => m::ShareGroupDescribeResponse),
    StreamsGroupDescribe(m::StreamsGroupDescribeRequest => m::StreamsGroupDescribeResponse),
    SyncGroup(m::SyncGroupRequest => m::SyncGroupResponse),
    TxnOffsetCommit(m::TxnOffsetCommitRequest => m::TxnOffsetCommitResponse),
    UnregisterBroker(m::UnregisterBrokerRequest => m::UnregisterBrokerResponse),
    UnregisterController(m::UnregisterControllerRequest => m::UnregisterControllerResponse),
    UpdateFeatures(m::UpdateFeaturesRequest => m::UpdateFeaturesResponse),
    WriteTxnMarkers(m::WriteTxnMarkersRequest => m::WriteTxnMarkersResponse) unthrottled,
}
