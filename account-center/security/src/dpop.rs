//! Proofs of possession (contract section 2, RFC 9449) with a body hash.
//!
//! A proof shows that whoever sends this request, with these bytes, holds a device key, and that they heard from the server lately.
//! That it comes for the first time is for the caller to find out, with [`VerifiedProof::replay_key`].

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::base64url;
use crate::jws::{self, JwsError, KeyHint, Profile};
use crate::nonce::NonceKey;
use crate::public_url::PublicUrl;
use crate::strict_json::{self, text_where_present};
use crate::thumbprint::Thumbprint;

/// The header of a proof: exactly `typ`, `alg`, `jwk`. Ours are some 700 bytes.
pub const PROFILE: Profile = Profile {
    typ: "dpop+jwt",
    key: KeyHint::Embedded,
    max_length: 4096,
};

/// A request, as far as a proof speaks of it.
#[derive(Clone, Copy)]
pub struct Proof<'a> {
    /// The value of the `DPoP` header. Several such headers are to be refused before (RFC 9449, section 4.3).
    pub header: &'a str,
    /// The method as received, upper case.
    pub method: &'a str,
    /// The path as received, undecoded, without query. It follows the public URL.
    pub path: &'a str,
    /// The exact bytes of the body, empty where there is none. Without them (a business line that streams) `bh` is not looked at.
    pub body: Option<&'a [u8]>,
    /// The access token that came with it. Without one a proof may not have `ath`.
    pub access_token: Option<&'a str>,
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({} {})", self.method, self.path)
    }
}

/// What a proof that is right tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    /// The device key.
    pub device_key: Thumbprint,
    /// The proof's own name, 22 base64url characters.
    pub jti: String,
    /// A hash over device key and `jti`. It may be accepted once until `good_until` (contract section 2: a `jti` serves once).
    pub replay_key: ReplayKey,
    /// The instant (seconds) from which on this proof is refused anyway, so that its replay key need not be kept any longer.
    pub good_until: u64,
}

/// What has to be kept of a proof to know it again: 43 base64url characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplayKey(String);

impl ReplayKey {
    fn new(device_key: &Thumbprint, jti: &str) -> Self {
        // Both have a fixed length, so the concatenation is unambiguous.
        let both = format!("{device_key}{jti}");
        Self(base64url::encode(digest(&SHA256, both.as_bytes())))
    }

    /// The 43 characters, to be kept under a unique constraint.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// The proof is right, but its nonce is missing or stale: `use_dpop_nonce`, with a fresh one.
    #[error("the nonce is missing or stale")]
    UseNonce,
    /// Anything else: `invalid_dpop_proof`.
    #[error("the proof is wrong: {0}")]
    Invalid(InvalidProof),
}

/// What is wrong with a proof; for logs and tests, not for the client to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// Form, header or signature.
    #[error(transparent)]
    Jws(JwsError),
    /// The payload lacks a claim, or one has the wrong type, or it is no strict JSON.
    #[error("the claims are not of the right form")]
    Claims,
    /// `jti` is not 128 bits in base64url.
    #[error("jti is not 128 bits")]
    Jti,
    /// `htm` is not the request's method.
    #[error("htm is another method")]
    Method,
    /// `htu` is not the request's address.
    #[error("htu is another address")]
    Url,
    /// `bh` is missing or of another body.
    #[error("bh is of another body")]
    BodyHash,
    /// `ath` is missing, of another token, or there without a token.
    #[error("ath is of another token")]
    TokenHash,
    /// `iat` is too old or too far ahead ([`Freshness::IssuedAt`] only).
    #[error("iat is not now")]
    IssuedAt,
}

impl InvalidProof {
    /// A stable word for logs and for `contract/vectors/dpop.json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jws(error) => error.word(),
            Self::Claims => "claims",
            Self::Jti => "jti",
            Self::Method => "method",
            Self::Url => "url",
            Self::BodyHash => "body_hash",
            Self::TokenHash => "token_hash",
            Self::IssuedAt => "issued_at",
        }
    }
}

impl From<InvalidProof> for DpopError {
    fn from(reason: InvalidProof) -> Self {
        Self::Invalid(reason)
    }
}

/// How it is known that a proof was made lately.
#[derive(Debug, Clone)]
pub enum Freshness {
    /// By the server's own nonce, and by that alone: `iat` must only be a number.
    Nonces(NonceKey),
    /// By `iat`, for a business line that gives no nonces. The device's clock counts then.
    IssuedAt {
        /// How old a proof may be, in seconds.
        max_age: u64,
        /// How far ahead of ours the device's clock may be, in seconds.
        max_ahead: u64,
    },
}

/// Verifies proofs for one server.
#[derive(Debug, Clone)]
pub struct DpopVerifier {
    /// The server's configured public address.
    pub public_url: PublicUrl,
    /// How it is known that a proof was made lately.
    pub freshness: Freshness,
}

// Claims that are not ours are passed over (RFC 7519, section 4).
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: serde_json::Number,
    #[serde(default, deserialize_with = "text_where_present")]
    nonce: Option<String>,
    #[serde(default, deserialize_with = "text_where_present")]
    bh: Option<String>,
    #[serde(default, deserialize_with = "text_where_present")]
    ath: Option<String>,
}

impl DpopVerifier {
    /// A verifier as the account center uses it: freshness by nonces.
    pub fn with_nonces(public_url: PublicUrl, nonces: NonceKey) -> Self {
        Self {
            public_url,
            freshness: Freshness::Nonces(nonces),
        }
    }

    /// The nonce to send with every reply, where this verifier works with nonces.
    pub fn fresh_nonce(&self, now: u64) -> Option<String> {
        match &self.freshness {
            Freshness::Nonces(key) => Some(key.issue(now)),
            Freshness::IssuedAt { .. } => None,
        }
    }

    /// Checks a proof at the instant `now` (seconds). [`DpopError::UseNonce`] is only said of a proof that is right in all else.
    pub fn verify(&self, proof: &Proof<'_>, now: u64) -> Result<VerifiedProof, DpopError> {
        let (key, payload) = jws::Unverified::parse(proof.header, &PROFILE)
            .and_then(jws::Unverified::verify_embedded)
            .map_err(InvalidProof::Jws)?;
        let claims: Claims = strict_json::from_slice(&payload).map_err(|_| InvalidProof::Claims)?;
        if base64url::decode_array::<16>(&claims.jti).is_err() {
            return Err(InvalidProof::Jti.into());
        }
        if claims.htm != proof.method {
            return Err(InvalidProof::Method.into());
        }
        if !self.public_url.is_target(proof.path, &claims.htu) {
            return Err(InvalidProof::Url.into());
        }
        if proof
            .body
            .is_some_and(|body| !is_hash_of(claims.bh.as_deref(), body))
        {
            return Err(InvalidProof::BodyHash.into());
        }
        let token_hash_is_right = match proof.access_token {
            Some(token) => is_hash_of(claims.ath.as_deref(), token.as_bytes()),
            None => claims.ath.is_none(),
        };
        if !token_hash_is_right {
            return Err(InvalidProof::TokenHash.into());
        }
        let good_until = self.good_until(&claims, now)?;
        let device_key = key.thumbprint().clone();
        let replay_key = ReplayKey::new(&device_key, &claims.jti);
        Ok(VerifiedProof {
            device_key,
            jti: claims.jti,
            replay_key,
            good_until,
        })
    }

    fn good_until(&self, claims: &Claims, now: u64) -> Result<u64, DpopError> {
        match &self.freshness {
            Freshness::Nonces(key) => {
                let nonce = claims.nonce.as_deref().unwrap_or_default();
                key.check(nonce, now).map_err(|_| DpopError::UseNonce)
            }
            Freshness::IssuedAt { max_age, max_ahead } => {
                let issued_at = claims.iat.as_u64().ok_or(InvalidProof::IssuedAt)?;
                let good_until = issued_at.saturating_add(*max_age);
                if now < good_until && issued_at <= now.saturating_add(*max_ahead) {
                    Ok(good_until)
                } else {
                    Err(InvalidProof::IssuedAt.into())
                }
            }
        }
    }
}

/// Whether a claim is the base64url SHA-256 of these bytes. Not secret, so compared plainly.
fn is_hash_of(claim: Option<&str>, bytes: &[u8]) -> bool {
    claim == Some(base64url::encode(digest(&SHA256, bytes)).as_str())
}
