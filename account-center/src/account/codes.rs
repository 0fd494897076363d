//! The SMS codes of an operation: sent, sent again, judged. Until a code is right, every number gets the same answers.

use subtle::ConstantTimeEq as _;

use super::Accounts;
use super::operation::{Caller, Present, Turn};
use super::stage::{CodeOf, Sent, Stage};
use crate::context::Timestamp;
use crate::http::reply::Reply;
use crate::login::judging::take_all;
use crate::phone_number::PhoneNumber;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;

impl Accounts {
    /// Takes the message out of its buckets for an operation that begins, and sends it. What is given back is the code's hash.
    pub(super) async fn send_first(
        &self,
        caller: &Caller,
        operation_hash: &str,
        phone: &PhoneNumber,
    ) -> Result<String, Problem> {
        let buckets = self.parts().message_buckets(phone, caller.call.address);
        let (now, taken) = (self.now(), buckets.clone());
        self.parts()
            .store
            .write(move |tx| {
                let buckets = taken.clone();
                Box::pin(async move {
                    match take_all(tx, &buckets, now).await? {
                        None => Ok(()),
                        Some(until) => Err(limit_reached(now, until)),
                    }
                })
            })
            .await?;
        self.send(operation_hash, phone, buckets).await
    }

    async fn send(
        &self,
        operation_hash: &str,
        phone: &PhoneNumber,
        buckets: crate::login::judging::Buckets,
    ) -> Result<String, Problem> {
        let (code, code_hash) = self.parts().draw_code(operation_hash);
        match self.parts().send_code(phone, &code).await {
            Ok(()) => Ok(code_hash),
            Err(not_sent) => {
                if !not_sent.maybe_sent {
                    self.parts().give_message_back(buckets).await;
                }
                Err(not_sent.problem)
            }
        }
    }

    /// Sends a code within an operation, and then asks for it.
    pub(super) async fn send_next(
        &self,
        caller: &Caller,
        present: Present,
        of: CodeOf,
        phone: PhoneNumber,
    ) -> Result<Reply, Problem> {
        let buckets = self.parts().message_buckets(&phone, caller.call.address);
        let taken = buckets.clone();
        self.turn(caller, &present, move |turn| {
            let buckets = taken.clone();
            Box::pin(async move {
                let now = turn.accounts.now();
                match take_all(turn.tx, &buckets, now).await? {
                    None => Ok(()),
                    Some(until) => {
                        Err(turn.accounts.at_step(&turn.held, limit_reached(now, until)))
                    }
                }
            })
        })
        .await?;
        let code_hash = self
            .send(&present.row.operation_hash, &phone, buckets)
            .await?;
        self.turn(caller, &present, move |turn| {
            let (phone, code_hash) = (phone.clone(), code_hash.clone());
            Box::pin(async move {
                let (Stage::Phone { attempts_used, .. } | Stage::Code { attempts_used, .. }) =
                    turn.held.state.stage
                else {
                    return Err(Problem::internal("no SMS is asked for"));
                };
                let at = turn.accounts.now().millis();
                turn.go(Stage::Code {
                    of,
                    sent: Sent { phone, at },
                    code_hash,
                    attempts_used,
                })
                .await
            })
        })
        .await
    }

    pub(super) async fn resend(&self, caller: &Caller, present: Present) -> Result<Reply, Problem> {
        let Stage::Code { of, sent, .. } = &present.state.stage else {
            return Err(Problem::internal("no SMS was sent"));
        };
        self.after_pause(&present, sent)?;
        let (of, phone) = (*of, sent.phone.clone());
        self.send_next(caller, present, of, phone).await
    }

    pub(super) fn after_pause(&self, present: &Present, sent: &Sent) -> Result<(), Problem> {
        let again = Timestamp::from_millis(sent.at).plus(self.parts().policy.resend_after);
        let wait = self.now().seconds_until(again);
        if wait == 0 {
            Ok(())
        } else {
            Err(self.at_step(present, Problem::new(Code::ResendTooSoon).retry_after(wait)))
        }
    }

    /// Judges a code. `Some`: it was wrong, and this is the reply. `None`: it is right and nothing is written; the step after it consumes the code.
    pub(super) async fn wrong_code(
        &self,
        caller: &Caller,
        present: &Present,
        code: &SecretText,
    ) -> Result<Option<Reply>, Problem> {
        let given = self
            .parts()
            .code_hash(&present.row.operation_hash, code.expose());
        self.turn(caller, present, move |turn| {
            let given = given.clone();
            Box::pin(async move { turn.judge_code(&given).await })
        })
        .await
    }

    /// Back to the number.
    pub(super) async fn change_number(
        &self,
        caller: &Caller,
        present: &Present,
    ) -> Result<Reply, Problem> {
        self.turn(caller, present, |turn| {
            Box::pin(async move {
                let Stage::Code {
                    sent,
                    attempts_used,
                    ..
                } = turn.held.state.stage.clone()
                else {
                    return Err(Problem::internal("no SMS was sent"));
                };
                turn.go(Stage::Phone {
                    attempts_used,
                    last: Some(sent),
                })
                .await
            })
        })
        .await
    }
}

impl Turn<'_> {
    async fn judge_code(self, given: &str) -> Result<Option<Reply>, Problem> {
        let Stage::Code {
            of,
            sent,
            code_hash,
            attempts_used,
        } = self.held.state.stage.clone()
        else {
            return Err(Problem::internal("no SMS was sent"));
        };
        let policy = &self.accounts.parts().policy;
        let good_until = Timestamp::from_millis(sent.at).plus(policy.code_lifetime);
        if good_until <= self.accounts.now() {
            return Err(self
                .accounts
                .at_step(&self.held, Problem::new(Code::SmsCodeExpired)));
        }
        if code_hash.as_bytes().ct_eq(given.as_bytes()).into() {
            return Ok(None);
        }
        let attempts_used = attempts_used.saturating_add(1);
        let left = policy.code_attempts.saturating_sub(attempts_used);
        if left == 0 {
            return self.used_up(None).await.map(Some);
        }
        let stage = Stage::Code {
            of,
            sent,
            code_hash,
            attempts_used,
        };
        let problem = Problem::new(Code::SmsCodeWrong).attempts_left(left);
        self.wrong(stage, problem).await.map(Some)
    }
}

fn limit_reached(now: Timestamp, until: Timestamp) -> Problem {
    Problem::new(Code::SmsLimitReached).retry_after(now.seconds_until(until).max(1))
}
