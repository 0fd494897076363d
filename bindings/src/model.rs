//! What is shown: facts of the states, the account, the options. No record holds a token, a code or a password.
//!
//! Times are seconds. Those of a state count from its announcement.

mod words;

use std::fmt;

use postern_sdk_core::account as sdk_account;
use postern_sdk_core::api as sdk_api;
use postern_sdk_core::login as sdk;
use postern_sdk_core::providers as sdk_providers;
use postern_sdk_core::refusal as sdk_refusal;
use postern_sdk_core::session as sdk_session;
use postern_sdk_core::text as sdk_text;

pub use words::{
    FailureKind, Identification, IdentityAdvice, NeedsLoginReason, Provider, RefusalKind,
    StopReason, VerificationMethod,
};

/// One text in the languages that the product speaks.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LocalizedText {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl From<sdk_text::LocalizedText> for LocalizedText {
    fn from(text: sdk_text::LocalizedText) -> Self {
        Self {
            zh: text.zh,
            en: text.en,
        }
    }
}

/// Why the last start or answer did not lead on.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// A stable word: a code of `contract/problems.json`, or one of the core's own.
    pub code: String,
    /// Seconds to wait before another try.
    pub retry_after: Option<u64>,
    /// The server's name for the request; for a support line.
    pub request_id: Option<String>,
}

impl From<sdk::Failure> for Failure {
    fn from(failure: sdk::Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            code: failure.code,
            retry_after: failure.retry_after,
            request_id: failure.request_id,
        }
    }
}

/// The end of a login that led to no session.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Stop {
    /// Why.
    pub reason: StopReason,
    /// A stable word, as in `Failure`.
    pub code: String,
    /// Seconds to wait before another try.
    pub retry_after: Option<u64>,
    /// What the bank offers to somebody who declines face recognition (L5).
    pub alternative: Option<LocalizedText>,
    /// The server's name for the request; for a support line.
    pub request_id: Option<String>,
    /// Whether `try_again` can still make the login succeed.
    pub can_try_again: bool,
}

impl From<sdk::Stop> for Stop {
    fn from(stop: sdk::Stop) -> Self {
        Self {
            reason: stop.reason.into(),
            code: stop.code,
            retry_after: stop.retry_after,
            alternative: stop.alternative.map(Into::into),
            request_id: stop.request_id,
            can_try_again: stop.can_try_again,
        }
    }
}

/// Who was asked and did not consent. A button may ask again at once, whatever it was (M4).
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Refusal {
    /// Who was asked.
    pub provider: Provider,
    /// What happened.
    pub kind: RefusalKind,
    /// After a denial: where the person finds what they allowed, in the provider's own app (M4).
    pub settings_hint: Option<LocalizedText>,
}

impl From<sdk_refusal::Refusal> for Refusal {
    fn from(refusal: sdk_refusal::Refusal) -> Self {
        Self {
            provider: refusal.provider.into(),
            kind: refusal.kind.into(),
            settings_hint: refusal.settings_hint.map(Into::into),
        }
    }
}

/// What the app hands to the provider's SDK.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
pub struct AuthorizationRequest {
    /// Whom to ask.
    pub provider: Provider,
    /// Our app's id at the provider.
    pub provider_app_id: String,
    /// What to ask for.
    pub scope: String,
    /// The attempt's own random value: the answer must bring it back.
    pub state: String,
    /// Whether a new process found this attempt: do not open the provider again, wait for the answer or for the person.
    pub resumed: bool,
}

impl From<sdk::AuthorizationRequest> for AuthorizationRequest {
    fn from(request: sdk::AuthorizationRequest) -> Self {
        Self {
            provider: request.provider.into(),
            provider_app_id: request.provider_app_id,
            scope: request.scope,
            state: request.state,
            resumed: request.resumed,
        }
    }
}

/// Facts of the first state.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ReadyInfo {
    /// Why the last start failed.
    pub failure: Option<Failure>,
}

impl From<sdk::ReadyInfo> for ReadyInfo {
    fn from(info: sdk::ReadyInfo) -> Self {
        Self {
            failure: info.failure.map(Into::into),
        }
    }
}

/// Facts for asking the phone number (L4).
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PhoneInfo {
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Until the login ends.
    pub expires_in: u64,
}

impl From<sdk::PhoneInfo> for PhoneInfo {
    fn from(info: sdk::PhoneInfo) -> Self {
        Self {
            failure: info.failure.map(Into::into),
            expires_in: info.expires_in,
        }
    }
}

/// Facts for asking the SMS code (L4).
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
pub struct SmsCodeInfo {
    /// The masked number, such as `138****0000`.
    pub sent_to: String,
    /// How many digits the code has.
    pub digits: u32,
    /// Wrong codes that are still allowed.
    pub attempts_left: u32,
    /// Until another code may be asked for; 0 is now.
    pub resend_after: u64,
    /// Until the code is too old.
    pub code_expires_in: u64,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Until the login ends.
    pub expires_in: u64,
}

impl From<sdk::SmsCodeInfo> for SmsCodeInfo {
    fn from(info: sdk::SmsCodeInfo) -> Self {
        Self {
            sent_to: info.sent_to,
            digits: info.digits,
            attempts_left: info.attempts_left,
            resend_after: info.resend_after,
            code_expires_in: info.code_expires_in,
            failure: info.failure.map(Into::into),
            expires_in: info.expires_in,
        }
    }
}

/// Facts for proving who one is (L5, U2).
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct VerificationInfo {
    /// The ways that are offered.
    pub methods: Vec<VerificationMethod>,
    /// Wrong proofs that are still allowed.
    pub attempts_left: u32,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Until the login ends.
    pub expires_in: u64,
}

impl From<sdk::VerificationInfo> for VerificationInfo {
    fn from(info: sdk::VerificationInfo) -> Self {
        Self {
            methods: info.methods.into_iter().map(Into::into).collect(),
            attempts_left: info.attempts_left,
            failure: info.failure.map(Into::into),
            expires_in: info.expires_in,
        }
    }
}

/// What a new login password must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct PasswordRules {
    /// The least number of characters.
    pub min_length: u32,
    /// The greatest number of characters.
    pub max_length: u32,
    /// The least number of kinds among small letters, capital letters, digits, others.
    pub min_classes: u32,
}

/// Facts for registering (L6).
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RegistrationInfo {
    /// What the new password must look like.
    pub rules: PasswordRules,
    /// Why the last answer failed.
    pub failure: Option<Failure>,
    /// Until the login ends.
    pub expires_in: u64,
}

impl From<sdk::RegistrationInfo> for RegistrationInfo {
    fn from(info: sdk::RegistrationInfo) -> Self {
        Self {
            rules: PasswordRules {
                min_length: info.rules.min_length,
                max_length: info.rules.max_length,
                min_classes: info.rules.min_classes,
            },
            failure: info.failure.map(Into::into),
            expires_in: info.expires_in,
        }
    }
}

/// Facts for face recognition (L5, L7).
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
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
    /// Until the login ends.
    pub expires_in: u64,
}

impl From<sdk::FaceInfo> for FaceInfo {
    fn from(info: sdk::FaceInfo) -> Self {
        Self {
            face_session: info.face_session,
            url: info.url,
            nonce: info.nonce,
            alternative: info.alternative.into(),
            attempts_left: info.attempts_left,
            failure: info.failure.map(Into::into),
            expires_in: info.expires_in,
        }
    }
}

/// A provider that the account is bound to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct BindingSummary {
    /// The provider's name on the wire, such as `wechat`; a later server may send one that this version does not know.
    pub provider: String,
    /// Seconds since 1970 UTC.
    pub bound_at: u64,
}

/// An account as it is shown to its owner.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
pub struct AccountSummary {
    /// The bank's own id of the account: the primary key for business lines (M5).
    pub user_id: String,
    /// How the holder was identified (L10).
    pub identification: Identification,
    /// Such as `138****0000`.
    pub phone_masked: String,
    /// The nickname from the provider's profile, where the person allowed it (M3).
    pub nickname: Option<String>,
    /// The picture from the provider's profile.
    pub avatar_url: Option<String>,
    /// The providers bound to it, oldest first.
    pub bindings: Vec<BindingSummary>,
}

impl From<sdk_account::AccountSummary> for AccountSummary {
    fn from(account: sdk_account::AccountSummary) -> Self {
        Self {
            user_id: account.user_id,
            identification: account.identification.into(),
            phone_masked: account.phone_masked,
            nickname: account.nickname,
            avatar_url: account.avatar_url,
            bindings: account
                .bindings
                .into_iter()
                .map(|binding| BindingSummary {
                    provider: binding.provider,
                    bound_at: binding.bound_at,
                })
                .collect(),
        }
    }
}

/// One of the account's sessions: a device that is logged in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SessionSummary {
    /// The session's id; no credential.
    pub session_id: String,
    /// Seconds since 1970 UTC.
    pub created_at: u64,
    /// Seconds since 1970 UTC.
    pub last_used_at: u64,
    /// The provider that it began with, by its name on the wire.
    pub began_with: String,
    /// Whether it is this device's.
    pub current: bool,
}

impl From<sdk_account::SessionSummary> for SessionSummary {
    fn from(session: sdk_account::SessionSummary) -> Self {
        Self {
            session_id: session.session_id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            began_with: session.began_with,
            current: session.current,
        }
    }
}

/// Whether somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum SessionStatus {
    /// Nobody is.
    SignedOut,
    /// Somebody is. The access token may have expired; it is renewed when needed.
    SignedIn {
        /// Who.
        account: AccountSummary,
    },
    /// The vault can't be read at the moment. It says nothing about anybody being signed out.
    Unavailable,
    /// Somebody was, and has to log in again.
    NeedsLogin {
        /// Why.
        reason: NeedsLoginReason,
    },
}

impl From<sdk_session::SessionStatus> for SessionStatus {
    fn from(status: sdk_session::SessionStatus) -> Self {
        use sdk_session::SessionStatus as Core;
        match status {
            Core::SignedOut => Self::SignedOut,
            Core::SignedIn(account) => Self::SignedIn {
                account: account.into(),
            },
            Core::Unavailable => Self::Unavailable,
            Core::NeedsLogin(reason) => Self::NeedsLogin {
                reason: reason.into(),
            },
        }
    }
}

/// A provider's button.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LoginButton {
    /// The provider.
    pub provider: Provider,
    /// The button's text.
    pub label: LocalizedText,
}

/// The buttons that this SDK can serve, in their order. One for an unknown provider is left out, as is one without a text.
pub(crate) fn buttons(options: sdk_api::LoginOptions) -> Vec<LoginButton> {
    options
        .providers
        .into_iter()
        .filter_map(|mut offered| {
            let provider = sdk_providers::Provider::from_name(&offered.provider)?;
            if !provider.is_supported() {
                return None;
            }
            let en = offered.label.remove("en");
            let zh = offered.label.remove("zh").or_else(|| en.clone())?;
            let en = en.unwrap_or_else(|| zh.clone());
            Some(LoginButton {
                provider: provider.into(),
                label: LocalizedText { zh, en },
            })
        })
        .collect()
}

/// What is printed of a record with personal data: which it is, and what is harmless.
macro_rules! redacted {
    ($($record:ident { $($shown:ident),* });+ $(;)?) => {$(
        impl fmt::Display for $record {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($record), "("))?;
                $(write!(f, concat!(stringify!($shown), "={:?}, "), self.$shown)?;)*
                f.write_str("[redacted])")
            }
        }
        impl fmt::Debug for $record {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}
redacted! {
    AuthorizationRequest { provider };
    SmsCodeInfo { attempts_left };
    FaceInfo { attempts_left };
    AccountSummary { identification };
}
