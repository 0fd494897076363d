//! What a business line has to remember between requests, as traits, and an implementation of each in memory for one process.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError, RwLock};

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

/// Ended sessions in the memory of one process, fed by whoever receives the account center's notices.
#[derive(Debug, Default)]
pub struct MemoryEndedSessions(RwLock<HashSet<String>>);

impl MemoryEndedSessions {
    /// Remembers that a session has ended.
    pub fn end(&self, session_id: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session_id.to_owned());
    }

    /// Forgets a session, once no token of it can be good any more (five minutes after its end).
    pub fn forget(&self, session_id: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(session_id);
    }
}

impl EndedSessions for MemoryEndedSessions {
    fn is_ended(&self, session_id: &str) -> Result<bool, GuardUnavailable> {
        Ok(self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(session_id))
    }
}
