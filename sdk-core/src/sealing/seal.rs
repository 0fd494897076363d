//! One sealed field: a single-shot HPKE seal (RFC 9180, contract section 4).

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};

use super::KeyListError;
use super::key_list::SealingKey;
use crate::random::Randomness;
use crate::secret::SecretString;

/// What a sealed field is bound to, so that it opens in this one place only.
pub(crate) struct SealContext<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) app_id: &'a str,
    pub(crate) device_key: &'a str,
    pub(crate) idempotency_key: &'a str,
    pub(crate) path: &'a str,
    pub(crate) login: &'a str,
    pub(crate) step_id: &'a str,
}

/// Each part as a two-byte big-endian length and its bytes, so that no two lists of parts make the same frame.
///
/// No part is longer than 65,535 bytes; a longer one would be cut, and the field would not open.
pub(crate) fn frame(parts: &[&str]) -> Vec<u8> {
    let mut frame = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&part.as_bytes()[..usize::from(length)]);
    }
    frame
}

/// Seals `secret` as `field`: `<kid>.<enc>.<ciphertext>`.
pub(crate) fn seal(
    key: &SealingKey,
    context: &SealContext<'_>,
    field: &str,
    secret: &SecretString,
    randomness: &dyn Randomness,
) -> Result<String, KeyListError> {
    let public_key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key.public_key)
        .map_err(|_| KeyListError::NoUsableKey)?;
    let info = frame(&["postern-seal-v1", context.issuer, context.app_id, &key.kid]);
    let aad = frame(&[
        context.device_key,
        context.idempotency_key,
        context.path,
        field,
        context.login,
        context.step_id,
    ]);
    let (enc, ciphertext) =
        hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public_key,
            &info,
            secret.expose().as_bytes(),
            &aad,
            &mut HpkeRandomness(randomness),
        )
        .map_err(|_| KeyListError::NoUsableKey)?;
    Ok(format!(
        "{}.{}.{}",
        key.kid,
        URL_SAFE_NO_PAD.encode(enc.to_bytes()),
        URL_SAFE_NO_PAD.encode(ciphertext)
    ))
}

/// Our randomness as the hpke crate asks for it.
struct HpkeRandomness<'a>(&'a dyn Randomness);

impl TryRng for HpkeRandomness<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for HpkeRandomness<'_> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;

    /// Gives the seed of a vector, once.
    struct Seed(Mutex<Option<Vec<u8>>>);

    impl Randomness for Seed {
        fn fill(&self, bytes: &mut [u8]) {
            let seed = self.0.lock().unwrap().take().unwrap();
            bytes.copy_from_slice(&seed);
        }
    }

    fn decoded(text: &Value) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
    }

    #[test]
    fn sealing_with_the_contracts_seeds_gives_the_contracts_sealed_fields() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../contract/vectors/sealing.json")).unwrap();
        let cases = vectors["good"].as_array().unwrap();
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let key = vectors["keys"]
                .as_array()
                .unwrap()
                .iter()
                .find(|key| key["kid"] == case["kid"])
                .unwrap();
            let key = SealingKey {
                kid: text("kid").to_owned(),
                public_key: decoded(&key["public_key"]).try_into().unwrap(),
            };
            let context = SealContext {
                issuer: text("issuer"),
                app_id: text("app_id"),
                device_key: text("device_key"),
                idempotency_key: text("idempotency_key"),
                path: text("path"),
                login: text("login_handle"),
                step_id: text("step_id"),
            };
            let seed = Seed(Mutex::new(Some(decoded(&case["ephemeral_seed"]))));
            let secret = SecretString::from(text("plaintext"));
            let sealed = seal(&key, &context, text("field"), &secret, &seed).unwrap();
            assert_eq!(sealed, text("sealed"), "{}", case["name"]);
        }
        assert!(cases.len() >= 5);
    }

    #[test]
    fn frames_of_different_parts_are_different() {
        assert_eq!(frame(&["a", ""]), [0, 1, b'a', 0, 0]);
        assert_ne!(frame(&["ab", "c"]), frame(&["a", "bc"]));
        assert_ne!(frame(&["a"]), frame(&["a", ""]));
    }
}
