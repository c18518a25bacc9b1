//! The codec against messages that Kafka's own classes wrote, whole and damaged.

mod damaged;
mod frames;
mod golden;

use bytes::{Buf, Bytes, BytesMut};

use crate::api::{ApiKey, supported_versions};
use crate::error::DecodeError;
use crate::generated::requests::every_api;
use crate::guard;
use crate::messages::*;

/// What the first byte of a vector says where it is a message inside others.
const EMBEDDED: u8 = 2;

/// A message as Kafka wrote it, without its header.
#[derive(Debug, Clone)]
struct Vector {
    is_response: bool,
    api: ApiKey,
    version: i16,
    body: Bytes,
}

impl Vector {
    fn all() -> Vec<Self> {
        let file = include_bytes!("../../../tests/messages/kafka-4.4.0.bin");
        let mut rest = Bytes::from_static(file);
        let mut vectors = Vec::new();
        while !rest.is_empty() {
            let head = rest.split_to(9);
            let key = i16::from_be_bytes([head[1], head[2]]);
            let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if head[0] == EMBEDDED {
                rest.advance(length as usize);
                continue;
            }
            vectors.push(Self {
                is_response: head[0] == 1,
                api: ApiKey::try_from(key).unwrap(),
                version: i16::from_be_bytes([head[3], head[4]]),
                body: rest.split_to(length as usize),
            });
        }
        vectors
    }

    /// The fullest message of each API and side, in the oldest, the newest and the first flexible
    /// version: every encoding of every field once.
    fn fullest() -> Vec<Self> {
        let mut fullest: std::collections::BTreeMap<_, Self> = std::collections::BTreeMap::new();
        for vector in Self::all() {
            let (api, version) = (vector.api, vector.version);
            let versions = supported_versions(api);
            let first_flexible = api.is_flexible(version) && !api.is_flexible(version - 1);
            if version != versions.min && version != versions.max && !first_flexible {
                continue;
            }
            let key = (api, version, vector.is_response);
            if fullest.get(&key).is_none_or(|other| other.body.len() < vector.body.len()) {
                fullest.insert(key, vector);
            }
        }
        fullest.into_values().collect()
    }

    fn check(&self, body: &[u8]) -> Result<(), DecodeError> {
        if self.is_response {
            guard::check_response(self.api, self.version, body, 0)
        } else {
            guard::check_request(self.api, self.version, body, 0)
        }
    }

    /// Decodes `body` as this message and writes it again.
    fn rewrite(&self, body: Bytes) -> Result<BytesMut, DecodeError> {
        self.check(&body)?;
        let (api, version) = (self.api, self.version);
        if self.is_response {
            rewrite_response(api, version, body)
        } else {
            rewrite_request(api, version, body)
        }
    }
}

fn again<M: Decodable + Encodable>(version: i16, body: Bytes) -> Result<BytesMut, DecodeError> {
    let message: M = super::decode_body(version, body, 0)?;
    let mut out = BytesMut::new();
    message.encode(&mut out, version).unwrap();
    Ok(out)
}

macro_rules! rewriters {
    ($($api:ident, $request:ident, $response:ident;)*) => {
        fn rewrite_request(api: ApiKey, version: i16, body: Bytes) -> Result<BytesMut, DecodeError> {
            match api {
                $(ApiKey::$api => again::<$request>(version, body),)*
            }
        }

        fn rewrite_response(api: ApiKey, version: i16, body: Bytes) -> Result<BytesMut, DecodeError> {
            match api {
                $(ApiKey::$api => again::<$response>(version, body),)*
            }
        }
    };
}
every_api!(rewriters);
