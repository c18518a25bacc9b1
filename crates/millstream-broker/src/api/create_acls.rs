//! CreateAcls 1 to the newest: stores rules of access (KIP-290), a result per rule.
//!
//! Checked as `AclApis.handleCreateAcls` and `AclControlManager.validateNewAcl` do. Without an
//! authorizer (`SecurityConfig::authorizer`) every rule is refused with `SECURITY_DISABLED`.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::create_acls_request::AclCreation;
use millstream_protocol::messages::create_acls_response::AclCreationResult;
use millstream_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::{Api, Call, Served, text};
use crate::core::acl::{Acl, operation, pattern, permission, resource};
use crate::core::state::{Refused, State};

/// The number of "any" among resource types, operations and permissions.
const ANY: i8 = 1;

/// What Kafka says where there is no authorizer.
pub(super) const DISABLED: &str = "No Authorizer is configured.";

impl Api for CreateAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<CreateAclsResponse> {
        // Kafka's own classes refuse to hold such a rule, which fails the whole request.
        let holds_any = |one: &AclCreation| {
            let pattern = one.resource_pattern_type;
            [one.resource_type, one.operation, one.permission_type].contains(&ANY)
                || matches!(pattern, pattern::ANY | pattern::MATCH)
        };
        if state.config.security.authorizer && self.creations.iter().any(holds_any) {
            let results = self.creations.iter().map(|_| {
                AclCreationResult::default()
                    .with_error_code(ErrorCode::UnknownServerError.code())
                    .with_error_message(None)
            });
            return Served::Now(CreateAclsResponse::default().with_results(results.collect()));
        }
        let results = self.creations.iter().map(|creation| {
            let result = AclCreationResult::default();
            match create(state, rule(creation)) {
                Ok(()) => result,
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(CreateAclsResponse::default().with_results(results.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreateAclsResponse {
        let results = self.creations.iter().map(|_| {
            AclCreationResult::default()
                .with_error_code(code.code())
                .with_error_message(Some(super::sentence(code)))
        });
        CreateAclsResponse::default().with_results(results.collect())
    }
}

fn rule(creation: &AclCreation) -> Acl {
    Acl {
        resource_type: creation.resource_type,
        name: creation.resource_name.to_string(),
        pattern_type: creation.resource_pattern_type,
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        operation: creation.operation,
        permission: creation.permission_type,
    }
}

fn create(state: &mut State, acl: Acl) -> Result<(), Refused> {
    if !state.config.security.authorizer {
        return Err(Refused::new(ErrorCode::SecurityDisabled, DISABLED));
    }
    let invalid = |why: String| Err(Refused::new(ErrorCode::InvalidRequest, why));
    if acl.resource_type == resource::CLUSTER && acl.name != resource::CLUSTER_NAME {
        return invalid(format!(
            "The only valid name for the CLUSTER resource is {}",
            resource::CLUSTER_NAME
        ));
    }
    if acl.name.is_empty() {
        return invalid("Invalid empty resource name".to_owned());
    }
    if !(ANY + 1..=resource::LAST).contains(&acl.resource_type) {
        return invalid("Invalid resourceType UNKNOWN".to_owned());
    }
    if !matches!(acl.pattern_type, pattern::LITERAL | pattern::PREFIXED) {
        return invalid("Invalid patternType UNKNOWN".to_owned());
    }
    if !(ANY + 1..=operation::LAST).contains(&acl.operation) {
        return invalid("Invalid operation UNKNOWN".to_owned());
    }
    if !(ANY + 1..=permission::ALLOW).contains(&acl.permission) {
        return invalid("Invalid permissionType UNKNOWN".to_owned());
    }
    if !acl.principal.contains(':') {
        return invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal \
             type from the principal name)",
            acl.principal
        ));
    }
    if state.acls.len() >= state.config.limits.acls {
        return Err(Refused::new(ErrorCode::PolicyViolation, "the cluster keeps no more rules"));
    }
    state.acls.insert(acl);
    Ok(())
}
