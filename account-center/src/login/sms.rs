//! The phone number and its SMS code (L4, U2). Until the code is right, every number gets the same answers.

use subtle::ConstantTimeEq as _;

use super::advance::Known;
use super::decision::Progress;
use super::engine::{Engine, Present, port_problem};
use super::judging::{Buckets, take_all};
use super::state::{Sent, Stage};
use crate::context::Timestamp;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::phone_number::PhoneNumber;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::Tx;

impl Engine {
    pub(super) async fn submit_phone(
        &self,
        call: &Call,
        present: Present,
        number: &SecretText,
    ) -> Result<Reply, Problem> {
        let Ok(phone) = PhoneNumber::parse(number.expose()) else {
            return Err(self.at_step(
                &present,
                Problem::new(Code::PhoneInvalid).pointer("/answer/phone"),
            ));
        };
        let Stage::Phone { last, .. } = &present.state.stage else {
            return Err(Problem::internal("not asked for a phone number"));
        };
        // Changing the number and giving the same again is no way around the pause.
        if let Some(last) = last.as_ref().filter(|last| last.phone == phone) {
            self.after_pause(&present, last)?;
        }
        self.send(call, present, phone).await
    }

    pub(super) async fn resend(&self, call: &Call, present: Present) -> Result<Reply, Problem> {
        let Stage::SmsCode { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        self.after_pause(&present, sent)?;
        let phone = sent.phone.clone();
        self.send(call, present, phone).await
    }

    fn after_pause(&self, present: &Present, sent: &Sent) -> Result<(), Problem> {
        let wait =
            self.parts.context.now().seconds_until(
                Timestamp::from_millis(sent.at).plus(self.parts.policy.resend_after),
            );
        if wait == 0 {
            Ok(())
        } else {
            Err(self.at_step(present, Problem::new(Code::ResendTooSoon).retry_after(wait)))
        }
    }

    /// Takes the message out of its buckets, sends it with no transaction open, and then asks for its code.
    async fn send(
        &self,
        call: &Call,
        present: Present,
        phone: PhoneNumber,
    ) -> Result<Reply, Problem> {
        let buckets = self.parts.message_buckets(&phone, call.address);
        self.take(present.clone(), buckets.clone()).await?;

        let (code, code_hash) = self.parts.draw_code(&present.row.login_hash);
        if let Err(not_sent) = self.parts.send_code(&phone, &code).await {
            // A message that may have gone out has been paid for.
            if !not_sent.maybe_sent {
                self.parts.give_message_back(buckets).await;
            }
            return Err(not_sent.problem);
        }

        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present, phone, code_hash) = (engine.clone(), call.clone(), present.clone(), phone.clone(), code_hash.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let (Stage::Phone { attempts_used, .. } | Stage::SmsCode { attempts_used, .. }) = held.state.stage else {
                        return Err(Problem::internal("no SMS is asked for"));
                    };
                    let sent = Sent { phone, at: engine.parts.context.now().millis() };
                    let now = engine.put(tx, &held, Stage::SmsCode { sent, code_hash, attempts_used }).await?;
                    engine.record(tx, &now.row, &now.state, "asked_sms_code").await?;
                    let reply = engine.step_reply(&now)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    pub(super) async fn change_phone(
        &self,
        call: &Call,
        present: Present,
    ) -> Result<Reply, Problem> {
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present) = (engine.clone(), call.clone(), present.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let Stage::SmsCode {
                        sent,
                        attempts_used,
                        ..
                    } = &held.state.stage
                    else {
                        return Err(Problem::internal("no SMS was sent"));
                    };
                    let stage = Stage::Phone {
                        attempts_used: *attempts_used,
                        last: Some(sent.clone()),
                    };
                    let now = engine.put(tx, &held, stage).await?;
                    engine
                        .record(tx, &now.row, &now.state, "asked_phone")
                        .await?;
                    let reply = engine.step_reply(&now)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    /// Judges a code. Guesses at one step are judged one after the other and the first wrong one ends the step, so that many at once are no better than one.
    pub(super) async fn submit_code(
        &self,
        call: &Call,
        present: Present,
        code: &SecretText,
    ) -> Result<Reply, Problem> {
        let given = self.parts.code_hash(&present.row.login_hash, code.expose());
        let (engine, judged) = (self.clone(), call.clone());
        let asked = present.clone();
        let wrong = self
            .parts
            .store
            .write(move |tx| {
                let (engine, call, present, given) =
                    (engine.clone(), judged.clone(), asked.clone(), given.clone());
                Box::pin(async move { engine.judge_code(tx, &call, &present, &given).await })
            })
            .await?;
        if let Some(reply) = wrong {
            return Ok(reply);
        }

        let Stage::SmsCode { sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let phone = sent.phone.clone();
        let resolved = self
            .parts
            .customers
            .resolve(&phone)
            .await
            .map_err(|error| port_problem(Code::CoreUnavailable, error))?;
        let known = Known {
            identity: present.state.identity.clone(),
            phone: Some(phone),
            password_hash: None,
            attempts_used: 0,
        };
        self.advance_from(
            call,
            present,
            None,
            known,
            Progress::NumberProved { resolved },
        )
        .await
    }

    /// `None`: it is right. Nothing is written then: the step after it consumes the code.
    async fn judge_code(
        &self,
        tx: &mut Tx,
        call: &Call,
        present: &Present,
        given: &str,
    ) -> Result<Option<Reply>, Problem> {
        let held = self.hold(tx, present).await?;
        let Stage::SmsCode {
            sent,
            code_hash,
            attempts_used,
        } = &held.state.stage
        else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let policy = &self.parts.policy;
        if Timestamp::from_millis(sent.at).plus(policy.code_lifetime) <= self.parts.context.now() {
            return Err(self.at_step(&held, Problem::new(Code::SmsCodeExpired)));
        }
        if code_hash.as_bytes().ct_eq(given.as_bytes()).into() {
            return Ok(None);
        }
        let attempts_used = attempts_used.saturating_add(1);
        if attempts_used >= policy.code_attempts {
            return self
                .end(
                    tx,
                    call,
                    &held,
                    &Problem::new(Code::TooManyAttempts).attempts_left(0),
                )
                .await
                .map(Some);
        }
        let stage = Stage::SmsCode {
            sent: sent.clone(),
            code_hash: code_hash.clone(),
            attempts_used,
        };
        let now = self.put(tx, &held, stage).await?;
        self.record(tx, &now.row, &now.state, "sms_code_wrong")
            .await?;
        let problem =
            Problem::new(Code::SmsCodeWrong).attempts_left(policy.code_attempts - attempts_used);
        let reply = Reply::problem(&self.at_step(&now, problem), &call.request_id);
        call.ticket.finish(tx, &reply).await?;
        Ok(Some(reply))
    }

    /// Takes one out of each bucket, or none out of any.
    async fn take(&self, present: Present, buckets: Buckets) -> Result<(), Problem> {
        let engine = self.clone();
        self.parts
            .store
            .write(move |tx| {
                let (engine, present, buckets) = (engine.clone(), present.clone(), buckets.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let now = engine.parts.context.now();
                    match take_all(tx, &buckets, now).await? {
                        None => Ok(()),
                        Some(until) => {
                            let problem = Problem::new(Code::SmsLimitReached)
                                .retry_after(now.seconds_until(until).max(1));
                            Err(engine.at_step(&held, problem))
                        }
                    }
                })
            })
            .await
    }
}
