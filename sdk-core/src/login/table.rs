//! The table of the flow: every pair of a state and an event, with where it leads or that it means nothing. The tests compare it with `flow.rs`,
//! and the diagram in `README.md` is drawn from it.

use super::samples::PRESENT;
use super::state::*;
use crate::providers::ProviderOutcome;
use crate::refusal::RefusalKind;

macro_rules! kinds {
    ($name:ident: $($kind:ident = $words:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $name { $($kind),+ }
        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$kind),+];
            pub(super) fn words(self) -> &'static str {
                match self { $(Self::$kind => $words),+ }
            }
        }
    };
}

kinds! { StateKind:
    Ready = "Ready",
    Authorizing = "Authorizing",
    Refused = "Refused",
    Restoring = "a kept login is read",
    Offering = "what to ask the provider",
    Leaving = "the attempt is kept",
    Preparing = "a call is prepared",
    Keeping = "the call is kept",
    Calling = "the call is under way",
    Saving = "the session is saved",
    Cancelling = "the server is told",
    PhoneNeeded = "PhoneNeeded",
    SmsCodeNeeded = "SmsCodeNeeded",
    VerificationNeeded = "VerificationNeeded",
    RegistrationNeeded = "RegistrationNeeded",
    FaceNeeded = "FaceNeeded",
    LoggedIn = "LoggedIn",
    Stopped = "Stopped",
    NotSaved = "Stopped, session at hand",
}

kinds! { EventKind:
    FoundNothing = "nothing kept",
    FoundUnusable = "unusable",
    FoundUnavailable = "vault unavailable",
    FoundExpired = "expired",
    FoundAtProvider = "kept at the provider",
    FoundAtStep = "kept at a step",
    FoundInCall = "kept in a call: the same bytes again",
    Choose = "choose",
    Consented = "consented",
    Denied = "denied",
    RefusedOtherwise = "refused otherwise",
    StrayAnswer = "stray answer",
    AppMissing = "app missing",
    ReturnedWithoutAnswer = "returned without answer",
    CancelAuthorizing = "cancel",
    AskAgain = "ask again",
    Dismiss = "dismiss",
    SubmitPhone = "submit phone",
    CancelPhone = "cancel",
    SubmitSmsCode = "submit code",
    Resend = "resend",
    ChangePhone = "change phone",
    CancelSmsCode = "cancel",
    SubmitLoginPassword = "submit password",
    SubmitCard = "submit card",
    CancelVerification = "cancel",
    SubmitRegistration = "register",
    CancelRegistration = "cancel",
    SubmitFace = "submit ticket",
    DeclineFace = "decline",
    CancelFace = "cancel",
    TryAgain = "try again",
    StartOver = "start over",
    Offered = "offered",
    NotOffered = "not offered",
    Prepared = "prepared",
    NotPrepared = "not prepared",
    PendingSaved = "kept",
    PendingNotSaved = "not kept",
    Continued = "next step",
    Over = "login over",
    Unknown = "unknown step",
    Failed = "failed",
    Finished = "session given",
    OldResult = "result of another call",
    SessionSaved = "saved",
    SessionNotSaved = "not saved",
    CancelTold = "told",
}

pub(super) fn kind_of_state(state: &State) -> StateKind {
    match state {
        State::Ready { .. } => StateKind::Ready,
        State::Authorizing(_) => StateKind::Authorizing,
        State::Refused(_) => StateKind::Refused,
        State::Resolving(Resolving::Restoring) => StateKind::Restoring,
        State::Resolving(Resolving::Offering { .. }) => StateKind::Offering,
        State::Resolving(Resolving::Leaving(_)) => StateKind::Leaving,
        State::Resolving(Resolving::Preparing { .. }) => StateKind::Preparing,
        State::Resolving(Resolving::Keeping { .. }) => StateKind::Keeping,
        State::Resolving(Resolving::Calling { .. }) => StateKind::Calling,
        State::Resolving(Resolving::Saving(_)) => StateKind::Saving,
        State::Resolving(Resolving::Cancelling(_)) => StateKind::Cancelling,
        State::PhoneNeeded(_) => StateKind::PhoneNeeded,
        State::SmsCodeNeeded(_) => StateKind::SmsCodeNeeded,
        State::VerificationNeeded(_) => StateKind::VerificationNeeded,
        State::RegistrationNeeded(_) => StateKind::RegistrationNeeded,
        State::FaceNeeded(_) => StateKind::FaceNeeded,
        State::LoggedIn(_) => StateKind::LoggedIn,
        State::Stopped(Stopped::Over(_)) => StateKind::Stopped,
        State::Stopped(Stopped::NotSaved { .. }) => StateKind::NotSaved,
    }
}

pub(super) fn kind_of_event(event: &Event) -> EventKind {
    use EventKind as K;
    match event {
        Event::Restarted(restored) => match restored {
            Restored::Nothing => K::FoundNothing,
            Restored::Unusable => K::FoundUnusable,
            Restored::Unavailable(_) => K::FoundUnavailable,
            Restored::Found { pending, now } if pending.expires_at().abs_diff(*now) > 600 => {
                K::FoundExpired
            }
            Restored::Found { pending, now } if pending.expires_at() <= *now => K::FoundExpired,
            Restored::Found { pending, .. } => match pending {
                Pending::AtProvider(_) => K::FoundAtProvider,
                Pending::AtStep(_) => K::FoundAtStep,
                Pending::InCall { .. } => K::FoundInCall,
            },
        },
        Event::Ready(ReadyEvent::Choose(_)) => K::Choose,
        Event::Authorizing(event) => match event {
            AuthorizingEvent::Answer { state, .. } if state.as_deref() != Some(PRESENT) => {
                K::StrayAnswer
            }
            AuthorizingEvent::Answer { outcome, .. } => match outcome {
                ProviderOutcome::Consented(_) => K::Consented,
                ProviderOutcome::Refused(RefusalKind::Denied) => K::Denied,
                ProviderOutcome::Refused(_) => K::RefusedOtherwise,
            },
            AuthorizingEvent::AppMissing => K::AppMissing,
            AuthorizingEvent::ReturnedWithoutAnswer => K::ReturnedWithoutAnswer,
            AuthorizingEvent::Cancel => K::CancelAuthorizing,
        },
        Event::Refused(RefusedEvent::AskAgain) => K::AskAgain,
        Event::Refused(RefusedEvent::Dismiss) => K::Dismiss,
        Event::Phone(PhoneEvent::Submit(_)) => K::SubmitPhone,
        Event::Phone(PhoneEvent::Cancel) => K::CancelPhone,
        Event::SmsCode(SmsCodeEvent::Submit(_)) => K::SubmitSmsCode,
        Event::SmsCode(SmsCodeEvent::Resend) => K::Resend,
        Event::SmsCode(SmsCodeEvent::ChangePhone) => K::ChangePhone,
        Event::SmsCode(SmsCodeEvent::Cancel) => K::CancelSmsCode,
        Event::Verification(VerificationEvent::SubmitLoginPassword(_)) => K::SubmitLoginPassword,
        Event::Verification(VerificationEvent::SubmitCard(..)) => K::SubmitCard,
        Event::Verification(VerificationEvent::Cancel) => K::CancelVerification,
        Event::Registration(RegistrationEvent::Submit(_)) => K::SubmitRegistration,
        Event::Registration(RegistrationEvent::Cancel) => K::CancelRegistration,
        Event::Face(FaceEvent::Submit(_)) => K::SubmitFace,
        Event::Face(FaceEvent::Decline) => K::DeclineFace,
        Event::Face(FaceEvent::Cancel) => K::CancelFace,
        Event::Stopped(StoppedEvent::TryAgain) => K::TryAgain,
        Event::Stopped(StoppedEvent::StartOver) => K::StartOver,
        Event::Performed(performed) => match performed {
            Performed::Continued { key, .. }
            | Performed::Over { key, .. }
            | Performed::Unknown { key }
            | Performed::Failed { key, .. }
            | Performed::Finished { key, .. }
                if key != PRESENT =>
            {
                K::OldResult
            }
            Performed::Offered(_) => K::Offered,
            Performed::NotOffered(_) => K::NotOffered,
            Performed::Prepared(_) => K::Prepared,
            Performed::NotPrepared(_) => K::NotPrepared,
            Performed::PendingSaved => K::PendingSaved,
            Performed::PendingNotSaved(_) => K::PendingNotSaved,
            Performed::Continued { .. } => K::Continued,
            Performed::Over { .. } => K::Over,
            Performed::Unknown { .. } => K::Unknown,
            Performed::Failed { .. } => K::Failed,
            Performed::Finished { .. } => K::Finished,
            Performed::SessionSaved => K::SessionSaved,
            Performed::SessionNotSaved(_) => K::SessionNotSaved,
            Performed::CancelTold => K::CancelTold,
        },
    }
}

/// One state: where its events lead, and the groups of events that mean nothing in it.
pub(super) struct Row {
    pub(super) state: StateKind,
    pub(super) moves: &'static [(EventKind, &'static [StateKind])],
    pub(super) ignores: &'static [&'static [EventKind]],
}

use EventKind as E;
use StateKind as S;

const RESTARTED: &[E] = &[
    E::FoundNothing,
    E::FoundUnusable,
    E::FoundUnavailable,
    E::FoundExpired,
    E::FoundAtProvider,
    E::FoundAtStep,
    E::FoundInCall,
];
const READY: &[E] = &[E::Choose];
const AUTHORIZING: &[E] = &[
    E::Consented,
    E::Denied,
    E::RefusedOtherwise,
    E::StrayAnswer,
    E::AppMissing,
    E::ReturnedWithoutAnswer,
    E::CancelAuthorizing,
];
const REFUSED: &[E] = &[E::AskAgain, E::Dismiss];
const PHONE: &[E] = &[E::SubmitPhone, E::CancelPhone];
const SMS_CODE: &[E] = &[
    E::SubmitSmsCode,
    E::Resend,
    E::ChangePhone,
    E::CancelSmsCode,
];
const VERIFICATION: &[E] = &[E::SubmitLoginPassword, E::SubmitCard, E::CancelVerification];
const REGISTRATION: &[E] = &[E::SubmitRegistration, E::CancelRegistration];
const FACE: &[E] = &[E::SubmitFace, E::DeclineFace, E::CancelFace];
const STOPPED: &[E] = &[E::TryAgain, E::StartOver];
const OFFER: &[E] = &[E::Offered, E::NotOffered];
const PREPARATION: &[E] = &[E::Prepared, E::NotPrepared];
const KEPT: &[E] = &[E::PendingSaved, E::PendingNotSaved];
const CALL: &[E] = &[E::Continued, E::Over, E::Unknown, E::Failed, E::Finished];
const OLD: &[E] = &[E::OldResult];
const SAVED: &[E] = &[E::SessionSaved, E::SessionNotSaved];
const TOLD: &[E] = &[E::CancelTold];

/// Where a call may have come from.
const ORIGINS: &[S] = &[
    S::Ready,
    S::PhoneNeeded,
    S::SmsCodeNeeded,
    S::VerificationNeeded,
    S::RegistrationNeeded,
    S::FaceNeeded,
];
const ANY_STEP: &[S] = &[
    S::PhoneNeeded,
    S::SmsCodeNeeded,
    S::VerificationNeeded,
    S::RegistrationNeeded,
    S::FaceNeeded,
];

pub(super) const TABLE: &[Row] = &[
    Row {
        state: S::Restoring,
        moves: &[
            (E::FoundNothing, &[S::Ready]),
            (E::FoundUnusable, &[S::Ready]),
            (E::FoundUnavailable, &[S::Ready]),
            (E::FoundExpired, &[S::Ready]),
            (E::FoundAtProvider, &[S::Authorizing]),
            (E::FoundAtStep, ANY_STEP),
            (E::FoundInCall, &[S::Calling]),
        ],
        ignores: &[
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Ready,
        moves: &[(E::Choose, &[S::Offering])],
        ignores: &[
            RESTARTED,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Offering,
        moves: &[(E::Offered, &[S::Leaving]), (E::NotOffered, &[S::Ready])],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Leaving,
        moves: &[
            (E::PendingSaved, &[S::Authorizing]),
            (E::PendingNotSaved, &[S::Ready]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Authorizing,
        moves: &[
            (E::Consented, &[S::Preparing]),
            (E::Denied, &[S::Refused]),
            (E::RefusedOtherwise, &[S::Refused]),
            (E::AppMissing, &[S::Refused]),
            (E::ReturnedWithoutAnswer, &[S::Refused]),
            (E::CancelAuthorizing, &[S::Ready]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            &[E::StrayAnswer],
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Refused,
        moves: &[(E::AskAgain, &[S::Offering]), (E::Dismiss, &[S::Ready])],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Preparing,
        moves: &[(E::Prepared, &[S::Keeping]), (E::NotPrepared, ORIGINS)],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Keeping,
        moves: &[
            (E::PendingSaved, &[S::Calling]),
            (E::PendingNotSaved, ORIGINS),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Calling,
        moves: &[
            (E::Continued, ANY_STEP),
            (E::Failed, ORIGINS),
            // A start that was refused never began; an answer whose earlier reply was lost is followed by that call once more.
            (E::Over, &[S::Ready, S::Calling, S::Stopped]),
            (E::Unknown, &[S::Stopped]),
            (E::Finished, &[S::Saving]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::PhoneNeeded,
        moves: &[
            (E::SubmitPhone, &[S::Preparing]),
            (E::CancelPhone, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::SmsCodeNeeded,
        moves: &[
            (E::SubmitSmsCode, &[S::Preparing]),
            (E::Resend, &[S::Preparing]),
            (E::ChangePhone, &[S::Preparing]),
            (E::CancelSmsCode, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::VerificationNeeded,
        moves: &[
            (E::SubmitLoginPassword, &[S::Preparing]),
            (E::SubmitCard, &[S::Preparing]),
            (E::CancelVerification, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::RegistrationNeeded,
        moves: &[
            (E::SubmitRegistration, &[S::Preparing]),
            (E::CancelRegistration, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::FaceNeeded,
        moves: &[
            (E::SubmitFace, &[S::Preparing]),
            (E::DeclineFace, &[S::Cancelling]),
            (E::CancelFace, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Cancelling,
        moves: &[(E::CancelTold, &[S::Ready, S::Stopped])],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
        ],
    },
    Row {
        state: S::Saving,
        moves: &[
            (E::SessionSaved, &[S::LoggedIn]),
            (E::SessionNotSaved, &[S::NotSaved]),
        ],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            TOLD,
        ],
    },
    Row {
        state: S::LoggedIn,
        moves: &[],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            STOPPED,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::Stopped,
        moves: &[(E::StartOver, &[S::Ready])],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            &[E::TryAgain],
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
    Row {
        state: S::NotSaved,
        moves: &[(E::TryAgain, &[S::Saving]), (E::StartOver, &[S::Ready])],
        ignores: &[
            RESTARTED,
            READY,
            AUTHORIZING,
            REFUSED,
            PHONE,
            SMS_CODE,
            VERIFICATION,
            REGISTRATION,
            FACE,
            OFFER,
            PREPARATION,
            KEPT,
            CALL,
            OLD,
            SAVED,
            TOLD,
        ],
    },
];

/// The table as a Mermaid diagram.
pub(super) fn diagram() -> String {
    const RESOLVING: &[S] = &[
        S::Restoring,
        S::Offering,
        S::Leaving,
        S::Preparing,
        S::Keeping,
        S::Calling,
        S::Cancelling,
        S::Saving,
    ];
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        "    [*] --> Restoring".to_owned(),
        "    state Resolving {".to_owned(),
    ];
    for kind in RESOLVING {
        lines.push(format!("        {kind:?}: {}", kind.words()));
    }
    lines.push("    }".to_owned());
    lines.push(format!("    {:?}: {}", S::NotSaved, S::NotSaved.words()));
    for row in TABLE {
        let mut arrows: Vec<(S, Vec<&str>)> = Vec::new();
        for (event, landings) in row.moves {
            for landing in *landings {
                match arrows.iter_mut().find(|(to, _)| to == landing) {
                    Some((_, words)) => words.push(event.words()),
                    None => arrows.push((*landing, vec![event.words()])),
                }
            }
        }
        for (to, words) in arrows {
            lines.push(format!(
                "    {:?} --> {to:?}: {}",
                row.state,
                words.join(", ")
            ));
        }
    }
    lines.push("    LoggedIn --> [*]".to_owned());
    lines.join("\n")
}
