//! What `POST /v1/login` takes and gives (contract section 7). Strict: an unknown field, a null, a second answer is refused (`parse.rs`). Secrets print
//! placeholders.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse::Refused;
use crate::identity::AccountView;
use crate::providers::{AnsweredCode, Credential};
use crate::rollout::ClientFacts;
use crate::secret::SecretText;
use crate::sessions::SessionGrant;

/// The body: exactly `app_id` and `start`, or exactly `login`, `step_id` and `answer`.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum LoginRequest {
    /// Begins a login.
    Begin(BeginRequest),
    /// Answers the present step.
    Answer(AnswerRequest),
}

/// Begins a login.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// One of the bank's apps.
    pub app_id: String,
    /// What it begins with.
    pub start: Start,
    /// The guest of this device key in this app becomes whoever logs in (W6). Nothing is brought in unasked: a phone may go from hand to hand.
    #[serde(default)]
    #[schema(default = false)]
    pub bring_guest: bool,
    /// What the client says of itself (L11, L12).
    #[serde(default)]
    pub client: ClientFacts,
}

/// Answers the present step.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The login's handle.
    #[schema(value_type = String)]
    pub login: SecretText,
    /// The step that is answered.
    pub step_id: String,
    /// Exactly one answer.
    pub answer: Answer,
}

impl fmt::Debug for AnswerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerRequest")
            .field("step_id", &self.step_id)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// What a login begins with.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// A provider's credential (M2).
    Provider(ProviderStart),
    /// A credential that was had without asking the person (W4, M3): it identifies, and logs nobody in.
    Silent(ProviderStart),
    /// What the bank's own login says of somebody (L1, W7).
    BankSession(BankSessionStart),
}

/// The bank's own login.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankSessionStart {
    /// The JWT that the bank's server signed.
    #[schema(value_type = String)]
    pub assertion: SecretText,
    /// A provider's credential that is at hand: it is bound by the rules of L9, and the login does not hang on it.
    pub provider: Option<ProviderStart>,
}

/// What became of a provider's credential that came with the bank's own login.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BindingResult {
    /// The provider.
    pub provider: String,
    /// `bound`, `bound_already`, or the code of what was in the way.
    pub result: &'static str,
}

/// A provider's credential.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum ProviderStart {
    /// Of a provider with a protocol of its own.
    Known(KnownStart),
    /// Of an `OpenID` Connect issuer.
    Named(NamedStart),
}

/// For each provider with a protocol of its own what its SDK gives.
#[derive(Debug, ToSchema)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum KnownStart {
    /// WeChat's code.
    WeChat(CodeStart),
    /// Weibo's code.
    Weibo(CodeStart),
    /// QQ's access token, from its mobile SDK, or a web page's code.
    Qq(QqStart),
    /// Alipay's code, with the name of the request that was prepared for it.
    Alipay(RequestedStart),
}

/// An authorization code.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeStart {
    /// The code.
    #[schema(value_type = String)]
    pub code: SecretText,
}

/// An authorization code that came back to a prepared request.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedStart {
    /// The code.
    #[schema(value_type = String)]
    pub code: SecretText,
    /// The request's name (`POST /v1/provider-requests`).
    #[schema(value_type = String)]
    pub request: SecretText,
}

/// What came back from the page of an `OpenID` Connect issuer.
#[derive(Debug, ToSchema)]
#[schema(as = OidcStart)]
pub struct NamedStart {
    /// The issuer's name in the settings: `bank-sso`. A name that is in none is not offered, whatever comes with it.
    pub provider: String,
    /// The rest; what is wrong with it matters only where the name is known.
    #[schema(value_type = OidcStart)]
    #[serde(flatten)]
    pub answer: Result<OidcStart, Refused>,
}

/// The parameters of the answer.
#[derive(Debug, ToSchema)]
#[schema(as = OidcAnswer)]
pub struct OidcStart {
    /// The code.
    #[schema(value_type = String)]
    pub code: SecretText,
    /// The request's name (`POST /v1/provider-requests`), which is the answer's `state`.
    #[schema(value_type = String)]
    pub request: SecretText,
    /// The answer's `iss` (RFC 9207), where it has one.
    #[schema(nullable = false)]
    pub iss: Option<String>,
}

/// An access token.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenStart {
    /// The access token.
    #[schema(value_type = String)]
    pub access_token: SecretText,
}

/// What QQ gives: exactly one of these.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum QqStart {
    /// To the mobile SDK.
    AccessToken(AccessTokenStart),
    /// To a web page.
    Code(CodeStart),
}

impl ProviderStart {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        match self {
            Self::Known(KnownStart::WeChat(_)) => "wechat",
            Self::Known(KnownStart::Weibo(_)) => "weibo",
            Self::Known(KnownStart::Qq(_)) => "qq",
            Self::Known(KnownStart::Alipay(_)) => "alipay",
            Self::Named(start) => &start.provider,
        }
    }

    /// Its credential, and the name of the request that it belongs to.
    pub fn into_parts(self) -> Result<(Credential, Option<SecretText>), Refused> {
        Ok(match self {
            Self::Known(KnownStart::Alipay(start)) => {
                (Credential::Code(start.code), Some(start.request))
            }
            Self::Known(
                KnownStart::WeChat(start)
                | KnownStart::Weibo(start)
                | KnownStart::Qq(QqStart::Code(start)),
            ) => (Credential::Code(start.code), None),
            Self::Known(KnownStart::Qq(QqStart::AccessToken(start))) => {
                (Credential::AccessToken(start.access_token), None)
            }
            Self::Named(start) => {
                let answer = start.answer?;
                let answered = AnsweredCode {
                    code: answer.code,
                    iss: answer.iss,
                    kept: SecretText::default(),
                };
                (Credential::Answered(answered), Some(answer.request))
            }
        })
    }
}

/// An answer: exactly one of these.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A phone number in E.164 (L4).
    #[schema(value_type = String)]
    Phone(SecretText),
    /// The code of the SMS.
    #[schema(value_type = String)]
    SmsCode(SecretText),
    /// Send another SMS.
    Resend(Nothing),
    /// Back to the phone number.
    ChangePhone(Nothing),
    /// A login password (L5, U2).
    LoginPassword(SealedField),
    /// A registered card and its withdrawal password (L5).
    Card(CardAnswer),
    /// A new login password (L6).
    Registration(RegistrationAnswer),
    /// The face service's ticket (L5, L7).
    Face(FaceAnswer),
    /// The person gives up.
    Cancel(Nothing),
}

/// `{}`: nothing to say.
#[derive(Clone, Copy, Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A field sealed to the account center (contract section 4).
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedField {
    /// `<kid>.<enc>.<ciphertext>`
    #[schema(value_type = String)]
    pub sealed: SecretText,
}

/// A registered card.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardAnswer {
    /// The card's number.
    pub number: SealedField,
    /// Its withdrawal password.
    pub withdrawal_password: SealedField,
}

/// A registration.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationAnswer {
    /// The new login password.
    pub login_password: SealedField,
}

/// A face ticket.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaceAnswer {
    /// What the face SDK gave.
    #[schema(value_type = String)]
    pub ticket: SecretText,
}

/// The reply: the next step, or the session.
#[derive(Serialize, ToSchema)]
pub struct LoginReply {
    /// The login's handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// To be repeated by the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// Seconds until the login ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// What comes next.
    pub next: Step,
    /// With `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// With `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionGrant>,
    /// Where a provider's credential came with the bank's own login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingResult>,
}

impl fmt::Debug for LoginReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginReply")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// A step, as the client sees it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Asks for a phone number.
    Phone,
    /// Asks for the SMS code.
    SmsCode {
        /// The masked number.
        sent_to: String,
        /// How many digits it has.
        digits: u32,
        /// Seconds for which the code is good.
        expires_in: u64,
        /// Seconds until another may be sent.
        resend_after: u64,
        /// Wrong codes that are still taken.
        attempts_left: u32,
    },
    /// Asks for a proof.
    Verification {
        /// What can be given.
        methods: Vec<Method>,
        /// Wrong proofs that are still taken.
        attempts_left: u32,
    },
    /// Asks for a new login password.
    Registration {
        /// What it must be like.
        password_rules: PasswordRules,
    },
    /// Asks for face recognition.
    Face {
        /// For the face SDK.
        request: FaceRequest,
        /// What the bank offers to those who decline (L5).
        alternative: Text,
        /// Failures that are still taken.
        attempts_left: u32,
    },
    /// Logged in.
    Done,
    /// Given up.
    Cancelled,
    /// A silent credential names nobody who is known (W4).
    NotKnown,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone => "Phone",
            Self::SmsCode { .. } => "SmsCode",
            Self::Verification { .. } => "Verification",
            Self::Registration { .. } => "Registration",
            Self::Face { .. } => "Face",
            Self::Done => "Done",
            Self::Cancelled => "Cancelled",
            Self::NotKnown => "NotKnown",
        })
    }
}

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The login password.
    LoginPassword,
    /// A registered card and its withdrawal password.
    Card,
}

/// Rules for a new login password (L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRules {
    /// Shortest, in characters.
    pub min_length: u32,
    /// Longest, in characters.
    pub max_length: u32,
    /// How many of: small letters, capital letters, digits, everything else.
    pub min_classes: u32,
}

/// What the face SDK needs.
#[derive(Serialize, ToSchema)]
pub struct FaceRequest {
    /// The face service's session.
    pub face_session: String,
    /// Where the face SDK goes.
    pub url: String,
    /// The nonce that the session is bound to.
    pub nonce: String,
}

/// A text in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}
