//! DeleteAcls 1 to the newest: removes the rules that match filters and names those removed.
//!
//! A rule that several filters of one request match is named by each, as in Kafka.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::delete_acls_request::DeleteAclsFilter;
use millstream_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use millstream_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::create_acls::DISABLED;
use super::{Api, Call, Served, text};
use crate::core::acl::{Acl, AclFilter};
use crate::core::state::State;

impl Api for DeleteAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<DeleteAclsResponse> {
        let filters: Vec<_> = self.filters.iter().map(filter).collect();
        if !state.config.security.authorizer {
            return Served::Now(failed(&self, ErrorCode::SecurityDisabled, DISABLED));
        }
        let found: Vec<Result<Vec<Acl>, &str>> = filters
            .iter()
            .map(|filter| match filter.unknown() {
                Some(why) => Err(why),
                None => Ok(state.acls.find(filter).cloned().collect()),
            })
            .collect();
        for gone in found.iter().flatten().flatten() {
            state.acls.remove(gone);
        }
        let results = found.iter().map(|found| {
            let result = DeleteAclsFilterResult::default();
            match found {
                Ok(acls) => result
                    .with_error_message(None)
                    .with_matching_acls(acls.iter().map(describe).collect()),
                Err(why) => result
                    .with_error_code(ErrorCode::InvalidRequest.code())
                    .with_error_message(Some(text(why))),
            }
        });
        Served::Now(DeleteAclsResponse::default().with_filter_results(results.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DeleteAclsResponse {
        failed(self, code, &super::sentence(code))
    }
}

fn failed(request: &DeleteAclsRequest, code: ErrorCode, why: &str) -> DeleteAclsResponse {
    let results = request.filters.iter().map(|_| {
        DeleteAclsFilterResult::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(why)))
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

fn filter(filter: &DeleteAclsFilter) -> AclFilter {
    AclFilter {
        resource_type: filter.resource_type_filter,
        name: filter.resource_name_filter.as_ref().map(ToString::to_string),
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter.as_ref().map(ToString::to_string),
        host: filter.host_filter.as_ref().map(ToString::to_string),
        operation: filter.operation,
        permission: filter.permission_type,
    }
}

fn describe(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(acl.resource_type)
        .with_resource_name(text(&acl.name))
        .with_pattern_type(acl.pattern_type)
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation)
        .with_permission_type(acl.permission)
}
