//! What hosts are told: facts of a step, why the last answer failed, why a login stopped. None of it is secret; Debug hides what is personal.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use crate::api::{PasswordRules, VerificationMethod};
use crate::json::{self, FromJson};
use crate::providers::Provider;
use crate::text::LocalizedText;

/// What to do about a failure; each word says what the CALLER does next. The person stays where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The answer was wrong or not acceptable: let the person correct it.
    AnswerWrong,
    /// The SMS code is too old: offer a new one.
    CodeExpired,
    /// Too soon or too often: wait `retry_after`, then again.
    Wait,
    /// No reply: offer to try again; a call that may have arrived is not carried out twice.
    Network,
    /// The account center, or something behind it, has trouble: again later.
    ServerTrouble,
    /// The login stood elsewhere than the screen: show the present step, nothing was changed.
    Moved,
    /// The provider's consent could not be used: offer to authorize again, or another way to log in.
    ProviderTrouble,
    /// Not offered here: offer another way to log in.
    NotOffered,
    /// The server could not prove who it is, so no secret was sent: advise another network or an update of the app.
    Untrusted,
    /// This device could not keep or sign something (locked storage): again once it is unlocked.
    Device,
    /// The account center refuses for another reason; show the way to the bank's service.
    Refused,
}

crate::json::words!(FailureKind {
    "answer_wrong" => AnswerWrong,
    "code_expired" => CodeExpired,
    "wait" => Wait,
    "network" => Network,
    "server_trouble" => ServerTrouble,
    "moved" => Moved,
    "provider_trouble" => ProviderTrouble,
    "not_offered" => NotOffered,
    "untrusted" => Untrusted,
    "device" => Device,
    "refused" => Refused,
});

/// Why the last start or answer did not lead on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// A stable word: a code of `contract/problems.json`, or `network`, `server_unavailable`,
    /// `server_unintelligible`, `key_list_rejected`, `vault`, `device_key`.
    pub code: String,
    /// Seconds to wait before another try, counted from the announcement.
    pub retry_after: Option<u64>,
    /// The server's name for the request; for a support line.
    pub request_id: Option<String>,
}

impl FromJson for Failure {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            kind: json::member(tree, "kind")?,
            code: json::text(tree, "code")?,
            retry_after: json::optional(tree, "retry_after")?,
            request_id: json::optional(tree, "request_id")?,
        })
    }
}

impl Failure {
    pub(crate) fn of_this_device(kind: FailureKind, code: &str) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            retry_after: None,
            request_id: None,
        }
    }
}

/// Why a login came to an end without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It took too long, or the server knows it no more: start over.
    LoginExpired,
    /// Too many wrong answers: start over, after `retry_after`.
    TooManyAttempts,
    /// The phone number leads to several customers (L5): the bank has to help.
    CustomerAmbiguous,
    /// The phone number is bound to another identity of this provider (U2): change it there first.
    PhoneBoundElsewhere,
    /// The provider identity is bound to another account (U3): unbind it there first.
    IdentityBoundElsewhere,
    /// The person declined face recognition (L5): show `alternative`.
    FaceDeclined,
    /// The login succeeded but this device could not keep the session: NOT logged in. Try saving again, or start over.
    SessionNotSaved,
    /// The account center asks something that this version of the app does not know: update the app.
    UpdateNeeded,
    /// Another reason; show the way to the bank's service.
    Refused,
}

impl StopReason {
    /// A stable word, such as `too_many_attempts`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginExpired => "login_expired",
            Self::TooManyAttempts => "too_many_attempts",
            Self::CustomerAmbiguous => "customer_ambiguous",
            Self::PhoneBoundElsewhere => "phone_bound_elsewhere",
            Self::IdentityBoundElsewhere => "identity_bound_elsewhere",
            Self::FaceDeclined => "face_declined",
            Self::SessionNotSaved => "session_not_saved",
            Self::UpdateNeeded => "update_needed",
            Self::Refused => "refused",
        }
    }
}

/// The end of a login that led to no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub reason: StopReason,
    /// A stable word: a code of `contract/problems.json`, or `face_declined`, `session_not_saved`, `update_needed`.
    pub code: String,
    /// Seconds to wait before another try.
    pub retry_after: Option<u64>,
    /// What the bank offers to somebody who declines face recognition (L5).
    pub alternative: Option<LocalizedText>,
    /// The server's name for the request; for a support line.
    pub request_id: Option<String>,
    /// Whether `try_again()` can still make the login succeed.
    pub can_try_again: bool,
}

impl Stop {
    pub(crate) fn of_this_device(reason: StopReason, code: &str) -> Self {
        Self {
            reason,
            code: code.to_owned(),
            retry_after: None,
            alternative: None,
            request_id: None,
            can_try_again: false,
        }
    }
}

/// What the app hands to the provider's SDK.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Whom to ask.
    pub provider: Provider,
    /// Our app's id at the provider.
    pub provider_app_id: String,
    /// What to ask for.
    pub scope: String,
    /// The attempt's own random value: the answer must bring it back.
    pub state: String,
    /// Whether a new process found this attempt. The person may still be at the provider, or its answer may be on its way: do not open the provider
    /// again, wait for the answer or for the person.
    pub resumed: bool,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("provider", &self.provider)
            .field("provider_app_id", &self.provider_app_id)
            .field("scope", &self.scope)
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}

/// Facts of the first state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadyInfo {
    /// Why the last start failed.
    pub failure: Option<Failure>,
}

/// Facts for asking the phone number (L4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneInfo {
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Seconds until the login ends, counted from the announcement.
    pub expires_in: u64,
}

/// Facts for asking the SMS code (L4).
#[derive(Clone, PartialEq, Eq)]
pub struct SmsCodeInfo {
    /// The masked number, such as `138****0000`.
    pub sent_to: String,
    /// How many digits the code has.
    pub digits: u32,
    /// Wrong codes that are still allowed.
    pub attempts_left: u32,
    /// Seconds until another code may be asked for, counted from the announcement; 0 is now.
    pub resend_after: u64,
    /// Seconds until the code is too old, counted from the announcement.
    pub code_expires_in: u64,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Seconds until the login ends, counted from the announcement.
    pub expires_in: u64,
}

impl fmt::Debug for SmsCodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsCodeInfo")
            .field("attempts_left", &self.attempts_left)
            .field("resend_after", &self.resend_after)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// Facts for proving who one is (L5, U2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationInfo {
    /// The ways that are offered.
    pub methods: Vec<VerificationMethod>,
    /// Wrong proofs that are still allowed.
    pub attempts_left: u32,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Seconds until the login ends, counted from the announcement.
    pub expires_in: u64,
}

/// Facts for registering (L6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationInfo {
    /// What the new password must look like.
    pub rules: PasswordRules,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Seconds until the login ends, counted from the announcement.
    pub expires_in: u64,
}

/// Facts for face recognition (L5, L7).
#[derive(Clone, PartialEq, Eq)]
pub struct FaceInfo {
    /// The face service's session.
    pub face_session: String,
    /// Where the face service is.
    pub url: String,
    /// Binds the ticket to this login.
    pub nonce: String,
    /// What the bank offers to somebody who declines; shown beside the question (L5).
    pub alternative: LocalizedText,
    /// Failed recognitions that are still allowed.
    pub attempts_left: u32,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Seconds until the login ends, counted from the announcement.
    pub expires_in: u64,
}

impl fmt::Debug for FaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaceInfo")
            .field("attempts_left", &self.attempts_left)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
