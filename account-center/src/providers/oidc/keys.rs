//! The issuer's public keys (RFC 7517), of the kinds that we take.

use postern_server_security::{base64url, strict_json};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

/// A set with more is not an issuer's.
const COUNT_LIMIT: usize = 64;

/// What a token may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
}

impl Algorithm {
    /// By its name in RFC 7518; any other is not taken.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

#[derive(Clone)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point of P-256.
    Ec(Vec<u8>),
}

/// One public key.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    /// The only algorithm that it is for, where the set says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

impl Key {
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether tokens of this algorithm can be this key's.
    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        let kind = match self.material {
            Material::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            Material::Ec(_) => algorithm == Algorithm::Es256,
        };
        kind && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature of this text is this key's. RSA below 2048 bits never is.
    pub(super) fn verifies(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        let rsa = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::Es256 => {
                return matches!(&self.material, Material::Ec(point)
                    if UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok());
            }
        };
        matches!(&self.material, Material::Rsa { n, e }
            if RsaPublicKeyComponents { n, e }.verify(rsa, text, signature).is_ok())
    }
}

/// Reads a set. Keys of other kinds and for other uses are passed over; of several with one name none is taken, for nobody could say which was meant.
pub(super) fn read_set(body: &[u8]) -> Option<Vec<Key>> {
    let set = strict_json::value(body).ok()?;
    let all = set.get("keys")?.as_array()?;
    if all.len() > COUNT_LIMIT {
        return None;
    }
    let keys: Vec<Key> = all.iter().filter_map(key).collect();
    let alone = |key: &Key| {
        key.kid.is_none() || keys.iter().filter(|other| other.kid == key.kid).count() == 1
    };
    Some(keys.iter().filter(|key| alone(key)).cloned().collect())
}

fn key(jwk: &Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).map(Value::as_str);
    if text("use").is_some_and(|purpose| purpose != Some("sig")) {
        return None;
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array()?;
        if !operations.iter().any(|one| one.as_str() == Some("verify")) {
            return None;
        }
    }
    let bytes = |name: &str| base64url::decode(text(name)??).ok();
    let material = match text("kty")?? {
        "RSA" => {
            let trimmed = |number: Vec<u8>| -> Vec<u8> {
                let zeros = number.iter().take_while(|byte| **byte == 0).count();
                number[zeros..].to_vec()
            };
            Material::Rsa {
                n: trimmed(bytes("n")?),
                e: trimmed(bytes("e")?),
            }
        }
        "EC" if text("crv")? == Some("P-256") => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            Material::Ec([&[4], &x[..], &y[..]].concat())
        }
        _ => return None,
    };
    let algorithm = match text("alg") {
        None => None,
        Some(name) => Some(Algorithm::of_name(name?)?),
    };
    let kid = match text("kid") {
        None => None,
        Some(kid) => Some(kid?.to_owned()),
    };
    Some(Key {
        kid,
        algorithm,
        material,
    })
}
