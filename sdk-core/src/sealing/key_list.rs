//! The signed key list (contract section 5): which keys are right is not the network's to say.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::proof::jws::Parts;
use crate::transport::SpkiPin;

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
struct Header {
    typ: String,
    alg: String,
}

#[derive(Deserialize)]
struct Payload {
    issuer: String,
    version: u64,
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
        let expires_at = Duration::from_secs(payload.expires_at);
        if now >= expires_at {
            return Err(KeyListError::Expired);
        }
        let key = payload
            .sealing_keys
            .into_iter()
            .filter(|key| key.suite == SUITE)
            .find_map(WireKey::read)
            .ok_or(KeyListError::NoUsableKey)?;
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

impl WireKey {
    fn read(self) -> Option<SealingKey> {
        let named = (1..=64).contains(&self.kid.len())
            && self
                .kid
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let bytes = URL_SAFE_NO_PAD.decode(self.public_key).ok()?;
        let public_key = bytes.try_into().ok()?;
        named.then_some(SealingKey {
            kid: self.kid,
            public_key,
        })
    }
}
