//! The key list (contract section 5): which keys to seal to and which TLS keys to expect, signed by an offline root, with no going back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, KeyHint, Profile};
use crate::keys::{SigningKey, SigningKeyError, VerifyingKey};
use crate::sealing::{self, SealingKeyPair};
use crate::{base64url, strict_json};

/// The header of a key list: exactly `typ` and `alg`.
pub const PROFILE: Profile = Profile {
    typ: "postern-keys+jwt",
    key: KeyHint::Known,
    max_length: 32 * 1024,
};

/// A key list. Instants are whole seconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The account center's issuer name.
    pub issuer: String,
    /// Grows with each list; a client never goes back.
    pub version: u64,
    /// When it was signed.
    pub issued_at: u64,
    /// From when on it is refused.
    pub expires_at: u64,
    /// The keys to seal to, the preferred one first.
    pub sealing_keys: Vec<SealingKey>,
    /// `sha256/` and the padded base64 of the SHA-256 of a `SubjectPublicKeyInfo` (the form of RFC 7469 pins).
    pub tls_pins: Vec<String>,
}

/// One key to seal to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey {
    /// The key id.
    pub kid: String,
    /// The suite, such as [`sealing::SUITE`].
    pub suite: String,
    /// The public key, base64url.
    pub public_key: String,
}

impl From<&SealingKeyPair> for SealingKey {
    fn from(pair: &SealingKeyPair) -> Self {
        Self {
            kid: pair.kid().to_owned(),
            suite: sealing::SUITE.to_owned(),
            public_key: base64url::encode(pair.public_bytes()),
        }
    }
}

/// Why a key list is not signed or not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// Form, header or signature.
    #[error("{0}")]
    Jws(JwsError),
    /// A member is missing or of the wrong type, there is no key, a key id occurs twice, a key or pin is not of the form, or the expiry
    /// comes before the issue.
    #[error("the list is not of the right form")]
    Form,
    /// Another account center's.
    #[error("the issuer is another one")]
    Issuer,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Older than one that was accepted before.
    #[error("the version is lower than one accepted before")]
    RolledBack,
    /// It could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
}

impl KeyListError {
    /// A stable word for logs and for `contract/vectors/key_list.json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jws(error) => error.word(),
            Self::Form => "list_form",
            Self::Issuer => "issuer",
            Self::Expired => "expired",
            Self::RolledBack => "rolled_back",
            Self::Signing(_) => "signing",
        }
    }
}

impl KeyList {
    /// Checks the form and signs with the offline root's key.
    pub fn sign(
        &self,
        root: &SigningKey,
        random: &dyn SecureRandom,
    ) -> Result<String, KeyListError> {
        self.check_form()?;
        let payload = serde_json::to_vec(self).map_err(|_| KeyListError::Form)?;
        let signed = jws::sign(&PROFILE, &payload, root, random)?;
        if signed.len() > PROFILE.max_length {
            return Err(KeyListError::Jws(JwsError::TooLong));
        }
        Ok(signed)
    }

    /// Checks a signed list at the instant `now` (seconds), as a client does. `lowest_version` is the highest ever accepted.
    pub fn verify(
        signed: &str,
        root: &VerifyingKey,
        issuer: &str,
        lowest_version: u64,
        now: u64,
    ) -> Result<Self, KeyListError> {
        let payload = jws::Unverified::parse(signed, &PROFILE)
            .and_then(|unverified| unverified.verify(root))
            .map_err(KeyListError::Jws)?;
        let list: Self = strict_json::from_slice(&payload).map_err(|_| KeyListError::Form)?;
        list.check_form()?;
        if list.issuer != issuer {
            return Err(KeyListError::Issuer);
        }
        if now >= list.expires_at {
            return Err(KeyListError::Expired);
        }
        if list.version < lowest_version {
            return Err(KeyListError::RolledBack);
        }
        Ok(list)
    }

    fn check_form(&self) -> Result<(), KeyListError> {
        let kid_is_new =
            |at: usize, kid: &str| self.sealing_keys[..at].iter().all(|key| key.kid != kid);
        let keys_are_right = self.sealing_keys.iter().enumerate().all(|(at, key)| {
            sealing::is_kid(&key.kid) && kid_is_new(at, &key.kid) && key_is_right(key)
        });
        let right = !self.issuer.is_empty()
            && self.issued_at < self.expires_at
            && !self.sealing_keys.is_empty()
            && keys_are_right
            && self.tls_pins.iter().all(|pin| is_pin(pin));
        if right {
            Ok(())
        } else {
            Err(KeyListError::Form)
        }
    }
}

/// A key of a suite that is not ours is passed over, so that a second suite can come (contract section 5: the first suite it knows).
fn key_is_right(key: &SealingKey) -> bool {
    let Ok(bytes) = base64url::decode(&key.public_key) else {
        return false;
    };
    !bytes.is_empty() && (key.suite != sealing::SUITE || bytes.len() == 32)
}

fn is_pin(pin: &str) -> bool {
    pin.strip_prefix("sha256/")
        .and_then(|digest| STANDARD.decode(digest).ok())
        .is_some_and(|digest| digest.len() == 32)
}
