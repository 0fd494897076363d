//! The signed key list (contract section 5): which keys are right is not the network's to say.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::proof::jws::Parts;
use crate::transport::SpkiPin;

/// No list is longer.
const LONGEST: usize = 32 * 1024;

/// The suite that this version knows.
pub const SUITE: &str = "x25519-sha256-aes128gcm";

/// Why a key list is not used. No secret leaves the device then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// It is not a signed key list, or lacks a member.
    #[error("malformed")]
    Malformed,
    /// The offline root did not sign it.
    #[error("not signed by the configured root")]
    Signature,
    /// It is another account center's.
    #[error("another issuer")]
    Issuer,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It is older than one that was accepted before.
    #[error("older than the last accepted")]
    RolledBack,
    /// None of its keys is of a suite that this version knows.
    #[error("no key of a known suite")]
    NoUsableKey,
}

/// A key to seal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKey {
    /// Its name.
    pub kid: String,
    /// X25519.
    pub public_key: [u8; 32],
}

/// A list that was signed by the root and is this account center's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyList {
    /// Grows with every list; never goes back.
    pub version: u64,
    /// Seconds since 1970 UTC.
    pub expires_at: Duration,
    /// The first key of a suite that we know.
    pub key: SealingKey,
    /// Public keys of the account center's TLS certificates, with those in reserve.
    pub tls_pins: Vec<SpkiPin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
}

#[derive(Deserialize)]
struct Payload {
    issuer: String,
    version: u64,
    issued_at: u64,
    expires_at: u64,
    sealing_keys: Vec<WireKey>,
    #[serde(default)]
    tls_pins: Vec<String>,
}

#[derive(Deserialize)]
struct WireKey {
    kid: String,
    suite: String,
    public_key: String,
}

impl KeyList {
    /// Checks signature, issuer and expiry; the version is compared by who remembers the highest one.
    pub fn verify(
        jws: &str,
        root_key: &[u8],
        issuer: &str,
        now: Duration,
    ) -> Result<Self, KeyListError> {
        if jws.len() > LONGEST {
            return Err(KeyListError::Malformed);
        }
        let parts = Parts::read(jws).ok_or(KeyListError::Malformed)?;
        let header: Header =
            serde_json::from_slice(&parts.header).map_err(|_| KeyListError::Malformed)?;
        if header.typ != "postern-keys+jwt" || header.alg != "ES256" {
            return Err(KeyListError::Malformed);
        }
        if !parts.is_signed_by(root_key) {
            return Err(KeyListError::Signature);
        }
        let payload: Payload =
            serde_json::from_slice(&parts.payload).map_err(|_| KeyListError::Malformed)?;
        if payload.issuer != issuer {
            return Err(KeyListError::Issuer);
        }
        if payload.expires_at <= payload.issued_at {
            return Err(KeyListError::Malformed);
        }
        let expires_at = Duration::from_secs(payload.expires_at);
        if now >= expires_at {
            return Err(KeyListError::Expired);
        }
        let key = first_usable(&payload.sealing_keys)?;
        // A pin that can't be read is an error: leaving it out would narrow or lift the pinning unseen.
        let tls_pins = payload
            .tls_pins
            .iter()
            .map(|text| SpkiPin::parse(text))
            .collect::<Option<_>>()
            .ok_or(KeyListError::Malformed)?;
        Ok(Self {
            version: payload.version,
            expires_at,
            key,
            tls_pins,
        })
    }
}

/// The first key of a suite that we know. A wrong key anywhere is a wrong list: the root signed something that nobody looked through.
fn first_usable(keys: &[WireKey]) -> Result<SealingKey, KeyListError> {
    let mut names = HashSet::new();
    let mut first = None;
    if keys.is_empty() {
        return Err(KeyListError::Malformed);
    }
    for key in keys {
        let is_name = (1..=64).contains(&key.kid.len()) && key.kid.bytes().all(is_name_byte);
        if !is_name || !names.insert(&key.kid) {
            return Err(KeyListError::Malformed);
        }
        if key.suite == SUITE {
            let public_key = URL_SAFE_NO_PAD
                .decode(&key.public_key)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(KeyListError::Malformed)?;
            first.get_or_insert_with(|| SealingKey {
                kid: key.kid.clone(),
                public_key,
            });
        }
    }
    first.ok_or(KeyListError::NoUsableKey)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../contract/vectors/key_list.json")).unwrap()
    }

    fn verify(vectors: &Value, case: &Value) -> Result<KeyList, KeyListError> {
        let root = vectors["root"]["public_key"].as_str().unwrap();
        KeyList::verify(
            case["key_list"].as_str().unwrap(),
            &URL_SAFE_NO_PAD.decode(root).unwrap(),
            case["issuer"].as_str().unwrap(),
            Duration::from_secs(case["now"].as_u64().unwrap()),
        )
    }

    #[test]
    fn the_contracts_good_lists_are_taken_and_name_the_key_to_seal_to() {
        let vectors = vectors();
        for case in vectors["good"].as_array().unwrap() {
            let list = verify(&vectors, case).unwrap();
            assert_eq!(
                list.key.kid,
                case["seal_to"].as_str().unwrap(),
                "{}",
                case["name"]
            );
            assert!(list.version >= case["lowest_version"].as_u64().unwrap());
        }
    }

    #[test]
    fn the_contracts_bad_lists_are_refused_for_the_reason_given() {
        let vectors = vectors();
        for case in vectors["bad"].as_array().unwrap() {
            let expected = match case["reason"].as_str().unwrap() {
                "signature" => KeyListError::Signature,
                "expired" => KeyListError::Expired,
                "issuer" => KeyListError::Issuer,
                // The list itself is good; who remembers the highest version refuses it.
                "rolled_back" => {
                    let list = verify(&vectors, case).unwrap();
                    assert!(list.version < case["lowest_version"].as_u64().unwrap());
                    continue;
                }
                _ => KeyListError::Malformed,
            };
            assert_eq!(verify(&vectors, case), Err(expected), "{}", case["name"]);
        }
    }
}
