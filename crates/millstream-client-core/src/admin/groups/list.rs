//! Listing groups, from every broker.

use std::collections::{BTreeMap, BTreeSet};

use millstream_protocol::messages as m;
use millstream_types::{BrokerId, GroupId};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::everywhere::{self, List, Part};
use super::super::operation::Refusal;
use super::super::wire::{non_empty, text};
use super::{GroupState, GroupType};
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Which groups to list: those that fit all that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    states: BTreeSet<GroupState>,
    types: BTreeSet<GroupType>,
    protocols: BTreeSet<String>,
}

impl GroupFilter {
    /// All groups.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Groups in this state, or another that is named (KIP-518, Kafka 2.6).
    #[must_use]
    pub fn state(mut self, state: GroupState) -> Self {
        self.states.insert(state);
        self
    }

    /// Groups of this type, or another that is named (KIP-848, Kafka 3.8).
    #[must_use]
    pub fn group_type(mut self, group_type: GroupType) -> Self {
        self.types.insert(group_type);
        self
    }

    /// Groups of this protocol type, such as `consumer` or `connect`, or another that is named.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocols.insert(protocol.into());
        self
    }
}

/// A group as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub id: GroupId,
    /// Its type, from brokers that tell it (3.8).
    pub group_type: Option<GroupType>,
    /// Its protocol type: `consumer`, `connect`, `share`; empty for a group that only has offsets.
    pub protocol: String,
    /// Its state, from brokers that tell it (2.6).
    pub state: Option<GroupState>,
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
}

/// Lists groups, of all brokers.
pub fn list_groups(
    filter: GroupFilter,
) -> AdminCall<Result<BTreeMap<GroupId, GroupListing>, AdminError>> {
    everywhere::list(filter)
}

impl List for GroupFilter {
    type Name = GroupId;
    type Entry = GroupListing;
    const WHAT: &'static str = "groups";

    fn version_min(&self) -> Option<i16> {
        match (self.types.is_empty(), self.states.is_empty()) {
            (false, _) => Some(5),
            (true, false) => Some(4),
            (true, true) => None,
        }
    }

    fn request(&self) -> RequestBody {
        let states = self.states.iter().map(|state| text(&state.to_string()));
        let types = self.types.iter().map(|name| text(&name.to_string()));
        m::ListGroupsRequest::default()
            .with_states_filter(states.collect())
            .with_types_filter(types.collect())
            .into()
    }

    fn read(&self, response: Response) -> Result<Part<Self>, WrongResponse> {
        let from = response.from;
        let answer = m::ListGroupsResponse::try_from(response.body)?;
        let listings = answer.groups.iter().map(|group| GroupListing {
            id: GroupId::from(group.group_id.0.as_str()),
            group_type: non_empty(&group.group_type).as_deref().map(GroupType::read),
            protocol: group.protocol_type.to_string(),
            state: non_empty(&group.group_state).as_deref().map(GroupState::read),
            coordinator: from,
        });
        let is_wanted = |group: &GroupListing| {
            self.protocols.is_empty() || self.protocols.contains(&group.protocol)
        };
        let wanted = listings.filter(is_wanted).map(|group| (group.id.clone(), group));
        Ok(Refusal::check(answer.error_code, None).map(|()| wanted.collect()))
    }
}
