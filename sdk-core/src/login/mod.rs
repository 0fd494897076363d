//! The login: a pure flow, the driver that performs its effects, and the steps that hosts see. `README.md` beside this file has the diagram.

mod announce;
mod core;
mod driver;
pub(crate) mod events;
pub mod facts;
mod failure;
pub(crate) mod flow;
mod kept;
pub(crate) mod pending;
pub mod phone_number;
mod reading;
mod results;
pub(crate) mod state;
mod steps;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

pub use self::core::{LoginListener, Subscription};
pub(crate) use driver::Parts;
pub use facts::{
    AuthorizationRequest, FaceInfo, Failure, FailureKind, PasswordRules, PhoneInfo, ReadyInfo,
    RegistrationInfo, SmsCodeInfo, Stop, StopReason, VerificationInfo, VerificationMethod,
};
pub use phone_number::{DefaultRegion, PhoneNumber, PhoneNumberError};
pub use steps::{
    AuthorizingStep, FaceStep, LoginState, PhoneStep, ReadyStep, RefusedStep, RegistrationStep,
    SmsCodeStep, StepError, StoppedStep, VerificationStep,
};

use self::core::Core;
use crate::offload::spawn;
use crate::providers::ProviderReply;
use crate::verification::InvalidInput;

/// One login. Clones are the same login. When the last one is dropped it ends as if the process had: what was kept is taken up by the next.
#[derive(Clone)]
pub struct Login(Arc<Core>);

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.state().name())
    }
}

impl Login {
    /// Begins by looking for a kept login.
    pub(crate) fn begin(parts: Arc<Parts>) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let core = Arc::new(Core::new(sender, Arc::clone(&parts.clock), parts.moment));
        let runtime = parts.runtime.clone();
        // It ends when nobody holds the login any more.
        drop(spawn(
            &runtime,
            driver::run(Arc::downgrade(&core), parts, inbox),
        ));
        Self(core)
    }

    /// Where the login stands now.
    pub fn state(&self) -> LoginState {
        self.0.current()
    }

    /// Calls `listener` with the present state and every later one, in order, until the subscription is dropped.
    pub fn subscribe(&self, listener: Arc<dyn LoginListener>) -> Subscription {
        self.0.subscribe(listener)
    }

    /// The present state and every later one, in order.
    pub fn states(&self) -> StateStream {
        let (sender, receiver) = mpsc::unbounded_channel();
        StateStream {
            _subscription: self.subscribe(Arc::new(Forward(sender))),
            receiver,
        }
    }

    /// Hands over a provider's answer without knowing the state: for an app that the provider's answer has just started, before the kept login is read.
    ///
    /// An answer that no attempt waits for is `Invalid(StrayAnswer)` and changes nothing.
    pub async fn deliver(&self, reply: ProviderReply) -> Result<(), StepError> {
        let mut states = self.states();
        while let Some(state) = states.next().await {
            match state {
                LoginState::Resolving => {}
                LoginState::Authorizing(_, step) => return step.answer(reply).await,
                _ => return Err(InvalidInput::StrayAnswer.into()),
            }
        }
        Err(StepError::Closed)
    }

    /// Ends it: steps answer `Closed`, listeners are let go, streams end. What was kept is taken up by the next login.
    pub(crate) fn shutdown(&self) {
        self.0.close();
    }
}

struct Forward(mpsc::UnboundedSender<LoginState>);

impl LoginListener for Forward {
    fn on_state(&self, state: LoginState) {
        // The stream may just be gone.
        let _ = self.0.send(state);
    }
}

/// States in order; ends with the SDK. None is left out, so somebody has to read it.
#[derive(Debug)]
pub struct StateStream {
    _subscription: Subscription,
    receiver: mpsc::UnboundedReceiver<LoginState>,
}

impl StateStream {
    /// The next state; nothing after the end.
    pub async fn next(&mut self) -> Option<LoginState> {
        StreamExt::next(self).await
    }
}

impl Stream for StateStream {
    type Item = LoginState;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<LoginState>> {
        self.receiver.poll_recv(context)
    }
}

/// Where `Postern` keeps its one current login.
pub(crate) struct Desk {
    parts: Arc<Parts>,
    current: Mutex<Option<Login>>,
    closed: std::sync::atomic::AtomicBool,
}

impl Desk {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        Self {
            parts,
            current: Mutex::new(None),
            closed: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// The current login; a new one where there is none, or where the last one succeeded.
    pub(crate) fn login(&self) -> Login {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = current.as_ref()
            && !matches!(login.state(), LoginState::LoggedIn(_))
        {
            return login.clone();
        }
        let login = Login::begin(Arc::clone(&self.parts));
        if self.closed.load(std::sync::atomic::Ordering::Acquire) {
            login.shutdown();
        }
        *current = Some(login.clone());
        login
    }

    /// Ends the current login; later ones end at once.
    pub(crate) fn shutdown(&self) {
        self.closed
            .store(true, std::sync::atomic::Ordering::Release);
        let current = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(login) = current {
            login.shutdown();
        }
    }
}
