//! The error codes of Kafka 4.4 with their names, classes and meanings (`Errors.java`).

super::error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", Fatal,
        "the server experienced an unexpected error when processing the request";
    None = 0, "NONE", Fatal,
        "no error";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", Fatal,
        "the requested offset is not within the range of offsets maintained by the server";
    CorruptMessage = 2, "CORRUPT_MESSAGE", Retriable,
        "this message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", RefreshAndRetry,
        "this server does not host this topic-partition";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", InvalidConfiguration,
        "the requested fetch size is invalid";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", RefreshAndRetry,
        "there is no leader for this topic-partition as we are in the middle of a leadership election";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", RefreshAndRetry,
        "the broker is not the leader (or, for requests any replica may serve, not a replica) of the partition";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", Retriable,
        "the request timed out";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", Retriable,
        "the broker is not available";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", RefreshAndRetry,
        "the replica is not available for the requested partition";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", InvalidConfiguration,
        "the request included a message larger than the max message size the server will accept";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", RefreshAndRetry,
        "the controller moved to another broker";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", InvalidConfiguration,
        "the metadata field of the offset request was too large";
    NetworkException = 13, "NETWORK_EXCEPTION", RefreshAndRetry,
        "the server disconnected before a response was received";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", Retriable,
        "the coordinator is loading and hence can't process requests";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", RefreshAndRetry,
        "the coordinator is not available";
    NotCoordinator = 16, "NOT_COORDINATOR", RefreshAndRetry,
        "this is not the correct coordinator";
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION", InvalidConfiguration,
        "the request attempted to perform an operation on an invalid topic";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", InvalidConfiguration,
        "the request included message batch larger than the configured segment size on the server";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", Retriable,
        "messages are rejected since there are fewer in-sync replicas than required";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Retriable,
        "messages are written to the log, but to fewer in-sync replicas than required";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", InvalidConfiguration,
        "produce request specified an invalid value for required acks";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", Fenced,
        "specified group generation id is not valid";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", InvalidConfiguration,
        "the group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list";
    InvalidGroupId = 24, "INVALID_GROUP_ID", InvalidConfiguration,
        "the group id is invalid";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", Fenced,
        "the coordinator is not aware of this member";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", InvalidConfiguration,
        "the session timeout is not within the range allowed by the broker group.min.session.timeout.ms to group.max.session.timeout.ms";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", Retriable,
        "the group is rebalancing, so a rejoin is needed";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", InvalidConfiguration,
        "the committing offset data size is not valid";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", InvalidConfiguration,
        "topic authorization failed";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", InvalidConfiguration,
        "group authorization failed";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", InvalidConfiguration,
        "cluster authorization failed";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", InvalidConfiguration,
        "the timestamp of the message is out of acceptable range";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", InvalidConfiguration,
        "the broker does not support the requested SASL mechanism";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", InvalidConfiguration,
        "request is not valid given the current SASL state";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", InvalidConfiguration,
        "the version of API is not supported";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", Fatal,
        "topic with this name already exists";
    InvalidPartitions = 37, "INVALID_PARTITIONS", InvalidConfiguration,
        "number of partitions is below 1";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", InvalidConfiguration,
        "replication factor is below 1 or larger than the number of available brokers";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", InvalidConfiguration,
        "replica assignment is invalid";
    InvalidConfig = 40, "INVALID_CONFIG", InvalidConfiguration,
        "configuration is invalid";
    NotController = 41, "NOT_CONTROLLER", RefreshAndRetry,
        "this is not the correct controller for this cluster";
    InvalidRequest = 42, "INVALID_REQUEST", Fatal,
        "the broker finds the request malformed, or it went to an incompatible broker";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", InvalidConfiguration,
        "the message format version on the broker does not support the request";
    PolicyViolation = 44, "POLICY_VIOLATION", InvalidConfiguration,
        "request parameters do not satisfy the configured policy";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Abortable,
        "the broker received an out of order sequence number";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", Fatal,
        "the broker received a duplicate sequence number";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", Fenced,
        "producer attempted to produce with an old epoch";
    InvalidTxnState = 48, "INVALID_TXN_STATE", Fatal,
        "the producer attempted a transactional operation in an invalid state";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", Fenced,
        "the producer attempted to use a producer id which is not currently assigned to its transactional id";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", InvalidConfiguration,
        "the transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms)";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", Retriable,
        "the producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", Fenced,
        "indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", InvalidConfiguration,
        "transactional Id authorization failed";
    SecurityDisabled = 54, "SECURITY_DISABLED", InvalidConfiguration,
        "security features are disabled";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", Fatal,
        "the broker did not attempt this operation, because another one of the same request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", RefreshAndRetry,
        "disk error when trying to access log file on the disk";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", InvalidConfiguration,
        "the user-specified log directory is not found in the broker config";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", InvalidConfiguration,
        "SASL Authentication failed";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", Abortable,
        "the broker no longer holds this producer's state";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", Retriable,
        "a partition reassignment is in progress";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", InvalidConfiguration,
        "delegation Token feature is not enabled";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", InvalidConfiguration,
        "delegation Token is not found on server";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", InvalidConfiguration,
        "specified Principal is not valid Owner/Renewer";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", InvalidConfiguration,
        "delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", InvalidConfiguration,
        "delegation Token authorization failed";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", InvalidConfiguration,
        "delegation Token is expired";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", InvalidConfiguration,
        "supplied principalType is not supported";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", Fatal,
        "the group is not empty";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", Fatal,
        "the group id does not exist";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", Retriable,
        "the fetch session ID was not found";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", Retriable,
        "the fetch session epoch is invalid";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", RefreshAndRetry,
        "there is no listener on the leader broker that matches the listener on which metadata request was processed";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", InvalidConfiguration,
        "topic deletion is disabled";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", RefreshAndRetry,
        "the leader epoch in the request is older than the epoch on the broker";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", Retriable,
        "the leader epoch in the request is newer than the epoch on the broker";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", InvalidConfiguration,
        "the requesting client does not support the compression type of given partition";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", Retriable,
        "broker epoch has changed";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", Retriable,
        "the leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", Retriable,
        "the group member needs to have a valid member id before actually entering a consumer group";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", RefreshAndRetry,
        "the preferred leader was not available";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", InvalidConfiguration,
        "the group has reached its maximum size";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", Fenced,
        "the broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", RefreshAndRetry,
        "eligible topic partition leaders are not available";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", RefreshAndRetry,
        "leader election not needed for topic partition";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", Fatal,
        "no partition reassignment is in progress";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", Fatal,
        "deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it";
    InvalidRecord = 87, "INVALID_RECORD", Fatal,
        "this record has failed the validation on broker and hence will be rejected";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", Retriable,
        "there are unstable offsets that need to be cleared";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", Retriable,
        "the throttling quota has been exceeded";
    ProducerFenced = 90, "PRODUCER_FENCED", Fenced,
        "there is a newer producer with the same transactionalId which fences the current one";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", Fatal,
        "a request illegally referred to a resource that does not exist";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", Fatal,
        "a request illegally referred to the same resource twice";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", InvalidConfiguration,
        "requested credential would not meet criteria for acceptability";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", InvalidConfiguration,
        "indicates that the either the sender or recipient of a voter-only request is not one of the expected voters";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", Fatal,
        "the given update version was invalid";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", Fatal,
        "unable to update finalized features due to an unexpected server error";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", Fatal,
        "the principal of a forwarded request cannot be read";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", Fatal,
        "requested snapshot was not found";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", Fatal,
        "requested position is not greater than or equal to zero, and less than the size of the snapshot";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", RefreshAndRetry,
        "this server does not host this topic ID";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", InvalidConfiguration,
        "this broker ID is already in use";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", Fatal,
        "the given broker ID was not registered";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", RefreshAndRetry,
        "the log's topic ID did not match the topic ID in the request";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", InvalidConfiguration,
        "the clusterId in the request does not match that found on the server";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", Fatal,
        "the transactionalId could not be found";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", Retriable,
        "the fetch session encountered inconsistent topic ID usage";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", Retriable,
        "the new ISR contains at least one ineligible replica";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", RefreshAndRetry,
        "the AlterPartition request successfully updated the partition state but the leader has changed";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", Retriable,
        "the requested offset is moved to tiered storage";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", Fenced,
        "the member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", Retriable,
        "the instance ID is still used by another member in the consumer group. That member must leave first";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", InvalidConfiguration,
        "the assignor or its version range is not supported by the consumer group";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", Retriable,
        "the member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", InvalidConfiguration,
        "the request was sent to an endpoint of the wrong type";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", InvalidConfiguration,
        "this endpoint type is not supported yet";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", Fatal,
        "this controller ID is not known";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", Retriable,
        "client sent a push telemetry request with an invalid or outdated subscription ID";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", Fatal,
        "client sent a push telemetry request larger than the maximum size the broker will accept";
    InvalidRegistration = 119, "INVALID_REGISTRATION", InvalidConfiguration,
        "the controller has considered the broker registration to be invalid";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", Abortable,
        "the server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", Fatal,
        "the record state is invalid. The acknowledgement of delivery could not be completed";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", Retriable,
        "the share session was not found";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", Retriable,
        "the share session epoch is invalid";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", Fenced,
        "the coordinator rejected the request because the state epoch did not match";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", Fatal,
        "the voter key doesn't match the receiving replica's key";
    DuplicateVoter = 126, "DUPLICATE_VOTER", Fatal,
        "the voter is already part of the set of voters";
    VoterNotFound = 127, "VOTER_NOT_FOUND", Fatal,
        "the voter is not part of the set of voters";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", InvalidConfiguration,
        "the regular expression is not valid";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", RefreshAndRetry,
        "client metadata is stale. The client should rebootstrap to obtain new metadata";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", InvalidConfiguration,
        "the supplied topology is invalid";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", Fenced,
        "the supplied topology epoch is invalid";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", Fenced,
        "the supplied topology epoch is outdated";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", Retriable,
        "the limit of share sessions has been reached";
    GroupDeletionFailed = 134, "GROUP_DELETION_FAILED", Fatal,
        "DeleteGroups could not complete; see the error message on the per-group result for details";
    StreamsTopologyDescriptionUpdateFailed = 135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", Fatal,
        "the broker could not process the topology description update; see the error message for details";
    ControllerIdNotRegistered = 136, "CONTROLLER_ID_NOT_REGISTERED", Fatal,
        "the given controller ID was not registered";
}
