//! Which version of each API a connection speaks, chosen from the broker's `ApiVersions` answer.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::api::{ApiKey, VersionRange, supported_versions};
use crate::codec;
use crate::error::DecodeError;
use crate::error_code::ErrorCode;
use crate::messages::{ApiVersionsRequest, ApiVersionsResponse};

/// The newest version of `ApiVersions` to open a connection with.
pub const FIRST_API_VERSIONS: i16 = supported_versions(ApiKey::ApiVersions).max;

/// What an answer to `ApiVersions` asks of the connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ApiVersionsOutcome {
    /// The broker's versions; the connection can go on.
    Known(Box<BrokerVersions>),
    /// The broker does not know the version asked with: ask again with this one (KIP-511).
    AskAgain {
        /// The version to ask with.
        version: i16,
    },
    /// The broker refused.
    Refused(ErrorCode),
}

/// Reads the answer to an `ApiVersions` request of `version`.
///
/// A broker that does not know the version answers in version 0 with `UNSUPPORTED_VERSION`, and since
/// Kafka 2.4 names the versions it does know (KIP-511); an older one names none, then 0 is asked.
///
/// # Errors
/// The frame is no such answer.
pub fn read_api_versions(version: i16, frame: Bytes) -> Result<ApiVersionsOutcome, DecodeError> {
    let refused_in_v0 =
        frame.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
    let spoken = if refused_in_v0 { 0 } else { version };
    let answer = codec::decode_response::<ApiVersionsRequest>(spoken, frame)?;
    Ok(match ErrorCode::from(answer.error_code) {
        ErrorCode::None => ApiVersionsOutcome::Known(Box::new(BrokerVersions::new(&answer))),
        ErrorCode::UnsupportedVersion if version > 0 => {
            ApiVersionsOutcome::AskAgain { version: next_version(version, &answer) }
        }
        error => ApiVersionsOutcome::Refused(error),
    })
}

fn next_version(asked: i16, answer: &ApiVersionsResponse) -> i16 {
    let named = BrokerVersions::new(answer).choose(ApiKey::ApiVersions).unwrap_or(0);
    // The same version again would be refused again, for ever.
    if named < asked { named } else { 0 }
}

/// The versions one broker speaks, as it said on this connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BrokerVersions {
    ranges: BTreeMap<i16, VersionRange>,
    supported_features: BTreeMap<String, VersionRange>,
    finalized_features: BTreeMap<String, i16>,
    finalized_epoch: Option<i64>,
}

impl BrokerVersions {
    /// Takes the versions and features from an answer.
    #[must_use]
    pub fn new(answer: &ApiVersionsResponse) -> Self {
        let ranges = answer.api_keys.iter();
        let features = answer.supported_features.iter();
        let finalized = answer.finalized_features.iter();
        Self {
            ranges: ranges
                .map(|api| (api.api_key, VersionRange::new(api.min_version, api.max_version)))
                .collect(),
            supported_features: features
                .map(|f| (f.name.to_string(), VersionRange::new(f.min_version, f.max_version)))
                .collect(),
            finalized_features: finalized
                .map(|f| (f.name.to_string(), f.max_version_level))
                .collect(),
            finalized_epoch: (answer.finalized_features_epoch >= 0)
                .then_some(answer.finalized_features_epoch),
        }
    }

    /// The versions the broker speaks of `api`; `None` where it does not serve it.
    #[must_use]
    pub fn range(&self, api: ApiKey) -> Option<VersionRange> {
        self.ranges.get(&api.code()).copied()
    }

    /// The newest version of `api` both sides speak.
    ///
    /// # Errors
    /// There is none.
    pub fn choose(&self, api: ApiKey) -> Result<i16, NoCommonVersion> {
        self.choose_within(api, supported_versions(api))
    }

    /// The newest version of `api` that both sides speak and that lies in `wanted`.
    ///
    /// # Errors
    /// There is none.
    pub fn choose_within(&self, api: ApiKey, wanted: VersionRange) -> Result<i16, NoCommonVersion> {
        let broker = self.range(api);
        broker
            .and_then(|range| range.intersect(wanted))
            .and_then(|range| range.intersect(supported_versions(api)))
            .map(|range| range.max)
            .ok_or(NoCommonVersion { api, wanted, broker })
    }

    /// The levels of feature `name` that the broker could run.
    #[must_use]
    pub fn supported_feature(&self, name: &str) -> Option<VersionRange> {
        self.supported_features.get(name).copied()
    }

    /// The level at which the cluster runs feature `name`, such as `group.version`; `None`: off.
    #[must_use]
    pub fn finalized_feature(&self, name: &str) -> Option<i16> {
        self.finalized_features.get(name).copied()
    }

    /// The epoch of the finalised features; `None` where the broker did not know it.
    #[must_use]
    pub const fn finalized_epoch(&self) -> Option<i64> {
        self.finalized_epoch
    }
}

/// Client and broker share no version of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(*.api, *.wanted, *.broker))]
pub struct NoCommonVersion {
    /// The API.
    pub api: ApiKey,
    /// The versions the client would take.
    pub wanted: VersionRange,
    /// The versions the broker serves; `None` where it does not serve the API.
    pub broker: Option<VersionRange>,
}

fn describe(api: ApiKey, wanted: VersionRange, broker: Option<VersionRange>) -> String {
    broker.map_or_else(
        || format!("the broker does not serve {api}; it needs a newer Kafka"),
        |broker| {
            format!("the broker serves {api} in versions {broker}, this client needs {wanted}")
        },
    )
}
