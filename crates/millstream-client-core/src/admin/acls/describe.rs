//! Listing the rules that fit a filter.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_protocol::messages as m;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Operation, Placement, Refusal, Results, Said, only};
use super::super::wire::{anywhere, text};
use super::{AclBinding, AclFilter, AclOperation, AclPermission, AclResourceType, PatternType};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Lists the rules that fit a filter.
pub fn describe_acls(filter: AclFilter) -> AdminCall<Result<BTreeSet<AclBinding>, AdminError>> {
    AdminCall::new(Describe { filter }, [((), ())])
}

#[derive(Debug)]
struct Describe {
    filter: AclFilter,
}

const ABOUT: &str = "the rules of access";

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = BTreeSet<AclBinding>;
    type Done = Result<BTreeSet<AclBinding>, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        let filter = &self.filter;
        m::DescribeAclsRequest::default()
            .with_resource_type_filter(filter.type_code())
            .with_resource_name_filter(filter.resource_name.as_deref().map(text))
            .with_pattern_type_filter(filter.pattern_code())
            .with_principal_filter(filter.principal.as_deref().map(text))
            .with_host_filter(filter.host.as_deref().map(text))
            .with_operation(filter.operation_code())
            .with_permission_type(filter.permission_code())
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeAclsResponse::try_from(response.body)?;
        let check = Refusal::check(answer.error_code, answer.error_message.as_deref());
        let rules = answer.resources.iter().flat_map(|resource| {
            resource.acls.iter().map(|rule| AclBinding {
                resource_type: AclResourceType::read(resource.resource_type),
                resource_name: resource.resource_name.to_string(),
                pattern_type: PatternType::read(resource.pattern_type),
                principal: rule.principal.to_string(),
                host: rule.host.to_string(),
                operation: AclOperation::read(rule.operation),
                permission: AclPermission::read(rule.permission_type),
            })
        });
        Ok(vec![((), check.map(|()| rules.collect()).into())])
    }

    fn merge(self, results: Results<(), Self::Output>) -> Self::Done {
        only(results, ABOUT)
    }
}
