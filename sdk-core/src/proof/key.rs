//! The device key: an ES256 key that never leaves the device, in hardware where there is any.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

/// Why the device key did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceKeyError {
    /// It can't be used at the moment (locked device, busy hardware); later it may.
    #[error("the device key is not available at the moment")]
    Unavailable,
    /// It is lost for good; the session bound to it can't go on.
    #[error("the device key is lost")]
    Invalidated,
    /// Something else. `what` is for developers and holds no secret.
    #[error("the device key failed: {what}")]
    Failed {
        /// What failed, without any secret.
        what: String,
    },
}

/// The public half: a point on P-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk {
    x: [u8; 32],
    y: [u8; 32],
}

impl PublicJwk {
    /// From an uncompressed SEC1 point: 65 bytes that begin with 4.
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        let (4, coordinates) = point.split_first()? else {
            return None;
        };
        let (x, y) = coordinates.split_at_checked(32)?;
        Some(Self {
            x: x.try_into().ok()?,
            y: y.try_into().ok()?,
        })
    }

    /// The uncompressed SEC1 point.
    pub fn to_sec1(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&self.x);
        point[33..].copy_from_slice(&self.y);
        point
    }

    /// The JWK with its required members in the order of RFC 7638, which is also the text that the thumbprint hashes.
    pub fn to_json(&self) -> String {
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(self.x),
            URL_SAFE_NO_PAD.encode(self.y),
        );
        format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
    }

    /// The key's name, `jkt`: its RFC 7638 thumbprint with SHA-256.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.to_json().as_bytes()))
    }
}

/// Signs with the device key. Calls may block, even for seconds (`StrongBox`), and are made off the async threads.
pub trait DeviceKey: Send + Sync {
    /// The public half; makes the key where there is none yet.
    fn public_jwk(&self) -> Result<PublicJwk, DeviceKeyError>;
    /// ES256 over `message`: r and s, 32 bytes each (RFC 7518 section 3.4). For keys that answer in DER there is [`signature_from_der`].
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError>;
    /// Whether a call may take longer than a signature in software, so that it is made off the async threads.
    fn blocks(&self) -> bool {
        true
    }
}

/// r and s of a DER-encoded ECDSA signature (Android Keystore and the Secure Enclave answer so).
pub fn signature_from_der(der: &[u8]) -> Option<[u8; 64]> {
    let (0x30, rest) = der.split_first()? else {
        return None;
    };
    let (&length, rest) = rest.split_first()?;
    if usize::from(length) != rest.len() {
        return None;
    }
    let (r, rest) = der_integer(rest)?;
    let (s, rest) = der_integer(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let mut raw = [0; 64];
    raw[32 - r.len()..32].copy_from_slice(r);
    raw[64 - s.len()..].copy_from_slice(s);
    Some(raw)
}

fn der_integer(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (2, rest) = input.split_first()? else {
        return None;
    };
    let (&length, rest) = rest.split_first()?;
    let (number, rest) = rest.split_at_checked(usize::from(length))?;
    let number = match number {
        [] => return None,
        [0, digits @ ..] | digits => digits,
    };
    (number.len() <= 32).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn signatures_in_der_become_r_and_s_whatever_their_lengths() {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
            .unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        // Among 600 some have an r or s that begins with a zero byte, or with its highest bit set.
        for _ in 0..600 {
            let der = pair.sign(&random, b"message").unwrap();
            let raw = signature_from_der(der.as_ref()).unwrap();
            public.verify(b"message", &raw).unwrap();
        }
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let good = [&[0x30, 6, 2, 1, 1, 2, 1, 1][..]];
        assert!(signature_from_der(good[0]).is_some());
        let too_long = [&[0x30, 38, 2, 33][..], &[1; 33], &[2, 1, 1]].concat();
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 3, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 9, 1, 2, 1, 1],
            &[0x30, 4, 2, 0, 2, 0],
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
            &too_long,
        ] {
            assert!(signature_from_der(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn only_an_uncompressed_point_is_a_public_key() {
        for bad in [&[][..], &[4; 64], &[4; 66], &[2; 33], &[5; 65]] {
            assert!(PublicJwk::from_sec1(bad).is_none());
        }
    }
}
