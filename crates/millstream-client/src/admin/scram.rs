//! Salting the passwords of SCRAM credentials (RFC 5802), away from the caller's and the client's
//! threads: it takes thousands of rounds of hashing.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use millstream_client_core::admin::{self as core, SaltedCredential};
use millstream_protocol::ErrorCode;
use pbkdf2::pbkdf2_hmac_array;
use sha2::{Sha256, Sha512};
use tokio::sync::oneshot;

use super::{CallError, ScramMechanism};

/// A change of a user's SCRAM credential.
#[derive(Clone, PartialEq, Eq)]
pub enum ScramChange {
    /// Sets it.
    Upsert {
        /// The user.
        user: String,
        /// The mechanism it is for.
        mechanism: ScramMechanism,
        /// How often the password is hashed: 4,096 to 16,384 times. Logging in costs as much.
        iterations: u32,
        /// The password; only its salted hash is sent.
        password: String,
    },
    /// Takes it away.
    Delete {
        /// The user.
        user: String,
        /// The mechanism it is for.
        mechanism: ScramMechanism,
    },
}

impl fmt::Debug for ScramChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, user, mechanism) = match self {
            Self::Upsert { user, mechanism, .. } => ("Upsert", user, mechanism),
            Self::Delete { user, mechanism } => ("Delete", user, mechanism),
        };
        f.debug_struct(name)
            .field("user", user)
            .field("mechanism", mechanism)
            .finish_non_exhaustive()
    }
}

/// The counts of iterations that brokers take (`ScramMechanism.minIterations`, and the controller's
/// bound above).
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=16_384;
const SALT_BYTES: usize = 32;

/// The changes as they are sent, by user, and those users' that cannot be made.
type Salted = (BTreeMap<String, Vec<core::ScramChange>>, BTreeMap<String, CallError>);

/// Salts passwords on a thread of its own.
pub(super) async fn salt(changes: Vec<ScramChange>) -> Salted {
    let (sender, receiver) = oneshot::channel();
    let on_thread = changes.clone();
    let salting = move || drop(sender.send(salt_all(on_thread)));
    let thread = std::thread::Builder::new().name("millstream-scram".to_owned()).spawn(salting);
    match (thread, receiver.await) {
        (Ok(_), Ok(salted)) => salted,
        // Without a thread the caller's own must do.
        _ => salt_all(changes),
    }
}

fn salt_all(changes: Vec<ScramChange>) -> Salted {
    let mut salted: BTreeMap<String, Vec<core::ScramChange>> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    for change in changes {
        let (user, change) = match change {
            ScramChange::Delete { user, mechanism } => {
                (user, Ok(core::ScramChange::Delete(mechanism)))
            }
            ScramChange::Upsert { user, mechanism, iterations, password } => {
                let credential = credential(mechanism, iterations, &password);
                (user, credential.map(|salted| core::ScramChange::Upsert(mechanism, salted)))
            }
        };
        match change {
            Ok(change) => salted.entry(user).or_default().push(change),
            Err(message) => {
                let about = format!("SCRAM credentials of user {user}");
                let code = ErrorCode::UnacceptableCredential;
                let error = CallError::Refused { about, code, message: Some(message) };
                refused.insert(user, error);
            }
        }
    }
    // Of a user whose changes cannot all be made none is tried.
    salted.retain(|user, _| !refused.contains_key(user));
    (salted, refused)
}

fn credential(
    mechanism: ScramMechanism,
    iterations: u32,
    password: &str,
) -> Result<SaltedCredential, String> {
    if !ITERATIONS.contains(&iterations) {
        let (min, max) = (ITERATIONS.start(), ITERATIONS.end());
        return Err(format!("{iterations} iterations are not within {min} to {max}"));
    }
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| format!("no random salt can be drawn: {error}"))?;
    let salted_password = hash(mechanism, password, &salt, iterations);
    Ok(SaltedCredential { iterations, salt: Bytes::copy_from_slice(&salt), salted_password })
}

/// `Hi` of RFC 5802. As Java does, the password's UTF-8 is taken as it stands.
fn hash(mechanism: ScramMechanism, password: &str, salt: &[u8], iterations: u32) -> Bytes {
    let password = password.as_bytes();
    match mechanism {
        ScramMechanism::Sha512 => {
            Bytes::copy_from_slice(&pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations))
        }
        _ => Bytes::copy_from_slice(&pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The exchange of RFC 7677 (SHA-256): its server signature follows from this salted password.
    #[test]
    fn a_password_is_hashed_as_the_standard_says() {
        let salt = [
            0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
            0xfa, 0x81,
        ];
        let hashed = hash(ScramMechanism::Sha256, "pencil", &salt, 4096);
        assert_eq!(
            hex(&hashed),
            "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"
        );
        assert_eq!(hash(ScramMechanism::Sha512, "pencil", &salt, 4096).len(), 64);
    }

    #[test]
    fn what_kafka_would_not_take_is_refused_with_all_of_the_user() {
        let upsert = |user: &str, iterations, password: &str| ScramChange::Upsert {
            user: user.to_owned(),
            mechanism: ScramMechanism::Sha256,
            iterations,
            password: password.to_owned(),
        };
        let delete = |user: &str| ScramChange::Delete {
            user: user.to_owned(),
            mechanism: ScramMechanism::Sha512,
        };
        let changes = vec![
            upsert("weak", 100, "secret"),
            delete("weak"),
            upsert("empty", 4096, ""),
            upsert("endless", u32::MAX, "secret"),
            upsert("good", 4096, "secret"),
            delete("good"),
        ];
        assert!(!format!("{changes:?}").contains("secret"));
        let (salted, refused) = salt_all(changes);
        assert_eq!(salted.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(salted["good"].len(), 2);
        let names: Vec<_> = refused.keys().map(String::as_str).collect();
        assert_eq!(names, ["empty", "endless", "weak"]);
        let code = refused["weak"].code();
        assert_eq!(code, Some(ErrorCode::UnacceptableCredential));
    }

    #[test]
    fn two_users_of_one_password_have_two_salts() {
        let one = credential(ScramMechanism::Sha256, 4096, "same").unwrap();
        let other = credential(ScramMechanism::Sha256, 4096, "same").unwrap();
        assert_ne!(one.salt, other.salt);
        assert_ne!(one.salted_password, other.salted_password);
    }
}
