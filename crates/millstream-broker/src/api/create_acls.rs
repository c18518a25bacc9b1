//! CreateAcls 1 to the newest: stores rules of access (KIP-290), a result per rule.
//!
//! Checked as `AclApis.handleCreateAcls` and `AclControlManager.validateNewAcl` do. Without an
//! authorizer (`SecurityConfig::authorizer`) every rule is refused with `SECURITY_DISABLED`. An
//! element that is not known closes the connection, as a request that cannot be read does.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::create_acls_request::AclCreation;
use millstream_protocol::messages::create_acls_response::AclCreationResult;
use millstream_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::{Api, Call, Served, text};
use crate::core::acl::{Acl, operation, pattern, permission, resource};
use crate::core::state::{Refused, State};

/// What Kafka says where there is no authorizer.
pub(super) const DISABLED: &str = "No Authorizer is configured.";

impl Api for CreateAclsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<CreateAclsResponse> {
        let acls: Vec<_> = self.creations.iter().map(rule).collect();
        if acls.iter().any(Acl::is_unknown) {
            return Served::Close;
        }
        let results = acls.into_iter().map(|acl| {
            let result = AclCreationResult::default();
            match create(state, acl) {
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
    if acl.resource_type == resource::ANY {
        return invalid("Invalid resourceType ANY".to_owned());
    }
    if !matches!(acl.pattern_type, pattern::LITERAL | pattern::PREFIXED) {
        return invalid(format!("Invalid patternType {}", pattern::name(acl.pattern_type)));
    }
    if acl.operation == operation::ANY {
        return invalid("Invalid operation ANY".to_owned());
    }
    if acl.permission == permission::ANY {
        return invalid("Invalid permissionType ANY".to_owned());
    }
    if state.acls.len() >= state.config.limits.acls {
        return Err(Refused::new(ErrorCode::PolicyViolation, "the cluster keeps no more rules"));
    }
    state.acls.insert(acl);
    Ok(())
}
