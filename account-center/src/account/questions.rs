//! `PUT /v1/account/security-questions`: three questions whose answers are evidence in an appeal, and open nothing (U6).

use serde::{Deserialize, Serialize};
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::Accounts;
use super::wire_appeals::{QuestionAnswer, QuestionsReply, SetQuestionsRequest, SuggestedQuestion};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::{Keys, Purpose};
use crate::login::judging::SealedFor;
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::appeals::{self as rows, QuestionRow};
use crate::store::{StoreError, operations};

/// How many questions an account has.
pub(super) const QUESTIONS: usize = 3;
/// The longest text of a question, in characters.
const LONGEST_QUESTION: usize = 100;
/// The longest answer, in characters after normalisation.
const LONGEST_ANSWER: usize = 64;

/// A question: one of those that the bank suggests, or the person's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The name of a suggested one.
    Id(String),
    /// The person's own words.
    Text(String),
}

impl Question {
    /// The keyed name under which it is found: what a person would take for the same question is the same.
    pub(super) fn name(&self, keys: &Keys, user_id: &str) -> String {
        let (kind, text): (&[u8], String) = match self {
            Self::Id(id) => (b"id", id.clone()),
            Self::Text(text) => (b"text", normalised(text)),
        };
        keys.name(
            Purpose::SecurityQuestion,
            &[user_id.as_bytes(), kind, text.as_bytes()],
        )
    }
}

/// What is left of a text when form, case, spaces and punctuation do not count: people do not remember those.
pub(super) fn normalised(text: &str) -> String {
    text.nfkc()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .collect()
}

/// An answer as it is hashed; `None`: too short, or too long.
pub(super) fn normalised_answer(text: &str) -> Option<Zeroizing<String>> {
    let answer = Zeroizing::new(normalised(text));
    (2..=LONGEST_ANSWER)
        .contains(&answer.chars().count())
        .then_some(answer)
}

impl Accounts {
    /// `GET /v1/account/security-questions`
    pub async fn security_questions(&self, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, asking) = (self.clone(), holder.clone());
        let set = self
            .parts()
            .store
            .read(move |tx| {
                let (accounts, holder) = (accounts.clone(), asking.clone());
                Box::pin(async move {
                    let held = accounts.read_holder(tx, &holder).await?;
                    Ok::<_, Problem>(rows::questions(tx, &held.account.user_id).await?)
                })
            })
            .await?;
        Reply::json(&self.questions_reply(&holder.user_id, &set)?)
    }

    fn questions_reply(
        &self,
        user_id: &str,
        set: &[QuestionRow],
    ) -> Result<QuestionsReply, Problem> {
        let questions = set
            .iter()
            .map(|row| {
                let opened = self
                    .parts()
                    .keys
                    .open(
                        Purpose::SecurityQuestion,
                        user_id.as_bytes(),
                        &row.sealed_question,
                    )
                    .ok()
                    .and_then(|text| serde_json::from_slice(&text).ok());
                opened.ok_or(StoreError::Corrupt("a security question"))
            })
            .collect::<Result<_, _>>()?;
        Ok(QuestionsReply {
            questions,
            set_at: set.first().map(|row| row.set_at.seconds()),
            suggestions: self.suggestions(),
        })
    }

    /// The questions that the bank suggests.
    pub(super) fn suggestions(&self) -> Vec<SuggestedQuestion> {
        self.inner.policy.questions.clone()
    }

    /// A question that the bank suggests, or a text that can be one.
    pub(super) fn is_question(&self, question: &Question) -> bool {
        match question {
            Question::Id(id) => self.inner.policy.questions.iter().any(|one| one.id == *id),
            Question::Text(text) => {
                let length = text.chars().count();
                (1..=LONGEST_QUESTION).contains(&length)
                    && !text.chars().any(char::is_control)
                    && normalised(text).chars().count() >= 4
            }
        }
    }

    /// Replaces the questions. The answers are hashed in the lanes of the passwords, with no transaction open.
    pub async fn set_security_questions(
        &self,
        call: &Call,
        holder: &Holder,
        request: SetQuestionsRequest,
    ) -> Result<Reply, Problem> {
        let app_id = self.app_of(holder, true).await?;
        let now = self.now();
        let mut set = Vec::with_capacity(QUESTIONS);
        let answers = self.acceptable(call, &app_id, &holder.user_id, &request.questions)?;
        let randomness = self.parts().context.randomness();
        for (position, (given, (question_name, answer))) in
            request.questions.iter().zip(answers).enumerate()
        {
            let text = serde_json::to_vec(&given.question).map_err(Problem::internal)?;
            set.push(QuestionRow {
                position: i64::try_from(position).unwrap_or(0),
                question_name,
                sealed_question: self.parts().keys.seal(
                    Purpose::SecurityQuestion,
                    holder.user_id.as_bytes(),
                    &text,
                    randomness,
                ),
                answer_hash: self.parts().hashing.hash(answer, randomness).await?,
                set_at: now,
            });
        }
        let (accounts, call, holder) = (self.clone(), call.clone(), holder.clone());
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, call, holder) = (accounts.clone(), call.clone(), holder.clone());
                let set = set.clone();
                Box::pin(async move {
                    let held = accounts.hold_holder(tx, &holder).await?;
                    let user_id = &held.account.user_id;
                    let changes = accounts.changes();
                    rows::set_questions(tx, user_id, &set).await?;
                    let session_id = Some(&*held.session.session_id);
                    let entry_id = changes.context.uuid();
                    let action = "security_questions_set";
                    operations::keep_history(
                        tx, &entry_id, user_id, action, session_id, changes.at,
                    )
                    .await?;
                    changes
                        .announce(tx, user_id, "account.security_questions_set", json!({}))
                        .await?;
                    let reply = Reply::json(&accounts.questions_reply(user_id, &set)?)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await
    }

    /// Opens the answers and holds the questions to the rules: three, all different, with answers that are worth asking for.
    fn acceptable(
        &self,
        call: &Call,
        app_id: &str,
        user_id: &str,
        given: &[QuestionAnswer],
    ) -> Result<Vec<(String, Zeroizing<String>)>, Problem> {
        if given.len() != QUESTIONS {
            return Err(Problem::invalid("/questions", "exactly three questions"));
        }
        let sealed_for = SealedFor {
            app_id,
            handle: "",
            step_id: "",
        };
        let mut answers: Vec<(String, Zeroizing<String>)> = Vec::with_capacity(QUESTIONS);
        for (index, one) in given.iter().enumerate() {
            let refuse = |member: &str, detail: &'static str| {
                Err(Problem::invalid(
                    format!("/questions/{index}/{member}"),
                    detail,
                ))
            };
            if !self.is_question(&one.question) {
                return refuse(
                    "question",
                    "not a question of the list, nor one of one's own",
                );
            }
            let pointer = format!("/questions/{index}/answer/sealed");
            let name = format!("questions.{index}.answer");
            let text = self
                .parts()
                .unseal(call, sealed_for, &one.answer, &name, &pointer)?;
            let unacceptable = || {
                Problem::new(Code::InvalidRequest)
                    .pointer(pointer.clone())
                    .detail("an answer has 2 to 64 letters or digits, and is neither another's nor in its question")
            };
            let answer = normalised_answer(text.expose()).ok_or_else(unacceptable)?;
            let told_by_question = match &one.question {
                Question::Id(_) => false,
                Question::Text(text) => normalised(text).contains(answer.as_str()),
            };
            let twice = answers.iter().any(|(_, other)| *other == answer);
            if told_by_question || twice {
                return Err(unacceptable());
            }
            let question_name = one.question.name(&self.parts().keys, user_id);
            if answers.iter().any(|(other, _)| *other == question_name) {
                return refuse("question", "the questions must differ");
            }
            answers.push((question_name, answer));
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u6_what_people_do_not_remember_does_not_count() {
        for (one, other) in [
            ("北京 市", "北京市"),
            ("Ｂｅｉｊｉｎｇ", "beijing"),
            ("St. Mary's", "st marys"),
            ("①②", "12"),
            ("Straße", "STRAßE"),
        ] {
            assert_eq!(normalised(one), normalised(other), "{one}");
        }
        assert_ne!(normalised("北京"), normalised("北平"));
        for bad in ["", " .-", "x", "!x!", &"a".repeat(65)] {
            assert_eq!(normalised_answer(bad), None, "{bad}");
        }
    }
}
