//! The features a cluster could run and runs (KIP-584), and moving their levels.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::api::VersionRange;
use millstream_protocol::messages as m;
use millstream_protocol::messages::update_features_request::FeatureUpdateKey;

use super::super::command::AdminCall;
use super::super::error::AdminError;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said, Verdict, only};
use super::super::texts::spelled;
use super::super::wire::{anywhere, controller, millis, text};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// The features of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What the broker asked could run: the lowest and highest level of each.
    pub supported: BTreeMap<String, VersionRange>,
    /// What the cluster runs.
    pub finalized: BTreeMap<String, FinalizedFeature>,
    /// Counts the changes of what the cluster runs; `None` where the broker does not know.
    pub finalized_epoch: Option<i64>,
}

/// The level of a feature that the cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalizedFeature {
    /// The lowest level that brokers must support.
    pub min_level: i16,
    /// The level in force.
    pub max_level: i16,
}

/// A feature's new level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The level; 0 takes the feature away.
    pub max_level: i16,
    /// Which way it may go.
    pub upgrade_type: UpgradeType,
}

impl FeatureUpdate {
    /// Up to this level.
    #[must_use]
    pub const fn upgrade(max_level: i16) -> Self {
        Self { max_level, upgrade_type: UpgradeType::Upgrade }
    }
}

/// Which way a feature's level may go (`FeatureUpdate.UpgradeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeType {
    /// Up.
    Upgrade,
    /// Down, where nothing is lost by it.
    SafeDowngrade,
    /// Down, though something may be lost.
    UnsafeDowngrade,
}

impl UpgradeType {
    const fn code(self) -> i8 {
        match self {
            Self::Upgrade => 1,
            Self::SafeDowngrade => 2,
            Self::UnsafeDowngrade => 3,
        }
    }
}

spelled!(UpgradeType {
    Upgrade = "UPGRADE",
    SafeDowngrade = "SAFE_DOWNGRADE",
    UnsafeDowngrade = "UNSAFE_DOWNGRADE",
});

/// Tells the features of the cluster, as one broker knows them.
pub fn describe_features() -> AdminCall<Result<Features, AdminError>> {
    AdminCall::new(Describe, [((), ())])
}

/// Moves the levels of features, or only says what would become of it.
pub fn update_features(
    updates: impl IntoIterator<Item = (String, FeatureUpdate)>,
    validate_only: bool,
) -> AdminCall<Results<String, ()>> {
    AdminCall::new(Update { validate_only }, updates)
}

#[derive(Debug)]
struct Describe;

const ABOUT: &str = "the features of the cluster";

/// From 3 on the answer tells features, from 4 on also those of level 0. From 5 on the request names
/// the node it is meant for, which any broker here is.
const API_VERSIONS_WITH_FEATURES: (Option<i16>, Option<i16>) = (Some(3), Some(4));

impl Operation for Describe {
    type Key = ();
    type Input = ();
    type Output = Features;
    type Done = Result<Features, AdminError>;

    fn about(&self, (): &()) -> String {
        ABOUT.to_owned()
    }

    fn place(&self, (): &(), (): &(), _cx: &mut Cx<'_>) -> Placement {
        anywhere()
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        API_VERSIONS_WITH_FEATURES
    }

    fn request(&self, _items: &[(&(), &())], _timeout: Duration) -> RequestBody {
        m::ApiVersionsRequest::default()
            .with_client_software_name(text("millstream"))
            .with_client_software_version(text(env!("CARGO_PKG_VERSION")))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&(), &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::ApiVersionsResponse::try_from(response.body)?;
        let supported = answer.supported_features.iter().map(|feature| {
            let levels = VersionRange::new(feature.min_version, feature.max_version);
            (feature.name.to_string(), levels)
        });
        let finalized = answer.finalized_features.iter().map(|feature| {
            let levels = FinalizedFeature {
                min_level: feature.min_version_level,
                max_level: feature.max_version_level,
            };
            (feature.name.to_string(), levels)
        });
        let epoch = answer.finalized_features_epoch;
        let features = Features {
            supported: supported.collect(),
            finalized: finalized.collect(),
            finalized_epoch: (epoch >= 0).then_some(epoch),
        };
        let result = Refusal::check(answer.error_code, None).map(|()| features);
        Ok(vec![((), result.into())])
    }

    fn merge(self, results: Results<(), Features>) -> Self::Done {
        only(results, ABOUT)
    }
}

#[derive(Debug)]
struct Update {
    validate_only: bool,
}

impl Operation for Update {
    type Key = String;
    type Input = FeatureUpdate;
    type Output = ();
    type Done = Results<String, ()>;

    fn about(&self, key: &String) -> String {
        format!("feature {key}")
    }

    fn place(&self, _key: &String, _update: &FeatureUpdate, _cx: &mut Cx<'_>) -> Placement {
        controller()
    }

    /// Version 0 can neither validate nor tell a safe downgrade from an unsafe one.
    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (Some(1), None)
    }

    fn request(&self, items: &[(&String, &FeatureUpdate)], timeout: Duration) -> RequestBody {
        let updates = items.iter().map(|(name, update)| {
            FeatureUpdateKey::default()
                .with_feature(text(name))
                .with_max_version_level(update.max_level)
                .with_upgrade_type(update.upgrade_type.code())
        });
        m::UpdateFeaturesRequest::default()
            .with_timeout_ms(millis(timeout))
            .with_feature_updates(updates.collect())
            .with_validate_only(self.validate_only)
            .into()
    }

    /// From version 2 on it is all or nothing, and features are not named (KIP-1022).
    fn read(
        &self,
        response: Response,
        asked: &[(&String, &FeatureUpdate)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::UpdateFeaturesResponse::try_from(response.body)?;
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        if let Err(refusal) = whole {
            return Ok(refusal.of_all::<Self>(asked));
        }
        if response.version >= 2 {
            let done = asked.iter().map(|(key, _)| ((*key).clone(), Verdict::Done(())));
            return Ok(done.collect());
        }
        let said = answer.results.iter().map(|result| {
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            (result.feature.to_string(), check.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<String, ()>) -> Self::Done {
        results
    }
}
