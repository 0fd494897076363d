//! P-256 keys for ES256: to sign with, to verify with, as JWK (RFC 7517, 7518) and as sets of them.

use std::fmt;

use ring::rand::SecureRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::thumbprint::Thumbprint;
use crate::{base64url, strict_json};

/// Why a JWK is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not an object, a member missing, or one that has no business here.
    #[error("the JWK does not have exactly the members allowed")]
    Members,
    /// It carries a private key.
    #[error("the JWK carries a private key")]
    PrivateKey,
    /// Another `kty` or `crv` than EC and P-256.
    #[error("the JWK is not of EC P-256")]
    Curve,
    /// `x` or `y` is not the base64url of 32 bytes.
    #[error("a coordinate of the JWK is not 32 bytes")]
    Coordinates,
}

/// The signature is not this key's over these bytes, or the key is no point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A key could not be made, read or used: not a P-256 key in PKCS#8, or the randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key could not be made, read or used")]
pub struct SigningKeyError;

/// A P-256 public key. That it is a point of the curve is checked by `ring` each time it verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    /// Uncompressed SEC1: 0x04, x, y.
    point: [u8; 65],
    thumbprint: Thumbprint,
}

impl VerifyingKey {
    /// Reads an uncompressed SEC1 point: 0x04 and two coordinates of 32 bytes.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, JwkError> {
        let point: [u8; 65] = bytes.try_into().map_err(|_| JwkError::Coordinates)?;
        if point[0] != 4 {
            return Err(JwkError::Coordinates);
        }
        let thumbprint = Thumbprint::of_p256(
            &base64url::encode(&point[1..33]),
            &base64url::encode(&point[33..]),
        );
        Ok(Self { point, thumbprint })
    }

    /// Reads a JWK that has exactly `kty`, `crv`, `x` and `y`, as in the header of a proof (contract section 2).
    pub fn from_exact_jwk(jwk: &Value) -> Result<Self, JwkError> {
        let members = jwk.as_object().ok_or(JwkError::Members)?;
        let key = Self::from_members(members)?;
        if members.len() == 4 {
            Ok(key)
        } else {
            Err(JwkError::Members)
        }
    }

    fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        if members.contains_key("d") || members.contains_key("k") {
            return Err(JwkError::PrivateKey);
        }
        let text = |name| {
            members
                .get(name)
                .and_then(Value::as_str)
                .ok_or(JwkError::Members)
        };
        if text("kty")? != "EC" || text("crv")? != "P-256" {
            return Err(JwkError::Curve);
        }
        let mut point = [4; 65];
        for (name, place) in [("x", 1..33), ("y", 33..65)] {
            let coordinate =
                base64url::decode_array::<32>(text(name)?).map_err(|_| JwkError::Coordinates)?;
            point[place].copy_from_slice(&coordinate);
        }
        Self::from_sec1(&point)
    }

    /// The uncompressed SEC1 point.
    pub fn sec1(&self) -> &[u8; 65] {
        &self.point
    }

    /// The RFC 7638 name.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The JWK with exactly `kty`, `crv`, `x`, `y`.
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": base64url::encode(&self.point[1..33]),
            "y": base64url::encode(&self.point[33..]),
        })
    }

    /// Verifies an ES256 signature: r and s, 32 bytes each (RFC 7518, section 3.4).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.thumbprint)
    }
}

/// A P-256 private key. Its key id is its thumbprint.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Makes a new key, as PKCS#8 (DER) to be kept.
    pub fn generate_pkcs8(
        random: &dyn SecureRandom,
    ) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random)
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| SigningKeyError)
    }

    /// Reads a key from PKCS#8 (DER) with its public key inside.
    pub fn from_pkcs8(pkcs8: &[u8], random: &dyn SecureRandom) -> Result<Self, SigningKeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, random)
            .map_err(|_| SigningKeyError)?;
        let public =
            VerifyingKey::from_sec1(pair.public_key().as_ref()).map_err(|_| SigningKeyError)?;
        Ok(Self { pair, public })
    }

    /// The key to verify with.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The key id: the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        self.public.thumbprint.as_str()
    }

    /// Signs with ES256: r and s, 32 bytes each.
    pub fn sign(
        &self,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, SigningKeyError> {
        self.pair
            .sign(random, message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SigningKeyError)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [redacted])", self.public.thumbprint)
    }
}

/// Public keys by key id: those of today, those published before their use and those kept after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(Vec<(String, VerifyingKey)>);

impl KeySet {
    /// A set of the given keys, each under its thumbprint; one given twice is kept once.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> Self {
        let mut set = Self::default();
        for key in keys {
            if set.get(key.thumbprint.as_str()).is_none() {
                set.0.push((key.thumbprint.to_string(), key.clone()));
            }
        }
        set
    }

    /// The key of that id.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|(id, _)| id == kid).map(|(_, key)| key)
    }

    /// The document for `/.well-known/jwks.json` (RFC 7517, section 5).
    pub fn to_jwks(&self) -> Value {
        let keys: Vec<Value> = self
            .0
            .iter()
            .map(|(kid, key)| {
                let mut jwk = key.jwk();
                jwk["kid"] = json!(kid);
                jwk["use"] = json!("sig");
                jwk["alg"] = json!("ES256");
                jwk
            })
            .collect();
        json!({ "keys": keys })
    }

    /// Reads such a document. Keys of other types or uses are passed over (RFC 7517, section 5); one that carries a private
    /// key, or a key id that occurs twice, spoils the whole set.
    pub fn from_jwks(document: &[u8]) -> Result<Self, JwkError> {
        let document = strict_json::value(document).map_err(|_| JwkError::Members)?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JwkError::Members)?;
        let mut set = Self::default();
        for jwk in keys {
            let members = jwk.as_object().ok_or(JwkError::Members)?;
            let says = |name, ours| members.get(name).is_none_or(|value| value == ours);
            let key = match VerifyingKey::from_members(members) {
                Ok(key) if says("use", "sig") && says("alg", "ES256") => key,
                Ok(_) | Err(JwkError::Curve) => continue,
                Err(error) => return Err(error),
            };
            let kid = members
                .get("kid")
                .and_then(Value::as_str)
                .ok_or(JwkError::Members)?;
            if set.get(kid).is_some() {
                return Err(JwkError::Members);
            }
            set.0.push((kid.to_owned(), key));
        }
        Ok(set)
    }
}
