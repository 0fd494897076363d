//! The memory of refusals, kept in the vault: a question that pops up by itself is not repeated for a while; a button may ask every time (W8, M1, M4).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::json::{self, FromJson};
use crate::providers::Provider;
use crate::time::Clock;
use crate::vault::{Records, VaultError};

/// The record's name in the vault.
pub(crate) const RECORD: &str = "refusals";
/// How long a question asked in an operation's name stays tied to it; afterwards a login counts as begun from a button.
const QUESTION_LASTS: Duration = Duration::from_mins(10);
/// Operations that are remembered; older ones make room.
const OPERATIONS: usize = 64;

/// What to do before an operation that needs an identity (W8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Somebody is logged in.
    GoOn,
    /// Nobody is logged in, and asking now would be bad manners or of no use.
    GoOnAsGuest,
    /// Ask now.
    AskNow,
}

/// One refusal that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Denial {
    provider: Provider,
    /// In whose name the question was asked; none for a button, which counts for every operation.
    operation: Option<String>,
    /// Wall time, seconds.
    at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
struct Memory {
    denials: Vec<Denial>,
}

impl FromJson for Denial {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            provider: json::member(tree, "provider")?,
            operation: json::optional(tree, "operation")?,
            at: json::number(tree, "at")?,
        })
    }
}

impl FromJson for Memory {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            denials: json::member(tree, "denials")?,
        })
    }
}

/// An operation in whose name somebody is being asked.
struct Question {
    operation: String,
    /// Monotonic.
    asked_at: Duration,
}

/// Remembers denials. Its calls read and write the vault, so they may block.
pub struct Refusals {
    records: Records,
    clock: Arc<dyn Clock>,
    quiet: Duration,
    memory: Mutex<Option<Memory>>,
    question: Mutex<Option<Question>>,
}

impl Refusals {
    /// `quiet` is how long a question does not pop up by itself after a denial.
    pub fn new(records: Records, clock: Arc<dyn Clock>, quiet: Duration) -> Self {
        Self {
            records,
            clock,
            quiet,
            memory: Mutex::new(None),
            question: Mutex::new(None),
        }
    }

    /// Whether a question may pop up by itself now, in the name of `operation`. An answer of [`Advice::AskNow`] ties the next login to the operation.
    pub fn advice(&self, operation: &str) -> Advice {
        let now = self.clock.now().as_secs();
        let Ok(mut memory) = self.recall() else {
            // Nobody knows whether the person said no already.
            return Advice::GoOnAsGuest;
        };
        let mut corrected = false;
        let mut quiet = false;
        for denial in &mut memory.denials {
            if denial.at > now {
                // The clock was set back since: the quiet time begins now, so that it ends.
                denial.at = now;
                corrected = true;
            }
            let counts = denial
                .operation
                .as_deref()
                .is_none_or(|denied| denied == operation);
            quiet |= counts && now - denial.at < self.quiet.as_secs();
        }
        if corrected {
            // If it can't be kept, the next advice corrects it again.
            let _ = self.keep(&memory);
        }
        if quiet {
            return Advice::GoOnAsGuest;
        }
        *lock(&self.question) = Some(Question {
            operation: operation.to_owned(),
            asked_at: self.clock.monotonic(),
        });
        Advice::AskNow
    }

    /// The operation in whose name the login that begins now is, if any.
    pub(crate) fn take_question(&self) -> Option<String> {
        let question = lock(&self.question).take()?;
        let recent = self.clock.monotonic().saturating_sub(question.asked_at) < QUESTION_LASTS;
        recent.then_some(question.operation)
    }

    /// The person said no.
    pub(crate) fn remember(
        &self,
        provider: Provider,
        operation: Option<String>,
    ) -> Result<(), VaultError> {
        let mut memory = self.recall()?;
        memory
            .denials
            .retain(|denial| denial.operation != operation);
        if memory.denials.len() >= OPERATIONS {
            memory.denials.remove(0);
        }
        memory.denials.push(Denial {
            provider,
            operation,
            at: self.clock.now().as_secs(),
        });
        self.keep(&memory)
    }

    /// Whether the vault below may block.
    pub(crate) fn blocks(&self) -> bool {
        self.records.blocks()
    }

    /// Whether nothing is remembered, as far as was looked: then there is nothing to remove.
    pub(crate) fn known_empty(&self) -> bool {
        lock(&self.memory)
            .as_ref()
            .is_some_and(|memory| memory.denials.is_empty())
    }

    /// The person logged in: old refusals mean nothing any more.
    pub(crate) fn forget(&self) -> Result<(), VaultError> {
        let known_empty = self.known_empty();
        *lock(&self.memory) = Some(Memory::default());
        if known_empty {
            Ok(())
        } else {
            self.records.delete(RECORD)
        }
    }

    /// No lock is held while the vault is read: it may be the host's own code.
    fn recall(&self) -> Result<Memory, VaultError> {
        if let Some(memory) = lock(&self.memory).as_ref() {
            return Ok(memory.clone());
        }
        let loaded: Memory = match self.records.load(RECORD) {
            Ok(loaded) => loaded.usable().unwrap_or_default(),
            // What was in it can't be had back.
            Err(VaultError::Damaged | VaultError::KeyInvalidated) => Memory::default(),
            Err(error @ (VaultError::Unavailable | VaultError::Failed { .. })) => {
                return Err(error);
            }
        };
        Ok(lock(&self.memory).get_or_insert(loaded).clone())
    }

    fn keep(&self, memory: &Memory) -> Result<(), VaultError> {
        *lock(&self.memory) = Some(memory.clone());
        self.records.store(RECORD, memory)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals")
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}
