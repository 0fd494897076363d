//! Refresh tokens (contract section 8): opaque to clients, derived with a server key from the session and its generation.
//!
//! Because a token can be derived again, a client whose reply was lost gets the same successor; and because a token names its session and
//! generation under the server's own authentication code, one that is older than the predecessor is recognised for what it is.

use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq as _;

pub use crate::secret::RefreshToken;

use crate::base64url;

const PREFIX: &str = "rt_";
const MAX_SESSION_ID: usize = 64;

/// The key for refresh tokens; the same on every machine of one account center.
#[derive(Clone)]
pub struct RefreshKey {
    tokens: hmac::Key,
    hashes: hmac::Key,
}

/// What a genuine refresh token names. Whether it is the newest of its family is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshClaim {
    /// The session id.
    pub session_id: String,
    /// Which one of the family: 0 is the first.
    pub generation: u64,
}

/// The session id is empty, longer than 64 characters, or has others than `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct NotASessionId;

/// The text is no refresh token of this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token of ours")]
pub struct NotOurs;

impl RefreshKey {
    /// A key from 32 secret bytes, used for nothing else.
    pub fn new(secret: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let purpose =
            |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref());
        Self {
            tokens: purpose(b"postern-refresh-token-v1"),
            hashes: purpose(b"postern-refresh-hash-v1"),
        }
    }

    /// The token of a session's generation: always the same one. Session ids are 1 to 64 of `[A-Za-z0-9_-]`.
    pub fn derive(&self, session_id: &str, generation: u64) -> Result<RefreshToken, NotASessionId> {
        if !is_session_id(session_id) {
            return Err(NotASessionId);
        }
        let mut bytes = generation.to_be_bytes().to_vec();
        bytes.extend(session_id.as_bytes());
        let tag = hmac::sign(&self.tokens, &bytes);
        let mut token = tag.as_ref().to_vec();
        token.extend(bytes);
        Ok(RefreshToken::new(format!(
            "{PREFIX}{}",
            base64url::encode(token)
        )))
    }

    /// Reads a token: 32 bytes of authentication code, 8 bytes of generation, the session id. The code is compared in constant time.
    pub fn parse(&self, token: &str) -> Result<RefreshClaim, NotOurs> {
        let encoded = token.strip_prefix(PREFIX).ok_or(NotOurs)?;
        let bytes = base64url::decode(encoded).map_err(|_| NotOurs)?;
        let (tag, named) = bytes.split_at_checked(32).ok_or(NotOurs)?;
        let expected = hmac::sign(&self.tokens, named);
        if !bool::from(expected.as_ref().ct_eq(tag)) {
            return Err(NotOurs);
        }
        let (generation, session_id) = named.split_first_chunk::<8>().ok_or(NotOurs)?;
        let session_id = std::str::from_utf8(session_id).map_err(|_| NotOurs)?;
        Ok(RefreshClaim {
            session_id: session_id.to_owned(),
            generation: u64::from_be_bytes(*generation),
        })
    }

    /// What is stored of a token: a keyed hash, 43 base64url characters, of no use to a reader of the database.
    pub fn storage_hash(&self, token: &RefreshToken) -> String {
        base64url::encode(hmac::sign(&self.hashes, token.expose().as_bytes()))
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey([redacted])")
    }
}

fn is_session_id(text: &str) -> bool {
    (1..=MAX_SESSION_ID).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn key() -> RefreshKey {
        RefreshKey::new(&[3; 32])
    }

    #[test]
    fn contract_8_a_generation_has_one_token_which_can_be_derived_again() {
        let token = key().derive("018f-session", 4).unwrap();
        assert!(token.expose().starts_with("rt_"));
        assert_eq!(
            token.expose(),
            key().derive("018f-session", 4).unwrap().expose()
        );
        let claim = key().parse(token.expose()).unwrap();
        assert_eq!(
            claim,
            RefreshClaim {
                session_id: "018f-session".into(),
                generation: 4
            }
        );
    }

    #[test]
    fn tokens_differ_by_session_generation_and_key() {
        let token = key().derive("a", 1).unwrap();
        let others = [
            key().derive("b", 1).unwrap(),
            key().derive("a", 2).unwrap(),
            RefreshKey::new(&[4; 32]).derive("a", 1).unwrap(),
        ];
        for other in &others {
            assert_ne!(token.expose(), other.expose());
            assert_ne!(key().storage_hash(&token), key().storage_hash(other));
        }
        assert_eq!(key().parse(others[2].expose()), Err(NotOurs));
    }

    #[test]
    fn the_stored_hash_is_keyed_and_is_not_the_token() {
        let token = key().derive("a", 1).unwrap();
        assert_eq!(key().storage_hash(&token).len(), 43);
        assert_ne!(
            key().storage_hash(&token),
            RefreshKey::new(&[4; 32]).storage_hash(&token)
        );
        assert!(!token.expose().contains(&key().storage_hash(&token)));
    }

    #[test]
    fn a_session_id_has_a_form() {
        let long = "a".repeat(65);
        for bad in ["", "a b", "a.b", "é", long.as_str()] {
            assert_eq!(key().derive(bad, 0).unwrap_err(), NotASessionId, "{bad}");
        }
        let longest = "a".repeat(64);
        let token = key().derive(&longest, u64::MAX).unwrap();
        assert_eq!(key().parse(token.expose()).unwrap().session_id, longest);
    }

    #[test]
    fn an_authentic_code_over_too_few_bytes_is_refused() {
        let named = [0_u8; 7];
        let mut bytes = hmac::sign(&key().tokens, &named).as_ref().to_vec();
        bytes.extend(named);
        assert_eq!(
            key().parse(&format!("rt_{}", base64url::encode(bytes))),
            Err(NotOurs)
        );
    }

    #[test]
    fn debug_shows_neither_key_nor_token() {
        assert_eq!(format!("{:?}", key()), "RefreshKey([redacted])");
        assert_eq!(
            format!("{:?}", key().derive("a", 1).unwrap()),
            "RefreshToken([redacted])"
        );
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_refresh_token(text: String, tail in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(key().parse(&text), Err(NotOurs));
            prop_assert_eq!(key().parse(&format!("rt_{tail}")), Err(NotOurs));
        }

        #[test]
        fn a_changed_character_spoils_a_token(at in 3_usize..60, generation: u64) {
            let mut token = key().derive("0190a-b", generation).unwrap().expose().as_bytes().to_vec();
            prop_assume!(at < token.len());
            token[at] = if token[at] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(key().parse(std::str::from_utf8(&token).unwrap()), Err(NotOurs));
        }

        #[test]
        fn a_derived_token_reads_back(session_id in "[A-Za-z0-9_-]{1,64}", generation: u64) {
            let token = key().derive(&session_id, generation).unwrap();
            prop_assert_eq!(key().parse(token.expose()), Ok(RefreshClaim { session_id, generation }));
        }
    }
}
