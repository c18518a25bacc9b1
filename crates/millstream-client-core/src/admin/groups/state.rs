//! The protocols of groups and the states they can be in, in Kafka's spelling.

use std::fmt;

/// Declares an enum of words that answers hold as text.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// One that this client does not know, as the broker spells it.
            Other(String),
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) {
                    return Self::$word;
                })*
                Self::Other(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$word => $text,)*
                    Self::Other(text) => text,
                })
            }
        }
    };
}


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
