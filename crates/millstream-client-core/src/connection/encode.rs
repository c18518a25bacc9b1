//! Requests to bytes, in the version a broker speaks.

use bytes::BytesMut;
use millstream_protocol::api::{VersionRange, supported_versions};
use millstream_protocol::negotiate::BrokerVersions;

use super::transmit::Transmit;
use crate::outbox::{Pending, RequestBody, fit, produce};

/// What stands before a request's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: &'a str,
}

/// The newest version that the broker speaks, we speak, and the request can go in.
pub(super) fn choose_version(versions: &BrokerVersions, pending: &Pending) -> Result<i16, String> {
    let api = pending.body.api_key();
    let supported = supported_versions(api);
    let max = pending.version_max.unwrap_or(supported.max);
    let min = pending.version_min.unwrap_or(supported.min);
    let wanted = VersionRange::new(min.max(supported.min), max.min(supported.max));
    versions.choose_within(api, wanted).map_err(|error| error.to_string())
}

/// Appends the request to `transmit`, as one chunk or, for Produce, as heads and batches in turn.
pub(super) fn encode(
    head: Head<'_>,
    mut body: RequestBody,
    scratch: &mut BytesMut,
    transmit: &mut Transmit,
) -> Result<(), String> {
    fit::fit(&mut body, head.version)?;
    if let RequestBody::Produce(request) = &body {
        return produce::encode(
            request,
            head.version,
            head.correlation_id,
            head.client_id,
            scratch,
            |chunk| transmit.push(chunk),
        );
    }
    body.encode_message(head.version, head.correlation_id, head.client_id, scratch)?;
    transmit.push(scratch.split().freeze());
    Ok(())
}
