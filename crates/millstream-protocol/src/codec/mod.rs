//! Requests and responses to and from whole frames.
//!
//! Everything decoded passes the shape guard first: no decoder sees a count or a length that the
//! bytes of its message cannot hold.

use bytes::{Bytes, BytesMut};

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError, Malformed};
use crate::frame::{begin_frame, finish_frame};
use crate::guard;
use crate::messages::{Decodable, Encodable, Request};
use crate::wire::{Reader, Writer};

/// The head of a request, read without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The number of the API; [`RequestHeader::api`] gives the name.
    pub api_key: i16,
    /// The version of the request.
    pub api_version: i16,
    /// The number that the response must carry.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Reads the head of the request in `frame` (a frame without its length). Works for versions
    /// that are not supported too, so that they can be answered.
    ///
    /// # Errors
    /// The frame ends early, or its API is unknown ([`DecodeError::Unsupported`]).
    pub fn peek(frame: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(frame))
    }

    /// The API of the request; `None` where this crate does not know it.
    #[must_use]
    pub fn api(&self) -> Option<ApiKey> {
        ApiKey::try_from(self.api_key).ok()
    }

    /// Whether this crate can decode the body.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.api().is_some_and(|api| crate::api::supported_versions(api).contains(self.api_version))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let api_key = reader.i16()?;
        let api_version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let Ok(api) = ApiKey::try_from(api_key) else {
            return Err(DecodeError::Unsupported { api: api_key, version: api_version });
        };
        let client_id = reader.nullable_string()?.map(str::to_owned);
        if api.request_header_version(api_version) >= 2 {
            reader.skip_tagged_fields()?;
        }
        Ok(Self { api_key, api_version, correlation_id, client_id })
    }
}

/// The correlation id at the front of a response frame (without its length).
///
/// # Errors
/// The frame is shorter than four bytes.
pub fn peek_correlation_id(frame: &[u8]) -> Result<i32, DecodeError> {
    Reader::new(frame).i32()
}

/// Appends the header of a request, for callers that write the body themselves.
///
/// # Errors
/// The client id is longer than 32767 bytes.
pub fn put_request_header(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut writer = Writer::new(out);
    writer.i16(api.code());
    writer.i16(version);
    writer.i32(correlation_id);
    if writer.nullable_string(client_id).is_err() {
        return Err(inexpressible(api, version, "the client id is longer than 32767 bytes".into()));
    }
    if api.request_header_version(version) >= 2 {
        writer.uvarint(0);
    }
    Ok(())
}

/// Appends one whole request frame to `out`: length, header and body.
///
/// # Errors
/// The version is not supported, or cannot carry what `request` says; `out` is as before.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &R,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let before = out.len();
    let written = (|| {
        supported(R::KEY, version)?;
        let start = begin_frame(out);
        put_request_header(R::KEY, version, correlation_id, client_id, out)?;
        body(R::KEY, version, request, out)?;
        Ok(finish_frame(out, start, 0)?)
    })();
    if written.is_err() {
        out.truncate(before);
    }
    written
}

/// Reads the response to an `R` of `version` from a frame (without its length; the response header
/// with the correlation id is part of it). Byte fields of the response share the frame's memory.
///
/// # Errors
/// The frame is not a response of that API and version.
pub fn decode_response<R: Request>(version: i16, frame: Bytes) -> Result<R::Response, DecodeError> {
    let mut reader = Reader::new(&frame);
    reader.i32()?;
    if R::KEY.response_header_version(version) >= 1 {
        reader.skip_tagged_fields()?;
    }
    let at = reader.at();
    guard::check_response(R::KEY, version, &frame, at)?;
    decode_body(version, frame, at)
}

/// Reads a request of `version` from a frame (without its length).
///
/// # Errors
/// The frame is not a request of that API and version.
#[cfg(feature = "broker")]
pub fn decode_request<R: crate::messages::ServedRequest>(
    version: i16,
    frame: Bytes,
) -> Result<R, DecodeError> {
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::read(&mut reader)?;
    if header.api_key != R::KEY.code() || header.api_version != version {
        return Err(DecodeError::Unsupported { api: header.api_key, version: header.api_version });
    }
    let at = reader.at();
    guard::check_request(R::KEY, version, &frame, at)?;
    decode_body(version, frame, at)
}

/// Appends one whole response frame to `out`: length, header and body.
///
/// # Errors
/// The version is not supported, or cannot carry what `response` says; `out` is as before.
#[cfg(feature = "broker")]
pub fn encode_response<R: crate::messages::ServedRequest>(
    version: i16,
    correlation_id: i32,
    response: &R::Response,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let before = out.len();
    let written = (|| {
        supported(R::KEY, version)?;
        let start = begin_frame(out);
        let mut writer = Writer::new(out);
        writer.i32(correlation_id);
        if R::KEY.response_header_version(version) >= 1 {
            writer.uvarint(0);
        }
        body(R::KEY, version, response, out)?;
        Ok(finish_frame(out, start, 0)?)
    })();
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn supported(api: ApiKey, version: i16) -> Result<(), EncodeError> {
    let supported = crate::api::supported_versions(api);
    if supported.contains(version) {
        return Ok(());
    }
    Err(EncodeError::Unsupported { api, version, supported })
}

fn body<M: Encodable>(
    api: ApiKey,
    version: i16,
    message: &M,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    message.encode(out, version).map_err(|error| inexpressible(api, version, error.to_string()))
}

fn inexpressible(api: ApiKey, version: i16, reason: String) -> EncodeError {
    EncodeError::Inexpressible { api, version, reason }
}

fn decode_body<M: Decodable>(version: i16, frame: Bytes, at: usize) -> Result<M, DecodeError> {
    let mut body = frame.slice(at..);
    M::decode(&mut body, version)
        .map_err(|_| DecodeError::Malformed { at, reason: Malformed::Refused })
}

#[cfg(test)]
#[cfg(feature = "broker")]
mod tests;
