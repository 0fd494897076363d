//! What a business line has to remember between requests, as traits, and an implementation of each in memory for one process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

use crate::access_token::{CLOCK_TOLERANCE_SECONDS, LIFETIME_SECONDS};
use crate::dpop::ReplayKey;

/// The memory did not answer. A request is refused then: failing open would let replays through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guard could not answer")]
pub struct GuardUnavailable;

/// Remembers which proofs have served (RFC 9449, section 11.1).
pub trait ReplayGuard: Send + Sync {
    /// Remembers the key until the instant `good_until` (seconds); false if it was there already. Asking and remembering are one step.
    fn first_use(
        &self,
        key: &ReplayKey,
        good_until: u64,
        now: u64,
    ) -> Result<bool, GuardUnavailable>;
}

/// Knows which sessions have ended while tokens of theirs are still good (contract section 8).
pub trait EndedSessions: Send + Sync {
    /// Whether the session of this id has ended.
    fn is_ended(&self, session_id: &str) -> Result<bool, GuardUnavailable>;
}

/// Proofs that have served, in the memory of one process. Several processes need a shared guard, or a proof serves once in each.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    served: Mutex<HashMap<ReplayKey, u64>>,
    capacity: usize,
}

impl MemoryReplayGuard {
    /// A guard that remembers at most `capacity` proofs (some 150 bytes each). When full of proofs that are still good it is unavailable.
    pub fn new(capacity: usize) -> Self {
        Self {
            served: Mutex::default(),
            capacity,
        }
    }
}

impl ReplayGuard for MemoryReplayGuard {
    fn first_use(
        &self,
        key: &ReplayKey,
        good_until: u64,
        now: u64,
    ) -> Result<bool, GuardUnavailable> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.contains_key(key) {
            return Ok(false);
        }
        if served.len() >= self.capacity {
            served.retain(|_, until| *until > now);
        }
        if served.len() >= self.capacity {
            return Err(GuardUnavailable);
        }
        served.insert(key.clone(), good_until);
        Ok(true)
    }
}

/// Ended sessions in the memory of one process, fed by whoever receives the account center's notices (`session.ended`, contract/webhooks.md).
#[derive(Debug, Default)]
pub struct MemoryEndedSessions(RwLock<Ended>);

/// Until when each is remembered, and at how many those of the past are looked for next.
#[derive(Debug, Default)]
struct Ended {
    until: HashMap<String, u64>,
    sweep_at: usize,
}

/// Fewer sessions than this are not worth a sweep.
const LEAST_SWEPT: usize = 1024;

impl MemoryEndedSessions {
    /// Remembers that a session has ended, until it is forgotten by name.
    pub fn end(&self, session_id: &str) {
        self.remember(session_id, u64::MAX, 0);
    }

    /// Remembers that a session has ended, for as long as a token of it can be good: five minutes after `ended_at`, and the tolerance of clocks. Instants are seconds.
    /// One that ended longer ago is not remembered at all.
    pub fn end_at(&self, session_id: &str, ended_at: u64, now: u64) {
        let until = ended_at.saturating_add(LIFETIME_SECONDS + CLOCK_TOLERANCE_SECONDS);
        if until > now {
            self.remember(session_id, until, now);
        }
    }

    fn remember(&self, session_id: &str, until: u64, now: u64) {
        let mut ended = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ended.until.len() >= ended.sweep_at.max(LEAST_SWEPT) {
            ended.until.retain(|_, until| *until > now);
            // Twice what is left, so that each session is looked at a bounded number of times.
            ended.sweep_at = 2 * ended.until.len();
        }
        let known = ended.until.entry(session_id.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// Forgets a session, once no token of it can be good any more (five minutes after its end).
    pub fn forget(&self, session_id: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .until
            .remove(session_id);
    }
}

impl EndedSessions for MemoryEndedSessions {
    fn is_ended(&self, session_id: &str) -> Result<bool, GuardUnavailable> {
        Ok(self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .until
            .contains_key(session_id))
    }
}

/// Shared between the one who receives notices and the verifier.
impl<T: EndedSessions + ?Sized> EndedSessions for std::sync::Arc<T> {
    fn is_ended(&self, session_id: &str) -> Result<bool, GuardUnavailable> {
        (**self).is_ended(session_id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_ended_session_is_known_as_long_as_a_token_of_it_can_be_good() {
        let ended = MemoryEndedSessions::default();
        ended.end_at("s1", 1000, 1001);
        assert_eq!(ended.is_ended("s1"), Ok(true));
        // Its last token was good until 1300; a notice that comes later has nothing to say.
        ended.end_at("s2", 1000, 1360);
        assert_eq!(ended.is_ended("s2"), Ok(false));
        ended.end_at("s2", 1000, 1359);
        assert_eq!(ended.is_ended("s2"), Ok(true));
    }

    #[test]
    fn old_ends_are_forgotten_and_young_ones_never() {
        let ended = MemoryEndedSessions::default();
        for n in 0..2 * LEAST_SWEPT {
            ended.end_at(&format!("old{n}"), 1000, 1000);
        }
        ended.end_at("young", 2000, 2000);
        assert_eq!(ended.0.read().unwrap().until.len(), 1);
        // A repeated, older notice does not shorten what is remembered.
        ended.end("young");
        ended.end_at("young", 2000, 2000);
        assert_eq!(ended.0.read().unwrap().until["young"], u64::MAX);
    }
}
