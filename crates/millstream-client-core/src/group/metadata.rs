//! A member of a group, as a transaction's offset commit names it (KIP-447).

use millstream_types::{GenerationId, GroupId, GroupInstanceId, MemberId};

use super::classic::Identity;

/// Who commits offsets: the group and, for a member, its place in it. The coordinator refuses
/// offsets of a member that the group has moved past (Java's `ConsumerGroupMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group: GroupId,
    /// The generation, or the member epoch; [`GenerationId::NONE`] outside the group's protocol.
    pub generation: GenerationId,
    /// The id that the coordinator gave the member.
    pub member: Option<MemberId>,
    /// The static name, if it has one.
    pub instance: Option<GroupInstanceId>,
}

impl GroupMetadata {
    /// For offsets of `group` that are committed outside its protocol: partitions are assigned by
    /// hand, and nobody is fenced.
    #[must_use]
    pub const fn of_group(group: GroupId) -> Self {
        Self { group, generation: GenerationId::NONE, member: None, instance: None }
    }
}

impl From<&Identity> for GroupMetadata {
    fn from(identity: &Identity) -> Self {
        Self {
            group: identity.group.clone(),
            generation: identity.generation,
            member: identity.member.clone(),
            instance: identity.instance.clone(),
        }
    }
}
