//! The protocols of groups and the states they can be in, in Kafka's spelling.

use super::super::texts::texts;

texts! {
    /// The protocol of a group (`GroupType`).
    GroupType {
        /// The protocol of joins and syncs.
        Classic = "Classic";
        /// Consumers that the broker assigns to (KIP-848).
        Consumer = "Consumer";
        /// Share consumers (KIP-932).
        Share = "Share";
        /// Kafka Streams (KIP-1071).
        Streams = "Streams";
    }
}

texts! {
    /// The state of a group (`GroupState`); which there are depends on its protocol.
    GroupState {
        /// Members join.
        PreparingRebalance = "PreparingRebalance";
        /// The leader assigns.
        CompletingRebalance = "CompletingRebalance";
        /// All members have what is theirs.
        Stable = "Stable";
        /// It is gone.
        Dead = "Dead";
        /// It has no members.
        Empty = "Empty";
        /// The broker assigns.
        Assigning = "Assigning";
        /// Members take and give up what was assigned.
        Reconciling = "Reconciling";
        /// Topics that it needs are missing.
        NotReady = "NotReady";
    }
}
