//! How a streams application rides on a classic consumer group: what each member tells the
//! leader, what the leader answers, and how it places tasks.
//!
//! The bytes are Java's (`streams/processor/internals/assignment`), so that Rust and Java
//! instances can share one group.

mod assignment_info;
mod assignor;
mod java_data;
mod placement;
mod subscription_info;

use millstream_core::{SubtopologyId, TaskId};
use millstream_types::PartitionId;

pub(crate) use assignment_info::{AssignmentErrorCode, AssignmentInfo, REBALANCE_NOW};
pub(crate) use assignor::{StreamsAssignor, TaskReport};

/// The newest version of both payloads: the one that carries client tags (KIP-708).
pub(crate) const LATEST_VERSION: i32 = 11;
/// The oldest version with which members can tell each other what they understand.
pub(crate) const EARLIEST_VERSION: i32 = 3;

/// The task of these two numbers.
fn task_id(subtopology: i32, partition: i32) -> TaskId {
    TaskId { subtopology: SubtopologyId(subtopology), partition: PartitionId(partition) }
}

/// Bytes of another member that are no such payload.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentDataError {
    /// The bytes end before the payload does.
    #[error("the {payload} ends at byte {at}, in the middle of a field")]
    Truncated {
        /// Which payload.
        payload: &'static str,
        /// Where its bytes end.
        at: usize,
    },
    /// A count or length that no payload can have.
    #[error("the {payload} claims {count} entries, more than its bytes can hold")]
    Count {
        /// Which payload.
        payload: &'static str,
        /// The count it claims.
        count: i64,
    },
    /// A version that this code does not read.
    #[error("the {payload} has version {version}: versions 3 to 11 are understood")]
    Version {
        /// Which payload.
        payload: &'static str,
        /// Its version.
        version: i32,
    },
    /// Text that is not valid.
    #[error("the {payload} holds text that is not valid UTF-8")]
    Text {
        /// Which payload.
        payload: &'static str,
    },
    /// An index into the payload's topics that names none.
    #[error("the {payload} refers to a topic that it does not list")]
    Topic {
        /// Which payload.
        payload: &'static str,
    },
}

#[cfg(test)]
mod hex {
    //! Bytes as the hexadecimal text of test vectors.

    pub(super) fn write(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }
}
