//! What hosts see: a state with the step object that has just this state's actions. A step that was overtaken answers `Superseded` and changes nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::driver::Message;
use super::facts::{
    AuthorizationRequest, FaceInfo, PasswordRules, PhoneInfo, ReadyInfo, RegistrationInfo,
    SmsCodeInfo, Stop, StopReason, VerificationInfo, VerificationMethod,
};
use super::phone_number::{DefaultRegion, PhoneNumber};
use super::state::{
    AuthorizingEvent, Event, FaceEvent, PhoneEvent, ReadyEvent, RefusedEvent, RegistrationEvent,
    SmsCodeEvent, State, Stopped, StoppedEvent, VerificationEvent,
};
use crate::account::AccountSummary;
use crate::providers::{Provider, ProviderReply, connector};
use crate::refusal::Refusal;
use crate::secret::SecretString;
use crate::time::Clock;
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

/// Hears every state, one after the other, on a thread of the SDK. Must return quickly; a panic in it is caught and changes nothing.
pub trait LoginListener: Send + Sync {
    /// The login is in this state now.
    fn on_state(&self, state: LoginState);
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
    closed: AtomicBool,
    current: Mutex<LoginState>,
    slots: Mutex<Vec<Weak<Slot>>>,
    inbox: mpsc::UnboundedSender<Message>,
    clock: Arc<dyn Clock>,
    moment: Duration,
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
        if self.closed.load(Ordering::Acquire) {
            slot.clear();
        } else {
            // A task that is gone has nothing more to tell.
            let _ = self.inbox.send(Message::Subscribe(Arc::downgrade(&slot)));
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

/// The right to act once in one state.
#[derive(Clone)]
struct Ticket {
    core: Weak<Core>,
    epoch: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.epoch)
    }
}

impl Ticket {
    /// Acts, and returns once the state after it has been announced. What was begun goes on when this future is dropped.
    async fn act(&self, event: Event) -> Result<(), StepError> {
        let done = self.begin(event)?;
        done.await.map_err(|_| StepError::Closed)
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

/// The buttons.
#[derive(Debug, Clone)]
pub struct ReadyStep(Ticket);

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
    ticket: Ticket,
    provider: Provider,
    state: SecretString,
    left_at: Option<Duration>,
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

    async fn act(&self, event: AuthorizingEvent) -> Result<(), StepError> {
        self.ticket.act(Event::Authorizing(event)).await
    }
}

/// The provider gave no consent.
#[derive(Debug, Clone)]
pub struct RefusedStep(Ticket);

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
pub struct PhoneStep(Ticket);

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
    ticket: Ticket,
    digits: u32,
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

    async fn act(&self, event: SmsCodeEvent) -> Result<(), StepError> {
        self.ticket.act(Event::SmsCode(event)).await
    }
}

/// A proof of who it is is asked.
#[derive(Debug, Clone)]
pub struct VerificationStep {
    ticket: Ticket,
    methods: Vec<VerificationMethod>,
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

    async fn act(&self, event: VerificationEvent) -> Result<(), StepError> {
        self.ticket.act(Event::Verification(event)).await
    }
}

/// A new login password is asked.
#[derive(Debug, Clone)]
pub struct RegistrationStep {
    ticket: Ticket,
    rules: PasswordRules,
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

    async fn act(&self, event: RegistrationEvent) -> Result<(), StepError> {
        self.ticket.act(Event::Registration(event)).await
    }
}

/// Face recognition is asked.
#[derive(Debug, Clone)]
pub struct FaceStep(Ticket);

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
    ticket: Ticket,
    can_try_again: bool,
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

/// The state as hosts see it. `now` is wall time in seconds.
pub(super) fn announced(
    state: &State,
    core: &Weak<Core>,
    epoch: u64,
    left_at: Option<Duration>,
    now: u64,
) -> LoginState {
    let ticket = Ticket {
        core: Weak::clone(core),
        epoch,
    };
    match state {
        State::Ready { failure } => LoginState::Ready(
            ReadyInfo {
                failure: failure.clone(),
            },
            ReadyStep(ticket),
        ),
        State::Authorizing(attempt) => {
            let request = AuthorizationRequest {
                provider: attempt.provider,
                provider_app_id: attempt.provider_app_id.clone(),
                scope: attempt.scope.clone(),
                state: attempt.state.clone(),
            };
            let step = AuthorizingStep {
                ticket,
                provider: attempt.provider,
                state: SecretString::from(attempt.state.as_str()),
                left_at,
            };
            LoginState::Authorizing(request, step)
        }
        State::Refused(refused) => LoginState::Refused(
            Refusal::of(refused.provider, refused.kind),
            RefusedStep(ticket),
        ),
        State::Resolving(_) => LoginState::Resolving,
        State::PhoneNeeded(asked) => LoginState::PhoneNeeded(
            PhoneInfo {
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            },
            PhoneStep(ticket),
        ),
        State::SmsCodeNeeded(asked) => {
            let question = &asked.question;
            let info = SmsCodeInfo {
                sent_to: question.sent_to.clone(),
                digits: question.digits,
                attempts_left: question.attempts_left,
                resend_after: question.resend_at.saturating_sub(now),
                code_expires_in: question.code_expires_at.saturating_sub(now),
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            let digits = question.digits;
            LoginState::SmsCodeNeeded(info, SmsCodeStep { ticket, digits })
        }
        State::VerificationNeeded(asked) => {
            let methods = asked.question.methods.clone();
            let info = VerificationInfo {
                methods: methods.clone(),
                attempts_left: asked.question.attempts_left,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::VerificationNeeded(info, VerificationStep { ticket, methods })
        }
        State::RegistrationNeeded(asked) => {
            let rules = asked.question.rules;
            let info = RegistrationInfo {
                rules,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::RegistrationNeeded(info, RegistrationStep { ticket, rules })
        }
        State::FaceNeeded(asked) => {
            let question = &asked.question;
            let info = FaceInfo {
                face_session: question.face_session.clone(),
                url: question.url.clone(),
                nonce: question.nonce.clone(),
                alternative: question.alternative.clone(),
                attempts_left: question.attempts_left,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::FaceNeeded(info, FaceStep(ticket))
        }
        State::LoggedIn(account) => LoginState::LoggedIn(account.clone()),
        State::Stopped(stopped) => {
            let stop = match stopped {
                Stopped::Over(stop) => stop.clone(),
                Stopped::NotSaved { .. } => {
                    let mut stop =
                        Stop::of_this_device(StopReason::SessionNotSaved, "session_not_saved");
                    stop.can_try_again = true;
                    stop
                }
            };
            let can_try_again = stop.can_try_again;
            LoginState::Stopped(
                stop,
                StoppedStep {
                    ticket,
                    can_try_again,
                },
            )
        }
    }
}
