//! Appeals (U6): somebody lost the way into an account, claims it, and a person decides. Nothing that the appellant sees tells whether there is such an account:
//! same steps, same replies, same work. Evidence is for whoever decides and grants nothing by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::Accounts;
use super::evidence::{Evidence, Signals};
use super::operation::{Caller, Present, Turn};
use super::questions::{QUESTIONS, normalised_answer};
use super::stage::{CodeOf, Kind, Sent, Stage, State};
use super::wire::{OperationReply, OperationStep};
use super::wire_appeals::{AppealAnswer, AppealCase, AppealRequest, AppealView, Claim, Lost};
use crate::context::Timestamp;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{phone_index, phone_of};
use crate::keys::Purpose;
use crate::login::decision::{Resolved, UserId};
use crate::login::engine::port_problem;
use crate::login::judging::{place_name, take_all};
use crate::notices::{self, Recipient};
use crate::phone_number::PhoneNumber;
use crate::ports::NoticeKind;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::appeals::{self as rows, AppealRow, Decided};
use crate::store::limits::Limit;
use crate::store::{StoreError, Tx, accounts, operations};

/// How long an approval may be used.
const GRANT: Duration = Duration::from_hours(72);
/// Appeals for a number, from a device, from an address; each in a day.
const PER_NUMBER: u32 = 3;
const PER_DEVICE: u32 = 5;
const PER_ADDRESS: u32 = 50;

/// What was claimed, as it is kept: sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    claimed: PhoneNumber,
    contact: PhoneNumber,
    lost: Vec<Lost>,
    statement: Option<String>,
}

/// What a person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The appellant's device may give the account a new number, once.
    Approve {
        /// And an unsigned account a new login password.
        new_password: bool,
    },
    /// The appellant is told why.
    Reject {
        /// At most 200 characters.
        reason: String,
    },
}

/// What the claim's answers and contact are worth, looked at with no transaction open.
#[derive(Clone)]
struct Judged {
    /// The account that they were held against.
    user_id: Option<String>,
    questions_set: bool,
    answers_given: u32,
    answers_right: u32,
    contact: Resolved,
}

fn daily(count: u32) -> Limit {
    Limit {
        count,
        window: Duration::from_hours(24),
    }
}

impl Accounts {
    /// `POST /v1/appeals`: begins an appeal, or takes an answer to it.
    pub async fn appeal(&self, call: &Call, request: AppealRequest) -> Result<Reply, Problem> {
        let caller = Caller {
            call: call.clone(),
            holder: None,
        };
        let (operation, step_id, answer) = match request {
            AppealRequest::Start {
                app_id,
                contact_phone,
            } => return self.begin_appeal(caller, app_id, &contact_phone).await,
            AppealRequest::Answer {
                operation,
                step_id,
                answer,
            } => (operation, step_id, answer),
        };
        let present = self
            .present(&caller, Kind::Appeal, operation, &step_id)
            .await?;
        match (&present.state.stage, answer) {
            (_, AppealAnswer::Cancel(_)) => self.cancel(&caller, &present).await,
            (Stage::Code { .. }, AppealAnswer::Resend(_)) => self.resend(&caller, present).await,
            (Stage::Code { .. }, AppealAnswer::SmsCode(code)) => {
                if let Some(reply) = self.wrong_code(&caller, &present, &code).await? {
                    return Ok(reply);
                }
                self.turn(&caller, &present, |turn| {
                    Box::pin(async move {
                        let Stage::Code { sent, .. } = turn.held.state.stage.clone() else {
                            return Err(Problem::internal("no SMS was sent"));
                        };
                        let contact = sent.phone;
                        turn.go(Stage::Claim { contact }).await
                    })
                })
                .await
            }
            (Stage::Claim { contact }, AppealAnswer::Claim(claim)) => {
                let contact = contact.clone();
                self.submit_claim(&caller, present, contact, claim).await
            }
            _ => Err(self.at_step(&present, Problem::new(Code::AnswerNotExpected))),
        }
    }

    async fn begin_appeal(
        &self,
        caller: Caller,
        app_id: String,
        contact: &SecretText,
    ) -> Result<Reply, Problem> {
        if !self.parts().registry.knows(&app_id) {
            return Err(Problem::new(Code::AppUnknown).pointer("/app_id"));
        }
        let phone = PhoneNumber::parse(contact.expose())
            .map_err(|_| Problem::new(Code::PhoneInvalid).pointer("/start/contact_phone"))?;
        let state = State {
            kind: Kind::Appeal,
            app_id,
            user_id: UserId(String::new()),
            appeal_id: None,
            stage: Stage::Phone {
                attempts_used: 0,
                last: None,
            },
        };
        let mut present = self.begin(&caller, state);
        let code_hash = self
            .send_first(&caller, &present.row.operation_hash, &phone)
            .await?;
        present.state.stage = Stage::Code {
            of: CodeOf::Contact,
            sent: Sent {
                phone,
                at: self.now().millis(),
            },
            code_hash,
            attempts_used: 0,
        };
        let accounts = self.clone();
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, caller) = (accounts.clone(), caller.clone());
                let present = present.clone();
                Box::pin(async move { accounts.insert(tx, &caller.call, present).await })
            })
            .await
    }

    /// The claim is judged whether or not there is such an account, with the same work.
    async fn submit_claim(
        &self,
        caller: &Caller,
        present: Present,
        contact: PhoneNumber,
        claim: Claim,
    ) -> Result<Reply, Problem> {
        let Ok(claimed) = PhoneNumber::parse(claim.phone.expose()) else {
            let problem = Problem::new(Code::PhoneInvalid).pointer("/answer/claim/phone");
            return Err(self.at_step(&present, problem));
        };
        let given = self.opened_answers(caller, &present, &claim)?;
        let judged = self.judge_claim(&claimed, &contact, given).await?;
        let kept = Kept {
            claimed,
            contact,
            lost: claim.lost,
            statement: claim.statement,
        };
        let kept = std::sync::Arc::new(kept);
        let reply = self
            .turn(caller, &present, move |turn| {
                let (kept, judged) = (std::sync::Arc::clone(&kept), judged.clone());
                Box::pin(async move { turn.open_appeal(&kept, &judged).await })
            })
            .await?;
        self.notices().wake();
        Ok(reply)
    }

    /// Opens the sealed answers. One that cannot be an answer is a wrong one.
    fn opened_answers(
        &self,
        caller: &Caller,
        present: &Present,
        claim: &Claim,
    ) -> Result<Vec<(super::questions::Question, Zeroizing<String>)>, Problem> {
        let mut opened = Vec::new();
        for (index, one) in claim.answers.iter().enumerate() {
            let pointer = format!("/answer/claim/answers/{index}");
            if !self.is_question(&one.question)
                || opened.iter().any(|(question, _)| *question == one.question)
            {
                return Err(Problem::invalid(
                    format!("{pointer}/question"),
                    "not a question, or twice the same",
                ));
            }
            let text = self.parts().unseal(
                &caller.call,
                present.sealed_for(),
                &one.answer,
                &format!("claim.answers.{index}"),
                &format!("{pointer}/answer/sealed"),
            )?;
            let answer = normalised_answer(text.expose()).unwrap_or_default();
            opened.push((one.question.clone(), answer));
        }
        Ok(opened)
    }

    async fn judge_claim(
        &self,
        claimed: &PhoneNumber,
        contact: &PhoneNumber,
        given: Vec<(super::questions::Question, Zeroizing<String>)>,
    ) -> Result<Judged, Problem> {
        let parts = self.parts();
        let resolved = parts
            .customers
            .resolve(contact)
            .await
            .map_err(|error| port_problem(Code::CoreUnavailable, error))?;
        let index = phone_index(&parts.keys, claimed);
        let (user_id, set) = parts
            .store
            .read(move |tx| {
                let index = index.clone();
                Box::pin(async move {
                    let user_id = accounts::by_phone(tx, &index).await?;
                    let set = rows::questions(tx, user_id.as_deref().unwrap_or("")).await?;
                    Ok::<_, StoreError>((user_id, set))
                })
            })
            .await?;
        let mut answers_right = 0;
        let answers_given = u32::try_from(given.len()).unwrap_or(u32::MAX);
        let mut given = given.into_iter();
        // Always as many hashes, so that the time tells nothing.
        for _ in 0..QUESTIONS {
            let (hash, answer) = match given.next() {
                None => (None, Zeroizing::default()),
                Some((question, answer)) => {
                    let name = question.name(&parts.keys, user_id.as_deref().unwrap_or(""));
                    let row = set.iter().find(|row| row.question_name == name);
                    (row.map(|row| row.answer_hash.clone()), answer)
                }
            };
            answers_right += u32::from(parts.hashing.verify(answer, hash).await?);
        }
        Ok(Judged {
            user_id,
            questions_set: !set.is_empty(),
            answers_given,
            answers_right,
            contact: resolved,
        })
    }

    /// `GET /v1/appeals/{id}`, for the device that opened it; any other cannot tell it from none.
    pub async fn appeal_status(
        &self,
        device_key: &str,
        appeal_id: &str,
    ) -> Result<AppealView, Problem> {
        let id = appeal_id.to_owned();
        let row = self
            .parts()
            .store
            .read(move |tx| {
                let id = id.clone();
                Box::pin(async move { rows::find(tx, &id).await })
            })
            .await?
            .filter(|row| row.device_key == device_key)
            .ok_or_else(|| Problem::new(Code::AppealUnknown))?;
        Ok(self.appeal_view(&row))
    }

    fn appeal_view(&self, row: &AppealRow) -> AppealView {
        let now = self.now();
        let left = row
            .grant_expires_at
            .filter(|until| row.status == "approved" && now < *until);
        AppealView {
            appeal_id: row.appeal_id.clone(),
            status: match row.status.as_str() {
                "approved" if left.is_none() => "expired",
                "approved" => "approved",
                "rejected" => "rejected",
                "used" => "used",
                _ => "open",
            },
            opened_at: row.created_at.seconds(),
            reason: row.reason.clone(),
            recovery_expires_in: left.map(|until| now.seconds_until(until)),
        }
    }

    /// Appeals of a status for whoever decides, oldest first; `after`: the last of the page before.
    pub async fn appeals(
        &self,
        tx: &mut Tx,
        status: &str,
        after: Option<&str>,
        most: i64,
    ) -> Result<Vec<AppealCase>, Problem> {
        let last = match after {
            None => None,
            Some(id) => Some(
                rows::find(tx, id)
                    .await?
                    .ok_or_else(|| Problem::new(Code::CursorInvalid))?,
            ),
        };
        let after = last
            .as_ref()
            .map(|row| (row.created_at, row.appeal_id.as_str()));
        let found = rows::of_status(tx, status, after, most).await?;
        Ok(found
            .iter()
            .map(|row| self.case(row))
            .collect::<Result<_, _>>()?)
    }

    fn case(&self, row: &AppealRow) -> Result<AppealCase, StoreError> {
        const WRONG: StoreError = StoreError::Corrupt("an appeal");
        let text = self
            .parts()
            .keys
            .open(Purpose::Appeal, row.appeal_id.as_bytes(), &row.sealed_claim)
            .map_err(|_| WRONG)?;
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| WRONG)?;
        Ok(AppealCase {
            appeal_id: row.appeal_id.clone(),
            status: row.status.clone(),
            opened_at: row.created_at.seconds(),
            app_id: row.app_id.clone(),
            user_id: row.user_id.clone(),
            claimed_phone: kept.claimed.masked(),
            contact_phone: kept.contact.as_str().to_owned(),
            lost: kept.lost,
            statement: kept.statement,
            evidence: serde_json::from_str(&row.evidence).map_err(|_| WRONG)?,
            decided_by: row.decided_by.clone(),
            decided_at: row.decided_at.map(Timestamp::seconds),
            reason: row.reason.clone(),
        })
    }

    /// A person decides an open appeal, in the transaction of their audit entry. One that is not open any more, or an approval for no account: `conflict`.
    pub async fn decide_appeal(
        &self,
        tx: &mut Tx,
        appeal_id: &str,
        by: &str,
        decision: &Decision,
    ) -> Result<AppealCase, Problem> {
        let row = rows::find(tx, appeal_id)
            .await?
            .ok_or_else(|| Problem::new(Code::AppealUnknown))?;
        let changes = self.changes();
        let decided = match decision {
            Decision::Approve { .. } if row.user_id.is_none() => {
                return Err(
                    Problem::new(Code::Conflict).detail("there is no account of this number")
                );
            }
            Decision::Approve { new_password } => Decided {
                status: "approved",
                by,
                reason: None,
                new_password: *new_password,
                grant_expires_at: Some(changes.at.plus(GRANT)),
                at: changes.at,
            },
            Decision::Reject { reason } => Decided {
                status: "rejected",
                by,
                reason: Some(reason),
                new_password: false,
                grant_expires_at: None,
                at: changes.at,
            },
        };
        if !rows::decide(tx, appeal_id, &decided).await? {
            return Err(Problem::new(Code::Conflict).detail("this appeal is decided already"));
        }
        if let Some(user_id) = &row.user_id {
            let action = format!("appeal_{}", decided.status);
            let entry_id = changes.context.uuid();
            operations::keep_history(tx, &entry_id, user_id, &action, None, changes.at).await?;
            let kind = format!("appeal.{}", decided.status);
            let payload = json!({"appeal_id": appeal_id});
            changes.announce(tx, user_id, &kind, payload).await?;
        }
        let row = rows::find(tx, appeal_id)
            .await?
            .ok_or(StoreError::Corrupt("an appeal that was decided is gone"))?;
        Ok(self.case(&row)?)
    }
}

impl Turn<'_> {
    /// Writes the appeal with its evidence; the account's holder is told, so that they can object.
    async fn open_appeal(self, kept: &Kept, judged: &Judged) -> Result<Reply, Problem> {
        let parts = self.accounts.parts();
        let (keys, now) = (&parts.keys, parts.context.now());
        let call = &self.caller.call;
        let bucket = |what: &[u8], whom: &[u8], count| {
            (keys.name(Purpose::RateBucket, &[what, whom]), daily(count))
        };
        let index = phone_index(keys, &kept.claimed);
        let place = crate::login::judging::place_of(call.address);
        let limits = [
            bucket(b"appeal-number", index.as_bytes(), PER_NUMBER),
            bucket(
                b"appeal-device",
                call.device_key.as_str().as_bytes(),
                PER_DEVICE,
            ),
            bucket(b"appeal-address", place.as_bytes(), PER_ADDRESS),
        ];
        if let Some(until) = take_all(self.tx, &limits, now).await? {
            let wait = now.seconds_until(until).max(1);
            return Err(Problem::new(Code::RateLimited).retry_after(wait));
        }
        let user_id = accounts::by_phone(self.tx, &index).await?;
        // The number went to another account meanwhile: the answers were held against the wrong one.
        let same = user_id == judged.user_id;
        let whose = user_id.as_deref().unwrap_or("");
        let place = place_name(keys, whose, call.address);
        let usage = rows::usage(self.tx, whose, call.device_key.as_str(), &place).await?;
        let customer = accounts::account(self.tx, whose)
            .await?
            .and_then(|account| account.customer_ref);
        let own = phone_of(self.tx, keys, whose).await?;
        let signals = Signals {
            account_known: user_id.is_some(),
            questions_set: judged.questions_set,
            answers_given: judged.answers_given,
            answers_right: if same { judged.answers_right } else { 0 },
            contact_is_own_number: own.as_ref() == Some(&kept.contact),
            contact_on_contract: matches!(&judged.contact, Resolved::Customer(on) if customer.as_ref() == Some(&on.0)),
            usage,
        };
        let evidence = Evidence::of(signals, now);
        let appeal_id = parts.context.uuid();
        let text = Zeroizing::new(serde_json::to_vec(kept).map_err(Problem::internal)?);
        let row = AppealRow {
            sealed_claim: keys.seal(
                Purpose::Appeal,
                appeal_id.as_bytes(),
                &text,
                parts.context.randomness(),
            ),
            appeal_id,
            app_id: self.held.state.app_id.clone(),
            device_key: call.device_key.as_str().to_owned(),
            user_id: user_id.clone(),
            evidence: serde_json::to_string(&evidence).map_err(Problem::internal)?,
            status: "open".to_owned(),
            created_at: now,
            decided_at: None,
            decided_by: None,
            reason: None,
            new_password: false,
            grant_expires_at: None,
        };
        rows::insert(self.tx, &row).await?;
        if let Some(user_id) = &user_id {
            let entry_id = parts.context.uuid();
            operations::keep_history(self.tx, &entry_id, user_id, "appeal_opened", None, now)
                .await?;
            self.accounts
                .changes()
                .announce(
                    self.tx,
                    user_id,
                    "appeal.opened",
                    json!({"appeal_id": row.appeal_id}),
                )
                .await?;
            if let Some(to) = Recipient::holder(self.tx, keys, user_id).await? {
                let kind = NoticeKind::AppealOpened;
                notices::record(self.tx, keys, &parts.context, &to, kind, None).await?;
            }
        }
        let appeal = Some(self.accounts.appeal_view(&row));
        self.finish(&OperationReply {
            appeal,
            ..OperationReply::of(OperationStep::Done)
        })
        .await
    }
}
