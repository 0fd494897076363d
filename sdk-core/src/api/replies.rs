//! Replies of `/v1/login` and of the session calls, read defensively: unknown members are passed over, wrong types are refused.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::account::{AccountSummary, SessionSummary};
use crate::secret::SecretString;
use crate::session::{SessionGrant, SessionTokens};
use crate::text::LocalizedText;

/// The handle of a login, `lg_…`. It answers only to the device key that began it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct LoginHandle(pub String);

impl fmt::Debug for LoginHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lg_[redacted]")
    }
}

/// Where a login stands: what the next answer must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginPlace {
    /// The login.
    pub login: LoginHandle,
    /// The step's id, which the answer repeats.
    pub step_id: String,
    /// How long the login is still good, where the reply says it.
    pub expires_in: Option<Duration>,
    /// What is asked.
    pub next: NextStep,
}

/// What an account center asks next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// A phone number (L4).
    Phone,
    /// The code that was sent (L4).
    SmsCode {
        /// The masked number.
        sent_to: String,
        /// How many digits the code has.
        digits: u32,
        /// How long the code is good.
        expires_in: Duration,
        /// From when another may be sent, counted from the reply.
        resend_after: Duration,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A proof of who it is (L5, U2).
    Verification {
        /// The ways that are offered; ways that this version does not know are left out.
        methods: Vec<VerificationMethod>,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A login password for the new account (L6).
    Registration(PasswordRules),
    /// Face recognition (L5, L7).
    Face {
        /// What the face service's client needs.
        request: FaceRequest,
        /// What the bank offers to who declines, by language.
        alternative: LocalizedText,
        /// How many tries are left.
        attempts_left: u32,
    },
    /// A step that this version does not know: the app must be updated, and the login is left as it is (ADR 0008).
    Unknown,
}

/// A way to prove who one is (L5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationMethod {
    /// The login password.
    LoginPassword,
    /// A registered card and its withdrawal password.
    Card,
}

/// What a new login password must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordRules {
    /// Least number of characters.
    pub min_length: u32,
    /// Greatest number of characters.
    pub max_length: u32,
    /// How many of lower case, upper case, digits and others there must be at least.
    pub min_classes: u32,
}

/// What the face service's client needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FaceRequest {
    /// The face service's session.
    pub face_session: String,
    /// Where the face service is.
    pub url: String,
    /// Binds the ticket to this login.
    pub nonce: String,
}

/// A good reply of `/v1/login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginReply {
    /// The login goes on.
    Next(LoginPlace),
    /// It is done.
    Done(Box<SessionGrant>),
    /// It was cancelled.
    Cancelled,
}

#[derive(Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum WireStep {
    Phone,
    SmsCode {
        sent_to: String,
        digits: u32,
        #[serde(deserialize_with = "seconds")]
        expires_in: Duration,
        #[serde(deserialize_with = "seconds")]
        resend_after: Duration,
        attempts_left: u32,
    },
    Verification {
        methods: Vec<String>,
        attempts_left: u32,
    },
    Registration {
        password_rules: PasswordRules,
    },
    Face {
        request: FaceRequest,
        #[serde(default)]
        alternative: LocalizedText,
        attempts_left: u32,
    },
    Done,
    Cancelled,
    #[serde(other)]
    Unknown,
}

impl WireStep {
    fn asked(self) -> Option<NextStep> {
        Some(match self {
            Self::Phone => NextStep::Phone,
            Self::SmsCode {
                sent_to,
                digits,
                expires_in,
                resend_after,
                attempts_left,
            } => NextStep::SmsCode {
                sent_to,
                digits,
                expires_in,
                resend_after,
                attempts_left,
            },
            Self::Verification {
                methods,
                attempts_left,
            } => NextStep::Verification {
                methods: methods.iter().filter_map(|name| method(name)).collect(),
                attempts_left,
            },
            Self::Registration { password_rules } => NextStep::Registration(password_rules),
            Self::Face {
                request,
                alternative,
                attempts_left,
            } => NextStep::Face {
                request,
                alternative,
                attempts_left,
            },
            Self::Unknown => NextStep::Unknown,
            Self::Done | Self::Cancelled => return None,
        })
    }
}

fn method(name: &str) -> Option<VerificationMethod> {
    match name {
        "login_password" => Some(VerificationMethod::LoginPassword),
        "card" => Some(VerificationMethod::Card),
        _ => None,
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_secs)
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::new)
}

#[derive(Deserialize)]
struct WireSession {
    session_id: String,
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    token_type: String,
    #[serde(deserialize_with = "seconds")]
    expires_in: Duration,
    #[serde(deserialize_with = "secret")]
    refresh_token: SecretString,
    #[serde(deserialize_with = "seconds")]
    refresh_expires_in: Duration,
}

impl WireSession {
    /// Tokens that are not bound to the device key would go out without a proof: refused.
    fn checked(self) -> Option<SessionTokens> {
        let usable = self.token_type.eq_ignore_ascii_case("DPoP")
            && header_safe(self.access_token.expose())
            && !self.refresh_token.is_empty();
        usable.then_some(SessionTokens {
            session_id: self.session_id,
            access_token: self.access_token,
            expires_in: self.expires_in,
            refresh_token: self.refresh_token,
            refresh_expires_in: self.refresh_expires_in,
        })
    }
}

/// Whether the text can stand in a header as it is.
fn header_safe(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Deserialize)]
struct WireLogin {
    login: Option<LoginHandle>,
    step_id: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    next: WireStep,
    account: Option<AccountSummary>,
    session: Option<WireSession>,
}

/// Reads a reply of `/v1/login`; nothing where it is not the contract's.
pub(crate) fn login_reply(body: &[u8]) -> Option<LoginReply> {
    let wire: WireLogin = serde_json::from_slice(body).ok()?;
    match wire.next {
        WireStep::Done => Some(LoginReply::Done(Box::new(SessionGrant {
            account: wire.account?,
            tokens: wire.session?.checked()?,
        }))),
        WireStep::Cancelled => Some(LoginReply::Cancelled),
        step => Some(LoginReply::Next(LoginPlace {
            login: wire.login?,
            step_id: wire.step_id?,
            expires_in: wire.expires_in.map(Duration::from_secs),
            next: step.asked()?,
        })),
    }
}

/// The place inside a problem (`login`, `step_id`, `next`), where all of it is there and understood.
pub(crate) fn place(
    login: Option<String>,
    step_id: Option<String>,
    expires_in: Option<u64>,
    next: serde_json::Value,
) -> Option<LoginPlace> {
    let step: WireStep = serde_json::from_value(next).ok()?;
    Some(LoginPlace {
        login: LoginHandle(login?),
        step_id: step_id?,
        expires_in: expires_in.map(Duration::from_secs),
        next: step.asked()?,
    })
}

/// Reads a reply of `/v1/sessions/refresh`.
pub(crate) fn refresh_reply(body: &[u8]) -> Option<SessionTokens> {
    #[derive(Deserialize)]
    struct Reply {
        session: WireSession,
    }
    serde_json::from_slice::<Reply>(body)
        .ok()?
        .session
        .checked()
}

/// Reads a reply of `/v1/account`.
pub(crate) fn account_reply(body: &[u8]) -> Option<AccountSummary> {
    #[derive(Deserialize)]
    struct Reply {
        account: AccountSummary,
    }
    Some(serde_json::from_slice::<Reply>(body).ok()?.account)
}

/// Reads a reply of `/v1/sessions`.
pub(crate) fn sessions_reply(body: &[u8]) -> Option<Vec<SessionSummary>> {
    #[derive(Deserialize)]
    struct Reply {
        sessions: Vec<SessionSummary>,
    }
    Some(serde_json::from_slice::<Reply>(body).ok()?.sessions)
}
