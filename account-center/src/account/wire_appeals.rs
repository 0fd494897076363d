//! What the calls about security questions and appeals take and give (`contract/account.md`).

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::evidence::Evidence;
use super::questions::Question;
use crate::login::parse::{Object, Refused, sealed};
use crate::login::wire::{Nothing, SealedField, Text};
use crate::secret::SecretText;

/// A question that the bank suggests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuggestedQuestion {
    /// Its name.
    pub id: String,
    /// As people read it.
    pub text: Text,
}

/// A question with its answer.
#[derive(Debug, ToSchema)]
pub struct QuestionAnswer {
    /// `{"id":…}` or `{"text":…}`
    #[schema(value_type = Object)]
    pub question: Question,
    /// The sealed answer.
    pub answer: SealedField,
}

/// The body of `PUT /v1/account/security-questions`.
#[derive(Debug, ToSchema)]
pub struct SetQuestionsRequest {
    /// Exactly three.
    pub questions: Vec<QuestionAnswer>,
}

impl SetQuestionsRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        let questions = answers(&mut body, "questions")?;
        body.end()?;
        Ok(Self { questions })
    }
}

fn answers(object: &mut Object, name: &str) -> Result<Vec<QuestionAnswer>, Refused> {
    object
        .list(name)?
        .into_iter()
        .map(|mut one| {
            let mut question = one.object("question")?;
            let read = if question.has("id") {
                Question::Id(question.text("id")?)
            } else {
                Question::Text(question.text("text")?)
            };
            question.end()?;
            let answer = sealed(one.object("answer")?)?;
            one.end()?;
            Ok(QuestionAnswer {
                question: read,
                answer,
            })
        })
        .collect()
}

/// The reply about security questions.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuestionsReply {
    /// What is set, without the answers.
    #[schema(value_type = Vec<Object>)]
    pub questions: Vec<Question>,
    /// Seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_at: Option<i64>,
    /// What the bank suggests.
    pub suggestions: Vec<SuggestedQuestion>,
}

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The phone number.
    Phone,
    /// The login password.
    LoginPassword,
    /// The way in at a provider.
    Provider,
}

/// What an appellant claims.
#[derive(ToSchema)]
pub struct Claim {
    /// The account's number, in E.164.
    #[schema(value_type = String)]
    pub phone: SecretText,
    /// What was lost.
    pub lost: Vec<Lost>,
    /// At most three.
    pub answers: Vec<QuestionAnswer>,
    /// In the appellant's own words; at most 500 characters.
    pub statement: Option<String>,
}

/// An answer to a step of an appeal: exactly one of these.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppealAnswer {
    /// The code that was sent to the contact number.
    #[schema(value_type = String)]
    SmsCode(SecretText),
    /// Send another.
    Resend(Nothing),
    /// What is claimed.
    Claim(Claim),
    /// The person gives up.
    Cancel(Nothing),
}

/// The body of `POST /v1/appeals`: exactly `app_id` and `start`, or exactly `operation`, `step_id` and `answer`.
pub enum AppealRequest {
    /// Begins an appeal.
    Start {
        /// One of the bank's apps.
        app_id: String,
        /// Where the appellant can be reached.
        contact_phone: SecretText,
    },
    /// Answers its present step.
    Answer {
        /// The operation's handle.
        operation: SecretText,
        /// The step that is answered.
        step_id: String,
        /// The answer.
        answer: AppealAnswer,
    },
}

impl fmt::Debug for AppealRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppealRequest")
    }
}

impl AppealRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        if body.has("start") || body.has("app_id") {
            let app_id = body.text("app_id")?;
            let mut start = body.object("start")?;
            let contact_phone = start.secret("contact_phone")?;
            start.end()?;
            body.end()?;
            return Ok(Self::Start {
                app_id,
                contact_phone,
            });
        }
        let operation = body.secret("operation")?;
        let step_id = body.text("step_id")?;
        let mut answer = body.object("answer")?;
        body.end()?;
        let read = if answer.has("sms_code") {
            AppealAnswer::SmsCode(answer.secret("sms_code")?)
        } else if answer.has("resend") {
            answer.object("resend")?.end()?;
            AppealAnswer::Resend(Nothing {})
        } else if answer.has("cancel") {
            answer.object("cancel")?.end()?;
            AppealAnswer::Cancel(Nothing {})
        } else {
            AppealAnswer::Claim(claim(answer.object("claim")?)?)
        };
        answer.end()?;
        Ok(Self::Answer {
            operation,
            step_id,
            answer: read,
        })
    }
}

fn claim(mut object: Object) -> Result<Claim, Refused> {
    let phone = object.secret("phone")?;
    let mut lost = Vec::new();
    for word in object.texts("lost")? {
        let one = match word.as_str() {
            "phone" => Lost::Phone,
            "login_password" => Lost::LoginPassword,
            "provider" => Lost::Provider,
            _ => return Err(object.refuse("lost: phone, login_password, provider")),
        };
        if !lost.contains(&one) {
            lost.push(one);
        }
    }
    let answers = answers(&mut object, "answers")?;
    let statement = if object.has("statement") {
        Some(object.text("statement")?)
    } else {
        None
    };
    if lost.is_empty()
        || answers.len() > 3
        || statement
            .as_ref()
            .is_some_and(|text| text.chars().count() > 500)
    {
        return Err(object.refuse(
            "something was lost, at most three answers, a statement of at most 500 characters",
        ));
    }
    object.end()?;
    Ok(Claim {
        phone,
        lost,
        answers,
        statement,
    })
}

/// An appeal as the appellant sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AppealView {
    /// Its name; it answers to the device that opened it.
    pub appeal_id: String,
    /// `open`, `approved`, `rejected`, `used`; an approval that was not used in time is `expired`.
    pub status: &'static str,
    /// Seconds since 1970 UTC.
    pub opened_at: i64,
    /// Where it was rejected: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it was approved: seconds for which `POST /v1/appeals/{id}/recovery` may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_expires_in: Option<u64>,
}

/// An appeal as the person sees it who decides (U6).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AppealCase {
    /// Its name.
    pub appeal_id: String,
    /// `open`, `approved`, `rejected`, `used`
    pub status: String,
    /// Seconds since 1970 UTC.
    pub opened_at: i64,
    /// The app that it came from.
    pub app_id: String,
    /// The account, where there is one of the number.
    pub user_id: Option<String>,
    /// The number that was claimed, masked.
    pub claimed_phone: String,
    /// Where the appellant can be reached: proved by a code.
    pub contact_phone: String,
    /// What was lost.
    pub lost: Vec<Lost>,
    /// In the appellant's own words.
    pub statement: Option<String>,
    /// What speaks for it and what against it.
    pub evidence: Evidence,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Seconds since 1970 UTC.
    pub decided_at: Option<i64>,
    /// What the appellant was told.
    pub reason: Option<String>,
}
