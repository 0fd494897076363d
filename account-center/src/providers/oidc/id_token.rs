//! The ID token (`OpenID` Connect Core, section 3.1.3.7): whom the issuer says that the person is. Pure: keys, time and expectations are arguments.
//!
//! The algorithm comes from our list and from the key, never from the token alone: `none` is in no list, and no key of ours is a shared secret, so neither an
//! unsigned token nor one "signed" with a public key as an HMAC secret can pass.

use postern_server_security::{base64url, strict_json};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::keys::{Algorithm, Key};
use crate::context::Timestamp;
use crate::secret::SecretText;

/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 60;
/// How old a token may be when it arrives, in seconds: it was just made for this exchange.
const AGE_LIMIT: i64 = 600;
/// A token is never longer, in bytes.
const LENGTH_LIMIT: usize = 16 * 1024;
/// Longest subject (Core, section 2).
const SUBJECT_LIMIT: usize = 255;

/// What the token must say.
pub(super) struct Expected<'a> {
    /// The configured issuer, exactly.
    pub(super) issuer: &'a str,
    /// Our client id there.
    pub(super) client_id: &'a str,
    /// The nonce of our own request.
    pub(super) nonce: &'a str,
    /// The access token that came with it, where one did.
    pub(super) access_token: Option<&'a SecretText>,
    /// The present time.
    pub(super) now: Timestamp,
}

/// What the token said.
pub(super) struct Claims(Value);

impl Claims {
    /// The person's name at this issuer, which never changes and is given to nobody else.
    pub(super) fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// A text claim.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is of no form that we read, or of an algorithm that is not in our list.
    #[error("the ID token {0}")]
    Form(&'static str),
    /// No key of this name: the issuer may have begun to sign with another.
    #[error("the ID token is signed with a key that is not published")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the ID token's signature is wrong")]
    Signature,
    /// A claim is not what it must be.
    #[error("the ID token's {0} is wrong")]
    Claim(&'static str),
}

/// A token, read so far that its key can be looked for.
pub(super) struct Unverified<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// Reads the token's header (RFC 7515, compact form).
pub(super) fn read(token: &str) -> Result<Unverified<'_>, Refused> {
    if token.len() > LENGTH_LIMIT {
        return Err(Refused::Form("is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Form("is no JWS"))?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Form("is no JWS"))?;
    let header = object(header).ok_or(Refused::Form("has no header that can be read"))?;
    let text = |name: &str| header.get(name).map(Value::as_str);
    let algorithm = text("alg")
        .flatten()
        .and_then(Algorithm::of_name)
        .ok_or(Refused::Form("is of an algorithm that is not taken"))?;
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return Err(Refused::Form("wants what is not understood"));
    }
    if text("typ").is_some_and(|typ| typ.is_none_or(|typ| !typ.eq_ignore_ascii_case("jwt"))) {
        return Err(Refused::Form("is a token of another kind"));
    }
    let kid = match text("kid") {
        None => None,
        Some(Some(kid)) => Some(kid.to_owned()),
        Some(None) => return Err(Refused::Form("has a kid that is no text")),
    };
    Ok(Unverified {
        algorithm,
        kid,
        signed,
        payload,
        signature: base64url::decode(signature).map_err(|_| Refused::Form("is no JWS"))?,
    })
}

impl Unverified<'_> {
    /// The issuer's key for this token. Without a `kid` only where there is but one of its algorithm.
    fn key<'k>(&self, keys: &'k [Key]) -> Result<&'k Key, Refused> {
        let mut fitting = keys.iter().filter(|key| {
            key.takes(self.algorithm) && (self.kid.is_none() || key.kid() == self.kid.as_deref())
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Refused::UnknownKey),
        }
    }

    /// Verifies the signature, and then what was signed.
    pub(super) fn verify(&self, keys: &[Key], expected: &Expected<'_>) -> Result<Claims, Refused> {
        let key = self.key(keys)?;
        if !key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(Refused::Signature);
        }
        let claims = object(self.payload).ok_or(Refused::Form("has no claims that can be read"))?;
        check(&claims, expected)?;
        Ok(Claims(claims))
    }
}

fn check(claims: &Value, expected: &Expected<'_>) -> Result<(), Refused> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let instant = |name: &str| claims.get(name).map(whole_seconds);
    if text("iss") != Some(expected.issuer) {
        return Err(Refused::Claim("issuer"));
    }
    audience(claims, expected.client_id)?;
    let now = expected.now.seconds();
    let expires = instant("exp").flatten().ok_or(Refused::Claim("expiry"))?;
    if expires.saturating_add(LEEWAY) <= now {
        return Err(Refused::Claim("expiry"));
    }
    let issued = instant("iat")
        .flatten()
        .ok_or(Refused::Claim("time of issue"))?;
    if issued.saturating_sub(LEEWAY) > now || issued.saturating_add(AGE_LIMIT) < now {
        return Err(Refused::Claim("time of issue"));
    }
    if instant("nbf").is_some_and(|from| from.is_none_or(|from| from.saturating_sub(LEEWAY) > now))
    {
        return Err(Refused::Claim("beginning"));
    }
    let nonce = text("nonce").unwrap_or_default().as_bytes();
    if expected.nonce.is_empty() || !bool::from(nonce.ct_eq(expected.nonce.as_bytes())) {
        return Err(Refused::Claim("nonce"));
    }
    let subject = text("sub").unwrap_or_default();
    if !(1..=SUBJECT_LIMIT).contains(&subject.len())
        || !subject.bytes().all(|b| (b' '..=b'~').contains(&b))
    {
        return Err(Refused::Claim("subject"));
    }
    match (claims.get("at_hash"), expected.access_token) {
        (None, _) | (Some(_), None) => Ok(()),
        (Some(told), Some(token)) => {
            // The left half of the hash of the algorithm, which is SHA-256 in all of ours.
            let hash = digest(&SHA256, token.expose().as_bytes());
            if told.as_str() == Some(&base64url::encode(&hash.as_ref()[..16])) {
                Ok(())
            } else {
                Err(Refused::Claim("access token hash"))
            }
        }
    }
}

/// Made for us; where it is made for others too, asked for by us.
fn audience(claims: &Value, client_id: &str) -> Result<(), Refused> {
    let wrong = Refused::Claim("audience");
    let others = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => false,
        Some(Value::Array(all)) => {
            if !all.iter().any(|one| one.as_str() == Some(client_id)) {
                return Err(wrong);
            }
            all.len() > 1
        }
        _ => return Err(wrong),
    };
    match claims.get("azp") {
        Some(party) if party.as_str() == Some(client_id) => Ok(()),
        None if !others => Ok(()),
        _ => Err(Refused::Claim("authorized party")),
    }
}

/// A whole or a broken number of seconds (RFC 7519, section 2), rounded down.
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "within the range of instants"
        )]
        (0.0..1.0e15)
            .contains(&number)
            .then_some(number.floor() as i64)
    })
}

fn object(part: &str) -> Option<Value> {
    let bytes = base64url::decode(part).ok()?;
    strict_json::value(&bytes).ok().filter(Value::is_object)
}
