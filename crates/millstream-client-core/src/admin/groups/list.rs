//! Listing groups, from every broker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::{BrokerId, GroupId};

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::everywhere::{self, Everywhere};
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::wire::{non_empty, text};
use super::{GroupState, GroupType};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

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
    AdminCall::new(List { filter }, [(None, ())])
}

#[derive(Debug)]
struct List {
    filter: GroupFilter,
}

impl Operation for List {
    type Key = Everywhere;
    type Input = ();
    type Output = BTreeMap<GroupId, GroupListing>;
    type Done = Result<BTreeMap<GroupId, GroupListing>, AdminError>;

    fn about(&self, key: &Everywhere) -> String {
        match key {
            None => "the list of groups".to_owned(),
            Some(broker) => format!("the groups of broker {broker}"),
        }
    }

    fn place(&self, key: &Everywhere, (): &(), _cx: &mut Cx<'_>) -> Placement {
        everywhere::place(*key)
    }

    fn lot(&self, key: &Everywhere, (): &()) -> Lot {
        everywhere::lot(*key)
    }

    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        let min = match (self.filter.types.is_empty(), self.filter.states.is_empty()) {
            _ if lot == everywhere::lot(None) => None,
            (false, _) => Some(5),
            (true, false) => Some(4),
            (true, true) => None,
        };
        (min, None)
    }

    fn request(&self, items: &[(&Everywhere, &())], _timeout: Duration) -> RequestBody {
        if matches!(items, [(None, ())]) {
            return everywhere::which_brokers();
        }
        let states = self.filter.states.iter().map(|state| text(&state.to_string()));
        let types = self.filter.types.iter().map(|name| text(&name.to_string()));
        m::ListGroupsRequest::default()
            .with_states_filter(states.collect())
            .with_types_filter(types.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&Everywhere, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::Metadata(answer) = response.body {
            return Ok(everywhere::all_of::<Self>(&answer));
        }
        let from = response.from;
        let answer = m::ListGroupsResponse::try_from(response.body)?;
        let listings = answer.groups.iter().map(|group| GroupListing {
            id: GroupId::from(group.group_id.0.as_str()),
            group_type: non_empty(&group.group_type).as_deref().map(GroupType::read),
            protocol: group.protocol_type.to_string(),
            state: non_empty(&group.group_state).as_deref().map(GroupState::read),
            coordinator: from,
        });
        let protocols = &self.filter.protocols;
        let wanted =
            listings.filter(|group| protocols.is_empty() || protocols.contains(&group.protocol));
        let wanted = wanted.map(|group| (group.id.clone(), group));
        let result = Refusal::check(answer.error_code, None).map(|()| wanted.collect());
        let key = asked.first().and_then(|(key, ())| **key);
        Ok(vec![(key, result.into())])
    }

    fn merge(self, results: Results<Everywhere, Self::Output>) -> Self::Done {
        everywhere::merge(results)
    }
}
