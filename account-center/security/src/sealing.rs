//! Sealed fields (contract section 4): HPKE (RFC 9180) base mode, X25519, HKDF-SHA256, AES-128-GCM, single shot.
//!
//! A sealed field opens only for the app, device key, call, path, field, login and step that it was sealed for.

use std::fmt;

use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use ring::rand::SecureRandom;
use zeroize::{Zeroize as _, Zeroizing};

pub use crate::secret::Plaintext;

use crate::base64url;
use crate::thumbprint::Thumbprint;

/// The suite's name in key lists.
pub const SUITE: &str = "x25519-sha256-aes128gcm";

/// The longest sealed field read, in characters: more than any password needs.
pub const MAX_SEALED_LENGTH: usize = 2048;

const INFO_CONTEXT: &str = "postern-seal-v1";

type Kem = X25519HkdfSha256;
type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
type PublicKey = <Kem as hpke::Kem>::PublicKey;
type Enc = <Kem as hpke::Kem>::EncappedKey;

/// Whom a field is sealed to, apart from the key.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The account center's issuer name (its public URL).
    pub issuer: &'a str,
    /// The app id.
    pub app_id: &'a str,
}

/// The place where a field stands; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The device key of the call.
    pub device_key: &'a Thumbprint,
    /// The call's Idempotency-Key.
    pub idempotency_key: &'a str,
    /// The call's path.
    pub path: &'a str,
    /// The field's name: `login_password`, `card.number`, `card.withdrawal_password`, `registration.login_password`.
    pub field: &'a str,
    /// The login handle, empty before there is one.
    pub login_handle: &'a str,
    /// The step id, empty before there is one.
    pub step_id: &'a str,
}

/// Why a field does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// `sealing_key_unknown`: the client is to fetch the key list and seal again.
    #[error("the sealing key is unknown")]
    UnknownKey,
    /// `sealed_field_invalid`: not of the form, sealed for another place, tampered with, or no text inside.
    #[error("the sealed field does not open")]
    Invalid,
}

/// A sealing key could not be made or read: the key id is not of the form, the bytes are no key, or the randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealing key could not be made or read")]
pub struct SealingKeyError;

/// A field could not be sealed: a part is longer than 65535 bytes, the key is weak, or the randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field could not be sealed")]
pub struct SealError;

/// Whether a text can be a key id: 1 to 64 of `[A-Za-z0-9_-]`.
pub fn is_kid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// A key pair to open sealed fields with.
#[derive(Clone)]
pub struct SealingKeyPair {
    kid: String,
    private: PrivateKey,
    public: [u8; 32],
}

impl SealingKeyPair {
    /// Makes a new key pair under the key id.
    pub fn generate(kid: &str, random: &dyn SecureRandom) -> Result<Self, SealingKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut()).map_err(|_| SealingKeyError)?;
        Self::derive(kid, &seed)
    }

    /// Derives a key pair from 32 secret bytes (RFC 9180, `DeriveKeyPair`).
    pub fn derive(kid: &str, seed: &[u8; 32]) -> Result<Self, SealingKeyError> {
        let (private, public) = Kem::derive_keypair(seed);
        Self::new(kid, private, &public)
    }

    /// Reads a kept key pair from its 32 private bytes.
    pub fn from_private_bytes(kid: &str, private: &[u8]) -> Result<Self, SealingKeyError> {
        let private = PrivateKey::from_bytes(private).map_err(|_| SealingKeyError)?;
        let public = Kem::sk_to_pk(&private);
        Self::new(kid, private, &public)
    }

    fn new(kid: &str, private: PrivateKey, public: &PublicKey) -> Result<Self, SealingKeyError> {
        if !is_kid(kid) {
            return Err(SealingKeyError);
        }
        Ok(Self {
            kid: kid.to_owned(),
            private,
            public: public.to_bytes().into(),
        })
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key, for the key list.
    pub fn public_bytes(&self) -> &[u8; 32] {
        &self.public
    }

    /// The private key, to be kept.
    pub fn private_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.private.write_exact(bytes.as_mut());
        bytes
    }
}

impl fmt::Debug for SealingKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeyPair({}, [redacted])", self.kid)
    }
}

/// The key pairs that are in use: today's and those that clients with an older list still seal to.
#[derive(Debug, Clone)]
pub struct SealingKeys(Vec<SealingKeyPair>);

impl SealingKeys {
    /// A set of key pairs. Of two with one key id the first counts.
    pub fn new(pairs: Vec<SealingKeyPair>) -> Self {
        Self(pairs)
    }

    /// The key pairs, in order.
    pub fn pairs(&self) -> &[SealingKeyPair] {
        &self.0
    }

    /// Opens a sealed field.
    pub fn open(
        &self,
        sealed: &str,
        recipient: &Recipient<'_>,
        place: &Place<'_>,
    ) -> Result<Plaintext, OpenError> {
        if sealed.len() > MAX_SEALED_LENGTH {
            return Err(OpenError::Invalid);
        }
        let mut parts = sealed.split('.');
        let (Some(kid), Some(enc), Some(ciphertext), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(OpenError::Invalid);
        };
        let enc = base64url::decode_array::<32>(enc).map_err(|_| OpenError::Invalid)?;
        let ciphertext = base64url::decode(ciphertext).map_err(|_| OpenError::Invalid)?;
        if !is_kid(kid) {
            return Err(OpenError::Invalid);
        }
        let pair = self
            .0
            .iter()
            .find(|pair| pair.kid == kid)
            .ok_or(OpenError::UnknownKey)?;
        let info = info(recipient, kid).ok_or(OpenError::Invalid)?;
        let aad = associated_data(place).ok_or(OpenError::Invalid)?;
        let plaintext = open_raw(&pair.private, &enc, &ciphertext, &info, &aad)?;
        text(plaintext).ok_or(OpenError::Invalid)
    }
}

/// Seals text to a public key, as a client does; here for tools and tests.
pub fn seal(
    kid: &str,
    public_key: &[u8; 32],
    plaintext: &str,
    recipient: &Recipient<'_>,
    place: &Place<'_>,
    random: &dyn SecureRandom,
) -> Result<String, SealError> {
    let info = info(recipient, kid).ok_or(SealError)?;
    let aad = associated_data(place).ok_or(SealError)?;
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut()).map_err(|_| SealError)?;
    let (enc, ciphertext) = seal_raw(public_key, &seed, plaintext.as_bytes(), &info, &aad)?;
    Ok(format!(
        "{kid}.{}.{}",
        base64url::encode(enc),
        base64url::encode(ciphertext)
    ))
}

fn open_raw(
    private: &PrivateKey,
    enc: &[u8; 32],
    ciphertext: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let enc = Enc::from_bytes(enc).map_err(|_| OpenError::Invalid)?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, Kem>(
        &OpModeR::Base,
        private,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map_err(|_| OpenError::Invalid)
}

fn seal_raw(
    public_key: &[u8; 32],
    ephemeral_seed: &[u8; 32],
    plaintext: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<([u8; 32], Vec<u8>), SealError> {
    let public = PublicKey::from_bytes(public_key).map_err(|_| SealError)?;
    let mut random = Prepared {
        bytes: *ephemeral_seed,
        used: 0,
    };
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, Kem>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        aad,
        &mut random,
    )
    .map_err(|_| SealError)?;
    Ok((enc.to_bytes().into(), ciphertext))
}

/// frame(a, b, …): each part as a two-byte big-endian length and its bytes, so that no two lists of parts give the same bytes.
fn frame(parts: &[&str]) -> Option<Vec<u8>> {
    let mut framed = Vec::new();
    for part in parts {
        framed.extend(u16::try_from(part.len()).ok()?.to_be_bytes());
        framed.extend(part.as_bytes());
    }
    Some(framed)
}

fn info(recipient: &Recipient<'_>, kid: &str) -> Option<Vec<u8>> {
    frame(&[INFO_CONTEXT, recipient.issuer, recipient.app_id, kid])
}

fn associated_data(place: &Place<'_>) -> Option<Vec<u8>> {
    frame(&[
        place.device_key.as_str(),
        place.idempotency_key,
        place.path,
        place.field,
        place.login_handle,
        place.step_id,
    ])
}

fn text(plaintext: Vec<u8>) -> Option<Plaintext> {
    match String::from_utf8(plaintext) {
        Ok(text) => Some(Plaintext::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

/// Hands `hpke` the 32 bytes that were drawn beforehand from a source that may fail, which `hpke`'s own trait does not allow for.
struct Prepared {
    bytes: [u8; 32],
    used: usize,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl hpke::rand_core::TryRng for Prepared {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        let end = self.used + out.len();
        // X25519 draws its 32-byte seed and nothing else; drawing more would give out bytes twice.
        assert!(end <= self.bytes.len(), "one encapsulation draws 32 bytes");
        out.copy_from_slice(&self.bytes[self.used..end]);
        self.used = end;
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for Prepared {}

#[cfg(test)]
mod tests;
