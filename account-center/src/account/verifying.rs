//! Password, card and face within an operation. Tries are taken out of the same buckets as those of logins, before they are judged.

use futures_util::future::BoxFuture;

use super::Accounts;
use super::operation::{Caller, Present, Turn};
use super::stage::{Aim, Asked, Stage};
use crate::http::reply::Reply;
use crate::login::decision::CustomerRef;
use crate::login::judging::Proof;
use crate::login::wire::{CardAnswer, FaceAnswer, SealedField};
use crate::ports::{FaceBinding, FaceSession, ProofResult};
use crate::problem::{Code, Problem};
use crate::store::limits::{self, Taken};
use crate::store::{Failure as _, accounts};

/// A try that was counted before it is judged.
enum Counted {
    /// The hash of the account's login password, where that is asked for.
    Judge(Option<String>),
    /// There is none left: the operation is over.
    Over(Reply),
}

/// What comes after a right proof.
#[derive(Clone)]
enum After {
    /// All is proved.
    Done(Option<CustomerRef>),
    /// L5: the customer's own proof.
    Customer(CustomerRef),
    /// L5: a face, for which this session was opened.
    Face(CustomerRef, FaceSession, String),
}

impl Accounts {
    pub(super) async fn submit_password(
        &self,
        caller: &Caller,
        present: Present,
        sealed: &SealedField,
    ) -> Result<Reply, Problem> {
        let proof = self
            .parts()
            .unseal_password(&caller.call, present.sealed_for(), sealed)?;
        self.verify(caller, present, proof).await
    }

    pub(super) async fn submit_card(
        &self,
        caller: &Caller,
        present: Present,
        card: &CardAnswer,
    ) -> Result<Reply, Problem> {
        let proof = self
            .parts()
            .unseal_card(&caller.call, present.sealed_for(), card)?;
        self.verify(caller, present, proof).await
    }

    /// Counted first, judged with no transaction open, and put back if nobody could judge it.
    async fn verify(
        &self,
        caller: &Caller,
        present: Present,
        proof: Proof,
    ) -> Result<Reply, Problem> {
        let Stage::Verification { asked, aim, .. } = present.state.stage.clone() else {
            return Err(Problem::internal("no proof is asked for"));
        };
        let bucket = self.parts().proof_bucket(asked.whose());
        let password_hash = match self.count(caller, &present, bucket.clone()).await? {
            Counted::Over(reply) => return Ok(reply),
            Counted::Judge(password_hash) => password_hash,
        };
        let result = match self
            .parts()
            .judge(asked.whose(), &proof, password_hash)
            .await
        {
            Ok(ProofResult::Right) => {
                self.right(caller, &present, asked, aim, bucket.clone())
                    .await
            }
            Ok(ProofResult::Wrong) => self.wrong_proof(caller, &present, proof.wrong()).await,
            Ok(ProofResult::Locked { retry_after }) => {
                let window = self.parts().policy.proofs_per_subject.window.as_secs();
                let wait = retry_after.unwrap_or(window);
                self.turn(caller, &present, move |turn| {
                    Box::pin(turn.used_up(Some(wait)))
                })
                .await
            }
            Err(problem) => Err(problem),
        };
        if result.as_ref().is_err_and(Problem::may_be_repeated) {
            self.uncount(caller, &present, bucket).await;
        }
        result
    }

    async fn count(
        &self,
        caller: &Caller,
        present: &Present,
        bucket: String,
    ) -> Result<Counted, Problem> {
        self.turn(caller, present, move |mut turn| {
            let bucket = bucket.clone();
            Box::pin(async move {
                let policy = &turn.accounts.parts().policy;
                let now = turn.accounts.now();
                let Stage::Verification {
                    asked,
                    attempts_used,
                    ..
                } = &mut turn.held.state.stage
                else {
                    return Err(Problem::internal("no proof is asked for"));
                };
                if *attempts_used >= policy.proof_attempts {
                    return turn.used_up(None).await.map(Counted::Over);
                }
                *attempts_used += 1;
                let asked = asked.clone();
                if let Taken::UsedUp(until) =
                    limits::take(turn.tx, &bucket, policy.proofs_per_subject, now).await?
                {
                    let wait = now.seconds_until(until).max(1);
                    return turn.used_up(Some(wait)).await.map(Counted::Over);
                }
                let password_hash = match &asked {
                    Asked::Account(user_id) => accounts::password_hash(turn.tx, &user_id.0).await?,
                    Asked::Customer(_) => None,
                };
                turn.save().await?;
                Ok(Counted::Judge(password_hash))
            })
        })
        .await
    }

    async fn uncount(&self, caller: &Caller, present: &Present, bucket: String) {
        let (now, whole) = (self.now(), bucket.clone());
        let put_back = self
            .parts()
            .store
            .write(move |tx| {
                let bucket = whole.clone();
                Box::pin(async move { limits::give_back(tx, &bucket, now).await })
            })
            .await
            .map_err(Problem::from);
        let saved = self
            .turn(caller, present, |mut turn| {
                Box::pin(async move {
                    if let Stage::Verification { attempts_used, .. } = &mut turn.held.state.stage {
                        *attempts_used = attempts_used.saturating_sub(1);
                    }
                    Ok(turn.save().await?)
                })
            })
            .await;
        // That the operation went on meanwhile is no failure.
        for failed in [put_back, saved]
            .into_iter()
            .filter_map(Result::err)
            .filter(|problem| problem.store_error().is_some())
        {
            tracing::warn!(problem = %failed, "a proof that nobody judged stays counted");
        }
    }

    async fn right(
        &self,
        caller: &Caller,
        present: &Present,
        asked: Asked,
        aim: Aim,
        bucket: String,
    ) -> Result<Reply, Problem> {
        let after = match (asked, &aim) {
            (
                Asked::Account(_),
                Aim::Phone {
                    customer: Some(customer),
                    ..
                },
            ) => After::Customer(customer.clone()),
            (Asked::Account(_), _) => After::Done(None),
            (Asked::Customer(customer), _) => {
                let (session, nonce) = self
                    .parts()
                    .start_face(&caller.call, &present.row.operation_hash, &customer)
                    .await?;
                After::Face(customer, session, nonce)
            }
        };
        let reply = self
            .turn(caller, present, move |turn| {
                let (after, aim, bucket) = (after.clone(), aim.clone(), bucket.clone());
                Box::pin(async move {
                    limits::give_back(turn.tx, &bucket, turn.accounts.now()).await?;
                    match after {
                        After::Done(customer) => turn.achieve(aim, customer).await,
                        After::Customer(customer) => {
                            let attempts_used = turn.attempts_used();
                            turn.go(Stage::Verification {
                                asked: Asked::Customer(customer),
                                aim,
                                attempts_used,
                            })
                            .await
                        }
                        After::Face(customer, session, nonce) => {
                            turn.go(Stage::Face {
                                customer,
                                aim,
                                session,
                                nonce,
                                attempts_used: 0,
                            })
                            .await
                        }
                    }
                })
            })
            .await?;
        self.notices().wake();
        Ok(reply)
    }

    async fn wrong_proof(
        &self,
        caller: &Caller,
        present: &Present,
        code: Code,
    ) -> Result<Reply, Problem> {
        self.turn(caller, present, move |turn| {
            Box::pin(async move {
                let policy = &turn.accounts.parts().policy;
                let left = policy.proof_attempts.saturating_sub(turn.attempts_used());
                if left == 0 {
                    return turn.used_up(None).await;
                }
                let stage = turn.held.state.stage.clone();
                turn.wrong(stage, Problem::new(code).attempts_left(left))
                    .await
            })
        })
        .await
    }

    /// The ticket is checked server to server, once, and must name this customer, operation, device key and nonce (L5).
    pub(super) async fn submit_face(
        &self,
        caller: &Caller,
        present: Present,
        answer: &FaceAnswer,
    ) -> Result<Reply, Problem> {
        let Stage::Face {
            customer,
            aim,
            nonce,
            attempts_used,
            ..
        } = present.state.stage.clone()
        else {
            return Err(Problem::internal("no face is asked for"));
        };
        let expected = FaceBinding {
            customer: customer.clone(),
            login: present.row.operation_hash.clone(),
            device_key: caller.call.device_key.as_str().to_owned(),
            nonce,
        };
        if self.parts().face_passed(&answer.ticket, &expected).await? {
            let reply = self
                .turn(caller, &present, move |turn| {
                    Box::pin(turn.achieve(aim.clone(), Some(customer.clone())))
                })
                .await?;
            self.notices().wake();
            return Ok(reply);
        }
        let attempts_used = attempts_used.saturating_add(1);
        let left = self
            .parts()
            .policy
            .face_attempts
            .saturating_sub(attempts_used);
        // A session and its ticket serve once: the next try gets new ones.
        let again = if left == 0 {
            None
        } else {
            let (session, nonce) = self
                .parts()
                .start_face(&caller.call, &present.row.operation_hash, &customer)
                .await?;
            Some(Stage::Face {
                customer,
                aim,
                session,
                nonce,
                attempts_used,
            })
        };
        self.turn(caller, &present, move |turn| {
            let again = again.clone();
            Box::pin(async move {
                match again {
                    None => turn.used_up(None).await,
                    Some(stage) => {
                        let problem = Problem::new(Code::FaceFailed).attempts_left(left);
                        turn.wrong(stage, problem).await
                    }
                }
            })
        })
        .await
    }
}

impl<'t> Turn<'t> {
    /// Proofs tried so far.
    fn attempts_used(&self) -> u32 {
        match self.held.state.stage {
            Stage::Verification { attempts_used, .. } => attempts_used,
            _ => 0,
        }
    }

    /// All is proved: what it was for is done. `customer`: whose password or card, and face, it was (L5).
    pub(super) fn achieve(
        self,
        aim: Aim,
        customer: Option<CustomerRef>,
    ) -> BoxFuture<'t, Result<Reply, Problem>> {
        Box::pin(async move {
            match aim {
                Aim::Prove => self.prove(customer).await,
                Aim::Phone {
                    phone,
                    new_password,
                    ..
                } => {
                    self.give_phone(&phone, customer, new_password.as_deref())
                        .await
                }
            }
        })
    }
}
