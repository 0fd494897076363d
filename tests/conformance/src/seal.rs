//! Sealed fields (contract section 4) and the key list that they are sealed to (section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::{Finding, ensure};

/// What a sealed field is bound to. Each member can be made wrong.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The public URL, as login-options names it.
    pub issuer: String,
    /// The app.
    pub app_id: String,
    /// The device key's thumbprint.
    pub device_key: String,
    /// The call's Idempotency-Key.
    pub idempotency_key: String,
    /// The call's path.
    pub path: String,
    /// The field's name.
    pub field: String,
    /// The login's handle.
    pub login: String,
    /// The present step.
    pub step_id: String,
}

/// A public key that fields are sealed to.
#[derive(Clone, Debug)]
pub struct SealingKey {
    /// Its name.
    pub kid: String,
    /// The X25519 key.
    pub public_key: Vec<u8>,
}

fn frame(parts: &[&str]) -> Vec<u8> {
    let mut frame = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).expect("no part of a check is that long");
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(part.as_bytes());
    }
    frame
}

impl Seal {
    /// Seals a text.
    pub fn seal(&self, key: &SealingKey, text: &str) -> Result<String, Finding> {
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key.public_key)
            .map_err(|_| Finding::new("a sealing key of the list is no X25519 key"))?;
        let info = frame(&["postern-seal-v1", &self.issuer, &self.app_id, &key.kid]);
        let associated = frame(&[
            &self.device_key,
            &self.idempotency_key,
            &self.path,
            &self.field,
            &self.login,
            &self.step_id,
        ]);
        let (enc, ciphertext) =
            hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                &info,
                text.as_bytes(),
                &associated,
                &mut System(SystemRandom::new()),
            )
            .map_err(|_| Finding::new("nothing can be sealed to a key of the list"))?;
        Ok(format!(
            "{}.{}.{}",
            key.kid,
            URL_SAFE_NO_PAD.encode(enc.to_bytes()),
            URL_SAFE_NO_PAD.encode(ciphertext)
        ))
    }
}

/// The payload of a key list, not checked.
pub fn payload(list: &str) -> Result<Value, Finding> {
    let parts: Vec<&str> = list.split('.').collect();
    ensure!(parts.len() == 3, "key_list is no compact JWS");
    let bytes = URL_SAFE_NO_PAD
        .decode(parts[1])
        .map_err(|_| Finding::new("key_list's payload is no base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| Finding::new("key_list's payload is no JSON"))
}

/// Checks a key list's signature by the root, and gives its payload.
pub fn verified(list: &str, root_key: &str) -> Result<Value, Finding> {
    let (signed, signature) = list
        .rsplit_once('.')
        .ok_or_else(|| Finding::new("key_list is no compact JWS"))?;
    let decoded = |text: &str, what: &str| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| Finding::new(format!("{what} is no base64url")))
    };
    UnparsedPublicKey::new(
        &ECDSA_P256_SHA256_FIXED,
        decoded(root_key, "the root's key")?,
    )
    .verify(
        signed.as_bytes(),
        &decoded(signature, "key_list's signature")?,
    )
    .map_err(|_| Finding::new("key_list is not signed by the root"))?;
    let header = decoded(
        signed.split('.').next().unwrap_or_default(),
        "key_list's header",
    )?;
    let header: Value = serde_json::from_slice(&header)
        .map_err(|_| Finding::new("key_list's header is no JSON"))?;
    ensure!(
        header["typ"] == "postern-keys+jwt" && header["alg"] == "ES256",
        "key_list's header is {header}"
    );
    payload(list)
}

/// The first key of the suite that this suite knows.
pub fn usable_key(payload: &Value) -> Result<SealingKey, Finding> {
    let key = payload["sealing_keys"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|key| key["suite"] == "x25519-sha256-aes128gcm")
        .ok_or_else(|| Finding::new("key_list has no key of the suite x25519-sha256-aes128gcm"))?;
    let text = |name: &str| {
        key[name]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Finding::new(format!("a sealing key has no {name}")))
    };
    Ok(SealingKey {
        kid: text("kid")?,
        public_key: URL_SAFE_NO_PAD
            .decode(text("public_key")?)
            .map_err(|_| Finding::new("a sealing key is no base64url"))?,
    })
}

/// The system's randomness as the hpke crate asks for it.
struct System(SystemRandom);

impl TryRng for System {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes).expect("the system has randomness");
        Ok(())
    }
}

impl TryCryptoRng for System {}
