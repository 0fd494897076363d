//! One server secret, and the keys derived from it: one for each purpose, so that no value made for one is good for another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::context::Randomness;

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nonces for proofs (contract section 2).
    ProofNonce,
    /// Names of Idempotency-Keys.
    IdempotencyScope,
    /// Fingerprints of request bytes: a plain hash would reveal a six-digit code.
    IdempotencyFingerprint,
    /// Stored replies; see [`Keys::seal_with`].
    IdempotencyReply,
    /// Names of login handles.
    LoginHandle,
    /// The state of a login under way.
    LoginState,
    /// SMS codes.
    SmsCode,
    /// Names of provider credentials that were used (M2).
    ProviderCredential,
    /// The blind index of phone numbers.
    PhoneIndex,
    /// Phone numbers.
    PhoneNumber,
    /// Names of rate buckets.
    RateBucket,
    /// Refresh tokens and their names.
    RefreshToken,
    /// Names of requests that were prepared for a provider.
    ProviderRequest,
    /// Handles and states of operations under way on an account.
    Operation,
    /// What customers have yet to be told.
    Notice,
    /// Names of guests' cookies, and of silent calls (W2, W4).
    Guest,
    /// Names of assertions by which the bank's own login vouches for somebody, and of providers' notifications: each counts once.
    Once,
    /// Names of an operator's session token and set-up secret.
    AdminToken,
    /// An operator's second factor.
    AdminTotp,
    /// The chain of the audit log.
    AuditChain,
    /// Cursors of the outbox, and names of business lines' requests.
    Outbox,
    /// A device's share of a staged release (L12).
    Rollout,
    /// Names of devices and attempts in events (L11).
    Funnel,
    /// Security questions: their names, and their texts.
    SecurityQuestion,
    /// What an appeal claims.
    Appeal,
    /// Names of networks that an account was logged in to from.
    LoginPlace,
}

const PURPOSES: &[(Purpose, &str)] = &[
    (Purpose::ProofNonce, "proof-nonce"),
    (Purpose::IdempotencyScope, "idempotency-scope"),
    (Purpose::IdempotencyFingerprint, "idempotency-fingerprint"),
    (Purpose::IdempotencyReply, "idempotency-reply"),
    (Purpose::LoginHandle, "login-handle"),
    (Purpose::LoginState, "login-state"),
    (Purpose::SmsCode, "sms-code"),
    (Purpose::ProviderCredential, "provider-credential"),
    (Purpose::PhoneIndex, "phone-index"),
    (Purpose::PhoneNumber, "phone-number"),
    (Purpose::RateBucket, "rate-bucket"),
    (Purpose::RefreshToken, "refresh-token"),
    (Purpose::ProviderRequest, "provider-request"),
    (Purpose::Operation, "operation"),
    (Purpose::Notice, "notice"),
    (Purpose::Guest, "guest"),
    (Purpose::Once, "once"),
    (Purpose::AdminToken, "admin-token"),
    (Purpose::AdminTotp, "admin-totp"),
    (Purpose::AuditChain, "audit-chain"),
    (Purpose::Outbox, "outbox"),
    (Purpose::Rollout, "rollout"),
    (Purpose::Funnel, "funnel"),
    (Purpose::SecurityQuestion, "security-question"),
    (Purpose::Appeal, "appeal"),
    (Purpose::LoginPlace, "login-place"),
];

/// A sealed value did not open: it was made by another key, for another place, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct OpenError;

struct Derived {
    mac: hmac::Key,
    aead: LessSafeKey,
}

/// The keys derived from the server secret. Debug is a placeholder.
pub struct Keys {
    derived: Vec<Derived>,
    root: hkdf::Prk,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

/// Version of the sealed form, its first byte.
const SEALED_V1: u8 = 1;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &hkdf::Prk, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    prk.expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut *out))
        .expect("HKDF-SHA-256 gives up to 8160 bytes");
    out
}

impl Keys {
    /// Derives every key from the 32-byte server secret (RFC 5869).
    pub fn derive(server_secret: &[u8; 32]) -> Self {
        let root =
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"postern-server-secret-v1").extract(server_secret);
        let derived = PURPOSES
            .iter()
            .map(|(_, name)| Derived {
                mac: hmac::Key::new(
                    hmac::HMAC_SHA256,
                    &*expand::<32>(&root, &[b"mac:", name.as_bytes()]),
                ),
                aead: aead_key(&expand::<32>(&root, &[b"aead:", name.as_bytes()])),
            })
            .collect();
        Self { derived, root }
    }

    fn of(&self, purpose: Purpose) -> &Derived {
        &self.derived[purpose as usize]
    }

    /// 32 bytes for a part that keeps a key of its own, for example the proof nonces.
    pub fn bytes(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        expand(
            &self.root,
            &[b"bytes:", PURPOSES[purpose as usize].1.as_bytes()],
        )
    }

    /// HMAC-SHA-256 over the parts, each with its length before it, so that no two lists of parts are the same bytes.
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.of(purpose).mac);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    /// [`Keys::mac`] as base64url: the name of a row that must not tell what it is about, such as a phone number's blind index.
    pub fn name(&self, purpose: Purpose, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(purpose, parts))
    }

    /// Encrypts a small value (AES-256-GCM) for the row `place`: moved to another row it does not open. The result is base64url.
    pub fn seal(
        &self,
        purpose: Purpose,
        place: &[u8],
        plaintext: &[u8],
        randomness: &dyn Randomness,
    ) -> String {
        seal(&self.of(purpose).aead, place, plaintext, randomness)
    }

    /// Opens what [`Keys::seal`] made for the same purpose and place.
    pub fn open(
        &self,
        purpose: Purpose,
        place: &[u8],
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open(&self.of(purpose).aead, place, sealed)
    }

    /// As [`Keys::seal`], under a key that needs `secret` too: whoever holds database and server secret alone cannot open it.
    pub fn seal_with(
        &self,
        purpose: Purpose,
        secret: &[u8],
        place: &[u8],
        plaintext: &[u8],
        randomness: &dyn Randomness,
    ) -> String {
        seal(&self.joint(purpose, secret), place, plaintext, randomness)
    }

    /// Opens what [`Keys::seal_with`] made with the same secret.
    pub fn open_with(
        &self,
        purpose: Purpose,
        secret: &[u8],
        place: &[u8],
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open(&self.joint(purpose, secret), place, sealed)
    }

    fn joint(&self, purpose: Purpose, secret: &[u8]) -> LessSafeKey {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &*self.bytes(purpose)).extract(secret);
        aead_key(&expand::<32>(&prk, &[b"joint"]))
    }
}

fn aead_key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256 keys have 32 bytes"))
}

fn seal(key: &LessSafeKey, place: &[u8], plaintext: &[u8], randomness: &dyn Randomness) -> String {
    let mut nonce = [0; NONCE_LEN];
    randomness.fill(&mut nonce);
    let mut text = Zeroizing::new(plaintext.to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place),
            &mut text,
        )
        .expect("small values are within AES-GCM's limit");
    let mut blob = Vec::with_capacity(1 + NONCE_LEN + text.len() + tag.as_ref().len());
    blob.push(SEALED_V1);
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(&text);
    blob.extend_from_slice(tag.as_ref());
    URL_SAFE_NO_PAD.encode(blob)
}

fn open(key: &LessSafeKey, place: &[u8], sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let blob = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError)?;
    let (version, rest) = blob.split_first().ok_or(OpenError)?;
    if *version != SEALED_V1 || rest.len() < NONCE_LEN {
        return Err(OpenError);
    }
    let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError)?;
    let mut text = Zeroizing::new(ciphertext.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(place), &mut text)
        .map_err(|_| OpenError)?
        .len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::context::SystemRandomness;

    fn keys() -> Keys {
        Keys::derive(&[7; 32])
    }

    #[test]
    fn the_table_of_purposes_is_in_the_order_of_the_enum() {
        for (index, (purpose, _)) in PURPOSES.iter().enumerate() {
            assert_eq!(*purpose as usize, index);
        }
    }

    #[test]
    fn a_sealed_value_opens_only_for_its_purpose_and_place() {
        let keys = keys();
        let random = SystemRandomness;
        let sealed = keys.seal(Purpose::PhoneNumber, b"user-1", b"+8613800000000", &random);
        assert!(!sealed.contains("138"));
        assert_eq!(
            &**keys.open(Purpose::PhoneNumber, b"user-1", &sealed).unwrap(),
            b"+8613800000000"
        );
        assert_eq!(
            keys.open(Purpose::PhoneNumber, b"user-2", &sealed),
            Err(OpenError)
        );
        assert_eq!(
            keys.open(Purpose::LoginState, b"user-1", &sealed),
            Err(OpenError)
        );
        assert_eq!(
            Keys::derive(&[8; 32]).open(Purpose::PhoneNumber, b"user-1", &sealed),
            Err(OpenError)
        );
    }

    #[test]
    fn a_changed_or_short_blob_is_refused() {
        let keys = keys();
        let sealed = keys.seal(Purpose::LoginState, b"x", b"", &SystemRandomness);
        let mut blob = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for index in 0..blob.len() {
            blob[index] ^= 1;
            assert_eq!(
                keys.open(Purpose::LoginState, b"x", &URL_SAFE_NO_PAD.encode(&blob)),
                Err(OpenError)
            );
            blob[index] ^= 1;
        }
        for length in 0..blob.len() {
            assert_eq!(
                keys.open(
                    Purpose::LoginState,
                    b"x",
                    &URL_SAFE_NO_PAD.encode(&blob[..length])
                ),
                Err(OpenError)
            );
        }
    }

    #[test]
    fn a_joint_seal_needs_both_secrets() {
        let keys = keys();
        let sealed = keys.seal_with(
            Purpose::IdempotencyReply,
            b"key-1",
            b"scope",
            b"reply",
            &SystemRandomness,
        );
        assert_eq!(
            &**keys
                .open_with(Purpose::IdempotencyReply, b"key-1", b"scope", &sealed)
                .unwrap(),
            b"reply"
        );
        assert_eq!(
            keys.open_with(Purpose::IdempotencyReply, b"key-2", b"scope", &sealed),
            Err(OpenError)
        );
        assert_eq!(
            keys.open(Purpose::IdempotencyReply, b"scope", &sealed),
            Err(OpenError)
        );
    }

    #[test]
    fn names_keep_their_parts_apart() {
        let keys = keys();
        assert_ne!(
            keys.name(Purpose::RateBucket, &[b"ab", b"c"]),
            keys.name(Purpose::RateBucket, &[b"a", b"bc"])
        );
        assert_ne!(
            keys.name(Purpose::RateBucket, &[b"a"]),
            keys.name(Purpose::PhoneIndex, &[b"a"])
        );
        assert_eq!(keys.name(Purpose::PhoneIndex, &[b"a"]).len(), 43);
        assert_eq!(format!("{keys:?}"), "Keys([redacted])");
    }
}
