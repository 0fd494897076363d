//! What hosts see: a state with the step object that has just this state's actions. A step that was overtaken answers `Superseded` and changes nothing.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::core::Core;
use super::driver::Message;
use super::events::{
    AuthorizingEvent, Event, FaceEvent, PhoneEvent, ReadyEvent, RefusedEvent, RegistrationEvent,
    SmsCodeEvent, StoppedEvent, VerificationEvent,
};
use super::facts::{
    AuthorizationRequest, FaceInfo, PasswordRules, PhoneInfo, ReadyInfo, RegistrationInfo,
    SmsCodeInfo, Stop, VerificationInfo, VerificationMethod,
};
use super::phone_number::{DefaultRegion, PhoneNumber};
use crate::account::AccountSummary;
use crate::providers::{Provider, ProviderReply, connector};
use crate::refusal::Refusal;
use crate::secret::SecretString;
use crate::verification::{
    CardNumber, FaceTicket, InvalidInput, LoginPassword, SmsCode, WithdrawalPassword,
};

/// Why a step did not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Another answer was first, or the login went on: look at the present state. Nothing was changed.
    #[error("the login has gone on since")]
    Superseded,
    /// The SDK was shut down.
    #[error("the SDK was shut down")]
    Closed,
    /// What was given can't be sent; the step is still good, correct it and answer again.
    #[error("{0}")]
    Invalid(InvalidInput),
}

impl From<InvalidInput> for StepError {
    fn from(input: InvalidInput) -> Self {
        Self::Invalid(input)
    }
}

/// Where the login stands, with what can be done there.
#[derive(Debug, Clone)]
pub enum LoginState {
    /// Show the buttons.
    Ready(ReadyInfo, ReadyStep),
    /// The person is (or is to be) at the provider: hand the request to its SDK and its answer to the step.
    Authorizing(AuthorizationRequest, AuthorizingStep),
    /// The provider gave no consent.
    Refused(Refusal, RefusedStep),
    /// Something is under way.
    Resolving,
    /// Ask the phone number (L4).
    PhoneNeeded(PhoneInfo, PhoneStep),
    /// Ask the code from the SMS (L4).
    SmsCodeNeeded(SmsCodeInfo, SmsCodeStep),
    /// Ask for a proof of who it is (L5, U2).
    VerificationNeeded(VerificationInfo, VerificationStep),
    /// Ask for a new login password (L6).
    RegistrationNeeded(RegistrationInfo, RegistrationStep),
    /// Perform face recognition (L5, L7).
    FaceNeeded(FaceInfo, FaceStep),
    /// Somebody is logged in, and the session is kept.
    LoggedIn(AccountSummary),
    /// The login is over without a session.
    Stopped(Stop, StoppedStep),
}

impl LoginState {
    /// The state's name in `contract/scenarios.md`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready(..) => "ready",
            Self::Authorizing(..) => "authorizing",
            Self::Refused(..) => "refused",
            Self::Resolving => "resolving",
            Self::PhoneNeeded(..) => "phone_needed",
            Self::SmsCodeNeeded(..) => "sms_code_needed",
            Self::VerificationNeeded(..) => "verification_needed",
            Self::RegistrationNeeded(..) => "registration_needed",
            Self::FaceNeeded(..) => "face_needed",
            Self::LoggedIn(_) => "logged_in",
            Self::Stopped(..) => "stopped",
        }
    }
}

/// The right to act once in one state.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) core: Weak<Core>,
    pub(super) epoch: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.epoch)
    }
}

impl Ticket {
    /// Acts, and is done once the state after it has been announced. What was begun goes on when this future is dropped.
    fn act(&self, event: Event) -> Acting {
        Acting(self.begin(event))
    }

    fn core(&self) -> Result<Arc<Core>, StepError> {
        let core = self.core.upgrade().ok_or(StepError::Closed)?;
        if core.closed.load(Ordering::Acquire) {
            return Err(StepError::Closed);
        }
        Ok(core)
    }

    /// Of all that hold this state's ticket, one gets through.
    fn begin(&self, event: Event) -> Result<oneshot::Receiver<()>, StepError> {
        let core = self.core()?;
        core.epoch
            .compare_exchange(
                self.epoch,
                self.epoch + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map_err(|_| StepError::Superseded)?;
        let (done, waiting) = oneshot::channel();
        core.inbox
            .send(Message::Act { event, done })
            .map_err(|_| StepError::Closed)?;
        Ok(waiting)
    }
}

/// An event under way; one type for all steps, so that none has a state machine of its own.
struct Acting(Result<oneshot::Receiver<()>, StepError>);

impl Future for Acting {
    type Output = Result<(), StepError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(waiting) => Pin::new(waiting)
                .poll(context)
                .map_err(|_| StepError::Closed),
            Err(error) => Poll::Ready(Err(*error)),
        }
    }
}

/// The buttons.
#[derive(Debug, Clone)]
pub struct ReadyStep(pub(super) Ticket);

impl ReadyStep {
    /// The person chose a provider (L2, M1). Begins an attempt.
    pub async fn choose(&self, provider: Provider) -> Result<(), StepError> {
        if !provider.is_supported() {
            return Err(InvalidInput::NotOffered.into());
        }
        self.0.act(Event::Ready(ReadyEvent::Choose(provider))).await
    }
}

/// The person is at the provider.
#[derive(Clone)]
pub struct AuthorizingStep {
    pub(super) ticket: Ticket,
    pub(super) provider: Provider,
    pub(super) state: SecretString,
    pub(super) left_at: Option<Duration>,
}

impl fmt::Debug for AuthorizingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizingStep({:?})", self.ticket)
    }
}

impl AuthorizingStep {
    /// The provider's answer as its SDK gave it. One that does not carry this attempt's `state` is `Invalid(StrayAnswer)` and uses nothing up.
    pub async fn answer(&self, reply: ProviderReply) -> Result<(), StepError> {
        let ours = reply
            .state
            .as_deref()
            .is_some_and(|state| SecretString::from(state) == self.state);
        let Some(connector) = connector(self.provider).filter(|_| ours) else {
            return Err(InvalidInput::StrayAnswer.into());
        };
        let (moment, now) = {
            let core = self.ticket.core()?;
            (core.moment, core.clock.monotonic())
        };
        let away = self.left_at.map(|left| now.saturating_sub(left));
        let state = reply.state.clone();
        let outcome = connector.outcome(reply, away, moment);
        self.act(AuthorizingEvent::Answer { state, outcome }).await
    }

    /// The provider's app is not installed.
    pub async fn app_missing(&self) -> Result<(), StepError> {
        self.act(AuthorizingEvent::AppMissing).await
    }

    /// The app came to the foreground again and no answer came with it.
    pub async fn returned_without_answer(&self) -> Result<(), StepError> {
        self.act(AuthorizingEvent::ReturnedWithoutAnswer).await
    }

    /// Back to the buttons (M1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.act(AuthorizingEvent::Cancel).await
    }

    fn act(&self, event: AuthorizingEvent) -> Acting {
        self.ticket.act(Event::Authorizing(event))
    }
}

/// The provider gave no consent.
#[derive(Debug, Clone)]
pub struct RefusedStep(pub(super) Ticket);

impl RefusedStep {
    /// The person pressed the button again: a new attempt (M4).
    pub async fn ask_again(&self) -> Result<(), StepError> {
        self.0.act(Event::Refused(RefusedEvent::AskAgain)).await
    }

    /// Back to the buttons.
    pub async fn dismiss(&self) -> Result<(), StepError> {
        self.0.act(Event::Refused(RefusedEvent::Dismiss)).await
    }
}

/// The phone number is asked.
#[derive(Debug, Clone)]
pub struct PhoneStep(pub(super) Ticket);

impl PhoneStep {
    /// The number as typed; mainland China needs no country code. Sends an SMS (L4).
    pub async fn submit(&self, typed: &str) -> Result<(), StepError> {
        self.submit_from(typed, DefaultRegion::MainlandChina).await
    }

    /// The same, with another default country.
    pub async fn submit_from(&self, typed: &str, region: DefaultRegion) -> Result<(), StepError> {
        let phone = PhoneNumber::parse(typed, region).map_err(InvalidInput::PhoneNumber)?;
        self.0.act(Event::Phone(PhoneEvent::Submit(phone))).await
    }

    /// Gives the login up: back to the buttons (M1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0.act(Event::Phone(PhoneEvent::Cancel)).await
    }
}

/// The code from the SMS is asked.
#[derive(Debug, Clone)]
pub struct SmsCodeStep {
    pub(super) ticket: Ticket,
    pub(super) digits: u32,
}

impl SmsCodeStep {
    /// The code as typed. A wrong one costs an attempt.
    pub async fn submit(&self, typed: &str) -> Result<(), StepError> {
        let code = SmsCode::parse(typed, self.digits)?;
        self.act(SmsCodeEvent::Submit(code)).await
    }

    /// Sends another SMS.
    pub async fn resend(&self) -> Result<(), StepError> {
        self.act(SmsCodeEvent::Resend).await
    }

    /// Back to the phone number.
    pub async fn change_phone(&self) -> Result<(), StepError> {
        self.act(SmsCodeEvent::ChangePhone).await
    }

    /// Gives the login up: back to the buttons (M1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.act(SmsCodeEvent::Cancel).await
    }

    fn act(&self, event: SmsCodeEvent) -> Acting {
        self.ticket.act(Event::SmsCode(event))
    }
}

/// A proof of who it is is asked.
#[derive(Debug, Clone)]
pub struct VerificationStep {
    pub(super) ticket: Ticket,
    pub(super) methods: Vec<VerificationMethod>,
}

impl VerificationStep {
    /// The login password; leaves the device only sealed. A wrong one costs an attempt (L5, U2).
    pub async fn submit_login_password(&self, typed: SecretString) -> Result<(), StepError> {
        self.offered(VerificationMethod::LoginPassword)?;
        let password = LoginPassword::parse(typed)?;
        self.act(VerificationEvent::SubmitLoginPassword(password))
            .await
    }

    /// A registered card's number and its withdrawal password; both leave the device only sealed. A wrong pair costs an attempt (L5).
    pub async fn submit_card(
        &self,
        number: &SecretString,
        withdrawal_password: &SecretString,
    ) -> Result<(), StepError> {
        self.offered(VerificationMethod::Card)?;
        let number = CardNumber::parse(number)?;
        let withdrawal_password = WithdrawalPassword::parse(withdrawal_password)?;
        self.act(VerificationEvent::SubmitCard(number, withdrawal_password))
            .await
    }

    /// Gives the login up: back to the buttons (M1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.act(VerificationEvent::Cancel).await
    }

    fn offered(&self, method: VerificationMethod) -> Result<(), StepError> {
        if self.methods.contains(&method) {
            Ok(())
        } else {
            Err(InvalidInput::NotOffered.into())
        }
    }

    fn act(&self, event: VerificationEvent) -> Acting {
        self.ticket.act(Event::Verification(event))
    }
}

/// A new login password is asked.
#[derive(Debug, Clone)]
pub struct RegistrationStep {
    pub(super) ticket: Ticket,
    pub(super) rules: PasswordRules,
}

impl RegistrationStep {
    /// The new login password; leaves the device only sealed. Makes the account, its phone and its binding (L6, U1).
    pub async fn submit(&self, login_password: SecretString) -> Result<(), StepError> {
        let password = LoginPassword::parse_new(login_password, self.rules)?;
        self.act(RegistrationEvent::Submit(password)).await
    }

    /// Gives the login up: back to the buttons (M1). Nothing is bound (U1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.act(RegistrationEvent::Cancel).await
    }

    fn act(&self, event: RegistrationEvent) -> Acting {
        self.ticket.act(Event::Registration(event))
    }
}

/// Face recognition is asked.
#[derive(Debug, Clone)]
pub struct FaceStep(pub(super) Ticket);

impl FaceStep {
    /// The face service's ticket, whatever came out: the account center asks the service (L5).
    pub async fn submit(&self, ticket: SecretString) -> Result<(), StepError> {
        let ticket = FaceTicket::parse(ticket)?;
        self.0.act(Event::Face(FaceEvent::Submit(ticket))).await
    }

    /// The person does not consent to face recognition: the login ends, and `Stop` names the bank's alternative (L5).
    pub async fn decline(&self) -> Result<(), StepError> {
        self.0.act(Event::Face(FaceEvent::Decline)).await
    }

    /// Gives the login up: back to the buttons (M1).
    pub async fn cancel(&self) -> Result<(), StepError> {
        self.0.act(Event::Face(FaceEvent::Cancel)).await
    }
}

/// The login is over.
#[derive(Debug, Clone)]
pub struct StoppedStep {
    pub(super) ticket: Ticket,
    pub(super) can_try_again: bool,
}

impl StoppedStep {
    /// Tries to keep the session again, where [`Stop::can_try_again`] says so; else `Invalid(NotOffered)`.
    pub async fn try_again(&self) -> Result<(), StepError> {
        if !self.can_try_again {
            return Err(InvalidInput::NotOffered.into());
        }
        self.ticket
            .act(Event::Stopped(StoppedEvent::TryAgain))
            .await
    }

    /// Back to the buttons.
    pub async fn start_over(&self) -> Result<(), StepError> {
        self.ticket
            .act(Event::Stopped(StoppedEvent::StartOver))
            .await
    }
}
