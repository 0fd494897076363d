//! The table of the flow: every pair of a state and an event, with where it leads or that it means nothing. The tests compare it with `flow.rs`,
//! and the diagram in `README.md` is drawn from it.

use super::table::{EventKind, StateKind};
use EventKind as E;
use StateKind as S;

/// One state: where its events lead, and the groups of events that mean nothing in it.
pub(super) struct Row {
    pub(super) state: StateKind,
    pub(super) moves: &'static [(EventKind, &'static [StateKind])],
    pub(super) ignores: &'static [&'static [EventKind]],
}

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

// By hand: one state a paragraph.
#[rustfmt::skip]
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
            READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::Ready,
        moves: &[(E::Choose, &[S::Offering])],
        ignores: &[
            RESTARTED, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::Offering,
        moves: &[(E::Offered, &[S::Leaving]), (E::NotOffered, &[S::Ready])],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::Leaving,
        moves: &[
            (E::PendingSaved, &[S::Authorizing]),
            (E::PendingNotSaved, &[S::Ready]),
        ],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, CALL, OLD,
            SAVED, TOLD,
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
            RESTARTED, READY, &[E::StrayAnswer], REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT,
            CALL, OLD, SAVED, TOLD,
        ],
    },
    Row {
        state: S::Refused,
        moves: &[(E::AskAgain, &[S::Offering]), (E::Dismiss, &[S::Ready])],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::Preparing,
        moves: &[(E::Prepared, &[S::Keeping]), (E::NotPrepared, ORIGINS)],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, KEPT, CALL, OLD, SAVED,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, CALL, OLD,
            SAVED, TOLD,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::PhoneNeeded,
        moves: &[
            (E::SubmitPhone, &[S::Preparing]),
            (E::CancelPhone, &[S::Cancelling]),
        ],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD, SAVED,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD, SAVED,
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
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, STOPPED, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
    Row {
        state: S::Cancelling,
        moves: &[(E::CancelTold, &[S::Ready, S::Stopped])],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL,
            OLD, SAVED,
        ],
    },
    Row {
        state: S::Saving,
        moves: &[
            (E::SessionSaved, &[S::LoggedIn]),
            (E::SessionNotSaved, &[S::NotSaved]),
        ],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL,
            OLD, TOLD,
        ],
    },
    Row {
        state: S::LoggedIn,
        moves: &[],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, STOPPED, OFFER, PREPARATION, KEPT, CALL,
            OLD, SAVED, TOLD,
        ],
    },
    Row {
        state: S::Stopped,
        moves: &[(E::StartOver, &[S::Ready])],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, &[E::TryAgain], OFFER, PREPARATION,
            KEPT, CALL, OLD, SAVED, TOLD,
        ],
    },
    Row {
        state: S::NotSaved,
        moves: &[(E::TryAgain, &[S::Saving]), (E::StartOver, &[S::Ready])],
        ignores: &[
            RESTARTED, READY, AUTHORIZING, REFUSED, PHONE, SMS_CODE, VERIFICATION, REGISTRATION, FACE, OFFER, PREPARATION, KEPT, CALL, OLD,
            SAVED, TOLD,
        ],
    },
];
