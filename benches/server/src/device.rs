//! The client's side of a request: a device key, its proofs (contract section 2), and requests as bytes, made before the clock runs.

use std::fmt::Write as _;

use postern_server_security::{Thumbprint, base64url};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::Result;

/// 128 random bits: a `jti`, an Idempotency-Key.
pub(crate) fn random128(random: &SystemRandom) -> Result<String> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes).map_err(|_| "no randomness")?;
    Ok(base64url::encode(bytes))
}

/// A device key.
pub(crate) struct Device {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    jwk: String,
    thumbprint: Thumbprint,
}

/// What a proof is for.
pub(crate) struct Target<'a> {
    /// Scheme, host and port.
    pub(crate) base: &'a str,
    /// The path.
    pub(crate) path: &'a str,
    /// The server's nonce; a server that wants none gets none.
    pub(crate) nonce: Option<&'a str>,
}

impl Device {
    /// A new key.
    pub(crate) fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| "no device key")?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| "no device key")?;
        let point = pair.public_key().as_ref();
        let (x, y) = (
            base64url::encode(&point[1..33]),
            base64url::encode(&point[33..]),
        );
        // RFC 7638: the members in this order.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint =
            Thumbprint::parse(&base64url::encode(digest(&SHA256, canonical.as_bytes())))?;
        let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        Ok(Self {
            pair,
            random,
            jwk,
            thumbprint,
        })
    }

    /// The key's name.
    pub(crate) fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// A proof for one request (RFC 9449).
    pub(crate) fn proof(&self, target: &Target<'_>, body: &[u8]) -> Result<String> {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, self.jwk);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let mut claims = format!(
            r#"{{"jti":"{}","htm":"POST","htu":"{}{}","iat":{now},"bh":"{}""#,
            random128(&self.random)?,
            target.base,
            target.path,
            base64url::encode(digest(&SHA256, body)),
        );
        if let Some(nonce) = target.nonce {
            write!(claims, r#","nonce":"{nonce}""#)?;
        }
        claims.push('}');
        let signed = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(claims)
        );
        let signature = self
            .pair
            .sign(&self.random, signed.as_bytes())
            .map_err(|_| "no signature")?;
        Ok(format!("{signed}.{}", base64url::encode(signature)))
    }

    /// A whole POST for the account center; `key` is its Idempotency-Key.
    pub(crate) fn post(&self, target: &Target<'_>, key: &str, body: &str) -> Result<Vec<u8>> {
        let proof = self.proof(target, body.as_bytes())?;
        let host = target.base.trim_start_matches("http://");
        Ok(format!(
            "POST {} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ndpop: {proof}\r\nidempotency-key: {key}\r\n\
             content-length: {}\r\n\r\n{body}",
            target.path,
            body.len(),
        )
        .into_bytes())
    }

    /// A whole POST of a form, with a proof.
    pub(crate) fn post_form(&self, target: &Target<'_>, body: &str) -> Result<Vec<u8>> {
        let proof = self.proof(target, body.as_bytes())?;
        let host = target.base.trim_start_matches("http://");
        Ok(format!(
            "POST {} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\ndpop: {proof}\r\n\
             content-length: {}\r\n\r\n{body}",
            target.path,
            body.len(),
        )
        .into_bytes())
    }
}
