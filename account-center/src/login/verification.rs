//! Proving to be the owner of a number: the account's own login password (U2), or a customer's login password or card at the core (L5).

use super::advance::Known;
use super::decision::Progress;
use super::engine::{Engine, Present};
use super::judging::{Proof, SealedFor, Whose};
use super::state::{ProofAsked, Stage};
use super::wire::{CardAnswer, SealedField};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::ports::ProofResult;
use crate::problem::{Code, Problem};
use crate::store::limits::{self, Taken};
use crate::store::{Failure as _, Tx, accounts, logins};

impl ProofAsked {
    fn whose(&self) -> Whose<'_> {
        match self {
            Self::Account { user_id, .. } => Whose::Account(user_id),
            Self::Customer { customer, .. } => Whose::Customer(customer),
        }
    }
}

impl Present {
    /// Where a sealed field of an answer to it stands.
    pub(super) fn sealed_for(&self) -> SealedFor<'_> {
        SealedFor {
            app_id: &self.row.app_id,
            handle: self.handle.expose(),
            step_id: &self.row.step_id,
        }
    }
}

/// A try that was counted before it is judged.
enum Counted {
    /// The hash of the account's login password, where that is asked for.
    Judge { password_hash: Option<String> },
    /// There is none left: the login is over.
    Over(Reply),
}

impl Engine {
    pub(super) async fn submit_login_password(
        &self,
        call: &Call,
        present: Present,
        sealed: &SealedField,
    ) -> Result<Reply, Problem> {
        let proof = self
            .parts
            .unseal_password(call, present.sealed_for(), sealed)?;
        self.verify(call, present, proof).await
    }

    pub(super) async fn submit_card(
        &self,
        call: &Call,
        present: Present,
        card: &CardAnswer,
    ) -> Result<Reply, Problem> {
        let proof = self.parts.unseal_card(call, present.sealed_for(), card)?;
        self.verify(call, present, proof).await
    }

    /// The try is counted first, in the login and for the subject over all logins, and then judged with no transaction open. So many at once are no better
    /// than one after the other. If nobody could judge it, it is put back.
    async fn verify(&self, call: &Call, present: Present, proof: Proof) -> Result<Reply, Problem> {
        let Stage::Verification { phone, asked, .. } = present.state.stage.clone() else {
            return Err(Problem::internal("no proof is asked for"));
        };
        let bucket = self.parts.proof_bucket(asked.whose());
        let password_hash = match self.count(call, present.clone(), bucket.clone()).await? {
            Counted::Over(reply) => return Ok(reply),
            Counted::Judge { password_hash } => password_hash,
        };
        let result = match self.parts.judge(asked.whose(), &proof, password_hash).await {
            Ok(ProofResult::Right) => {
                let known = Known {
                    identity: present.state.identity.clone(),
                    phone: Some(phone),
                    password_hash: None,
                    attempts_used: used(&present),
                };
                let progress = match asked {
                    ProofAsked::Account { user_id, customer } => {
                        Progress::AccountProved { user_id, customer }
                    }
                    ProofAsked::Customer { customer, account } => {
                        Progress::CustomerProved { customer, account }
                    }
                };
                self.advance_from(call, present.clone(), Some(bucket.clone()), known, progress)
                    .await
            }
            Ok(ProofResult::Wrong) => self.wrong(call, present.clone(), proof.wrong()).await,
            Ok(ProofResult::Locked { retry_after }) => {
                let wait =
                    retry_after.unwrap_or(self.parts.policy.proofs_per_subject.window.as_secs());
                self.over(call, present.clone(), wait).await
            }
            Err(problem) => Err(problem),
        };
        if result.as_ref().is_err_and(Problem::may_be_repeated) {
            self.uncount(present, bucket).await;
        }
        result
    }

    async fn count(
        &self,
        call: &Call,
        present: Present,
        bucket: String,
    ) -> Result<Counted, Problem> {
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present, bucket) = (
                    engine.clone(),
                    call.clone(),
                    present.clone(),
                    bucket.clone(),
                );
                Box::pin(async move {
                    let mut held = engine.hold(tx, &present).await?;
                    let policy = &engine.parts.policy;
                    let now = engine.parts.context.now();
                    let Stage::Verification {
                        attempts_used,
                        asked,
                        ..
                    } = &mut held.state.stage
                    else {
                        return Err(Problem::internal("no proof is asked for"));
                    };
                    if *attempts_used >= policy.proof_attempts {
                        let problem = Problem::new(Code::TooManyAttempts).attempts_left(0);
                        return engine
                            .end(tx, &call, &held, &problem)
                            .await
                            .map(Counted::Over);
                    }
                    if let Taken::UsedUp(until) =
                        limits::take(tx, &bucket, policy.proofs_per_subject, now).await?
                    {
                        let problem = Problem::new(Code::TooManyAttempts)
                            .attempts_left(0)
                            .retry_after(now.seconds_until(until).max(1));
                        return engine
                            .end(tx, &call, &held, &problem)
                            .await
                            .map(Counted::Over);
                    }
                    *attempts_used += 1;
                    let password_hash = match asked {
                        ProofAsked::Account { user_id, .. } => {
                            accounts::password_hash(tx, &user_id.0).await?
                        }
                        ProofAsked::Customer { .. } => None,
                    };
                    engine.save_in_place(tx, &held).await?;
                    Ok(Counted::Judge { password_hash })
                })
            })
            .await
    }

    /// Writes the state under the same step id.
    async fn save_in_place(&self, tx: &mut Tx, held: &Present) -> Result<(), Problem> {
        let sealed = held
            .state
            .seal(&self.parts.keys, &self.parts.context, &held.row.login_hash);
        logins::update(tx, &held.row.login_hash, &held.row.step_id, &sealed).await?;
        Ok(())
    }

    async fn uncount(&self, present: Present, bucket: String) {
        let engine = self.clone();
        let done = self
            .parts
            .store
            .write(move |tx| {
                let (engine, present, bucket) = (engine.clone(), present.clone(), bucket.clone());
                Box::pin(async move {
                    limits::give_back(tx, &bucket, engine.parts.context.now()).await?;
                    let mut held = match engine.hold(tx, &present).await {
                        Ok(held) => held,
                        // The login went on meanwhile: only the subject's count is put right.
                        Err(problem) => {
                            return if problem.store_error().is_some() {
                                Err(problem)
                            } else {
                                Ok(())
                            };
                        }
                    };
                    if let Stage::Verification { attempts_used, .. } = &mut held.state.stage {
                        *attempts_used = attempts_used.saturating_sub(1);
                        engine.save_in_place(tx, &held).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(problem) = done {
            tracing::warn!(%problem, "a proof that nobody judged stays counted");
        }
    }

    async fn wrong(&self, call: &Call, present: Present, code: Code) -> Result<Reply, Problem> {
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present) = (engine.clone(), call.clone(), present.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let left = engine
                        .parts
                        .policy
                        .proof_attempts
                        .saturating_sub(used(&held));
                    if left == 0 {
                        return engine
                            .end(
                                tx,
                                &call,
                                &held,
                                &Problem::new(Code::TooManyAttempts).attempts_left(0),
                            )
                            .await;
                    }
                    let now = engine.put(tx, &held, held.state.stage.clone()).await?;
                    engine
                        .record(tx, &now.row, &now.state, code.as_str())
                        .await?;
                    let reply = Reply::problem(
                        &engine.at_step(&now, Problem::new(code).attempts_left(left)),
                        &call.request_id,
                    );
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }

    /// The core answers no more proofs of this customer for now.
    async fn over(
        &self,
        call: &Call,
        present: Present,
        retry_after: u64,
    ) -> Result<Reply, Problem> {
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present) = (engine.clone(), call.clone(), present.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let problem = Problem::new(Code::TooManyAttempts)
                        .attempts_left(0)
                        .retry_after(retry_after);
                    engine.end(tx, &call, &held, &problem).await
                })
            })
            .await
    }
}

/// Tries so far.
fn used(present: &Present) -> u32 {
    match present.state.stage {
        Stage::Verification { attempts_used, .. } => attempts_used,
        _ => 0,
    }
}
