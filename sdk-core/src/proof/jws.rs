//! Compact JWS with ES256 (RFC 7515, RFC 7518 section 3.4): just what proofs and key lists need.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::{DeviceKey, DeviceKeyError};

/// Signs `payload` under `header`; both are JSON already.
pub(crate) fn sign(
    key: &dyn DeviceKey,
    header: &str,
    payload: &[u8],
) -> Result<String, DeviceKeyError> {
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// A compact JWS taken apart; nothing in it is trusted before [`Parts::is_signed_by`].
pub(crate) struct Parts<'a> {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        Some(Self {
            header: URL_SAFE_NO_PAD.decode(header).ok()?,
            payload: URL_SAFE_NO_PAD.decode(payload).ok()?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// ES256 with an uncompressed SEC1 point.
    pub(crate) fn is_signed_by(&self, point: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }
}
