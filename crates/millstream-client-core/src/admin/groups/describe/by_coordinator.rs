//! What all descriptions of groups share: their coordinators are asked, and name each group.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::GroupId;

use super::super::super::command::AdminCall;
use super::super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::super::wire::{group_coordinator, group_id};
use super::super::about_group;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// What an answer says of each group.
pub(in super::super) type All<T> = Vec<(GroupId, Result<T, Refusal>)>;

/// A description of a group, by an API of its own.
pub(in super::super) trait Described: Sized + fmt::Debug + Send + 'static {
    /// The first version that can tell what the caller may do.
    const WITH_OPERATIONS_MIN: Option<i16> = None;

    /// Asks for these groups.
    fn request(groups: Vec<m::GroupId>, authorized_operations: bool) -> RequestBody;

    /// What an answer says of each group.
    fn read(response: Response) -> Result<All<Self>, WrongResponse>;
}

/// Describes groups.
pub(in super::super) fn describe<T: Described>(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, T>> {
    let groups = groups.into_iter().map(|group| (group, ()));
    AdminCall::new(Describe { authorized_operations, described: PhantomData }, groups)
}

struct Describe<T> {
    authorized_operations: bool,
    described: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Describe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

impl<T: Described> Operation for Describe<T> {
    type Key = GroupId;
    type Input = ();
    type Output = T;
    type Done = Results<GroupId, T>;

    fn about(&self, key: &GroupId) -> String {
        about_group(key)
    }

    fn place(&self, key: &GroupId, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (T::WITH_OPERATIONS_MIN.filter(|_| self.authorized_operations), None)
    }

    fn request(&self, items: &[(&GroupId, &())], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, ())| group_id(group)).collect();
        T::request(groups, self.authorized_operations)
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&GroupId, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let said = T::read(response)?.into_iter();
        Ok(said.map(|(group, result)| (group, result.into())).collect())
    }

    fn merge(self, results: Results<GroupId, T>) -> Self::Done {
        results
    }
}
