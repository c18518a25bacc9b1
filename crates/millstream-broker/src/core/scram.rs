//! SCRAM credentials of users (KIP-554): that they exist and their iterations. The keys themselves
//! are not kept, since connections are not authenticated.

use std::collections::BTreeMap;

/// A mechanism, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mechanism {
    Sha256,
    Sha512,
}

/// The fewest iterations of either mechanism (`ScramMechanism.java`).
pub(crate) const MIN_ITERATIONS: i32 = 4096;
/// The most that are taken (`ScramControlManager.java`).
pub(crate) const MAX_ITERATIONS: i32 = 16384;

impl Mechanism {
    /// The mechanism of this number.
    pub(crate) const fn of(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Its number.
    pub(crate) const fn number(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }
}

/// Users, their mechanisms, and the iterations of each.
pub(crate) type ScramUsers = BTreeMap<String, BTreeMap<Mechanism, i32>>;
