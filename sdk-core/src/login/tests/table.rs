//! The kinds of states and events that the table of `rows.rs` names, and the diagram that is drawn from it.

use super::rows::TABLE;
use super::samples::PRESENT;
use crate::login::events::*;
use crate::login::state::*;
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

/// The table as a Mermaid diagram.
pub(super) fn diagram() -> String {
    const RESOLVING: &[StateKind] = &[
        StateKind::Restoring,
        StateKind::Offering,
        StateKind::Leaving,
        StateKind::Preparing,
        StateKind::Keeping,
        StateKind::Calling,
        StateKind::Cancelling,
        StateKind::Saving,
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
    lines.push(format!(
        "    {:?}: {}",
        StateKind::NotSaved,
        StateKind::NotSaved.words()
    ));
    for row in TABLE {
        let mut arrows: Vec<(StateKind, Vec<&str>)> = Vec::new();
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
