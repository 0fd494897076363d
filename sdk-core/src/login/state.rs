//! The states of the flow. Each holds exactly the data that exists in it.

use std::fmt;

use serde::Serialize;

use super::facts::{Failure, PasswordRules, Stop, VerificationMethod};
use crate::account::AccountSummary;
use crate::api::{KeptCall, PreparedCall};
use crate::providers::Provider;
use crate::refusal::RefusalKind;
use crate::session::SessionGrant;
use crate::text::LocalizedText;

/// Where a login stands. One of them lives at a time, so their sizes may differ.
#[allow(clippy::large_enum_variant)]
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
#[allow(clippy::large_enum_variant)]
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

/// Where a failed call lands. One lives at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Clone, PartialEq, Eq, Serialize)]
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
    /// Found by a new process; never kept.
    #[serde(skip)]
    pub(crate) resumed: bool,
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
#[derive(Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Asked<Q> {
    pub(crate) handle: Handle,
    pub(crate) question: Q,
    /// Why the last answer did not lead on.
    pub(crate) failure: Option<Failure>,
    /// Answers that got no reply, oldest first. Should the server say later that the login is over, they are repeated first: one of them may be what
    /// ended it, and ended it well.
    pub(crate) unanswered: Vec<KeptCall>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PhoneQuestion {}

#[derive(Clone, PartialEq, Eq, Serialize)]
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct VerificationQuestion {
    pub(crate) methods: Vec<VerificationMethod>,
    pub(crate) attempts_left: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RegistrationQuestion {
    pub(crate) rules: PasswordRules,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pending {
    /// The person left for the provider.
    AtProvider(Attempt),
    /// A step waits for its answer.
    AtStep(Step),
    /// A call may be under way: the identical bytes are sent again.
    InCall { origin: Origin, call: KeptCall },
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
