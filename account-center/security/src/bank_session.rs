//! What the bank's own login says of somebody (contract/identity.md, section 5): a JWT signed by the bank's server, good for a minute, for one device key, once.
//!
//! The algorithm is the key's: `none` is none, and no key here is a shared secret, so neither an unsigned token nor one "signed" with a public key as an HMAC
//! secret can pass. That a token serves once is the caller's to see ([`Assertion::token_id`]).

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Map, Value};

use crate::keys::VerifyingKey;
use crate::thumbprint::Thumbprint;
use crate::{base64url, strict_json};

/// The exact `typ`.
pub const TYPE: &str = "bank-session+jwt";
/// How long an assertion may be good, in seconds.
pub const LIFETIME_SECONDS: u64 = 60;
/// How far the bank's clock and ours may be apart, in seconds.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 10;
/// The longest assertion read, in bytes.
const LENGTH_LIMIT: usize = 4096;
/// A set with more keys is nobody's.
const KEYS_LIMIT: usize = 32;

/// The document is no JWK set that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JWK set with EC P-256 or RSA keys of the bank's")]
pub struct BadKeys;

#[derive(Clone)]
enum Key {
    Es256(VerifyingKey),
    Rs256 { n: Vec<u8>, e: Vec<u8> },
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256 { .. } => "RS256",
        }
    }

    fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(key) => key.verify(text, signature).is_ok(),
            // Keys below 2048 bits verify nothing.
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
                .is_ok(),
        }
    }
}

/// The bank's public keys, by key id.
#[derive(Clone, Default)]
pub struct TrustedKeys(Vec<(String, Key)>);

impl std::fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(kid, _)| kid))
            .finish()
    }
}

impl TrustedKeys {
    /// Reads a JWK set (RFC 7517). Keys of other types and uses are passed over; one without `kid`, one that carries a private key, or a key id that occurs twice
    /// spoils the whole set.
    pub fn from_jwks(document: &[u8]) -> Result<Self, BadKeys> {
        let document = strict_json::value(document).map_err(|_| BadKeys)?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .filter(|keys| keys.len() <= KEYS_LIMIT)
            .ok_or(BadKeys)?;
        let mut set = Self::default();
        for jwk in keys {
            let members = jwk.as_object().ok_or(BadKeys)?;
            let Some(key) = read_key(members)? else {
                continue;
            };
            let kid = text(members, "kid")
                .filter(|kid| !kid.is_empty())
                .ok_or(BadKeys)?;
            if set.find(kid).is_some() {
                return Err(BadKeys);
            }
            set.0.push((kid.to_owned(), key));
        }
        Ok(set)
    }

    /// Whether there is a key of this id.
    pub fn has(&self, kid: &str) -> bool {
        self.find(kid).is_some()
    }

    fn find(&self, kid: &str) -> Option<&Key> {
        self.0.iter().find(|(id, _)| id == kid).map(|(_, key)| key)
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn read_key(members: &Map<String, Value>) -> Result<Option<Key>, BadKeys> {
    if ["d", "p", "q", "k"]
        .iter()
        .any(|name| members.contains_key(*name))
    {
        return Err(BadKeys);
    }
    let says = |name, ours| members.get(name).is_none_or(|value| value == ours);
    let bytes = |name| {
        text(members, name)
            .and_then(|text| base64url::decode(text).ok())
            .ok_or(BadKeys)
    };
    if !says("use", "sig") {
        return Ok(None);
    }
    let key = match (text(members, "kty"), text(members, "crv")) {
        (Some("EC"), Some("P-256")) if says("alg", "ES256") => {
            let point = [&[4], &bytes("x")?[..], &bytes("y")?[..]].concat();
            Key::Es256(VerifyingKey::from_sec1(&point).map_err(|_| BadKeys)?)
        }
        (Some("RSA"), _) if says("alg", "RS256") => Key::Rs256 {
            n: bytes("n")?,
            e: bytes("e")?,
        },
        _ => return Ok(None),
    };
    Ok(Some(key))
}

/// How the person logged in at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The bank's login password.
    Password,
    /// A code sent to the phone.
    Phone,
    /// A fingerprint, or another biometric of the device.
    Fingerprint,
}

impl Method {
    /// The word in the token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Phone => "phone",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// What an assertion must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The bank's server, as it is configured.
    pub issuer: &'a str,
    /// The account center's public URL.
    pub audience: &'a str,
    /// The key of the request's proof.
    pub device_key: &'a Thumbprint,
    /// Whole seconds since 1970 UTC.
    pub now: u64,
}

/// What the bank's server says. Personal: `Debug` shows the method alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    /// `jti`: serves once.
    pub token_id: String,
    /// `sub`: the core's reference of the customer, where the person is one.
    pub customer: Option<String>,
    /// `phone_number`, as the token has it.
    pub phone: Option<String>,
    /// How the person logged in.
    pub method: Method,
    /// `amr` (RFC 8176): everything that was shown for this login. Empty where the token has none.
    pub shown: Vec<String>,
    /// Until when the token id has to be remembered, in whole seconds since 1970 UTC.
    pub remember_until: u64,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Why an assertion is refused. All of it is `bank_session_invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too long, not three parts of canonical base64url, or no strict JSON.
    #[error("not a compact JWS of strict JSON")]
    Form,
    /// The header has not exactly `typ`, `alg` and `kid`.
    #[error("the header does not have exactly the members allowed")]
    Header,
    /// Another `typ`.
    #[error("the type is another one")]
    Type,
    /// No key of that id.
    #[error("the key is unknown")]
    UnknownKey,
    /// Not the algorithm of that key.
    #[error("the algorithm is not the key's")]
    Algorithm,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// This claim is missing, of another form, or not as expected.
    #[error("the claim {0} is not good")]
    Claim(&'static str),
}

struct Parts<'a> {
    signed: &'a str,
    header: Map<String, Value>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

fn split(token: &str) -> Result<Parts<'_>, Refused> {
    if token.len() > LENGTH_LIMIT {
        return Err(Refused::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Form)?;
    let decode = |part| base64url::decode(part).map_err(|_| Refused::Form);
    let Ok(Value::Object(header)) = strict_json::value(&decode(header)?) else {
        return Err(Refused::Form);
    };
    Ok(Parts {
        signed,
        header,
        payload: decode(payload)?,
        signature: decode(signature)?,
    })
}

/// The key id that an assertion names, before anything is checked: the bank may have begun to sign with another key.
pub fn key_id(token: &str) -> Option<String> {
    let parts = split(token).ok()?;
    text(&parts.header, "kid").map(str::to_owned)
}

/// Verifies an assertion: header, signature, and every claim.
pub fn verify(
    token: &str,
    keys: &TrustedKeys,
    expected: &Expected<'_>,
) -> Result<Assertion, Refused> {
    let parts = split(token)?;
    let header = |name| text(&parts.header, name).ok_or(Refused::Header);
    let (typ, alg, kid) = (header("typ")?, header("alg")?, header("kid")?);
    if parts.header.len() != 3 {
        return Err(Refused::Header);
    }
    if typ != TYPE {
        return Err(Refused::Type);
    }
    let key = keys.find(kid).ok_or(Refused::UnknownKey)?;
    if alg != key.algorithm() {
        return Err(Refused::Algorithm);
    }
    if !key.verifies(parts.signed.as_bytes(), &parts.signature) {
        return Err(Refused::Signature);
    }
    let Ok(Value::Object(claims)) = strict_json::value(&parts.payload) else {
        return Err(Refused::Form);
    };
    read_claims(&claims, expected)
}

fn read_claims(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<Assertion, Refused> {
    if text(claims, "iss") != Some(expected.issuer) {
        return Err(Refused::Claim("iss"));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == expected.audience,
        Some(Value::Array(list)) => matches!(&list[..], [one] if one == expected.audience),
        _ => false,
    };
    if !for_us {
        return Err(Refused::Claim("aud"));
    }
    let remember_until = check_times(claims, expected.now)?;
    let bound_to = claims
        .get("cnf")
        .and_then(|cnf| cnf.get("jkt"))
        .and_then(Value::as_str);
    if bound_to != Some(expected.device_key.as_str()) {
        return Err(Refused::Claim("cnf"));
    }
    let token_id = text(claims, "jti")
        .filter(|id| (16..=128).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_graphic()))
        .ok_or(Refused::Claim("jti"))?;
    let method = match text(claims, "method") {
        Some("password") => Method::Password,
        Some("phone") => Method::Phone,
        Some("fingerprint") => Method::Fingerprint,
        _ => return Err(Refused::Claim("method")),
    };
    let optional = |name: &'static str, longest: usize| match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=longest).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::Claim(name)),
    };
    let customer = optional("sub", 64)?;
    let phone = optional("phone_number", 32)?;
    if customer.is_none() && phone.is_none() {
        return Err(Refused::Claim("sub"));
    }
    Ok(Assertion {
        token_id: token_id.to_owned(),
        customer,
        phone,
        method,
        shown: shown(claims)?,
        remember_until,
    })
}

fn check_times(claims: &Map<String, Value>, now: u64) -> Result<u64, Refused> {
    let instant = |name: &'static str| {
        claims
            .get(name)
            .and_then(Value::as_u64)
            .ok_or(Refused::Claim(name))
    };
    let (issued_at, expires_at) = (instant("iat")?, instant("exp")?);
    let latest = now.saturating_add(CLOCK_TOLERANCE_SECONDS);
    if issued_at > latest {
        return Err(Refused::Claim("iat"));
    }
    let lives = expires_at
        .checked_sub(issued_at)
        .ok_or(Refused::Claim("exp"))?;
    let remember_until = expires_at.saturating_add(CLOCK_TOLERANCE_SECONDS);
    if lives > LIFETIME_SECONDS || remember_until <= now {
        return Err(Refused::Claim("exp"));
    }
    if claims.contains_key("nbf") && instant("nbf")? > latest {
        return Err(Refused::Claim("nbf"));
    }
    Ok(remember_until)
}

fn shown(claims: &Map<String, Value>) -> Result<Vec<String>, Refused> {
    match claims.get("amr") {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= 16 => list
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or(Refused::Claim("amr")))
            .collect(),
        Some(_) => Err(Refused::Claim("amr")),
    }
}

#[cfg(test)]
#[path = "bank_session_tests.rs"]
mod tests;
