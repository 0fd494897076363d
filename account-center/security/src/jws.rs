//! Compact JWS (RFC 7515) with ES256 and nothing else.
//!
//! A [`Profile`] says exactly which header a kind of token has. `alg` is compared, never chosen by the token; `crit` and any member
//! that the profile does not have are refused; base64url is canonical; JSON has no duplicate members.

use ring::rand::SecureRandom;
use serde_json::{Value, json};

use crate::keys::{JwkError, SigningKey, SigningKeyError, VerifyingKey};
use crate::{base64url, strict_json};

/// What names the key in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHint {
    /// Nothing: there is one key, known beforehand.
    Known,
    /// `kid`, a name in a key set.
    ById,
    /// `jwk`, the public key itself.
    Embedded,
}

/// The exact header of a kind of token: `typ`, `alg` ES256, the key hint, and no other member.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// The exact `typ`.
    pub typ: &'static str,
    /// Which member names the key.
    pub key: KeyHint,
    /// The longest token read, in bytes.
    pub max_length: usize,
}

/// Why a JWS is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than the profile allows.
    #[error("too long")]
    TooLong,
    /// Not three parts of canonical base64url, or the signature is not 64 bytes.
    #[error("not a compact JWS")]
    Form,
    /// The header is no JSON object without duplicate members.
    #[error("the header is not strict JSON")]
    HeaderJson,
    /// The header has a member that the profile has not, or lacks one that it has.
    #[error("the header does not have exactly the members allowed")]
    HeaderMembers,
    /// The header has `crit`: no extension is understood.
    #[error("the header names critical extensions")]
    Critical,
    /// Another `typ`.
    #[error("the type is another one")]
    Type,
    /// Another `alg`.
    #[error("the algorithm is not ES256")]
    Algorithm,
    /// The embedded key is not taken.
    #[error("the embedded key is refused: {0}")]
    Jwk(JwkError),
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

impl JwsError {
    /// A stable word for logs and for `contract/vectors`.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Form => "form",
            Self::HeaderJson => "header_json",
            Self::HeaderMembers => "header_members",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Jwk(JwkError::Members) => "jwk_members",
            Self::Jwk(JwkError::PrivateKey) => "private_key",
            Self::Jwk(JwkError::Curve) => "curve",
            Self::Jwk(JwkError::Coordinates) => "coordinates",
            Self::Signature => "signature",
        }
    }
}

/// A JWS whose form and header are right, and whose signature has not been checked. Its payload cannot be had yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    kid: Option<String>,
    jwk: Option<VerifyingKey>,
    signed: &'a str,
    payload: Vec<u8>,
    signature: [u8; 64],
}

impl<'a> Unverified<'a> {
    /// Reads a token and checks its header against the profile.
    pub fn parse(token: &'a str, profile: &Profile) -> Result<Self, JwsError> {
        if token.len() > profile.max_length {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Form)?;
        let payload = base64url::decode(payload).map_err(|_| JwsError::Form)?;
        let signature = base64url::decode_array(signature).map_err(|_| JwsError::Form)?;
        let header = base64url::decode(header).map_err(|_| JwsError::Form)?;
        let (kid, jwk) = check_header(&header, profile)?;
        Ok(Self {
            kid,
            jwk,
            signed,
            payload,
            signature,
        })
    }

    /// The key id, where the profile has one (else empty).
    pub fn kid(&self) -> &str {
        self.kid.as_deref().unwrap_or_default()
    }

    /// Verifies the signature with a key chosen by the caller and gives the payload.
    pub fn verify(self, key: &VerifyingKey) -> Result<Vec<u8>, JwsError> {
        key.verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| JwsError::Signature)?;
        Ok(self.payload)
    }

    /// Verifies the signature with the embedded key ([`KeyHint::Embedded`]) and gives that key and the payload. This proves possession
    /// of the key, and nothing about whose it is.
    pub fn verify_embedded(mut self) -> Result<(VerifyingKey, Vec<u8>), JwsError> {
        let key = self.jwk.take().ok_or(JwsError::HeaderMembers)?;
        let payload = self.verify(&key)?;
        Ok((key, payload))
    }
}

type Hints = (Option<String>, Option<VerifyingKey>);

fn check_header(header: &[u8], profile: &Profile) -> Result<Hints, JwsError> {
    let header = strict_json::value(header).map_err(|_| JwsError::HeaderJson)?;
    let members = header.as_object().ok_or(JwsError::HeaderJson)?;
    if members.contains_key("crit") {
        return Err(JwsError::Critical);
    }
    if members.get("typ").and_then(Value::as_str) != Some(profile.typ) {
        return Err(JwsError::Type);
    }
    if members.get("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(JwsError::Algorithm);
    }
    let (hints, count) = match profile.key {
        KeyHint::Known => ((None, None), 2),
        KeyHint::ById => {
            let kid = members
                .get("kid")
                .and_then(Value::as_str)
                .ok_or(JwsError::HeaderMembers)?;
            ((Some(kid.to_owned()), None), 3)
        }
        KeyHint::Embedded => {
            let jwk = members.get("jwk").ok_or(JwsError::HeaderMembers)?;
            let key = VerifyingKey::from_exact_jwk(jwk).map_err(JwsError::Jwk)?;
            ((None, Some(key)), 3)
        }
    };
    if members.len() == count {
        Ok(hints)
    } else {
        Err(JwsError::HeaderMembers)
    }
}

/// Signs a payload under the header of the profile; the key hint is that of the signing key.
pub fn sign(
    profile: &Profile,
    payload: &[u8],
    key: &SigningKey,
    random: &dyn SecureRandom,
) -> Result<String, SigningKeyError> {
    let mut header = json!({"typ": profile.typ, "alg": "ES256"});
    match profile.key {
        KeyHint::Known => {}
        KeyHint::ById => header["kid"] = json!(key.kid()),
        KeyHint::Embedded => header["jwk"] = key.public().jwk(),
    }
    sign_parts(header.to_string().as_bytes(), payload, key, random)
}

/// Signs any header bytes over any payload, also such as no reader takes: for test vectors and for tests of refusal.
pub fn sign_parts(
    header: &[u8],
    payload: &[u8],
    key: &SigningKey,
    random: &dyn SecureRandom,
) -> Result<String, SigningKeyError> {
    let mut token = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    let signature = key.sign(token.as_bytes(), random)?;
    token.push('.');
    token.push_str(&base64url::encode(signature));
    Ok(token)
}
