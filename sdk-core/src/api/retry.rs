//! When a transmission is repeated, and after which pause.

use std::time::Duration;

use super::{CallFailure, ProblemCode};
use crate::random::Randomness;
use crate::transport::TransportError;

/// How often and how long a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Transmissions of one call, the first included.
    pub transmissions: u32,
    /// The first pause; each further one is twice as long. Half of it is left to chance, so that many devices do not come back together.
    pub first_pause: Duration,
    /// No pause is longer, unless the server asks for it.
    pub longest_pause: Duration,
    /// No transmission begins later than this after the call's start.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            transmissions: 4,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(5),
            total: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next transmission; nothing where the failure stands.
    ///
    /// `made` is the number of transmissions so far, `elapsed` the time since the call's start.
    pub(crate) fn pause(
        &self,
        failure: &CallFailure,
        made: u32,
        elapsed: Duration,
        randomness: &dyn Randomness,
    ) -> Option<Duration> {
        if made >= self.transmissions || !is_passing(failure) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(made.saturating_sub(1));
        let full = self
            .first_pause
            .saturating_mul(doubled)
            .min(self.longest_pause);
        let mut chance = [0];
        randomness.fill(&mut chance);
        let jittered = full / 2 + (full / 2) * u32::from(chance[0]) / 255;
        let asked = failure
            .problem()
            .and_then(|problem| problem.retry_after)
            .unwrap_or_default();
        let pause = jittered.max(asked);
        (elapsed.saturating_add(pause) < self.total).then_some(pause)
    }
}

/// Whether the same bytes may find a better answer in a moment.
fn is_passing(failure: &CallFailure) -> bool {
    match failure {
        CallFailure::Network(error) => matches!(
            error,
            TransportError::Offline | TransportError::TimedOut | TransportError::Other
        ),
        CallFailure::Problem(problem) => {
            problem.code == ProblemCode::RequestInFlight
                || problem.status == 503
                || (problem.code == ProblemCode::UnknownServerFailure
                    && matches!(problem.status, 502 | 504))
        }
        _ => false,
    }
}
