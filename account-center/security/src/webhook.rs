//! Signatures of webhooks, by Standard Webhooks: over `id.timestamp.body`, HMAC-SHA-256 (`v1`) or Ed25519 (`v1a`). The account center signs with it, a
//! business line verifies with it (`contract/webhooks.md`).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use ring::hmac;
use ring::signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// How far a webhook's timestamp may be from the receiver's clock, in seconds, either way.
pub const TOLERANCE_SECONDS: u64 = 300;

/// Signatures that a receiver looks at in one header: two secrets while they are exchanged, each with its asymmetric sister, and some to spare.
const MOST_SIGNATURES: usize = 16;

/// Written with padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PAD_INDIFFERENT);
const PAD_INDIFFERENT: GeneralPurposeConfig =
    PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A key's text is not of its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookKeyError {
    /// It does not begin with the prefix of its kind.
    #[error("it does not begin with {0}")]
    Prefix(&'static str),
    /// What follows is not base64.
    #[error("it is not base64 after its prefix")]
    Base64,
    /// It has another length than a key of this kind.
    #[error("it has the wrong length")]
    Length,
}

fn decoded(text: &str, prefix: &'static str) -> Result<Zeroizing<Vec<u8>>, WebhookKeyError> {
    let encoded = text
        .trim()
        .strip_prefix(prefix)
        .ok_or(WebhookKeyError::Prefix(prefix))?;
    BASE64
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| WebhookKeyError::Base64)
}

/// A shared secret, `whsec_` and 24 to 64 bytes in base64. Debug is a placeholder.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

impl WebhookSecret {
    /// Reads `whsec_…`.
    pub fn parse(text: &str) -> Result<Self, WebhookKeyError> {
        let bytes = decoded(text, "whsec_")?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(WebhookKeyError::Length);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The entry for `webhook-signature`: `v1,` and base64.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &signed(id, timestamp, body));
        format!("v1,{}", BASE64.encode(tag))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}

/// A private Ed25519 key, `whsk_` and its 32-byte seed in base64 (the 64-byte form of seed and public key is read too). Debug is a placeholder.
pub struct WebhookSigningKey(Ed25519KeyPair);

impl WebhookSigningKey {
    /// Reads `whsk_…`.
    pub fn parse(text: &str) -> Result<Self, WebhookKeyError> {
        let bytes = decoded(text, "whsk_")?;
        let pair = match bytes.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(&bytes),
            64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
            _ => return Err(WebhookKeyError::Length),
        };
        pair.map(Self).map_err(|_| WebhookKeyError::Length)
    }

    /// The entry for `webhook-signature`: `v1a,` and base64.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signature = self.0.sign(&signed(id, timestamp, body));
        format!("v1a,{}", BASE64.encode(signature))
    }

    /// The public half for the receiver, `whpk_…`.
    pub fn public_text(&self) -> String {
        format!("whpk_{}", BASE64.encode(self.0.public_key()))
    }
}

impl fmt::Debug for WebhookSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSigningKey([redacted])")
    }
}

/// A public Ed25519 key, `whpk_…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPublicKey(Vec<u8>);

impl WebhookPublicKey {
    /// Reads `whpk_…`.
    pub fn parse(text: &str) -> Result<Self, WebhookKeyError> {
        let bytes = decoded(text, "whpk_")?;
        if bytes.len() != 32 {
            return Err(WebhookKeyError::Length);
        }
        Ok(Self(bytes.to_vec()))
    }
}

fn signed(id: &str, timestamp: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{id}.{timestamp}.").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Why a webhook is refused. All of it is a 401 to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing, or not of the form.
    #[error("the webhook's headers are not of the form")]
    Headers,
    /// Its timestamp is too far from now: a repetition of an old message, or a clock that is wrong.
    #[error("the webhook's timestamp is too far from now")]
    Timestamp,
    /// No signature is by a key of ours.
    #[error("no signature is by a known key")]
    Signature,
}

/// The three headers, as received.
#[derive(Debug, Clone, Copy)]
pub struct WebhookHeaders<'a> {
    /// `webhook-id`: the event's, the same in every repetition.
    pub id: &'a str,
    /// `webhook-timestamp`: of this try, whole seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: entries separated by spaces.
    pub signature: &'a str,
}

/// Verifies webhooks with every key that is good at present.
#[derive(Debug, Clone, Default)]
pub struct WebhookVerifier {
    /// Shared secrets: two while one replaces the other.
    pub secrets: Vec<WebhookSecret>,
    /// Public keys of the sender, where it signs with Ed25519.
    pub public_keys: Vec<WebhookPublicKey>,
}

impl WebhookVerifier {
    /// Checks a webhook at the instant `now` (seconds): one good signature over these exact bytes is enough. Comparisons take the same time wherever they differ.
    pub fn verify(
        &self,
        headers: &WebhookHeaders<'_>,
        body: &[u8],
        now: u64,
    ) -> Result<(), WebhookError> {
        let WebhookHeaders {
            id,
            timestamp,
            signature,
        } = headers;
        // A dot in the id would let the borders of what is signed be moved.
        if id.is_empty() || id.len() > 256 || id.contains('.') {
            return Err(WebhookError::Headers);
        }
        let canonical = timestamp
            .parse::<u64>()
            .ok()
            .filter(|seconds| seconds.to_string() == **timestamp);
        let timestamp = canonical.ok_or(WebhookError::Headers)?;
        if now.abs_diff(timestamp) > TOLERANCE_SECONDS {
            return Err(WebhookError::Timestamp);
        }
        let bytes = signed(id, timestamp, body);
        let good = signature
            .split(' ')
            .take(MOST_SIGNATURES)
            .any(|entry| self.is_good(entry, &bytes));
        if good {
            Ok(())
        } else {
            Err(WebhookError::Signature)
        }
    }

    fn is_good(&self, entry: &str, bytes: &[u8]) -> bool {
        let Some((version, encoded)) = entry.split_once(',') else {
            return false;
        };
        let Ok(given) = BASE64.decode(encoded) else {
            return false;
        };
        match version {
            "v1" => self
                .secrets
                .iter()
                .any(|secret| hmac::verify(&secret.0, bytes, &given).is_ok()),
            "v1a" => self.public_keys.iter().any(|key| {
                UnparsedPublicKey::new(&signature::ED25519, &key.0)
                    .verify(bytes, &given)
                    .is_ok()
            }),
            // Versions of later years are no reason to refuse what is signed by one of ours too.
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // The example that Standard Webhooks' own libraries are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn verifier(secrets: &[&str]) -> WebhookVerifier {
        WebhookVerifier {
            secrets: secrets
                .iter()
                .map(|secret| WebhookSecret::parse(secret).unwrap())
                .collect(),
            public_keys: Vec::new(),
        }
    }

    fn check(verifier: &WebhookVerifier, signature: &str, now: u64) -> Result<(), WebhookError> {
        let headers = WebhookHeaders {
            id: ID,
            timestamp: "1614265330",
            signature,
        };
        verifier.verify(&headers, BODY, now)
    }

    #[test]
    fn the_specification_s_own_example_is_made_and_verified() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        assert_eq!(secret.sign(ID, AT, BODY), SIGNATURE);
        assert_eq!(check(&verifier(&[SECRET]), SIGNATURE, AT), Ok(()));
    }

    #[test]
    fn while_secrets_are_exchanged_either_of_two_signatures_is_enough() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let theirs = WebhookSecret::parse(other).unwrap().sign(ID, AT, BODY);
        let both = format!("{theirs} {SIGNATURE}");
        assert_eq!(check(&verifier(&[SECRET]), &both, AT), Ok(()));
        assert_eq!(check(&verifier(&[other]), &both, AT), Ok(()));
        assert_eq!(
            check(&verifier(&[other]), SIGNATURE, AT),
            Err(WebhookError::Signature)
        );
        assert_eq!(check(&verifier(&[other, SECRET]), SIGNATURE, AT), Ok(()));
    }

    #[test]
    fn asymmetric_signatures_are_verified_with_the_public_half() {
        let seed = format!("whsk_{}", BASE64.encode([7; 32]));
        let key = WebhookSigningKey::parse(&seed).unwrap();
        let verifier = WebhookVerifier {
            secrets: Vec::new(),
            public_keys: vec![WebhookPublicKey::parse(&key.public_text()).unwrap()],
        };
        let signature = key.sign(ID, AT, BODY);
        assert!(signature.starts_with("v1a,"));
        assert_eq!(check(&verifier, &signature, AT), Ok(()));
        assert_eq!(
            check(&verifier, &key.sign(ID, AT + 1, BODY), AT),
            Err(WebhookError::Signature)
        );
        // An HMAC whose key is the public key (which everybody knows) is no signature of the other kind.
        let forged = WebhookSecret::parse(&key.public_text().replace("whpk_", "whsec_"))
            .unwrap()
            .sign(ID, AT, BODY);
        assert_eq!(
            check(&verifier, &forged.replace("v1,", "v1a,"), AT),
            Err(WebhookError::Signature)
        );
    }

    #[test]
    fn anything_changed_is_refused() {
        let verifier = verifier(&[SECRET]);
        let good = WebhookHeaders {
            id: ID,
            timestamp: "1614265330",
            signature: SIGNATURE,
        };
        assert_eq!(verifier.verify(&good, BODY, AT), Ok(()));
        for (headers, body, now, error) in [
            (
                good,
                &b"{\"test\": 2432232315}"[..],
                AT,
                WebhookError::Signature,
            ),
            (
                WebhookHeaders {
                    id: "msg_other",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Signature,
            ),
            (
                WebhookHeaders { id: "a.b", ..good },
                BODY,
                AT,
                WebhookError::Headers,
            ),
            (
                WebhookHeaders { id: "", ..good },
                BODY,
                AT,
                WebhookError::Headers,
            ),
            (
                WebhookHeaders {
                    timestamp: "1614265331",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Signature,
            ),
            (
                WebhookHeaders {
                    timestamp: "01614265330",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Headers,
            ),
            (
                WebhookHeaders {
                    timestamp: "+1614265330",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Headers,
            ),
            (
                WebhookHeaders {
                    signature: "",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Signature,
            ),
            (
                WebhookHeaders {
                    signature: "v1,",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Signature,
            ),
            (
                WebhookHeaders {
                    signature: "v2,g0hM",
                    ..good
                },
                BODY,
                AT,
                WebhookError::Signature,
            ),
            (good, BODY, AT + 301, WebhookError::Timestamp),
            (good, BODY, AT - 301, WebhookError::Timestamp),
        ] {
            assert_eq!(
                verifier.verify(&headers, body, now),
                Err(error),
                "{headers:?}"
            );
        }
        assert_eq!(verifier.verify(&good, BODY, AT + 300), Ok(()));
    }

    #[test]
    fn keys_of_another_kind_or_length_are_refused_and_none_is_shown() {
        assert!(matches!(
            WebhookSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            Err(WebhookKeyError::Prefix("whsec_"))
        ));
        assert!(matches!(
            WebhookSecret::parse("whsec_MfKQ9r8GKYqr"),
            Err(WebhookKeyError::Length)
        ));
        assert!(matches!(
            WebhookSecret::parse("whsec_*"),
            Err(WebhookKeyError::Base64)
        ));
        assert!(WebhookSigningKey::parse("whsk_AAAA").is_err());
        assert!(WebhookPublicKey::parse("whpk_AAAA").is_err());
        assert_eq!(
            format!("{:?}", verifier(&[SECRET]).secrets),
            "[WebhookSecret([redacted])]"
        );
    }
}
