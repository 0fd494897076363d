//! Time and randomness, which are arguments everywhere.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Where the simulator gets the time from.
pub trait Clock: Send + Sync {
    /// Whole seconds since 1970 UTC.
    fn now(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |passed| passed.as_secs())
    }
}

/// Where codes, tokens and new people come from.
pub trait Randomness: Send + Sync {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The system's randomness.
#[derive(Debug, Clone)]
pub struct SystemRandomness(ring::rand::SystemRandom);

impl Default for SystemRandomness {
    fn default() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Randomness for SystemRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        ring::rand::SecureRandom::fill(&self.0, buffer)
            .expect("the operating system gives random bytes");
    }
}

/// `bytes` random bytes as base64url text.
pub(crate) fn random_text(randomness: &dyn Randomness, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    randomness.fill(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}

/// `count` random decimal digits. The bias of a byte modulo ten does not matter for invented people.
pub(crate) fn random_digits(randomness: &dyn Randomness, count: usize) -> String {
    let mut buffer = vec![0; count];
    randomness.fill(&mut buffer);
    buffer
        .into_iter()
        .map(|byte| char::from(b'0' + byte % 10))
        .collect()
}
