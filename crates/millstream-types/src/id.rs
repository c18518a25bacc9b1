//! Names and numbers by which Kafka knows brokers, groups, members and producers.

/// Declares a cheaply cloned name: an `Arc<str>` with a type of its own.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl From<&String> for $name {
            fn from(name: &String) -> Self {
                Self(name.as_str().into())
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

/// Declares a number with a type of its own.
macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            /// The bare number, as it stands on the wire.
            #[must_use]
            pub const fn value(self) -> $int {
                self.0
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

pub(crate) use {name_type, number_type};

name_type! {
    /// The id of a Kafka cluster, as its metadata answers give it.
    ClusterId
}

name_type! {
    /// A consumer, share or streams group (`group.id`).
    GroupId
}

name_type! {
    /// A member of a group: given by the coordinator under the classic protocol.
    MemberId
}

name_type! {
    /// The name of a static member (`group.instance.id`, KIP-345).
    GroupInstanceId
}

number_type! {
    /// A broker (`node.id`).
    BrokerId(i32)
}

number_type! {
    /// The generation of a classic group, raised by each rebalance.
    GenerationId(i32)
}

number_type! {
    /// The id that the cluster gave an idempotent producer (KIP-98).
    ProducerId(i64)
}

number_type! {
    /// The epoch of a producer id: a higher one fences the lower ones.
    ProducerEpoch(i16)
}

impl GenerationId {
    /// The generation of a client that is in no group.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// What a batch carries that was written without idempotence.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// What a batch carries that was written without idempotence.
    pub const NONE: Self = Self(-1);
}
