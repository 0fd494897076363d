//! Nonces for proofs that need no storage (contract section 2): one for each window of 15 minutes, derived from a key.
//!
//! Whoever shows a nonce has heard from a server of ours in this window or the previous one, whatever their own clock says.

use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::base64url;

/// The length of a window in seconds.
pub const WINDOW_SECONDS: u64 = 15 * 60;

const CONTEXT: &[u8] = b"postern-dpop-nonce-v1";

/// The key from which nonces come; the same on every machine of one account center.
#[derive(Clone)]
pub struct NonceKey(hmac::Key);

/// A nonce is missing, of an older window, of another key, or no nonce at all: these look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the nonce is not of this window or the previous one")]
pub struct StaleNonce;

impl NonceKey {
    /// A key from 32 secret bytes, used for nothing else.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The nonce to give out at the instant `now` (seconds): 22 base64url characters.
    pub fn issue(&self, now: u64) -> String {
        base64url::encode(self.of_window(now / WINDOW_SECONDS))
    }

    /// Accepts the nonce of the current window or of the previous one, and says from which instant (seconds) on it is stale.
    /// Both are compared in constant time.
    pub fn check(&self, nonce: &str, now: u64) -> Result<u64, StaleNonce> {
        let given = base64url::decode_array::<16>(nonce).map_err(|_| StaleNonce)?;
        let current = now / WINDOW_SECONDS;
        let previous = current.checked_sub(1);
        let is_current = given.ct_eq(&self.of_window(current));
        let is_previous = given.ct_eq(&self.of_window(previous.unwrap_or(current)));
        if bool::from(is_current) {
            Ok(good_until(current))
        } else if bool::from(is_previous) {
            Ok(good_until(current.saturating_sub(1)))
        } else {
            Err(StaleNonce)
        }
    }

    fn of_window(&self, window: u64) -> [u8; 16] {
        let mut input = hmac::Context::with_key(&self.0);
        input.update(CONTEXT);
        input.update(&window.to_be_bytes());
        let tag = input.sign();
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&tag.as_ref()[..16]);
        nonce
    }
}

fn good_until(window: u64) -> u64 {
    window.saturating_add(2).saturating_mul(WINDOW_SECONDS)
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> NonceKey {
        NonceKey::new(&[7; 32])
    }

    #[test]
    fn contract_2_a_nonce_is_good_in_its_window_and_the_next_and_no_longer() {
        let start = 1_000_000 * WINDOW_SECONDS;
        let nonce = key().issue(start + 10);
        let stale_from = start + 2 * WINDOW_SECONDS;
        for now in [start, start + 899, start + 900, stale_from - 1] {
            assert_eq!(key().check(&nonce, now), Ok(stale_from), "{now}");
        }
        for now in [stale_from, stale_from + 900, start - 1, 0] {
            assert_eq!(key().check(&nonce, now), Err(StaleNonce), "{now}");
        }
    }

    #[test]
    fn contract_2_a_window_has_one_nonce_and_it_is_128_bits() {
        assert_eq!(key().issue(900), key().issue(1799));
        assert_ne!(key().issue(899), key().issue(900));
        assert_eq!(key().issue(900).len(), 22);
    }

    #[test]
    fn another_key_gives_other_nonces() {
        let foreign = NonceKey::new(&[8; 32]).issue(5_000);
        assert_eq!(key().check(&foreign, 5_000), Err(StaleNonce));
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        assert_eq!(key().check(&key().issue(0), 0), Ok(1800));
        assert_eq!(key().check(&key().issue(u64::MAX), u64::MAX), Ok(u64::MAX));
    }

    #[test]
    fn debug_of_the_key_is_a_placeholder() {
        assert_eq!(format!("{:?}", key()), "NonceKey([redacted])");
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_nonce(text: String, now: u64) {
            prop_assert_eq!(key().check(&text, now), Err(StaleNonce));
        }

        #[test]
        fn a_changed_character_spoils_a_nonce(at in 0_usize..22, now in 0..u64::MAX / 2) {
            let mut nonce = key().issue(now).into_bytes();
            nonce[at] = if nonce[at] == b'A' { b'Q' } else { b'A' };
            let nonce = String::from_utf8(nonce).expect("ASCII");
            prop_assert_eq!(key().check(&nonce, now), Err(StaleNonce));
        }

        #[test]
        fn every_nonce_issued_is_good_at_once(now: u64) {
            prop_assert!(key().check(&key().issue(now), now).is_ok());
        }
    }
}
