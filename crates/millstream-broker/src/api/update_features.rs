//! UpdateFeatures 0 to the newest: raises and lowers finalised features (KIP-584), checked as
//! `FeatureControlManager` does. The one feature is `transaction.version`.
//!
//! One that fails lets all fail, with one error for the whole in every version.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::update_features_request::FeatureUpdateKey;
use millstream_protocol::messages::update_features_response::UpdatableFeatureResult;
use millstream_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::{Api, Call, Served, sentence, text};
use crate::core::state::{Refused, State};

/// The feature.
const TRANSACTION_VERSION: &str = "transaction.version";
/// Its highest level.
const NEWEST: i16 = 2;
/// The first version with types of upgrade.
const HAS_TYPES: i16 = 1;
/// The first version that names no features in the answer.
const ONE_ANSWER: i16 = 2;
/// `FeatureUpdate.UpgradeType`.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

impl Api for UpdateFeaturesRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<UpdateFeaturesResponse> {
        let current = state.transactions.level(call.node);
        let checks: Vec<_> = self
            .feature_updates
            .iter()
            .map(|update| check(update, current, call.version))
            .collect();
        let failed = checks.iter().find_map(|check| check.as_ref().err());
        if failed.is_none() && !self.validate_only {
            for update in &self.feature_updates {
                state.transactions.set_level(None, update.max_version_level);
            }
        }
        let mut response = UpdateFeaturesResponse::default().with_error_message(None);
        if let Some(refused) = failed {
            let why = format!(
                "The update failed for all features since the following feature had an error: {}",
                refused.message
            );
            response =
                response.with_error_code(refused.code.code()).with_error_message(Some(text(why)));
        } else if call.version < ONE_ANSWER {
            let updates = self.feature_updates.iter();
            // Kafka puts the name of the code where there is no error.
            let done = Refused::new(ErrorCode::None, "NONE");
            response.results = updates.map(|update| result(update, Some(&done))).collect();
        }
        Served::Now(response)
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> UpdateFeaturesResponse {
        let response = UpdateFeaturesResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(sentence(code)));
        if version >= ONE_ANSWER {
            return response;
        }
        let refused = Refused::new(code, sentence(code).as_str());
        let updates = self.feature_updates.iter();
        response.with_results(updates.map(|update| result(update, Some(&refused))).collect())
    }
}

fn result(update: &FeatureUpdateKey, refused: Option<&Refused>) -> UpdatableFeatureResult {
    let result = UpdatableFeatureResult::default()
        .with_feature(update.feature.clone())
        .with_error_message(None);
    match refused {
        None => result,
        Some(refused) => result
            .with_error_code(refused.code.code())
            .with_error_message(Some(text(&refused.message))),
    }
}

fn check(update: &FeatureUpdateKey, current: i16, version: i16) -> Result<(), Refused> {
    let (name, wanted) = (update.feature.as_str(), update.max_version_level);
    let refuse = |why: &str| {
        let why = format!("Invalid update version {wanted} for feature {name}. {why}");
        Err(Refused::new(ErrorCode::InvalidUpdateVersion, why))
    };
    let kind = match version {
        HAS_TYPES.. => update.upgrade_type,
        _ if update.allow_downgrade => SAFE_DOWNGRADE,
        _ => UPGRADE,
    };
    if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&kind) {
        return refuse("The controller does not support the given upgrade type.");
    }
    if wanted < 0 {
        return refuse("A feature version cannot be less than 0.");
    }
    if name != TRANSACTION_VERSION {
        return refuse("Local controller 1 does not support this feature.");
    }
    if wanted > NEWEST {
        return refuse("Local controller 1 only supports versions 0-2");
    }
    if wanted < current && kind == UPGRADE {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    Ok(())
}
