//! A change in several steps, as a login is one: a handle that answers to one device key and one session, a step id for each answer, an encrypted state, ten
//! minutes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Accounts;
use super::stage::{Kind, Stage, State};
use super::wire::{OperationReply, OperationStep};
use crate::context::Timestamp;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::Purpose;
use crate::login::judging::SealedFor;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::sessions::Holder;
use crate::store::bindings;
use crate::store::operations::{self as rows, OperationRow};
use crate::store::{StoreError, Tx};

/// What a handle begins with.
const HANDLE: &str = "op_";
/// How long the row outlives the operation, so that a late answer is told apart from an unknown handle.
const AFTERLIFE: Duration = Duration::from_mins(10);

/// Who calls: the device's holder of a session, or, for what needs none, the device alone.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) call: Call,
    pub(super) holder: Option<Holder>,
}

impl Caller {
    pub(super) fn holder(call: &Call, holder: &Holder) -> Self {
        Self {
            call: call.clone(),
            holder: Some(holder.clone()),
        }
    }

    fn session_id(&self) -> Option<&str> {
        self.holder.as_ref().map(|holder| &*holder.session_id)
    }
}

/// An operation that an answer came for, as it was read at first. What decides is read again in the transaction that writes.
#[derive(Clone)]
pub(super) struct Present {
    pub(super) handle: Arc<SecretText>,
    pub(super) row: OperationRow,
    pub(super) state: State,
}

impl Present {
    /// Where a sealed field of an answer to it stands.
    pub(super) fn sealed_for(&self) -> SealedFor<'_> {
        SealedFor {
            app_id: &self.state.app_id,
            handle: self.handle.expose(),
            step_id: &self.row.step_id,
        }
    }
}

/// A held operation within a writing transaction.
pub(super) struct Turn<'t> {
    pub(super) accounts: &'t Accounts,
    pub(super) caller: &'t Caller,
    pub(super) tx: &'t mut Tx,
    pub(super) held: Present,
}

/// What the steps of a transaction share.
struct Shared<F> {
    accounts: Accounts,
    caller: Caller,
    present: Present,
    work: F,
}

impl Accounts {
    /// The operation that a handle names. Another device, session or kind cannot tell it from an unknown one.
    pub(super) async fn present(
        &self,
        caller: &Caller,
        kind: Kind,
        handle: SecretText,
        step_id: &str,
    ) -> Result<Present, Problem> {
        let unknown = || Problem::new(Code::OperationUnknown);
        if !handle.expose().starts_with(HANDLE) || handle.expose().len() > 64 {
            return Err(unknown());
        }
        let hash = self.operation_hash(handle.expose());
        let row = self
            .parts()
            .store
            .read(move |tx| {
                let hash = hash.clone();
                Box::pin(async move { rows::find(tx, &hash).await })
            })
            .await?
            .filter(|row| {
                row.device_key == caller.call.device_key.as_str()
                    && row.session_id.as_deref() == caller.session_id()
                    && row.kind == kind.name()
            })
            .ok_or_else(unknown)?;
        let present = self.opened(Arc::new(handle), row)?;
        if present.row.step_id == step_id {
            Ok(present)
        } else {
            Err(self.at_step(&present, Problem::new(Code::Superseded)))
        }
    }

    fn opened(&self, handle: Arc<SecretText>, row: OperationRow) -> Result<Present, Problem> {
        if self.ends_at(&row) <= self.now() {
            return Err(Problem::new(Code::OperationExpired));
        }
        let Some(state) = State::open(&self.parts().keys, &row.operation_hash, &row.sealed_state)
        else {
            tracing::warn!(
                "an operation's state cannot be read: another version or server secret wrote it"
            );
            return Err(Problem::new(Code::OperationExpired));
        };
        Ok(Present { handle, row, state })
    }

    /// A new operation, which is not in the database yet.
    pub(super) fn begin(&self, caller: &Caller, state: State) -> Present {
        let context = &self.parts().context;
        let handle = format!("{HANDLE}{}", context.token128());
        let operation_hash = self.operation_hash(&handle);
        let now = context.now();
        Present {
            row: OperationRow {
                kind: state.kind.name().to_owned(),
                session_id: caller.session_id().map(str::to_owned),
                device_key: caller.call.device_key.as_str().to_owned(),
                step_id: context.token128(),
                sealed_state: String::new(),
                created_at: now,
                expires_at: now.plus(self.parts().policy.lifetime).plus(AFTERLIFE),
                operation_hash,
            },
            handle: Arc::new(handle.into()),
            state,
        }
    }

    /// Writes a new operation and the reply with its first step.
    pub(super) async fn insert(
        &self,
        tx: &mut Tx,
        call: &Call,
        mut present: Present,
    ) -> Result<Reply, Problem> {
        present.row.sealed_state = self.sealed(&present);
        rows::insert(tx, &present.row).await?;
        let reply = Reply::json(&self.step_reply(&present))?;
        call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// One writing transaction on an operation that is held, with its session alive and its account held too.
    pub(super) async fn turn<T, F>(
        &self,
        caller: &Caller,
        present: &Present,
        work: F,
    ) -> Result<T, Problem>
    where
        F: for<'t> Fn(Turn<'t>) -> BoxFuture<'t, Result<T, Problem>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let work = Arc::new(Shared {
            accounts: self.clone(),
            caller: caller.clone(),
            present: present.clone(),
            work,
        });
        self.parts()
            .store
            .write(move |tx| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    let held = work.accounts.hold(tx, &work.caller, &work.present).await?;
                    (work.work)(Turn {
                        accounts: &work.accounts,
                        caller: &work.caller,
                        tx,
                        held,
                    })
                    .await
                })
            })
            .await
    }

    /// Somebody may have answered this step meanwhile: 409 `superseded`.
    async fn hold(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        present: &Present,
    ) -> Result<Present, Problem> {
        if let Some(holder) = &caller.holder {
            self.hold_holder(tx, holder).await?;
        } else if !present.state.user_id.0.is_empty() {
            bindings::hold_account(tx, &present.state.user_id.0).await?;
        }
        let row = rows::lock(tx, &present.row.operation_hash)
            .await?
            .ok_or_else(|| Problem::new(Code::OperationUnknown))?;
        let held = self.opened(Arc::clone(&present.handle), row)?;
        if held.row.step_id == present.row.step_id {
            Ok(held)
        } else {
            Err(self.at_step(&held, Problem::new(Code::Superseded)))
        }
    }

    fn sealed(&self, present: &Present) -> String {
        present.state.seal(
            &self.parts().keys,
            &self.parts().context,
            &present.row.operation_hash,
        )
    }

    fn step_reply(&self, present: &Present) -> OperationReply {
        let now = self.now();
        let ends_at = self.ends_at(&present.row);
        OperationReply {
            operation: Some(present.handle.expose().to_owned()),
            step_id: Some(present.row.step_id.clone()),
            expires_in: Some(now.seconds_until(ends_at)),
            ..OperationReply::of(self.step_of(present, now, ends_at))
        }
    }

    fn step_of(&self, present: &Present, now: Timestamp, ends_at: Timestamp) -> OperationStep {
        let questions = &self.inner.policy.questions;
        present
            .state
            .stage
            .step(&self.parts().policy, questions, now, ends_at)
    }

    /// A mendable problem: with the place where the operation stands.
    pub(super) fn at_step(&self, present: &Present, problem: Problem) -> Problem {
        let step = self.step_of(present, self.now(), self.ends_at(&present.row));
        match serde_json::to_value(step) {
            Ok(next) => {
                problem.at_operation(present.handle.expose(), present.row.step_id.clone(), next)
            }
            Err(error) => Problem::internal(error),
        }
    }

    fn ends_at(&self, row: &OperationRow) -> Timestamp {
        row.created_at.plus(self.parts().policy.lifetime)
    }

    fn operation_hash(&self, handle: &str) -> String {
        self.parts()
            .keys
            .name(Purpose::Operation, &[handle.as_bytes()])
    }

    /// The person gives up.
    pub(super) async fn cancel(
        &self,
        caller: &Caller,
        present: &Present,
    ) -> Result<Reply, Problem> {
        self.turn(caller, present, |turn| {
            Box::pin(async move {
                turn.finish(&OperationReply::of(OperationStep::Cancelled))
                    .await
            })
        })
        .await
    }
}

impl Turn<'_> {
    /// Puts the operation into a stage, under a new step id.
    async fn put(&mut self, stage: Stage) -> Result<(), StoreError> {
        self.held.row.step_id = self.accounts.parts().context.token128();
        self.held.state.stage = stage;
        self.save().await
    }

    /// Writes the state under the present step id.
    pub(super) async fn save(&mut self) -> Result<(), StoreError> {
        let sealed = self.accounts.sealed(&self.held);
        let row = &self.held.row;
        rows::update(self.tx, &row.operation_hash, &row.step_id, &sealed).await
    }

    /// The next step.
    pub(super) async fn go(mut self, stage: Stage) -> Result<Reply, Problem> {
        self.put(stage).await?;
        let reply = Reply::json(&self.accounts.step_reply(&self.held))?;
        self.store(reply).await
    }

    /// A wrong answer that was taken into account: the person stays, under a new step id.
    pub(super) async fn wrong(mut self, stage: Stage, problem: Problem) -> Result<Reply, Problem> {
        self.put(stage).await?;
        let problem = self.accounts.at_step(&self.held, problem);
        let reply = Reply::problem(&problem, &self.caller.call.request_id);
        self.store(reply).await
    }

    /// The operation is over with a problem.
    pub(super) async fn end(self, problem: &Problem) -> Result<Reply, Problem> {
        rows::delete(self.tx, &self.held.row.operation_hash).await?;
        let reply = Reply::problem(problem, &self.caller.call.request_id);
        self.store(reply).await
    }

    /// Too many wrong answers.
    pub(super) async fn used_up(self, retry_after: Option<u64>) -> Result<Reply, Problem> {
        let mut problem = Problem::new(Code::TooManyAttempts).attempts_left(0);
        problem.retry_after = retry_after;
        self.end(&problem).await
    }

    /// The operation is over, and what it was for is done.
    pub(super) async fn finish(self, reply: &OperationReply) -> Result<Reply, Problem> {
        rows::delete(self.tx, &self.held.row.operation_hash).await?;
        let reply = Reply::json(reply)?;
        self.store(reply).await
    }

    async fn store(self, reply: Reply) -> Result<Reply, Problem> {
        self.caller.call.ticket.finish(self.tx, &reply).await?;
        Ok(reply)
    }
}
