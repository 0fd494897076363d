//! One proof: a statement, signed with the device key, about one request (RFC 9449, contract section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::Serialize;
use url::Url;

use super::{DeviceKey, DeviceKeyError, jws};

/// What a proof states.
#[derive(Serialize)]
pub(crate) struct ProofClaims<'a> {
    pub(crate) jti: &'a str,
    pub(crate) htm: &'a str,
    pub(crate) htu: &'a str,
    pub(crate) iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bh: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ath: Option<&'a str>,
}

/// SHA-256 in base64url: `bh` of a body, `ath` of a token.
pub(crate) fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

/// `htu`: the URL without query and fragment (RFC 9449 section 4.2).
pub(crate) fn htu(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The proof as it stands in the `DPoP` header. Blocks where the key's hardware does.
pub(crate) fn prove(
    key: &dyn DeviceKey,
    claims: &ProofClaims<'_>,
) -> Result<String, DeviceKeyError> {
    let jwk = key.public_jwk()?.to_json();
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let payload = serde_json::to_string(claims).map_err(|_| DeviceKeyError::Failed {
        what: "the proof's claims are no JSON".to_owned(),
    })?;
    jws::sign(key, &header, &payload)
}
