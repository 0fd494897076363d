//! Randomness is an argument: everything here asks a [`Randomness`].
//!
//! One exception: ring takes only its own system randomness for an ECDSA signature of the software device key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

/// A source of unpredictable bytes.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug)]
pub struct SystemRandomness(SystemRandom);

impl SystemRandomness {
    /// The operating system's randomness.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemRandomness {
    fn default() -> Self {
        Self::new()
    }
}

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .fill(bytes)
            .expect("every supported system gives random bytes to a running process");
    }
}

/// 128 random bits as 22 characters of base64url: an Idempotency-Key, a `jti`, an install id.
pub fn token_128(randomness: &dyn Randomness) -> String {
    let mut bytes = [0; 16];
    randomness.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_22_characters_and_differ() {
        let randomness = SystemRandomness::new();
        let (one, other) = (token_128(&randomness), token_128(&randomness));
        assert_eq!((one.len(), other.len()), (22, 22));
        assert_ne!(one, other);
    }
}
