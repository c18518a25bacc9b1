//! Creating rules, through the controller. One that is there already is created again.

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::create_acls_request::AclCreation;

use super::super::command::AdminCall;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::wire::{controller, text};
use super::AclBinding;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Creates rules.
pub fn create_acls(
    bindings: impl IntoIterator<Item = AclBinding>,
) -> AdminCall<Results<AclBinding, ()>> {
    AdminCall::new(Create, bindings.into_iter().map(|binding| (binding, ())))
}

#[derive(Debug)]
struct Create;

impl Operation for Create {
    type Key = AclBinding;
    type Input = ();
    type Output = ();
    type Done = Results<AclBinding, ()>;

    fn about(&self, key: &AclBinding) -> String {
        format!("rule {key}")
    }

    fn place(&self, _key: &AclBinding, (): &(), _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    fn request(&self, items: &[(&AclBinding, &())], _timeout: Duration) -> RequestBody {
        let creations = items.iter().map(|(binding, ())| {
            AclCreation::default()
                .with_resource_type(binding.resource_type.code())
                .with_resource_name(text(&binding.resource_name))
                .with_resource_pattern_type(binding.pattern_type.code())
                .with_principal(text(&binding.principal))
                .with_host(text(&binding.host))
                .with_operation(binding.operation.code())
                .with_permission_type(binding.permission.code())
        });
        m::CreateAclsRequest::default().with_creations(creations.collect()).into()
    }

    /// The results stand in the order of the request.
    fn read(
        &self,
        response: Response,
        asked: &[(&AclBinding, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::CreateAclsResponse::try_from(response.body)?;
        let said = asked.iter().zip(&answer.results).map(|((key, ()), result)| {
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            ((*key).clone(), check.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<AclBinding, ()>) -> Self::Done {
        results
    }
}
