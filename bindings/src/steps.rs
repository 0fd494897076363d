//! The step objects: what can be done in a state, and nothing else.
//!
//! A step holds no strong reference to the runtime, so a host that keeps old states keeps nothing else alive. Secrets come as text and are typed at once.

use std::sync::{Arc, Weak};

use postern_sdk_core::login as sdk;
use postern_sdk_core::providers::ProviderReply;
use postern_sdk_core::secret::SecretString;

use crate::counted::{Counted, Kind};
use crate::error::StepError;
use crate::model::Provider;
use crate::runtime::{OwnedRuntime, Performing};

/// A step of the core, and where its work is performed.
struct Ticket<S> {
    step: Arc<S>,
    runtime: Weak<OwnedRuntime>,
    _counted: Counted,
}

impl<S> Ticket<S> {
    fn new(step: S, runtime: &Weak<OwnedRuntime>) -> Self {
        Self {
            step: Arc::new(step),
            runtime: Weak::clone(runtime),
            _counted: Counted::new(Kind::Step),
        }
    }

    fn perform<F>(&self, action: impl FnOnce(Arc<S>) -> F) -> Performing<(), StepError>
    where
        F: Future<Output = Result<(), sdk::StepError>> + Send + 'static,
    {
        let Some(runtime) = self.runtime.upgrade() else {
            return Performing::refused(StepError::Closed);
        };
        let work = action(Arc::clone(&self.step));
        runtime.perform(async move { work.await.map_err(StepError::from) })
    }
}

/// A provider's answer, with its code typed as the secret that it is.
pub(crate) fn provider_reply(
    state: Option<String>,
    code: Option<String>,
    error_code: Option<i32>,
) -> ProviderReply {
    ProviderReply {
        state,
        code: code.map(SecretString::new),
        error_code,
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(uniffi::Object)]
        pub struct $name(Ticket<sdk::$name>);

        impl $name {
            pub(crate) fn new(step: sdk::$name, runtime: &Weak<OwnedRuntime>) -> Arc<Self> {
                Arc::new(Self(Ticket::new(step, runtime)))
            }
        }
    )+};
}
steps! {
    /// What can be done while nothing is under way.
    ReadyStep
    /// What can be done while the person is at the provider.
    AuthorizingStep
    /// What can be done after the provider gave no consent.
    RefusedStep
    /// The answers to the question for the phone number.
    PhoneStep
    /// The answers to the question for the SMS code.
    SmsCodeStep
    /// The answers to the question who one is.
    VerificationStep
    /// The answers to the question for a new login password.
    RegistrationStep
    /// The answers to the question for a face.
    FaceStep
    /// What can be done after a login ended without a session.
    StoppedStep
}

#[uniffi::export]
impl ReadyStep {
    /// Begins a login with `provider`: its button was pressed.
    pub async fn choose(&self, provider: Provider) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.choose(provider.into()).await })
            .await
    }
}

#[uniffi::export]
impl AuthorizingStep {
    /// The provider's answer, as its SDK gave it: the `state` that came back, the code where the person agreed, the provider's own number for what
    /// happened.
    pub async fn answer(
        &self,
        state: Option<String>,
        code: Option<String>,
        error_code: Option<i32>,
    ) -> Result<(), StepError> {
        let reply = provider_reply(state, code, error_code);
        self.0
            .perform(|step| async move { step.answer(reply).await })
            .await
    }

    /// The provider's app is not installed.
    pub async fn app_missing(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.app_missing().await })
            .await
    }

    /// The app came to the foreground again, and the provider did not answer.
    pub async fn returned_without_answer(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.returned_without_answer().await })
            .await
    }

    /// The person gave up; back to the buttons.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl RefusedStep {
    /// Asks the provider again: the person pressed a button (M4).
    pub async fn ask_again(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.ask_again().await })
            .await
    }

    /// Back to the buttons.
    pub async fn dismiss(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.dismiss().await })
            .await
    }
}

#[uniffi::export]
impl PhoneStep {
    /// A phone number in any usual form (L4, U2).
    pub async fn submit(&self, phone: String) -> Result<(), StepError> {
        let phone = SecretString::new(phone);
        self.0
            .perform(|step| async move { step.submit(phone.expose()).await })
            .await
    }

    /// The person gave up; the login is over.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl SmsCodeStep {
    /// The code from the SMS.
    pub async fn submit(&self, code: String) -> Result<(), StepError> {
        let code = SecretString::new(code);
        self.0
            .perform(|step| async move { step.submit(code.expose()).await })
            .await
    }

    /// Another SMS, please.
    pub async fn resend(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.resend().await })
            .await
    }

    /// Back to the phone number.
    pub async fn change_phone(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.change_phone().await })
            .await
    }

    /// The person gave up; the login is over.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl VerificationStep {
    /// The login password (L5, U2). It leaves the device only sealed.
    pub async fn submit_login_password(&self, password: String) -> Result<(), StepError> {
        let password = SecretString::new(password);
        self.0
            .perform(|step| async move { step.submit_login_password(password).await })
            .await
    }

    /// A registered card's number and its withdrawal password (L5). They leave the device only sealed.
    pub async fn submit_card(
        &self,
        number: String,
        withdrawal_password: String,
    ) -> Result<(), StepError> {
        let number = SecretString::new(number);
        let withdrawal_password = SecretString::new(withdrawal_password);
        self.0
            .perform(|step| async move { step.submit_card(&number, &withdrawal_password).await })
            .await
    }

    /// The person gave up; the login is over.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl RegistrationStep {
    /// The login password of the new account (L6). It leaves the device only sealed.
    pub async fn submit(&self, login_password: String) -> Result<(), StepError> {
        let password = SecretString::new(login_password);
        self.0
            .perform(|step| async move { step.submit(password).await })
            .await
    }

    /// The person gave up; the login is over.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl FaceStep {
    /// The face service's ticket.
    pub async fn submit(&self, ticket: String) -> Result<(), StepError> {
        let ticket = SecretString::new(ticket);
        self.0
            .perform(|step| async move { step.submit(ticket).await })
            .await
    }

    /// The person does not want face recognition (L5); the login stops, and the state names the bank's alternative.
    pub async fn decline(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.decline().await })
            .await
    }

    /// The person gave up; the login is over.
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.cancel().await })
            .await
    }
}

#[uniffi::export]
impl StoppedStep {
    /// Tries to save the session again, where `can_try_again` says so.
    pub async fn try_again(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.try_again().await })
            .await
    }

    /// Back to the buttons.
    pub async fn start_over(&self) -> Result<(), StepError> {
        self.0
            .perform(|step| async move { step.start_over().await })
            .await
    }
}
