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

#[cfg(test)]
#[cfg(feature = "broker")]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::messages::StrBytes;
    use crate::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};

    fn range(api: ApiKey, min: i16, max: i16) -> ApiVersion {
        ApiVersion::default().with_api_key(api.code()).with_min_version(min).with_max_version(max)
    }

    fn frame(version: i16, answer: &ApiVersionsResponse) -> Bytes {
        let mut out = BytesMut::new();
        codec::encode_response::<ApiVersionsRequest>(version, 1, answer, &mut out).unwrap();
        out.freeze().slice(4..)
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let answer = ApiVersionsResponse::default().with_api_keys(vec![
            range(ApiKey::Fetch, 4, 12),
            range(ApiKey::Produce, 0, 99),
            range(ApiKey::Metadata, 50, 60),
        ]);
        let outcome = read_api_versions(4, frame(4, &answer)).unwrap();
        let ApiVersionsOutcome::Known(broker) = outcome else { panic!("{outcome:?}") };
        assert_eq!(broker.choose(ApiKey::Fetch), Ok(12));
        assert_eq!(broker.choose(ApiKey::Produce), Ok(supported_versions(ApiKey::Produce).max));
        assert_eq!(broker.choose_within(ApiKey::Fetch, VersionRange::new(4, 11)), Ok(11));
        let error = broker.choose(ApiKey::Metadata).unwrap_err();
        assert_eq!(error.broker, Some(VersionRange::new(50, 60)));
        assert!(error.to_string().contains("serves Metadata in versions 50-60"), "{error}");
        let error = broker.choose(ApiKey::ShareFetch).unwrap_err();
        assert!(error.to_string().contains("does not serve ShareFetch"), "{error}");
    }

    #[test]
    fn a_broker_that_does_not_know_the_version_is_asked_again() {
        let code = ErrorCode::UnsupportedVersion.code();
        // Kafka 2.4 and later say which versions they know, an older one says nothing.
        let named = ApiVersionsResponse::default()
            .with_error_code(code)
            .with_api_keys(vec![range(ApiKey::ApiVersions, 0, 3)]);
        let silent = ApiVersionsResponse::default().with_error_code(code);
        for (answer, version) in [(named.clone(), 3), (silent, 0)] {
            let outcome = read_api_versions(5, frame(0, &answer)).unwrap();
            assert_eq!(outcome, ApiVersionsOutcome::AskAgain { version });
        }
        // A broker that refuses the very version it names is not asked for ever.
        let outcome = read_api_versions(3, frame(0, &named)).unwrap();
        assert_eq!(outcome, ApiVersionsOutcome::AskAgain { version: 0 });
        let outcome = read_api_versions(0, frame(0, &named)).unwrap();
        assert_eq!(outcome, ApiVersionsOutcome::Refused(ErrorCode::UnsupportedVersion));
    }

    #[test]
    fn features_are_kept() {
        let level = FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str("group.version"))
            .with_max_version_level(1);
        let answer = ApiVersionsResponse::default()
            .with_finalized_features(vec![level])
            .with_finalized_features_epoch(12);
        let outcome = read_api_versions(5, frame(5, &answer)).unwrap();
        let ApiVersionsOutcome::Known(broker) = outcome else { panic!("{outcome:?}") };
        assert_eq!(broker.finalized_feature("group.version"), Some(1));
        assert_eq!(broker.finalized_feature("share.version"), None);
        assert_eq!(broker.finalized_epoch(), Some(12));
    }

    #[test]
    fn an_answer_of_another_protocol_is_refused() {
        assert!(read_api_versions(5, Bytes::from_static(b"220 mail.example.com")).is_err());
        assert!(read_api_versions(5, Bytes::new()).is_err());
    }
}
