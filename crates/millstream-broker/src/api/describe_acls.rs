//! DescribeAcls 1 to the newest: the stored rules that match a filter, grouped by resource.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use millstream_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::{Api, Call, Served, text};
use crate::core::acl::{Acl, AclFilter};
use crate::core::state::State;

impl Api for DescribeAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<DescribeAclsResponse> {
        let filter = AclFilter {
            resource_type: self.resource_type_filter,
            name: self.resource_name_filter.as_ref().map(ToString::to_string),
            pattern_type: self.pattern_type_filter,
            principal: self.principal_filter.as_ref().map(ToString::to_string),
            host: self.host_filter.as_ref().map(ToString::to_string),
            operation: self.operation,
            permission: self.permission_type,
        };
        let response = DescribeAclsResponse::default();
        if !state.config.security.authorizer {
            return Served::Now(
                response
                    .with_error_code(ErrorCode::SecurityDisabled.code())
                    .with_error_message(Some(text("No Authorizer is configured on the broker"))),
            );
        }
        let found: Vec<&Acl> = state.acls.find(&filter).collect();
        // Rules are ordered by resource first.
        let resources = found.chunk_by(|a, b| pattern_of(a) == pattern_of(b)).map(|acls| {
            let (resource_type, name, pattern_type) = acls.first().map_or((0, "", 0), pattern_of);
            DescribeAclsResource::default()
                .with_resource_type(resource_type)
                .with_resource_name(text(name))
                .with_pattern_type(pattern_type)
                .with_acls(acls.iter().map(describe).collect())
        });
        Served::Now(response.with_resources(resources.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeAclsResponse {
        DescribeAclsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(super::sentence(code)))
    }
}

fn pattern_of<'a>(acl: &&'a Acl) -> (i8, &'a str, i8) {
    (acl.resource_type, &acl.name, acl.pattern_type)
}

fn describe(acl: &&Acl) -> AclDescription {
    AclDescription::default()
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation)
        .with_permission_type(acl.permission)
}
