//! What happens to a login, and what is to be done about it.

use super::facts::{Failure, Stop};
use super::phone_number::PhoneNumber;
use super::state::{Attempt, Handle, Pending, Step};
use crate::api::{Answer, PreparedCall};
use crate::providers::{Provider, ProviderOutcome};
use crate::secret::SecretString;
use crate::session::SessionGrant;
use crate::verification::{CardNumber, FaceTicket, LoginPassword, SmsCode, WithdrawalPassword};

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

/// What was found of a kept login. One lives at a time.
#[allow(clippy::large_enum_variant)]
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
