//! What the account's calls take and give (`contract/account.md`).

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::wire_appeals::{AppealView, SuggestedQuestion};
use crate::identity::AccountView;
use crate::login::parse::{self, Object, Refused, credential_of};
use crate::login::wire::{
    Answer, FaceRequest, Method, Nothing, PasswordRules, ProviderStart, Text,
};
use crate::secret::SecretText;

/// The reply of `GET /v1/account/bindings`.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingList {
    /// What is bound, oldest first.
    pub bindings: Vec<BindingEntry>,
    /// What became of bindings, newest first; the latest 200.
    pub history: Vec<HistoryEntry>,
}

/// A binding.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingEntry {
    /// The provider.
    pub provider: String,
    /// Seconds since 1970 UTC.
    pub bound_at: i64,
    /// It is the oldest one: where the account has no phone, it goes only after a fresh login there (U5).
    pub earliest: bool,
}

/// What became of a binding (L8).
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// The provider.
    pub provider: String,
    /// `bound`, `renamed`, `unbound`, or what the provider told.
    pub action: String,
    /// Seconds since 1970 UTC.
    pub at: i64,
}

/// The reply of `GET /v1/account/data`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalData {
    /// Seconds since 1970 UTC.
    pub exported_at: i64,
    /// What is kept of the person: a list of rows for each table that has something.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// The reply of `DELETE /v1/account`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Closed {
    /// Seconds since 1970 UTC.
    pub closed_at: i64,
    /// How many sessions are over, the one of this call among them.
    pub sessions_ended: usize,
}

/// The reply of `DELETE /v1/account/bindings/{provider}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unbound {
    /// The provider that is not bound any more.
    pub provider: String,
    /// How the provider's own grant is closed (L8).
    pub hint: Text,
    /// The session of this call began with the provider and is over.
    pub session_ended: bool,
    /// How many sessions began with it and are over (L9).
    pub sessions_ended: usize,
}

/// The reply of `POST /v1/account/bindings`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bound {
    /// The binding.
    pub binding: BindingEntry,
    /// `false`: it was there already.
    pub added: bool,
}

/// The body of `POST /v1/account/bindings`.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindRequest {
    /// The provider's credential, as in a login's start.
    pub provider: ProviderStart,
}

impl BindRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        let provider = credential_of(body.object("provider")?)?;
        body.end()?;
        Ok(Self { provider })
    }
}

/// An answer to the present step of an operation.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationAnswer {
    /// The operation's handle.
    #[schema(value_type = String)]
    pub operation: SecretText,
    /// The step that is answered.
    pub step_id: String,
    /// Exactly one answer.
    pub answer: Answer,
}

impl fmt::Debug for OperationAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationAnswer")
            .field("step_id", &self.step_id)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// What a proof begins with: exactly one of these.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProofStart {
    /// L9: the person, by password or card, and face.
    Person(Nothing),
    /// U5: a login at a provider that is bound.
    Provider(ProviderStart),
}

/// The body of `POST /v1/account/proof`: exactly `start`, or exactly `operation`, `step_id` and `answer`.
#[derive(Debug)]
pub enum ProofRequest {
    /// Begins a proof.
    Start(ProofStart),
    /// Answers its present step.
    Answer(OperationAnswer),
}

impl ProofRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        if let Some(answer) = answer_of(&mut body)? {
            return Ok(Self::Answer(answer));
        }
        let mut start = body.object("start")?;
        body.end()?;
        let begun = if start.has("provider") {
            ProofStart::Provider(credential_of(start.object("provider")?)?)
        } else {
            start.object("person")?.end()?;
            ProofStart::Person(Nothing {})
        };
        start.end()?;
        Ok(Self::Start(begun))
    }
}

/// The body of `POST /v1/account/phone-change`: exactly `start`, or exactly `operation`, `step_id` and `answer`.
#[derive(Debug)]
pub enum PhoneChangeRequest {
    /// Begins a change.
    Start,
    /// Answers its present step.
    Answer(OperationAnswer),
}

impl PhoneChangeRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        if let Some(answer) = answer_of(&mut body)? {
            return Ok(Self::Answer(answer));
        }
        body.object("start")?.end()?;
        body.end()?;
        Ok(Self::Start)
    }
}

/// `None`: it is a beginning.
fn answer_of(body: &mut Object) -> Result<Option<OperationAnswer>, Refused> {
    if !["operation", "step_id", "answer"]
        .iter()
        .any(|name| body.has(name))
    {
        return Ok(None);
    }
    let answer = OperationAnswer {
        operation: body.secret("operation")?,
        step_id: body.text("step_id")?,
        answer: parse::answer(body.object("answer")?)?,
    };
    body.end()?;
    Ok(Some(answer))
}

/// The reply of an operation: the next step, or what was done.
#[derive(Serialize, ToSchema)]
pub struct OperationReply {
    /// The operation's handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// To be repeated by the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// Seconds until the operation ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// What comes next.
    pub next: OperationStep,
    /// With `done` of a proof: the session's person is proved (L9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved: Option<bool>,
    /// With `done` of a proof: seconds for which it is fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_for: Option<u64>,
    /// With `done` of a change: the account as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// With `done` of an appeal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appeal: Option<AppealView>,
}

impl OperationReply {
    /// A reply with a step alone.
    pub(super) fn of(next: OperationStep) -> Self {
        Self {
            operation: None,
            step_id: None,
            expires_in: None,
            next,
            proved: None,
            fresh_for: None,
            account: None,
            appeal: None,
        }
    }
}

impl fmt::Debug for OperationReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperationReply")
    }
}

/// A step of an operation, as the client sees it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum OperationStep {
    /// Asks for the code that was sent to the number that the account has (U4).
    OldSmsCode {
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
    /// Asks for the new number.
    Phone,
    /// Asks for the code that was sent to the new number.
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
    /// Asks for face recognition.
    Face {
        /// For the face SDK.
        request: FaceRequest,
        /// What the bank offers to those who decline (L5).
        alternative: Text,
        /// Failures that are still taken.
        attempts_left: u32,
    },
    /// Asks what is claimed (U6).
    Claim {
        /// Questions to choose from: the same for everybody.
        questions: Vec<SuggestedQuestion>,
    },
    /// Asks for a new login password (U6).
    Registration {
        /// What it must be like.
        password_rules: PasswordRules,
    },
    /// Done.
    Done,
    /// Given up.
    Cancelled,
}
