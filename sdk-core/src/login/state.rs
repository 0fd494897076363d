//! The words of the flow: states, events, effects. Each state holds exactly the data that exists in it; each holds no more after it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Failure, PasswordRules, Stop, VerificationMethod};
use crate::account::AccountSummary;
use crate::api::{Answer, KeptCall, PreparedCall};
use crate::providers::{Provider, ProviderOutcome};
use crate::refusal::RefusalKind;
use crate::secret::SecretString;
use crate::session::SessionGrant;
use crate::text::LocalizedText;
use crate::verification::{CardNumber, FaceTicket, LoginPassword, SmsCode, WithdrawalPassword};

use super::phone_number::PhoneNumber;

/// Where a login stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// Nothing under way. `failure` says why the last start did not lead on.
    Ready {
        failure: Option<Failure>,
    },
    /// The person is at the provider.
    Authorizing(Attempt),
    /// The provider gave no consent.
    Refused(Refused),
    /// Something is being done; the person waits.
    Resolving(Resolving),
    PhoneNeeded(Asked<PhoneQuestion>),
    SmsCodeNeeded(Asked<SmsCodeQuestion>),
    VerificationNeeded(Asked<VerificationQuestion>),
    RegistrationNeeded(Asked<RegistrationQuestion>),
    FaceNeeded(Asked<FaceQuestion>),
    /// There is a session, and it is saved.
    LoggedIn(AccountSummary),
    /// The login is over without a session.
    Stopped(Stopped),
}

/// What is being done, and where its failure lands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resolving {
    /// A kept login is being read. Lands in Ready.
    Restoring,
    /// What the provider must be asked is being fetched. Lands in Ready.
    Offering { provider: Provider },
    /// The attempt is being kept, before the person leaves. Lands in Ready.
    Leaving(Attempt),
    /// A call is being prepared. Lands in its origin.
    Preparing { origin: Origin },
    /// The prepared call is being kept, before it is sent. Lands in its origin.
    Keeping { origin: Origin, call: PreparedCall },
    /// The call is under way. Lands in its origin.
    Calling { origin: Origin, call: PreparedCall },
    /// The session is being saved. Lands in Stopped, with the session still at hand.
    Saving(Box<SessionGrant>),
    /// The server is being told that the login is over; its answer does not matter. Lands where it leads to.
    Cancelling(AfterCancel),
}

/// Where a failed call lands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The call began a login; it is good until then (wall time, seconds).
    Ready { expires_at: u64 },
    /// The call answered a step.
    Step(Step),
}

/// Where cancelling leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterCancel {
    /// Back to the buttons.
    Ready,
    /// Face recognition was declined: the bank's alternative is shown (L5).
    FaceDeclined { alternative: LocalizedText },
}

/// One journey to a provider. A new one ends the old one: its `state` is another.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) provider: Provider,
    pub(crate) provider_app_id: String,
    pub(crate) scope: String,
    /// 128 random bits; the provider's answer must carry it.
    pub(crate) state: String,
    /// The operation in whose name the person was asked (W8).
    pub(crate) operation: Option<String>,
    /// Wall time, seconds.
    pub(crate) expires_at: u64,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({})", self.provider.as_str())
    }
}

/// Consent was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) provider: Provider,
    pub(crate) kind: RefusalKind,
}

/// A login at the server and the step it is at.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handle {
    pub(crate) login: String,
    pub(crate) step_id: String,
    /// Wall time, seconds.
    pub(crate) expires_at: u64,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// A question to the person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked<Q> {
    pub(crate) handle: Handle,
    pub(crate) question: Q,
    /// Why the last answer did not lead on.
    pub(crate) failure: Option<Failure>,
    /// Answers that got no reply, oldest first. Should the server say later that the login is over, they are repeated first: one of them may be what
    /// ended it, and ended it well.
    pub(crate) unanswered: Vec<KeptCall>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PhoneQuestion {}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SmsCodeQuestion {
    pub(crate) sent_to: String,
    pub(crate) digits: u32,
    pub(crate) attempts_left: u32,
    /// Wall time, seconds.
    pub(crate) resend_at: u64,
    /// Wall time, seconds.
    pub(crate) code_expires_at: u64,
}

impl fmt::Debug for SmsCodeQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmsCodeQuestion({} left)", self.attempts_left)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerificationQuestion {
    pub(crate) methods: Vec<VerificationMethod>,
    pub(crate) attempts_left: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistrationQuestion {
    pub(crate) rules: PasswordRules,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaceQuestion {
    pub(crate) face_session: String,
    pub(crate) url: String,
    pub(crate) nonce: String,
    pub(crate) alternative: LocalizedText,
    pub(crate) attempts_left: u32,
}

impl fmt::Debug for FaceQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaceQuestion({} left)", self.attempts_left)
    }
}

/// Any question. Every step has its own type, so that only its own answers fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Phone(Asked<PhoneQuestion>),
    SmsCode(Asked<SmsCodeQuestion>),
    Verification(Asked<VerificationQuestion>),
    Registration(Asked<RegistrationQuestion>),
    Face(Asked<FaceQuestion>),
}

/// A login that is over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stopped {
    /// For good.
    Over(Stop),
    /// It succeeded, but the session could not be saved: it is still at hand, to try again.
    NotSaved {
        grant: Box<SessionGrant>,
        failure: Failure,
    },
}

/// What survives the death of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pending {
    /// The person left for the provider.
    AtProvider(Attempt),
    /// A step waits for its answer.
    AtStep(Step),
    /// A call may be under way: the identical bytes are sent again.
    InCall { origin: Origin, call: KeptCall },
}

/// What happened. A group of events belongs to the one state whose step object sends it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A new process looked for a kept login.
    Restarted(Restored),
    Ready(ReadyEvent),
    Authorizing(AuthorizingEvent),
    Refused(RefusedEvent),
    Phone(PhoneEvent),
    SmsCode(SmsCodeEvent),
    Verification(VerificationEvent),
    Registration(RegistrationEvent),
    Face(FaceEvent),
    Stopped(StoppedEvent),
    /// An effect was performed, or could not be.
    Performed(Performed),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Restored {
    Nothing,
    /// Something that can't be used: truncated, newer, of another installation.
    Unusable,
    /// The vault could not be read; what is in it is still there.
    Unavailable(Failure),
    Found {
        pending: Pending,
        /// Wall time, seconds.
        now: u64,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReadyEvent {
    Choose(Provider),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AuthorizingEvent {
    /// The provider's answer with the `state` it carried, and what it means.
    Answer {
        state: Option<String>,
        outcome: ProviderOutcome,
    },
    AppMissing,
    ReturnedWithoutAnswer,
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RefusedEvent {
    AskAgain,
    Dismiss,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PhoneEvent {
    Submit(PhoneNumber),
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SmsCodeEvent {
    Submit(SmsCode),
    Resend,
    ChangePhone,
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VerificationEvent {
    SubmitLoginPassword(LoginPassword),
    SubmitCard(CardNumber, WithdrawalPassword),
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RegistrationEvent {
    Submit(LoginPassword),
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FaceEvent {
    Submit(FaceTicket),
    Decline,
    Cancel,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoppedEvent {
    TryAgain,
    StartOver,
}

/// The result of an effect. Those of a call name it by its Idempotency-Key, so that an old one changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Performed {
    /// The provider is offered; this is the journey to it.
    Offered(Attempt),
    NotOffered(Failure),
    Prepared(PreparedCall),
    NotPrepared(Failure),
    PendingSaved,
    PendingNotSaved(Failure),
    /// The server asks on, maybe after a failure that can be mended.
    Continued {
        key: String,
        step: Step,
    },
    /// The server ended the login.
    Over {
        key: String,
        stop: Stop,
    },
    /// The server asks something unknown: an update is needed, and the login is left as it is.
    Unknown {
        key: String,
    },
    /// The call did not lead on. `maybe_done`: nobody knows whether the server carried it out.
    Failed {
        key: String,
        failure: Failure,
        maybe_done: bool,
    },
    /// The server gave a session.
    Finished {
        key: String,
        grant: Box<SessionGrant>,
    },
    SessionSaved,
    SessionNotSaved(Failure),
    /// The server was told of the cancelling, or could not be.
    CancelTold,
}

/// What the driver is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Read the kept login: `Restarted`.
    ReadPending,
    /// Find out what to ask the provider: `Offered` or `NotOffered`.
    FetchOffer(Provider),
    /// Keep it durably: `PendingSaved` or `PendingNotSaved`.
    SavePending(Pending),
    /// Keep it if possible; nothing waits for it.
    NotePending(Pending),
    ClearPending,
    /// Make the call's bytes and its key: `Prepared` or `NotPrepared`.
    Prepare(Request),
    /// Send it: `Continued`, `Over`, `Unknown`, `Failed` or `Finished`.
    Send(PreparedCall),
    /// Send the same bytes again, which a lost reply or a dead process left unanswered; as `Send`.
    Repeat(PreparedCall),
    /// Keep the session: `SessionSaved` or `SessionNotSaved`.
    SaveSession(Box<SessionGrant>),
    /// Tell the server, once and not for long: `CancelTold`.
    TellCancel(Handle),
    /// The person said no (M4).
    RememberRefusal {
        provider: Provider,
        operation: Option<String>,
    },
    /// The person logged in: old refusals mean nothing any more.
    ForgetRefusals,
}

impl Effect {
    /// Whether an event follows. A transition has one such effect where it waits (Resolving), and none elsewhere; the tests hold it to that.
    #[cfg(test)]
    pub(crate) fn reports(&self) -> bool {
        match self {
            Self::ReadPending
            | Self::FetchOffer(_)
            | Self::SavePending(_)
            | Self::Prepare(_)
            | Self::Send(_)
            | Self::Repeat(_)
            | Self::SaveSession(_)
            | Self::TellCancel(_) => true,
            Self::NotePending(_)
            | Self::ClearPending
            | Self::RememberRefusal { .. }
            | Self::ForgetRefusals => false,
        }
    }
}

/// What a call is to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Start {
        provider: Provider,
        code: SecretString,
    },
    Answer {
        handle: Handle,
        answer: Answer,
    },
}

impl From<Step> for State {
    fn from(step: Step) -> Self {
        match step {
            Step::Phone(asked) => Self::PhoneNeeded(asked),
            Step::SmsCode(asked) => Self::SmsCodeNeeded(asked),
            Step::Verification(asked) => Self::VerificationNeeded(asked),
            Step::Registration(asked) => Self::RegistrationNeeded(asked),
            Step::Face(asked) => Self::FaceNeeded(asked),
        }
    }
}

/// Unanswered calls that are kept; each may be a few kilobytes.
const UNANSWERED: usize = 4;

macro_rules! of_each_step {
    ($step:expr, $asked:ident => $what:expr) => {
        match $step {
            Step::Phone($asked) => $what,
            Step::SmsCode($asked) => $what,
            Step::Verification($asked) => $what,
            Step::Registration($asked) => $what,
            Step::Face($asked) => $what,
        }
    };
}

impl State {
    /// For logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Authorizing(_) => "authorizing",
            Self::Refused(_) => "refused",
            Self::Resolving(resolving) => match resolving {
                Resolving::Restoring => "resolving: restoring",
                Resolving::Offering { .. } => "resolving: offering",
                Resolving::Leaving(_) => "resolving: leaving",
                Resolving::Preparing { .. } => "resolving: preparing",
                Resolving::Keeping { .. } => "resolving: keeping",
                Resolving::Calling { .. } => "resolving: calling",
                Resolving::Saving(_) => "resolving: saving",
                Resolving::Cancelling(_) => "resolving: cancelling",
            },
            Self::PhoneNeeded(_) => "phone needed",
            Self::SmsCodeNeeded(_) => "sms code needed",
            Self::VerificationNeeded(_) => "verification needed",
            Self::RegistrationNeeded(_) => "registration needed",
            Self::FaceNeeded(_) => "face needed",
            Self::LoggedIn(_) => "logged in",
            Self::Stopped(_) => "stopped",
        }
    }
}

impl Step {
    pub(crate) fn handle(&self) -> &Handle {
        of_each_step!(self, asked => &asked.handle)
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        of_each_step!(self, asked => asked.failure = Some(failure));
    }

    pub(crate) fn leave_unanswered(&mut self, call: &PreparedCall) {
        of_each_step!(self, asked => {
            if asked.unanswered.len() == UNANSWERED {
                asked.unanswered.remove(0);
            }
            asked.unanswered.push(KeptCall::from(call));
        });
    }

    pub(crate) fn take_unanswered(&mut self) -> Option<PreparedCall> {
        of_each_step!(self, asked => asked.unanswered.pop().map(PreparedCall::from))
    }
}

impl Pending {
    /// Until when it means something; wall time, seconds.
    pub(crate) fn expires_at(&self) -> u64 {
        match self {
            Self::AtProvider(attempt) => attempt.expires_at,
            Self::AtStep(step)
            | Self::InCall {
                origin: Origin::Step(step),
                ..
            } => step.handle().expires_at,
            Self::InCall {
                origin: Origin::Ready { expires_at },
                ..
            } => *expires_at,
        }
    }
}
