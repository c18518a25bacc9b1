//! Changing single settings; the others stay as they are (KIP-339).

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

use super::super::command::AdminCall;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::wire::text;
use super::ConfigResource;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// Sets it.
    Set {
        /// The setting.
        name: String,
        /// Its new value.
        value: String,
    },
    /// Makes it the default again.
    Delete {
        /// The setting.
        name: String,
    },
    /// Adds to a list.
    Append {
        /// The setting.
        name: String,
        /// What to add; several with commas.
        value: String,
    },
    /// Takes from a list.
    Subtract {
        /// The setting.
        name: String,
        /// What to take; several with commas.
        value: String,
    },
}

impl ConfigChange {
    fn write(&self) -> AlterableConfig {
        let (name, operation, value) = match self {
            Self::Set { name, value } => (name, 0, Some(value)),
            Self::Delete { name } => (name, 1, None),
            Self::Append { name, value } => (name, 2, Some(value)),
            Self::Subtract { name, value } => (name, 3, Some(value)),
        };
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(|value| text(value)))
    }
}

/// Changes settings, or only says what would become of it.
pub fn alter_configs(
    changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
    validate_only: bool,
) -> AdminCall<Results<ConfigResource, ()>> {
    AdminCall::new(Alter { validate_only }, changes)
}

#[derive(Debug)]
struct Alter {
    validate_only: bool,
}

impl Operation for Alter {
    type Key = ConfigResource;
    type Input = Vec<ConfigChange>;
    type Output = ();
    type Done = Results<ConfigResource, ()>;

    fn about(&self, key: &ConfigResource) -> String {
        key.about()
    }

    fn place(&self, key: &ConfigResource, _: &Vec<ConfigChange>, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(key.destination())
    }

    fn request(
        &self,
        items: &[(&ConfigResource, &Vec<ConfigChange>)],
        _timeout: Duration,
    ) -> RequestBody {
        let resources = items.iter().map(|(resource, changes)| {
            AlterConfigsResource::default()
                .with_resource_type(resource.code())
                .with_resource_name(text(&resource.name()))
                .with_configs(changes.iter().map(ConfigChange::write).collect())
        });
        m::IncrementalAlterConfigsRequest::default()
            .with_resources(resources.collect())
            .with_validate_only(self.validate_only)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&ConfigResource, &Vec<ConfigChange>)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::IncrementalAlterConfigsResponse::try_from(response.body)?;
        let said = answer.responses.into_iter().filter_map(|result| {
            let resource = ConfigResource::read(result.resource_type, &result.resource_name)?;
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            Some((resource, check.into()))
        });
        Ok(said.collect())
    }

    fn is_retriable(&self, _changes: &Vec<ConfigChange>, code: ErrorCode) -> bool {
        code.class().is_retriable() && code != ErrorCode::UnknownTopicOrPartition
    }

    fn merge(self, results: Results<ConfigResource, ()>) -> Self::Done {
        results
    }
}
