//! Time is an argument: everything here asks a [`Clock`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;

/// The time, and waiting for it.
pub trait Clock: Send + Sync {
    /// Wall time since 1970 UTC. It may be wrong and may jump, so nothing about security hangs on it.
    fn now(&self) -> Duration;
    /// Time since some fixed moment of this process. It never goes back, and on some systems stands still while the device sleeps.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()>;
}

/// The system's clock. [`Clock::sleep`] needs a tokio runtime with its timer.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(how_long))
    }
}
