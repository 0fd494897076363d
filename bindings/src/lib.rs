//! Postern for Kotlin and Swift: the only crate that knows uniffi.
//!
//! What is exported here is not what apps see: `kotlin/` and `swift/` have a thin facade by hand over the generated code. `README.md` says why, and
//! which rules the exported API keeps.

mod boundary;
mod counted;
mod desktop;
mod error;
mod host;
mod log;
mod login;
mod model;
mod postern;
mod runtime;
mod session;
mod steps;
#[cfg(feature = "test-hooks")]
mod testing;

pub use error::{CallbackError, OptionsError, SessionError, SetupError, StepError};
pub use host::{
    DeviceKey, DeviceKeyError, HttpExchange, Transport, TransportFailure, TrustDecision, Vault,
    VaultError,
};
pub use log::{Log, LogLevel};
pub use login::{Login, LoginListener, LoginState};
pub use model::{
    AccountSummary, AuthorizationRequest, BindingSummary, FaceInfo, Failure, FailureKind,
    Identification, IdentityAdvice, LocalizedText, LoginButton, NeedsLoginReason, PasswordRules,
    PhoneInfo, Provider, ReadyInfo, Refusal, RefusalKind, RegistrationInfo, SessionStatus,
    SessionSummary, SmsCodeInfo, Stop, StopReason, VerificationInfo, VerificationMethod,
};
pub use postern::{BuiltInVault, Postern, PosternConfig};
pub use session::{Account, AuthorizedRequest, Session, SignedOut};
pub use steps::{
    AuthorizingStep, FaceStep, PhoneStep, ReadyStep, RefusedStep, RegistrationStep, SmsCodeStep,
    StoppedStep, VerificationStep,
};
#[cfg(feature = "test-hooks")]
pub use testing::{
    testing_living_logins, testing_living_posterns, testing_living_steps, testing_panic,
};

uniffi::setup_scaffolding!();
