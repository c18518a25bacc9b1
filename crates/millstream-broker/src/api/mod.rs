//! The APIs, one file each, and the table that finds the handler of a request.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use millstream_protocol::api::{VersionRange, supported_versions};
use millstream_protocol::codec::{decode_request, encode_response};
use millstream_protocol::messages::{ServedRequest, StrBytes};
use millstream_protocol::{ApiKey, DecodeError, EncodeError, ErrorCode};
use millstream_types::{BrokerId, GroupInstanceId, Timestamp};
use thiserror::Error;

use items::Items;

use crate::core::connection::{ConnectionId, Parked};
use crate::core::fault::Target;
use crate::core::frame::ResponseFrame;
use crate::core::state::State;
use crate::core::transaction::Moment;

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod authorize;
mod consumer_group_describe;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod discard;
mod elect_leaders;
mod end_txn;
pub(crate) mod fetch;
mod find_coordinator;
mod guard;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod items;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod raft_voters;
mod sync_group;
mod throttle;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

/// A request on its way through its handler.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: String,
    pub(crate) node: BrokerId,
    pub(crate) connection: ConnectionId,
    pub(crate) now: Instant,
    pub(crate) wall: Timestamp,
}

impl Call {
    /// The moment of the request.
    pub(crate) const fn moment(&self) -> Moment {
        Moment { now: self.now, wall: self.wall }
    }
}

/// What a handler gives back.
#[derive(Debug)]
pub(crate) enum Served<R> {
    /// The answer.
    Now(R),
    /// No answer is wanted (`acks=0`).
    Silent,
    /// The connection is closed instead.
    Close,
    /// The answer comes later.
    Parked(Parked, Option<Instant>),
}

/// An API that the broker serves.
pub(crate) trait Api: Items {
    /// Does what the request asks.
    fn serve(self, state: &mut State, call: &Call) -> Served<Self::Response>;

    /// The answer that says `code` wherever an answer of this API can say it.
    fn refuse(&self, version: i16, code: ErrorCode) -> Self::Response;
}

/// The request or its answer cannot be put on the wire; the connection is closed, as in Kafka.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error("the request cannot be decoded")]
    Decode(#[from] DecodeError),
    #[error("the answer cannot be encoded")]
    Encode(#[from] EncodeError),
}

/// What becomes of a request, its answer encoded.
pub(crate) enum Reply {
    Frame(ResponseFrame),
    Silent,
    Close,
    Parked(Parked, Option<Instant>),
}

/// Declares the table of APIs.
macro_rules! table {
    ($($api:ident => $request:ty),* $(,)?) => {
        /// The APIs that the broker serves.
        pub(crate) const SERVED: &[ApiKey] = &[$(ApiKey::$api),*];

        /// Serves a request, or refuses what `refusal` says of it.
        pub(crate) fn serve(
            state: &mut State,
            api: ApiKey,
            call: &Call,
            frame: Bytes,
            refusal: Option<&Refusal>,
        ) -> Result<Reply, ServeError> {
            match api {
                $(ApiKey::$api => serve_one::<$request>(state, call, frame, refusal),)*
                _ => Err(unserved(api, call)),
            }
        }

        /// The answer that refuses a request, though it is served; `None` if it wants none.
        pub(crate) fn refused(
            api: ApiKey,
            call: &Call,
            frame: Bytes,
            refusal: &Refusal,
        ) -> Result<Option<ResponseFrame>, ServeError> {
            match api {
                $(ApiKey::$api => guard::refused::<$request>(call, frame, refusal),)*
                _ => Err(unserved(api, call)),
            }
        }

        /// Whether a request names what a fault is about.
        pub(crate) fn names(
            state: &State,
            api: ApiKey,
            call: &Call,
            frame: Bytes,
            target: &Target,
        ) -> Result<bool, ServeError> {
            match api {
                $(ApiKey::$api => guard::names::<$request>(state, call, frame, target),)*
                _ => Err(unserved(api, call)),
            }
        }
    };
}

/// Whether a request was for the controller alone before brokers forwarded it (KIP-590).
pub(crate) const fn is_for_controller(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::CreatePartitions
            | ApiKey::ElectLeaders
            | ApiKey::AlterPartitionReassignments
            | ApiKey::ListPartitionReassignments
            | ApiKey::AlterUserScramCredentials
            | ApiKey::UpdateFeatures
            | ApiKey::UnregisterBroker
    )
}

fn unserved(api: ApiKey, call: &Call) -> ServeError {
    ServeError::Decode(DecodeError::Unsupported { api: api.code(), version: call.version })
}

pub(crate) use guard::Refusal;
pub(crate) use throttle::throttled;

pub(crate) use api_versions::unsupported as unsupported_api_versions;
pub(crate) use join_group::for_version as join_group_answer;
use millstream_protocol::messages as m;

table! {
    Produce => m::ProduceRequest,
    Fetch => m::FetchRequest,
    ListOffsets => m::ListOffsetsRequest,
    Metadata => m::MetadataRequest,
    OffsetCommit => m::OffsetCommitRequest,
    OffsetFetch => m::OffsetFetchRequest,
    FindCoordinator => m::FindCoordinatorRequest,
    JoinGroup => m::JoinGroupRequest,
    Heartbeat => m::HeartbeatRequest,
    LeaveGroup => m::LeaveGroupRequest,
    SyncGroup => m::SyncGroupRequest,
    DescribeGroups => m::DescribeGroupsRequest,
    ListGroups => m::ListGroupsRequest,
    ApiVersions => m::ApiVersionsRequest,
    CreateTopics => m::CreateTopicsRequest,
    InitProducerId => m::InitProducerIdRequest,
    AddPartitionsToTxn => m::AddPartitionsToTxnRequest,
    AddOffsetsToTxn => m::AddOffsetsToTxnRequest,
    EndTxn => m::EndTxnRequest,
    WriteTxnMarkers => m::WriteTxnMarkersRequest,
    TxnOffsetCommit => m::TxnOffsetCommitRequest,
    DescribeProducers => m::DescribeProducersRequest,
    DescribeTransactions => m::DescribeTransactionsRequest,
    ListTransactions => m::ListTransactionsRequest,
    DeleteGroups => m::DeleteGroupsRequest,
    OffsetDelete => m::OffsetDeleteRequest,
    AlterConfigs => m::AlterConfigsRequest,
    CreatePartitions => m::CreatePartitionsRequest,
    DeleteRecords => m::DeleteRecordsRequest,
    DeleteTopics => m::DeleteTopicsRequest,
    DescribeCluster => m::DescribeClusterRequest,
    DescribeConfigs => m::DescribeConfigsRequest,
    DescribeLogDirs => m::DescribeLogDirsRequest,
    DescribeTopicPartitions => m::DescribeTopicPartitionsRequest,
    IncrementalAlterConfigs => m::IncrementalAlterConfigsRequest,
    ListConfigResources => m::ListConfigResourcesRequest,
    ListPartitionReassignments => m::ListPartitionReassignmentsRequest,
    OffsetForLeaderEpoch => m::OffsetForLeaderEpochRequest,
    AlterReplicaLogDirs => m::AlterReplicaLogDirsRequest,
    CreateDelegationToken => m::CreateDelegationTokenRequest,
    RenewDelegationToken => m::RenewDelegationTokenRequest,
    ExpireDelegationToken => m::ExpireDelegationTokenRequest,
    DescribeDelegationToken => m::DescribeDelegationTokenRequest,
    ElectLeaders => m::ElectLeadersRequest,
    AlterPartitionReassignments => m::AlterPartitionReassignmentsRequest,
    DescribeClientQuotas => m::DescribeClientQuotasRequest,
    AlterClientQuotas => m::AlterClientQuotasRequest,
    DescribeUserScramCredentials => m::DescribeUserScramCredentialsRequest,
    AlterUserScramCredentials => m::AlterUserScramCredentialsRequest,
    DescribeQuorum => m::DescribeQuorumRequest,
    UpdateFeatures => m::UpdateFeaturesRequest,
    UnregisterBroker => m::UnregisterBrokerRequest,
    ConsumerGroupDescribe => m::ConsumerGroupDescribeRequest,
    AddRaftVoter => m::AddRaftVoterRequest,
    RemoveRaftVoter => m::RemoveRaftVoterRequest,
    DescribeAcls => m::DescribeAclsRequest,
    CreateAcls => m::CreateAclsRequest,
    DeleteAcls => m::DeleteAclsRequest,
}

/// The versions of an API that the broker serves; `None`: it does not serve it.
pub(crate) fn served_versions(api: ApiKey) -> Option<VersionRange> {
    SERVED.contains(&api).then(|| supported_versions(api))
}

fn serve_one<R: Api>(
    state: &mut State,
    call: &Call,
    frame: Bytes,
    refusal: Option<&Refusal>,
) -> Result<Reply, ServeError> {
    let request: R = decode_request(call.version, frame)?;
    let served = if refusal.is_some() || state.config.security.authorizer {
        guard::serve(request, state, call, refusal)
    } else {
        request.serve(state, call)
    };
    Ok(match served {
        Served::Now(response) => {
            Reply::Frame(encode::<R>(call.version, call.correlation_id, &response)?)
        }
        Served::Silent => Reply::Silent,
        Served::Close => Reply::Close,
        Served::Parked(parked, until) => Reply::Parked(parked, until),
    })
}

/// Encodes an answer with its length and header.
pub(crate) fn encode<R: ServedRequest>(
    version: i16,
    correlation_id: i32,
    response: &R::Response,
) -> Result<ResponseFrame, EncodeError> {
    let mut out = BytesMut::with_capacity(256);
    encode_response::<R>(version, correlation_id, response, &mut out)?;
    Ok(out.freeze().into())
}

/// Text for a message.
pub(crate) fn text(text: impl AsRef<str>) -> StrBytes {
    StrBytes::from_string(text.as_ref().to_owned())
}

/// The topic name of a message.
pub(crate) fn topic_name(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

/// The instance of a static member, where a request names one.
fn instance(id: Option<&StrBytes>) -> Option<GroupInstanceId> {
    id.map(|id| GroupInstanceId::from(id.as_str()))
}

/// What a code means, as Kafka puts it: a sentence with a capital letter and a full stop.
pub(crate) fn sentence(code: ErrorCode) -> StrBytes {
    let message = code.message();
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    text(first.into_iter().chain(chars).chain(['.']).collect::<String>())
}
