//! Deleting the rules that fit filters, through the controller.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_acls_request::DeleteAclsFilter;
use millstream_protocol::messages::delete_acls_response::DeleteAclsMatchingAcl;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::wire::{controller, text};
use super::{AclBinding, AclFilter, AclOperation, AclPermission, AclResourceType, PatternType};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Deletes the rules that fit these filters; gives what was found by each, and whether it is gone.
/// If a first answer is lost, the rules it named are found by no second try.
pub fn delete_acls(
    filters: impl IntoIterator<Item = AclFilter>,
) -> AdminCall<Results<AclFilter, Results<AclBinding, ()>>> {
    AdminCall::new(Delete, filters.into_iter().map(|filter| (filter, ())))
}

#[derive(Debug)]
struct Delete;

impl Operation for Delete {
    type Key = AclFilter;
    type Input = ();
    type Output = Results<AclBinding, ()>;
    type Done = Results<AclFilter, Results<AclBinding, ()>>;

    fn about(&self, key: &AclFilter) -> String {
        format!("rules ({key})")
    }

    fn place(&self, _key: &AclFilter, (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, items: &[(&AclFilter, &())], _timeout: Duration) -> RequestBody {
        let filters = items.iter().map(|(filter, ())| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(filter.type_code())
                .with_resource_name_filter(filter.resource_name.as_deref().map(text))
                .with_pattern_type_filter(filter.pattern_code())
                .with_principal_filter(filter.principal.as_deref().map(text))
                .with_host_filter(filter.host.as_deref().map(text))
                .with_operation(filter.operation_code())
                .with_permission_type(filter.permission_code())
        });
        m::DeleteAclsRequest::default().with_filters(filters.collect()).into()
    }

    /// The results stand in the order of the request.
    fn read(
        &self,
        response: Response,
        asked: &[(&AclFilter, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DeleteAclsResponse::try_from(response.body)?;
        let said = asked.iter().zip(&answer.filter_results).map(|((key, ()), result)| {
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            let found: BTreeMap<_, _> = result.matching_acls.iter().map(read_match).collect();
            ((*key).clone(), check.map(|()| found).into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<AclFilter, Self::Output>) -> Self::Done {
        results
    }
}

fn read_match(found: &DeleteAclsMatchingAcl) -> (AclBinding, Result<(), AdminError>) {
    let rule = AclBinding {
        resource_type: AclResourceType::read(found.resource_type),
        resource_name: found.resource_name.to_string(),
        pattern_type: PatternType::read(found.pattern_type),
        principal: found.principal.to_string(),
        host: found.host.to_string(),
        operation: AclOperation::read(found.operation),
        permission: AclPermission::read(found.permission_type),
    };
    let check = Refusal::check(found.error_code, found.error_message.as_deref());
    let result = check.map_err(|Refusal { code, message }| AdminError::Refused {
        about: format!("rule {rule}"),
        code,
        message,
    });
    (rule, result)
}
