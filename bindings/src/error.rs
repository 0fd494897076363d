//! Errors as the foreign side sees them: flat, and each variant says what the caller does next. Their text is for developers and holds no secret.

use postern_sdk_core::error::{BuildError, CallFailure, TransportError};
use postern_sdk_core::session::SessionFailure;
use postern_sdk_core::verification::InvalidInput;

use crate::boundary::Crossing;

/// Why there is no SDK.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum SetupError {
    /// Correct the configuration; the text says which value is wrong.
    #[error("the configuration is wrong: {what}")]
    ConfigInvalid {
        /// Which value, and what it should be.
        what: String,
    },
    /// Choose another folder, or make this one writable by the app.
    #[error("the data folder can't be used: {what}")]
    DataFolderUnusable {
        /// The system's reason.
        what: String,
    },
    /// Use another vault: this one does not exist on this system, or not in this build.
    #[error("the vault can't be used: {what}")]
    VaultUnusable {
        /// Why.
        what: String,
    },
    /// A bug of the SDK, or no thread could be started; please report it.
    #[error("an internal failure")]
    Internal,
}

/// Why an answer to a step was not taken. In every case but the first two the step is still good: nothing was sent and nothing used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum StepError {
    /// Show the newest state: this step was answered already, or overtaken. Nothing was changed.
    #[error("this step was overtaken by a newer state")]
    Superseded,
    /// Stop using this object: the SDK was shut down.
    #[error("the SDK is shut down")]
    Closed,
    /// Ask for the phone number again: it is no number that can receive the code.
    #[error("this is no phone number that can receive a code")]
    PhoneNumberInvalid,
    /// Ask for the code again: it has another number of digits than the state says.
    #[error("this is no SMS code")]
    SmsCodeInvalid,
    /// Ask for the password: there is none.
    #[error("the password is empty")]
    PasswordEmpty,
    /// Ask for a longer password: the state says how long.
    #[error("the password is too short")]
    PasswordTooShort,
    /// Ask for a shorter password: the state says how long.
    #[error("the password is too long")]
    PasswordTooLong,
    /// Ask for a password with more kinds of characters: the state says how many.
    #[error("the password has too few kinds of characters")]
    PasswordTooSimple,
    /// Ask for the card number again: it is not 12 to 19 digits.
    #[error("this is no card number")]
    CardNumberInvalid,
    /// Ask for the card number again: a digit was mistyped.
    #[error("the card number has a wrong digit")]
    CardNumberMistyped,
    /// Ask for the withdrawal password again: it is not six digits.
    #[error("this is no withdrawal password")]
    WithdrawalPasswordInvalid,
    /// Start face recognition again: its ticket is missing or too long.
    #[error("this is no face ticket")]
    FaceTicketInvalid,
    /// Offer another way: this provider, or this way of proving, is not offered here.
    #[error("not offered here")]
    NotOffered,
    /// Ignore the provider's answer: it belongs to another attempt.
    #[error("the provider's answer belongs to another attempt")]
    StrayAnswer,
    /// A bug of the SDK; please report it. The newest state still holds.
    #[error("an internal failure")]
    Internal,
}

/// Why the login options could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum OptionsError {
    /// Offer to try again: there is no connection.
    #[error("no connection")]
    Offline,
    /// Try again later: the account center has trouble, or this device's storage is locked.
    #[error("not possible at the moment")]
    Unavailable,
    /// Advise another network or an update of the app: the server could not prove who it is.
    #[error("the server's identity could not be proved")]
    Untrusted,
    /// Correct the configuration: the account center does not know this app, or refuses it.
    #[error("the account center refuses this app")]
    AppRefused,
    /// Stop using this object: the SDK was shut down.
    #[error("the SDK is shut down")]
    Closed,
    /// A bug of the SDK; please report it.
    #[error("an internal failure")]
    Internal,
}

/// Why a request could not be authorized, or the account not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum SessionError {
    /// Offer a login: nobody is signed in.
    #[error("nobody is signed in")]
    SignedOut,
    /// Offer a login and say why: the session that there was is over for good.
    #[error("a new login is needed")]
    NeedsLogin,
    /// Offer to try again: there is no connection. The person is still signed in.
    #[error("no connection")]
    Offline,
    /// Try again later: locked storage, or a server in trouble. The person is still signed in.
    #[error("not possible at the moment")]
    Unavailable,
    /// Send the request without the session: its origin is not among the configured `api_origins`.
    #[error("the session is not for this origin")]
    OriginNotAllowed,
    /// Correct the method or URL.
    #[error("not an HTTP method, or not an absolute URL")]
    RequestInvalid,
    /// Stop using this object: the SDK was shut down.
    #[error("the SDK is shut down")]
    Closed,
    /// A bug of the SDK; please report it. Nobody was signed out.
    #[error("an internal failure")]
    Internal,
}

/// What a listener or a log hook of the host answers when it failed. What it threw is not kept: it may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum CallbackError {
    /// It threw.
    #[error("the host's callback failed")]
    Failed,
}

impl From<uniffi::UnexpectedUniFFICallbackError> for CallbackError {
    /// The reason may be a whole stack trace, so it is dropped.
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

macro_rules! crossing {
    ($($error:ident: $internal:ident, $closed:ident);+) => {$(
        impl Crossing for $error {
            fn internal() -> Self {
                Self::$internal
            }
            fn closed() -> Self {
                Self::$closed
            }
        }
    )+};
}
crossing!(SetupError: Internal, Internal; StepError: Internal, Closed; OptionsError: Internal, Closed; SessionError: Internal, Closed);

impl From<BuildError> for SetupError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Config(error) => Self::ConfigInvalid {
                what: error.to_string(),
            },
            BuildError::DataDir { what } => Self::DataFolderUnusable { what },
            BuildError::NoTrustDecision => Self::ConfigInvalid {
                what: error.to_string(),
            },
            // Both are given by this crate.
            BuildError::NoVault | BuildError::NoRuntime => Self::Internal,
        }
    }
}

impl From<InvalidInput> for StepError {
    fn from(input: InvalidInput) -> Self {
        match input {
            InvalidInput::PhoneNumber(_) => Self::PhoneNumberInvalid,
            InvalidInput::SmsCode { .. } => Self::SmsCodeInvalid,
            InvalidInput::PasswordEmpty => Self::PasswordEmpty,
            InvalidInput::PasswordTooShort { .. } => Self::PasswordTooShort,
            InvalidInput::PasswordTooLong { .. } => Self::PasswordTooLong,
            InvalidInput::PasswordTooSimple { .. } => Self::PasswordTooSimple,
            InvalidInput::CardNumberForm => Self::CardNumberInvalid,
            InvalidInput::CardNumberMistyped => Self::CardNumberMistyped,
            InvalidInput::WithdrawalPassword => Self::WithdrawalPasswordInvalid,
            InvalidInput::FaceTicket => Self::FaceTicketInvalid,
            InvalidInput::NotOffered => Self::NotOffered,
            InvalidInput::StrayAnswer => Self::StrayAnswer,
        }
    }
}

impl From<postern_sdk_core::login::StepError> for StepError {
    fn from(error: postern_sdk_core::login::StepError) -> Self {
        use postern_sdk_core::login::StepError as Core;
        match error {
            Core::Superseded => Self::Superseded,
            Core::Closed => Self::Closed,
            Core::Invalid(input) => input.into(),
        }
    }
}

impl From<CallFailure> for OptionsError {
    fn from(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Network(TransportError::Tls) | CallFailure::KeyListRejected(_) => {
                Self::Untrusted
            }
            CallFailure::Network(_) => Self::Offline,
            CallFailure::Problem(problem) if problem.status < 500 && problem.status != 429 => {
                Self::AppRefused
            }
            CallFailure::Problem(_)
            | CallFailure::Unintelligible
            | CallFailure::Vault(_)
            | CallFailure::DeviceKey(_) => Self::Unavailable,
        }
    }
}

impl From<SessionFailure> for SessionError {
    fn from(failure: SessionFailure) -> Self {
        match failure {
            SessionFailure::SignedOut => Self::SignedOut,
            SessionFailure::NeedsLogin(_) => Self::NeedsLogin,
            SessionFailure::OriginNotAllowed => Self::OriginNotAllowed,
            SessionFailure::Unavailable(CallFailure::Network(_)) => Self::Offline,
            SessionFailure::Unavailable(_) => Self::Unavailable,
        }
    }
}
