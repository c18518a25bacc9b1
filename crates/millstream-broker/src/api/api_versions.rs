//! ApiVersions 0 to the newest: which APIs and versions the broker serves (KIP-511).
//!
//! A version that is not known is answered in version 0 with `UNSUPPORTED_VERSION` and the list, by
//! [`unsupported`]. Of Kafka's features `transaction.version` is told, as this node knows it (KIP-890);
//! omitted: the others (metadata.version, group.version, …), which are not implemented.

use bytes::BytesMut;
use millstream_protocol::codec::encode_response;
use millstream_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use millstream_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use millstream_protocol::{ApiKey, EncodeError, ErrorCode};

use super::{Api, Call, SERVED, Served, served_versions, text};
use crate::core::frame::ResponseFrame;
use crate::core::state::State;

/// The feature that says how transactions work.
const TRANSACTION_VERSION: &str = "transaction.version";
/// The first version that tells features.
const HAS_FEATURES: i16 = 3;
/// The first version that tells features whose versions begin at 0.
const TELLS_ZERO: i16 = 4;

impl Api for ApiVersionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ApiVersionsResponse> {
        let named = call.version < 3
            || (is_software_name(&self.client_software_name)
                && is_software_name(&self.client_software_version));
        if !named {
            return Served::Now(self.refuse(call.version, ErrorCode::InvalidRequest));
        }
        let response = ApiVersionsResponse::default().with_api_keys(list());
        if call.version < HAS_FEATURES {
            return Served::Now(response);
        }
        let transactions = &state.transactions;
        let (level, epoch) =
            (transactions.level(call.node), transactions.features_epoch(call.node));
        let response = response.with_finalized_features_epoch(epoch);
        Served::Now(features(response, level, call.version))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_error_code(code.code())
    }
}

/// Adds what is told of features.
fn features(response: ApiVersionsResponse, level: i16, version: i16) -> ApiVersionsResponse {
    let supported = SupportedFeatureKey::default()
        .with_name(text(TRANSACTION_VERSION))
        .with_min_version(0)
        .with_max_version(2);
    let finalized = FinalizedFeatureKey::default()
        .with_name(text(TRANSACTION_VERSION))
        .with_max_version_level(level)
        .with_min_version_level(level);
    // Clients of version 3 cannot read a range that begins at 0 (KIP-584).
    let supported = if version < TELLS_ZERO { Vec::new() } else { vec![supported] };
    let finalized = if level > 0 { vec![finalized] } else { Vec::new() };
    response.with_supported_features(supported).with_finalized_features(finalized)
}

/// The answer to a version that is not known: version 0, which every client can read.
pub(crate) fn unsupported(correlation_id: i32) -> Result<ResponseFrame, EncodeError> {
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(list());
    let mut out = BytesMut::new();
    encode_response::<ApiVersionsRequest>(0, correlation_id, &response, &mut out)?;
    Ok(out.freeze().into())
}

fn list() -> Vec<ApiVersion> {
    let mut apis = SERVED.to_vec();
    apis.sort_unstable();
    apis.into_iter()
        .filter_map(|api| Some((api, served_versions(api)?)))
        .map(|(api, versions)| {
            // Old librdkafka takes a broker without Produce 0 for one without record batches, so
            // Kafka claims it though it serves no less than 3 (KIP-896).
            let min = if api == ApiKey::Produce { 0 } else { versions.min };
            ApiVersion::default()
                .with_api_key(api.code())
                .with_min_version(min)
                .with_max_version(versions.max)
        })
        .collect()
}

/// `ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN`.
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
}
