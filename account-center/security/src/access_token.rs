//! Access tokens (contract section 8): JWTs of RFC 9068, signed with ES256, bound to a device key, good for five minutes.

use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};

pub use crate::secret::AccessToken;

use crate::jws::{self, JwsError, KeyHint, Profile};
use crate::keys::{KeySet, SigningKey, SigningKeyError};
use crate::strict_json;
use crate::thumbprint::Thumbprint;

/// How long a token is good, in seconds. A token that claims more is refused.
pub const LIFETIME_SECONDS: u64 = 300;

/// How far ahead of the verifier's clock the issuer's may be, in seconds.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 60;

/// The header of an access token: exactly `typ`, `alg`, `kid`.
pub const PROFILE: Profile = Profile {
    typ: "at+jwt",
    key: KeyHint::ById,
    max_length: 4096,
};

/// How the holder was identified (L10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acr {
    /// Nobody is known: a virtual user id.
    Guest,
    /// A provider identity is known, no phone number.
    Identified,
    /// A phone number is known that is on no contract with the bank.
    Unsigned,
    /// A customer of the bank, who proved it.
    Signed,
}

impl Acr {
    /// The word in the token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Identified => "identified",
            Self::Unsigned => "unsigned",
            Self::Signed => "signed",
        }
    }
}

/// What a token says. Instants are whole seconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The account center's public URL.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The business lines that it is for.
    #[serde(rename = "aud")]
    pub audience: Vec<String>,
    /// The user id.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The app id.
    pub client_id: String,
    /// The device key without whose proof the token is worth nothing (RFC 9449, section 6.1).
    #[serde(rename = "cnf")]
    pub confirmation: Confirmation,
    /// How the holder was identified.
    pub acr: Acr,
    /// When they last proved who they are.
    pub auth_time: u64,
    /// The session id.
    #[serde(rename = "sid")]
    pub session_id: String,
    /// The token's own name.
    #[serde(rename = "jti")]
    pub token_id: String,
    /// When it was made.
    #[serde(rename = "iat")]
    pub issued_at: u64,
    /// From when on it is refused.
    #[serde(rename = "exp")]
    pub expires_at: u64,
}

/// The `cnf` claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The device key.
    pub jkt: Thumbprint,
}

/// Signs a token; its `kid` is that of the key.
pub fn mint(
    claims: &Claims,
    key: &SigningKey,
    random: &dyn SecureRandom,
) -> Result<AccessToken, SigningKeyError> {
    let payload = serde_json::to_vec(claims).map_err(|_| SigningKeyError)?;
    jws::sign(&PROFILE, &payload, key, random).map(AccessToken::new)
}

/// Why a token is refused. All of it is `invalid_token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Form, header or signature.
    #[error("{0}")]
    Jws(JwsError),
    /// No key of that id is published (any more).
    #[error("the key is unknown")]
    UnknownKey,
    /// A claim is missing or of the wrong type.
    #[error("the claims are not of the right form")]
    Claims,
    /// Made by another account center.
    #[error("the issuer is another one")]
    Issuer,
    /// For others.
    #[error("the audience is another one")]
    Audience,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Made later than now, or good for longer than a token can be.
    #[error("the times cannot be")]
    Times,
}

/// Verifies tokens for one audience.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    /// The account center's public URL.
    pub issuer: String,
    /// The name under which the verifier is an audience.
    pub audience: String,
    /// The account center's published keys.
    pub keys: KeySet,
}

impl TokenVerifier {
    /// Checks a token at the instant `now` (seconds). Without the proof of the key named in it this shows nothing about the sender:
    /// see [`crate::resource`].
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        let unverified = jws::Unverified::parse(token, &PROFILE).map_err(TokenError::Jws)?;
        let key = self
            .keys
            .get(unverified.kid())
            .ok_or(TokenError::UnknownKey)?;
        let payload = unverified.verify(key).map_err(TokenError::Jws)?;
        let claims: Claims = strict_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        if claims.issuer != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.audience.contains(&self.audience) {
            return Err(TokenError::Audience);
        }
        if now >= claims.expires_at {
            return Err(TokenError::Expired);
        }
        let lifetime = claims.expires_at.checked_sub(claims.issued_at);
        if claims.issued_at > now.saturating_add(CLOCK_TOLERANCE_SECONDS)
            || lifetime.is_none_or(|lifetime| lifetime > LIFETIME_SECONDS)
        {
            return Err(TokenError::Times);
        }
        Ok(claims)
    }
}
