//! THE retry decision: what to do about each of Kafka's error codes. No call site invents its own.
//!
//! The decision says nothing of how often and how long: that is up to the caller's deadline and backoff. A caller
//! for whom a code is no failure at all (a topic to create that exists) looks at the code before it asks here.

use crate::net::NetError;
use crate::wire::error::ErrorCode;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// There is no error.
    Done,
    /// The same request to the same broker may succeed soon.
    Retry,
    /// Something is elsewhere than we believe: refresh the metadata, then ask whoever it names.
    RefreshAndRetry,
    /// The position to fetch from does not exist: find one that does.
    ResetPosition,
    /// What the broker remembers of our producer is not what we believe: find out, then go on from there.
    ResyncProducer,
    /// Asking again as we are will not help.
    Fatal(Fault),
}

/// Who would have to change something for a fatal error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cluster's administrator, or whoever chose our credentials: we may not do this.
    Authorization,
    /// Whoever configured us or the cluster: what we ask for is against its rules.
    Configuration,
    /// The records: the cluster does not take them as they are.
    Records,
    /// Another producer that uses our identity: of two mirrors at once, one must stop.
    Rival,
    /// The versions: broker and we have too little in common.
    Version,
    /// The broker: it fails inside.
    Broker,
    /// Us: the code answers nothing that we should have asked.
    Ourselves,
}

/// What to do about an error code.
pub const fn decide(code: ErrorCode) -> Action {
    use Action::{Done, Fatal, RefreshAndRetry, ResetPosition, ResyncProducer, Retry};
    use ErrorCode as E;
    match code {
        E::None => Done,

        // Elections and moves.
        E::LeaderNotAvailable
        | E::NotLeaderOrFollower
        | E::ReplicaNotAvailable
        | E::BrokerNotAvailable
        | E::NotController
        | E::StaleControllerEpoch
        | E::NotCoordinator
        | E::CoordinatorNotAvailable
        | E::PreferredLeaderNotAvailable
        | E::EligibleLeadersNotAvailable
        | E::NetworkException
        // This listener is not yet known for the new leader.
        | E::ListenerNotFound
        // We know an older leader epoch than the broker; the new one is in the metadata.
        | E::FencedLeaderEpoch
        // We know a newer leader epoch than the broker: it will hear of it, or we asked the wrong one.
        | E::UnknownLeaderEpoch
        // A topic just created is not known everywhere at once. One that was deleted is known nowhere, which the
        // caller's deadline finds out.
        | E::UnknownTopicOrPartition
        // The same by id. After a topic was recreated the metadata has the new id.
        | E::UnknownTopicId
        | E::InconsistentTopicId
        // A disk failed: the broker resigns from the partitions on it.
        | E::KafkaStorageError
        | E::LogDirNotFound
        // The broker knows that all we know is out of date (KIP-1102).
        | E::RebootstrapRequired => RefreshAndRetry,

        // Not yet.
        E::RequestTimedOut
        | E::CoordinatorLoadInProgress
        | E::NotEnoughReplicas
        // The leader has the batch already; sent again, it is recognised by its sequence.
        | E::NotEnoughReplicasAfterAppend
        // A new leader does not know yet how far the log is replicated (KIP-207).
        | E::OffsetNotAvailable
        | E::UnstableOffsetCommit
        | E::ConcurrentTransactions
        | E::ReassignmentInProgress
        | E::OperationNotAttempted
        | E::ThrottlingQuotaExceeded
        // The session has begun anew by the time this is asked: the next request lists everything.
        | E::FetchSessionIdNotFound
        | E::InvalidFetchSessionEpoch
        | E::FetchSessionTopicIdError => Retry,

        E::OffsetOutOfRange | E::OffsetMovedToTieredStorage => ResetPosition,

        // Batches are missing at the broker (an earlier one was refused or lost), or were appended and are now too
        // old to be recognised. Which of both, only the broker's own record of the producer tells.
        E::OutOfOrderSequenceNumber
        | E::DuplicateSequenceNumber
        // The producer's last records were removed by retention, and it with them.
        | E::UnknownProducerId => ResyncProducer,

        // Our identity is used with a newer epoch.
        E::InvalidProducerEpoch
        | E::ProducerFenced
        | E::InvalidProducerIdMapping
        | E::TransactionCoordinatorFenced => Fatal(Fault::Rival),

        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed
        | E::DelegationTokenAuthDisabled
        | E::DelegationTokenNotFound
        | E::DelegationTokenOwnerMismatch
        | E::DelegationTokenRequestNotAllowed
        | E::DelegationTokenAuthorizationFailed
        | E::DelegationTokenExpired
        | E::InvalidPrincipalType
        | E::PrincipalDeserializationFailure
        | E::SaslAuthenticationFailed
        | E::UnsupportedSaslMechanism
        | E::IllegalSaslState
        | E::SecurityDisabled
        | E::UnacceptableCredential => Fatal(Fault::Authorization),

        // The checksum was made where the record was: bytes damaged in between stay damaged however often they are
        // sent. (Old brokers say this of a record without a key for a compacted topic, too.)
        E::CorruptMessage
        | E::MessageTooLarge
        | E::RecordListTooLarge
        | E::InvalidRecord
        | E::InvalidTimestamp
        | E::UnsupportedCompressionType
        | E::UnsupportedForMessageFormat => Fatal(Fault::Records),

        E::InvalidTopic
        | E::TopicAlreadyExists
        | E::TopicDeletionDisabled
        | E::InvalidPartitions
        | E::InvalidReplicationFactor
        | E::InvalidReplicaAssignment
        | E::InvalidConfig
        | E::PolicyViolation
        | E::InvalidRequiredAcks
        | E::InvalidFetchSize
        | E::InvalidTransactionTimeout
        | E::InvalidSessionTimeout
        | E::InvalidGroupId
        | E::InvalidCommitOffsetSize
        | E::OffsetMetadataTooLarge
        | E::GroupMaxSizeReached
        | E::InvalidRegularExpression
        | E::InconsistentClusterId => Fatal(Fault::Configuration),

        E::UnsupportedVersion
        | E::MismatchedEndpointType
        | E::UnsupportedEndpointType
        | E::FeatureUpdateFailed
        // Brokers send a client only codes that its request's version knows.
        | E::Unknown(_) => Fatal(Fault::Version),

        // No more is known of it, so no more can be done: it may fail in the same way forever.
        E::UnknownServerError => Fatal(Fault::Broker),

        // Groups and transactions of which we are no member, controllers among themselves, and features we do
        // not use.
        E::InvalidRequest
        | E::IllegalGeneration
        | E::InconsistentGroupProtocol
        | E::UnknownMemberId
        | E::RebalanceInProgress
        | E::MemberIdRequired
        | E::FencedInstanceId
        | E::FencedMemberEpoch
        | E::StaleMemberEpoch
        | E::UnreleasedInstanceId
        | E::UnsupportedAssignor
        | E::NonEmptyGroup
        | E::GroupIdNotFound
        | E::GroupSubscribedToTopic
        | E::InvalidTxnState
        | E::TransactionalIdNotFound
        | E::TransactionAbortable
        | E::StaleBrokerEpoch
        | E::NewLeaderElected
        | E::ElectionNotNeeded
        | E::NoReassignmentInProgress
        | E::ResourceNotFound
        | E::DuplicateResource
        | E::InconsistentVoterSet
        | E::InvalidUpdateVersion
        | E::SnapshotNotFound
        | E::PositionOutOfRange
        | E::DuplicateBrokerRegistration
        | E::BrokerIdNotRegistered
        | E::IneligibleReplica
        | E::UnknownControllerId
        | E::UnknownSubscriptionId
        | E::TelemetryTooLarge
        | E::InvalidRegistration
        | E::InvalidRecordState
        | E::ShareSessionNotFound
        | E::InvalidShareSessionEpoch
        | E::ShareSessionLimitReached
        | E::FencedStateEpoch
        | E::InvalidVoterKey
        | E::DuplicateVoter
        | E::VoterNotFound
        | E::StreamsInvalidTopology
        | E::StreamsInvalidTopologyEpoch
        | E::StreamsTopologyFenced => Fatal(Fault::Ourselves),
    }
}

/// What to do about the failure of a connection. Kept apart from the codes, because a retry must not hide a
/// misspelt address: whoever is still starting should give up on a fatal one, whoever has run before may go on
/// trying.
pub fn decide_net(error: &NetError) -> Action {
    match error.root() {
        NetError::Resolve { .. }
        | NetError::NoAddresses { .. }
        | NetError::NotKafka { .. }
        | NetError::ClosedAtOnce { .. }
        | NetError::FrameTooLarge { .. }
        | NetError::FrameOverBudget { .. }
        | NetError::Bind { .. } => Action::Fatal(Fault::Configuration),
        NetError::Tls { source, .. } if source.is_closed() => Action::Fatal(Fault::Configuration),
        NetError::Tls { .. } | NetError::Proxy { .. } if error.is_security() => {
            Action::Fatal(Fault::Configuration)
        }
        NetError::Unsupported { .. } => Action::Fatal(Fault::Version),
        NetError::Refused { code, .. } => decide(*code),
        NetError::Sasl { source, .. } if source.is_retriable() => Action::RefreshAndRetry,
        NetError::Sasl { .. } => Action::Fatal(Fault::Authorization),
        NetError::Connect { .. }
        | NetError::ConnectTimeout { .. }
        | NetError::Closed { .. }
        | NetError::ClosedHere { .. }
        | NetError::Io { .. }
        | NetError::Timeout { .. }
        | NetError::OutOfStep { .. }
        | NetError::Wire { .. }
        | NetError::Tls { .. }
        | NetError::Proxy { .. }
        | NetError::Broken { .. } => Action::RefreshAndRetry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka's own opinion of which errors may pass; where ours differs, the reason stands here.
    #[test]
    fn we_retry_what_kafka_calls_retriable() {
        for &code in ErrorCode::NAMED {
            let Some(theirs) = kafka_protocol::ResponseError::try_from_code(code.code()) else { continue };
            let ours = matches!(decide(code), Action::Retry | Action::RefreshAndRetry);
            match code {
                // See the reasons at their arms.
                ErrorCode::CorruptMessage | ErrorCode::InvalidRecord => assert!(!ours),
                // Not marked in Kafka's table, yet they pass: brokers come back, transactions end.
                ErrorCode::BrokerNotAvailable
                | ErrorCode::StaleControllerEpoch
                | ErrorCode::ConcurrentTransactions
                | ErrorCode::ReassignmentInProgress
                | ErrorCode::OperationNotAttempted
                | ErrorCode::LogDirNotFound
                | ErrorCode::InconsistentTopicId
                | ErrorCode::RebootstrapRequired => assert!(ours, "{code}"),
                _ if theirs.is_retriable() => assert!(ours || !is_ours(code), "{code} is retriable"),
                _ => assert!(!ours, "{code} is not retriable"),
            }
        }
    }

    /// Whether the code can answer what we ask.
    fn is_ours(code: ErrorCode) -> bool {
        decide(code) != Action::Fatal(Fault::Ourselves)
    }

    #[test]
    fn positions_and_producers_have_their_own_remedies() {
        assert_eq!(decide(ErrorCode::OffsetOutOfRange), Action::ResetPosition);
        assert_eq!(decide(ErrorCode::OutOfOrderSequenceNumber), Action::ResyncProducer);
        assert_eq!(decide(ErrorCode::UnknownProducerId), Action::ResyncProducer);
        assert_eq!(decide(ErrorCode::InvalidProducerEpoch), Action::Fatal(Fault::Rival));
        assert_eq!(decide(ErrorCode::None), Action::Done);
    }
}
