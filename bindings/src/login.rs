//! A login as the foreign side sees it: a listener that hears every state, each with its step.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use postern_sdk_core::login as sdk;

use crate::boundary::guarded;
use crate::counted::{Counted, Kind};
use crate::error::{CallbackError, StepError};
use crate::model::{
    AccountSummary, AuthorizationRequest, FaceInfo, PhoneInfo, ReadyInfo, Refusal,
    RegistrationInfo, SmsCodeInfo, Stop, VerificationInfo,
};
use crate::runtime::OwnedRuntime;
use crate::steps::{
    AuthorizingStep, FaceStep, PhoneStep, ReadyStep, RefusedStep, RegistrationStep, SmsCodeStep,
    StoppedStep, VerificationStep, provider_reply,
};

/// Where a login stands: what there is to show, and a step with the actions that this state has.
///
/// It has no exported trait, and no function takes it: generated Kotlin would read freed memory once a step in it is destroyed.
#[derive(uniffi::Enum)]
pub enum LoginState {
    /// Nothing is under way: show the buttons.
    Ready {
        /// Facts to show.
        info: ReadyInfo,
        /// What can be done.
        step: Arc<ReadyStep>,
    },
    /// The person is at the provider.
    Authorizing {
        /// What to ask the provider.
        request: AuthorizationRequest,
        /// What can be done.
        step: Arc<AuthorizingStep>,
    },
    /// The provider gave no consent.
    Refused {
        /// Who, and why.
        refusal: Refusal,
        /// What can be done.
        step: Arc<RefusedStep>,
    },
    /// Something is being done; show that the person has to wait.
    Resolving,
    /// Ask for the phone number.
    PhoneNeeded {
        /// Facts to show.
        info: PhoneInfo,
        /// What can be done.
        step: Arc<PhoneStep>,
    },
    /// Ask for the SMS code.
    SmsCodeNeeded {
        /// Facts to show.
        info: SmsCodeInfo,
        /// What can be done.
        step: Arc<SmsCodeStep>,
    },
    /// Ask the person to prove who they are.
    VerificationNeeded {
        /// Facts to show.
        info: VerificationInfo,
        /// What can be done.
        step: Arc<VerificationStep>,
    },
    /// Ask for a new login password.
    RegistrationNeeded {
        /// Facts to show.
        info: RegistrationInfo,
        /// What can be done.
        step: Arc<RegistrationStep>,
    },
    /// Start face recognition.
    FaceNeeded {
        /// Facts to show.
        info: FaceInfo,
        /// What can be done.
        step: Arc<FaceStep>,
    },
    /// There is a session, and it is saved.
    LoggedIn {
        /// Who.
        account: AccountSummary,
    },
    /// The login is over without a session.
    Stopped {
        /// Why.
        stop: Stop,
        /// What can be done.
        step: Arc<StoppedStep>,
    },
}

/// The core's state with its step wrapped.
fn wrapped(state: sdk::LoginState, runtime: &Weak<OwnedRuntime>) -> LoginState {
    use sdk::LoginState as Core;
    match state {
        Core::Ready(info, step) => LoginState::Ready {
            info: info.into(),
            step: ReadyStep::new(step, runtime),
        },
        Core::Authorizing(request, step) => LoginState::Authorizing {
            request: request.into(),
            step: AuthorizingStep::new(step, runtime),
        },
        Core::Refused(refusal, step) => LoginState::Refused {
            refusal: refusal.into(),
            step: RefusedStep::new(step, runtime),
        },
        Core::Resolving => LoginState::Resolving,
        Core::PhoneNeeded(info, step) => LoginState::PhoneNeeded {
            info: info.into(),
            step: PhoneStep::new(step, runtime),
        },
        Core::SmsCodeNeeded(info, step) => LoginState::SmsCodeNeeded {
            info: info.into(),
            step: SmsCodeStep::new(step, runtime),
        },
        Core::VerificationNeeded(info, step) => LoginState::VerificationNeeded {
            info: info.into(),
            step: VerificationStep::new(step, runtime),
        },
        Core::RegistrationNeeded(info, step) => LoginState::RegistrationNeeded {
            info: info.into(),
            step: RegistrationStep::new(step, runtime),
        },
        Core::FaceNeeded(info, step) => LoginState::FaceNeeded {
            info: info.into(),
            step: FaceStep::new(step, runtime),
        },
        Core::LoggedIn(account) => LoginState::LoggedIn {
            account: account.into(),
        },
        Core::Stopped(end, step) => LoginState::Stopped {
            stop: end.into(),
            step: StoppedStep::new(step, runtime),
        },
    }
}

/// Hears each state of a login, in order, on a thread of the SDK. It must return soon. What it throws is dropped, and the login goes on.
#[uniffi::export(foreign)]
pub trait LoginListener: Send + Sync {
    /// The login stands here now; older states' steps answer `Superseded`.
    fn on_state(&self, state: LoginState) -> Result<(), CallbackError>;
}

/// A listener of the host for the core.
struct HostListener {
    listener: Arc<dyn LoginListener>,
    runtime: Weak<OwnedRuntime>,
}

impl sdk::LoginListener for HostListener {
    fn on_state(&self, state: sdk::LoginState) {
        if self
            .listener
            .on_state(wrapped(state, &self.runtime))
            .is_err()
        {
            tracing::warn!(target: "postern::login", "the app's listener failed");
        }
    }
}

/// A login. Closing it, or shutting the SDK down, lets the listener go.
#[derive(uniffi::Object)]
pub struct Login {
    parts: Mutex<Option<Parts>>,
    runtime: Weak<OwnedRuntime>,
    _counted: Counted,
}

struct Parts {
    /// Ends the announcements when dropped.
    _subscription: sdk::Subscription,
    login: sdk::Login,
}

impl Login {
    pub(crate) fn start(
        login: sdk::Login,
        listener: Arc<dyn LoginListener>,
        runtime: &Arc<OwnedRuntime>,
    ) -> Arc<Self> {
        let weak = Arc::downgrade(runtime);
        let host = HostListener {
            listener,
            runtime: Weak::clone(&weak),
        };
        let subscription = login.subscribe(Arc::new(host));
        Arc::new(Self {
            parts: Mutex::new(Some(Parts {
                _subscription: subscription,
                login,
            })),
            runtime: weak,
            _counted: Counted::new(Kind::Login),
        })
    }

    /// Lets the listener and the core's login go, with no lock held meanwhile.
    pub(crate) fn end(&self) {
        let parts = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(parts);
    }
}

#[uniffi::export]
impl Login {
    /// Where it stands now.
    pub fn state(&self) -> Result<LoginState, StepError> {
        guarded(|| {
            let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let parts = parts.as_ref().ok_or(StepError::Closed)?;
            Ok(wrapped(parts.login.state(), &self.runtime))
        })
    }

    /// Hands over a provider's answer without knowing the state: for an app that the provider's answer has just started.
    ///
    /// # Errors
    /// `StrayAnswer` where no attempt waits for it; nothing is changed then.
    pub async fn deliver(
        &self,
        state: Option<String>,
        code: Option<String>,
        error_code: Option<i32>,
    ) -> Result<(), StepError> {
        let reply = provider_reply(state, code, error_code);
        let login = {
            let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.as_ref().ok_or(StepError::Closed)?.login.clone()
        };
        let runtime = self.runtime.upgrade().ok_or(StepError::Closed)?;
        runtime
            .perform(async move { Ok(login.deliver(reply).await?) })
            .await
    }

    /// Ends the announcements and lets the listener go. A login that waits for the person is kept, and a later one goes on from there. May be repeated.
    pub fn stop_listening(&self) -> Result<(), StepError> {
        guarded(|| {
            self.end();
            Ok(())
        })
    }
}
