//! `POST /v1/account/proof`: who holds the session proves who they are (L9), or that they can log in at a provider that is bound (U5).

use super::operation::{Caller, Turn};
use super::stage::{Aim, Asked, Kind, Stage, State};
use super::wire::{OperationAnswer, OperationReply, OperationStep, ProofRequest, ProofStart};
use super::{Accounts, FRESH, Held};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{self, Owner};
use crate::login::decision::{CustomerRef, UserId};
use crate::login::wire::{Answer, ProviderStart};
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::{StoreError, Tx, accounts, bindings as rows, operations, sessions};

impl Accounts {
    /// Begins a proof, or takes an answer to it.
    pub async fn proof(
        &self,
        call: &Call,
        holder: &Holder,
        request: ProofRequest,
    ) -> Result<Reply, Problem> {
        let caller = Caller::holder(call, holder);
        match request {
            ProofRequest::Start(ProofStart::Person(_)) => self.begin_proof(caller, holder).await,
            ProofRequest::Start(ProofStart::Provider(start)) => {
                self.prove_provider(caller, holder, start).await
            }
            ProofRequest::Answer(answer) => self.answer_proof(&caller, answer).await,
        }
    }

    async fn answer_proof(
        &self,
        caller: &Caller,
        answer: OperationAnswer,
    ) -> Result<Reply, Problem> {
        let present = self
            .present(caller, Kind::Proof, answer.operation, &answer.step_id)
            .await?;
        match (&present.state.stage, answer.answer) {
            (_, Answer::Cancel(_)) => self.cancel(caller, &present).await,
            (Stage::Verification { .. }, Answer::LoginPassword(sealed)) => {
                self.submit_password(caller, present, &sealed).await
            }
            (
                Stage::Verification {
                    asked: Asked::Customer(_),
                    ..
                },
                Answer::Card(card),
            ) => self.submit_card(caller, present, &card).await,
            (Stage::Face { .. }, Answer::Face(face)) => {
                self.submit_face(caller, present, &face).await
            }
            _ => Err(self.at_step(&present, Problem::new(Code::AnswerNotExpected))),
        }
    }

    /// L9: a signed customer proves as in L5, an unsigned person by the login password. Who has neither logs in anew at their earliest provider.
    async fn begin_proof(&self, caller: Caller, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, holder) = (self.clone(), holder.clone());
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, caller, holder) = (accounts.clone(), caller.clone(), holder.clone());
                Box::pin(async move {
                    let held = accounts.hold_holder(tx, &holder).await?;
                    let asked = asked_of(tx, &held)
                        .await?
                        .ok_or_else(|| Problem::new(Code::ProviderLoginRequired))?;
                    let state = State {
                        kind: Kind::Proof,
                        app_id: held.session.app_id,
                        user_id: UserId(held.account.user_id),
                        appeal_id: None,
                        stage: Stage::Verification {
                            asked,
                            aim: Aim::Prove,
                            attempts_used: 0,
                        },
                    };
                    let present = accounts.begin(&caller, state);
                    accounts.insert(tx, &caller.call, present).await
                })
            })
            .await
    }

    /// U5: a login at a provider that is bound to this account, within the session.
    async fn prove_provider(
        &self,
        caller: Caller,
        holder: &Holder,
        start: ProviderStart,
    ) -> Result<Reply, Problem> {
        let app_id = self.app_of(holder, false).await?;
        let vouched = self
            .inner
            .login
            .vouched(&caller.call, &app_id, start, "/start/provider")
            .await?;
        let (accounts, holder, brought) = (self.clone(), holder.clone(), vouched.clone());
        let result = self
            .parts()
            .store
            .write(move |tx| {
                let (accounts, caller, holder) = (accounts.clone(), caller.clone(), holder.clone());
                let brought = brought.clone();
                Box::pin(async move {
                    let now = accounts.now();
                    let held = accounts.hold_holder(tx, &holder).await?;
                    brought.spend(tx, now).await?;
                    let reply = match identity::owner(tx, &brought.identity).await? {
                        Owner::Nobody => Err(Code::BindingUnknown),
                        Owner::Account(binding) if binding.user_id == held.account.user_id => {
                            Ok(accounts
                                .note_login_there(tx, &held, &binding.provider)
                                .await?)
                        }
                        Owner::Account(_) | Owner::Contested(_) => {
                            Err(Code::IdentityBoundElsewhere)
                        }
                    };
                    let reply = match reply {
                        Ok(proved) => Reply::json(&OperationReply {
                            proved: Some(proved),
                            fresh_for: Some(FRESH.as_secs()),
                            ..OperationReply::of(OperationStep::Done)
                        })?,
                        Err(code) => Reply::problem(&Problem::new(code), &caller.call.request_id),
                    };
                    caller.call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await;
        self.settle(result, vouched).await
    }

    /// Whether the person is proved by it too: only where the account has nothing else to be proved by, and at its earliest provider.
    async fn note_login_there(
        &self,
        tx: &mut Tx,
        held: &Held,
        provider: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let session_id = &held.session.session_id;
        rows::prove_provider(tx, session_id, provider, now, now.plus(FRESH)).await?;
        let earliest = accounts::bindings(tx, &held.account.user_id)
            .await?
            .into_iter()
            .next();
        let proved = asked_of(tx, held).await?.is_none()
            && earliest.is_some_and(|earliest| earliest.provider == provider);
        if proved {
            sessions::prove(tx, session_id, now).await?;
        }
        Ok(proved)
    }

    /// Whether the session's person was proved within the last minutes (L9).
    pub(super) async fn is_fresh(&self, tx: &mut Tx, session_id: &str) -> Result<bool, StoreError> {
        let since = self.now().minus(FRESH);
        Ok(sessions::proved_at(tx, session_id)
            .await?
            .is_some_and(|at| at > since))
    }

    /// The app of the call's session; `fresh`: its person has to be proved freshly.
    pub(super) async fn app_of(&self, holder: &Holder, fresh: bool) -> Result<String, Problem> {
        let (accounts, holder) = (self.clone(), holder.clone());
        self.parts()
            .store
            .read(move |tx| {
                let (accounts, holder) = (accounts.clone(), holder.clone());
                Box::pin(async move {
                    let held = accounts.read_holder(tx, &holder).await?;
                    if fresh && !accounts.is_fresh(tx, &held.session.session_id).await? {
                        return Err(Problem::new(Code::ReauthenticationRequired));
                    }
                    Ok(held.session.app_id)
                })
            })
            .await
    }

    /// A credential whose call could not go on is kept for its repetition.
    pub(super) async fn settle(
        &self,
        result: Result<Reply, Problem>,
        vouched: crate::login::vouched::Vouched,
    ) -> Result<Reply, Problem> {
        if result.as_ref().is_err_and(Problem::may_be_repeated) {
            self.inner.login.keep_vouched(vouched).await;
        }
        result
    }
}

/// What a person can be proved by: as in L5 where the account stores a customer, by its login password else. `None`: it has neither.
pub(super) async fn asked_of(tx: &mut Tx, held: &Held) -> Result<Option<Asked>, StoreError> {
    if let Some(customer) = &held.account.customer_ref {
        return Ok(Some(Asked::Customer(CustomerRef(customer.clone()))));
    }
    let user_id = &held.account.user_id;
    Ok(accounts::password_hash(tx, user_id)
        .await?
        .map(|_| Asked::Account(UserId(user_id.clone()))))
}

impl Turn<'_> {
    /// L9: the session is proved.
    pub(super) async fn prove(mut self, customer: Option<CustomerRef>) -> Result<Reply, Problem> {
        if self.stored_customer().await? != customer {
            // It became a signed customer's meanwhile, so a login password is not enough any more.
            return self.end(&Problem::new(Code::Conflict)).await;
        }
        self.mark_proved("proved").await?;
        self.finish(&OperationReply {
            proved: Some(true),
            fresh_for: Some(FRESH.as_secs()),
            ..OperationReply::of(OperationStep::Done)
        })
        .await
    }

    /// The customer whose reference the account stores now.
    pub(super) async fn stored_customer(&mut self) -> Result<Option<CustomerRef>, StoreError> {
        let account = accounts::account(self.tx, &self.held.state.user_id.0).await?;
        Ok(account
            .and_then(|account| account.customer_ref)
            .map(CustomerRef))
    }

    /// The session's person is proved; `action` goes into the account's history.
    pub(super) async fn mark_proved(&mut self, action: &str) -> Result<(), StoreError> {
        let context = &self.accounts.parts().context;
        let now = context.now();
        let session_id = self.held.row.session_id.as_deref();
        if let Some(session_id) = session_id {
            sessions::prove(self.tx, session_id, now).await?;
        }
        let user_id = &self.held.state.user_id.0;
        operations::keep_history(self.tx, &context.uuid(), user_id, action, session_id, now).await
    }
}
