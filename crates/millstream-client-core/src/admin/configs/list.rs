//! Listing what has settings (KIP-1142).

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_protocol::messages as m;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said, Verdict, only};
use super::super::wire::anywhere;
use super::{ConfigKind, ConfigResource};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Lists what has settings of its own, of these kinds; of all kinds if none is named. Brokers
/// before 4.1 only know of client metrics.
pub fn list_config_resources(
    kinds: impl IntoIterator<Item = ConfigKind>,
) -> AdminCall<Result<BTreeSet<ConfigResource>, AdminError>> {
    AdminCall::new(List { kinds: kinds.into_iter().collect() }, [((), ())])
}

#[derive(Debug)]
struct List {
    kinds: BTreeSet<ConfigKind>,
}

const ABOUT: &str = "the list of what has settings";

impl Operation for List {
    type Key = ();
    type Input = ();
    type Output = BTreeSet<ConfigResource>;
    type Done = Result<BTreeSet<ConfigResource>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    /// Version 0 lists client metrics whatever is asked for.
    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        let are_metrics = self.kinds.len() == 1 && self.kinds.contains(&ConfigKind::ClientMetrics);
        if are_metrics { (None, Some(0)) } else { (Some(1), None) }
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let are_metrics = self.versions(Lot::Shared(0)).1 == Some(0);
        let kinds = self.kinds.iter().filter(|_| !are_metrics).map(|kind| kind.code());
        m::ListConfigResourcesRequest::default().with_resource_types(kinds.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::ListConfigResourcesResponse::try_from(response.body)?;
        let metrics = ConfigKind::ClientMetrics.code();
        let is_old = response.version == 0;
        let resources = answer.config_resources.iter().filter_map(|resource| {
            let code = if is_old { metrics } else { resource.resource_type };
            ConfigResource::read(code, &resource.resource_name)
        });
        let result = Refusal::check(answer.error_code, None).map(|()| resources.collect());
        Ok(vec![((), Verdict::from(result))])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}
