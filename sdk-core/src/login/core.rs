//! What a login, its steps and its task share: the present state, who listens, and the way to the task.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::driver::Message;
use super::steps::LoginState;
use crate::time::Clock;

/// Hears every state, one after the other, on a thread of the SDK. Must return quickly; a panic in it is caught and changes nothing.
pub trait LoginListener: Send + Sync {
    /// The login is in this state now.
    fn on_state(&self, state: LoginState);
}

/// A listener while its subscription lives.
pub(super) struct Slot(Mutex<Option<Arc<dyn LoginListener>>>);

impl Slot {
    pub(super) fn listener(&self) -> Option<Arc<dyn LoginListener>> {
        lock(&self.0).clone()
    }

    /// The listener is dropped outside the lock: its drop may be the host's code.
    fn clear(&self) {
        let listener = lock(&self.0).take();
        drop(listener);
    }
}

/// What a login, its steps and its task share. Steps and task hold it weakly: who drops the login ends it, as a dead process would.
pub(crate) struct Core {
    pub(super) epoch: AtomicU64,
    pub(super) closed: AtomicBool,
    current: Mutex<LoginState>,
    slots: Mutex<Vec<Weak<Slot>>>,
    pub(super) inbox: mpsc::UnboundedSender<Message>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) moment: Duration,
}

impl Core {
    pub(super) fn new(
        inbox: mpsc::UnboundedSender<Message>,
        clock: Arc<dyn Clock>,
        moment: Duration,
    ) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            current: Mutex::new(LoginState::Resolving),
            slots: Mutex::new(Vec::new()),
            inbox,
            clock,
            moment,
        }
    }

    pub(super) fn current(&self) -> LoginState {
        lock(&self.current).clone()
    }

    pub(super) fn is_resolving(&self) -> bool {
        matches!(*lock(&self.current), LoginState::Resolving)
    }

    pub(super) fn set_current(&self, state: LoginState) {
        let old = std::mem::replace(&mut *lock(&self.current), state);
        drop(old);
    }

    pub(super) fn add(&self, slot: &Arc<Slot>) {
        let mut slots = lock(&self.slots);
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(slot));
    }

    pub(super) fn listeners(&self) -> Vec<Arc<dyn LoginListener>> {
        let slots: Vec<_> = lock(&self.slots).iter().filter_map(Weak::upgrade).collect();
        slots.iter().filter_map(|slot| slot.listener()).collect()
    }

    pub(super) fn subscribe(&self, listener: Arc<dyn LoginListener>) -> Subscription {
        let slot = Arc::new(Slot(Mutex::new(Some(listener))));
        let message = Message::Subscribe(Arc::downgrade(&slot));
        // A task that is gone has nothing more to tell.
        if self.closed.load(Ordering::Acquire) || self.inbox.send(message).is_err() {
            slot.clear();
        }
        Subscription(slot)
    }

    /// Lets go of every listener and ends the task. What was kept stays kept.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let slots = std::mem::take(&mut *lock(&self.slots));
        for slot in slots.iter().filter_map(Weak::upgrade) {
            slot.clear();
        }
        let _ = self.inbox.send(Message::Stop);
    }
}

impl Drop for Core {
    /// Whoever listens to a login that nobody holds is let go, so that streams end.
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends when dropped: no announcement begins after that.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription(Arc<Slot>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}
