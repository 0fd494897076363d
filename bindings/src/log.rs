//! The log hook: what the SDK has to say to developers, handed to the host. No global subscriber is installed, so two SDKs in one process do not mix.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::dispatcher::{self, DefaultGuard};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::boundary::forget_panic;
use crate::error::CallbackError;

/// How much a message matters. An error means a bug of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// A bug of the SDK; please report it.
    Error,
    /// Something outside did not work; the SDK went on.
    Warn,
    /// What happened, in few words.
    Info,
    /// For somebody who looks for the cause of something.
    Debug,
}

impl LogLevel {
    fn of(level: Level) -> Option<Self> {
        Some(match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => return None,
        })
    }
}

/// Receives log messages of the SDK's own code. They hold no token, code, password, phone number or name of a person.
///
/// Called on the SDK's threads; must not block. What it throws is dropped.
#[uniffi::export(foreign)]
pub trait Log: Send + Sync {
    /// One message. `area` is the part of the SDK, such as `session`.
    fn log(&self, level: LogLevel, area: String, message: String) -> Result<(), CallbackError>;
}

/// The host's hook, until the SDK is shut down.
pub(crate) struct LogHook {
    to: Arc<Mutex<Option<Arc<dyn Log>>>>,
    dispatch: Option<Dispatch>,
}

thread_local! {
    static ATTACHED: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

impl LogHook {
    /// Nobody listens.
    pub(crate) fn silent() -> Self {
        Self {
            to: Arc::default(),
            dispatch: None,
        }
    }

    /// Messages of `least` and above go to `hook`.
    pub(crate) fn new(hook: Arc<dyn Log>, least: LogLevel) -> Self {
        let to = Arc::new(Mutex::new(Some(hook)));
        let dispatch = Dispatch::new(ToHook {
            to: Arc::clone(&to),
            least,
        });
        Self {
            to,
            dispatch: Some(dispatch),
        }
    }

    /// For each of the runtime's threads as it starts.
    pub(crate) fn attach_thread(&self) {
        if let Some(dispatch) = &self.dispatch {
            let guard = dispatcher::set_default(dispatch);
            ATTACHED.with_borrow_mut(|slot| *slot = Some(guard));
        }
    }

    /// For each of the runtime's threads as it ends.
    pub(crate) fn detach_thread() {
        drop(ATTACHED.with_borrow_mut(Option::take));
    }

    /// For a call on a thread of the host.
    pub(crate) fn during<T>(&self, call: impl FnOnce() -> T) -> T {
        match &self.dispatch {
            Some(dispatch) => dispatcher::with_default(dispatch, call),
            None => call(),
        }
    }

    /// Lets the host's object go.
    pub(crate) fn close(&self) {
        let hook = self
            .to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(hook);
    }
}

/// A `tracing` subscriber that knows one hook and no spans.
struct ToHook {
    to: Arc<Mutex<Option<Arc<dyn Log>>>>,
    least: LogLevel,
}

/// The part of the SDK that `target` names; other crates (HTTP, TLS) are not heard, for their messages are not ours to vouch for.
fn area(target: &str) -> Option<&str> {
    let path = target
        .strip_prefix("postern_sdk_core")
        .or_else(|| target.strip_prefix("postern"))?;
    if path.is_empty() {
        return Some("postern");
    }
    path.strip_prefix("::")
        .map(|path| path.split("::").next().unwrap_or(path))
}

impl Subscriber for ToHook {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && LogLevel::of(*metadata.level()).is_some_and(|level| level <= self.least)
            && area(metadata.target()).is_some()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let (Some(level), Some(area)) = (LogLevel::of(*metadata.level()), area(metadata.target()))
        else {
            return;
        };
        // No lock is held over the callback, and a hook that calls the SDK is not called again by itself.
        let hook = self
            .to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(hook) = hook else { return };
        if IN_HOOK.replace(true) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| {
            hook.log(level, area.to_owned(), line.finish())
        })) {
            forget_panic(panic);
        }
        IN_HOOK.set(false);
    }
}

/// The message, then the fields as `name=value`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(LogLevel, String, String)>>);
    impl Log for Kept {
        fn log(&self, level: LogLevel, area: String, message: String) -> Result<(), CallbackError> {
            self.0.lock().unwrap().push((level, area, message));
            tracing::error!(target: "postern", "from inside the hook");
            Err(CallbackError::Failed)
        }
    }

    #[test]
    fn messages_of_our_own_code_reach_the_hook_and_no_others() {
        let kept = Arc::new(Kept::default());
        let hook = LogHook::new(Arc::clone(&kept) as Arc<dyn Log>, LogLevel::Info);
        hook.during(|| {
            tracing::info!(target: "postern_sdk_core::session::refresh", attempt = 2, "renewed");
            tracing::debug!(target: "postern_sdk_core::session", "too fine");
            tracing::error!(target: "hyper::proto", "authorization: DPoP abc");
            tracing::error!(target: "posternish", "not ours");
        });
        tracing::error!(target: "postern", "outside: nobody hears it");
        assert_eq!(
            *kept.0.lock().unwrap(),
            [(
                LogLevel::Info,
                "session".to_owned(),
                "renewed attempt=2".to_owned()
            )]
        );
    }

    #[test]
    fn a_closed_hook_lets_the_hosts_object_go() {
        let kept = Arc::new(Kept::default());
        let hook = LogHook::new(Arc::clone(&kept) as Arc<dyn Log>, LogLevel::Debug);
        hook.close();
        hook.during(|| tracing::error!(target: "postern", "too late"));
        assert!(kept.0.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
