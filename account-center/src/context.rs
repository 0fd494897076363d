//! Time and randomness, passed in: nothing else in this crate asks the operating system for either.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom as _;

/// An instant: milliseconds since 1970 UTC, as the database keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since 1970 UTC.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970 UTC: for the database.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970 UTC: for the wire.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and `duration` more.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(duration)))
    }

    /// This instant less `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(duration)))
    }

    /// Whole seconds from this instant until `later`, rounded up; 0 when `later` has passed.
    pub fn seconds_until(self, later: Timestamp) -> u64 {
        u64::try_from(later.0.saturating_sub(self.0))
            .unwrap_or(0)
            .div_ceil(1000)
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Gives bytes that nobody can guess.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`. An operating system that has no randomness to give is no place to go on: this panics then, and the request is answered 500.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness, through ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        ring::rand::SystemRandom::new()
            .fill(bytes)
            .expect("the operating system gives random bytes");
    }
}

/// Clock and randomness together, as most parts need both.
#[derive(Clone)]
pub struct Context {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    /// From a clock and a source of randomness.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }

    /// The machine's clock and randomness.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemRandomness))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The source of randomness, for what takes it as an argument.
    pub fn randomness(&self) -> &dyn Randomness {
        &*self.randomness
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.randomness.fill(&mut bytes);
        bytes
    }

    /// 128 random bits as 22 base64url characters.
    pub fn token128(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<16>())
    }

    /// A new `UUIDv7` (RFC 9562): the key of a row.
    pub fn uuid(&self) -> String {
        let millis = u64::try_from(self.now().millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>())
            .into_uuid()
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_until_rounds_up_and_never_goes_below_zero() {
        let now = Timestamp::from_millis(10_000);
        assert_eq!(now.seconds_until(Timestamp::from_millis(10_001)), 1);
        assert_eq!(now.seconds_until(Timestamp::from_millis(12_000)), 2);
        assert_eq!(now.seconds_until(Timestamp::from_millis(9_000)), 0);
    }

    #[test]
    fn row_keys_sort_by_the_time_they_were_made() {
        struct At(i64);
        impl Clock for At {
            fn now(&self) -> Timestamp {
                Timestamp::from_millis(self.0)
            }
        }
        let key = |millis| Context::new(Arc::new(At(millis)), Arc::new(SystemRandomness)).uuid();
        assert!(key(1_700_000_000_000) < key(1_700_000_000_001));
        assert_eq!(key(1_700_000_000_000).as_bytes()[14], b'7');
    }
}
