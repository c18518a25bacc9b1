//! Byte equality with Kafka's own classes, in both directions.

use super::Vector;
use crate::api::{ApiKey, supported_versions};

#[test]
fn every_api_and_version_has_vectors() {
    let vectors = Vector::all();
    for api in ApiKey::ALL {
        let versions = supported_versions(*api);
        for version in versions.min..=versions.max {
            for side in [false, true] {
                let found = vectors.iter().any(|vector| {
                    vector.api == *api && vector.version == version && vector.is_response == side
                });
                assert!(found, "no vector of {api} version {version}, response: {side}");
            }
        }
    }
}

#[test]
fn no_vector_is_outside_of_the_supported_versions() {
    for vector in Vector::all() {
        assert!(supported_versions(vector.api).contains(vector.version), "{vector:?}");
    }
}

#[test]
fn what_kafka_wrote_is_read_and_written_again_byte_for_byte() {
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        match vector.rewrite(vector.body.clone()) {
            Ok(out) if out == vector.body => {}
            other => wrong.push(format!("{vector:?} became {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
